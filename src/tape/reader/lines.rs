//! The lines of a list of segments, one in memory at a time.

use super::error::TapeError;
use super::segment::Segment;
use super::selection::Selection;
use super::source::{Portion, Source};
use crate::clock::{Position, Stamp};
use crate::tape::line::Line;
use std::ops::RangeInclusive;

/// Content that a stream's lines may hold in memory, where they are read alone: a frame of any size.
pub(super) const ALONE: usize = usize::MAX;

/// See [`Tape::lines`](super::Tape::lines). After an error the iterator goes on with the next readable line.
#[derive(Debug)]
pub struct Lines {
    selected: Selection,
    /// Newest first, so that the next one is the last.
    segments: Vec<Segment>,
    /// The open one, and the stamps selected of it.
    open: Option<(Source, RangeInclusive<Stamp>)>,
    /// Bytes of content that may be held.
    keep: usize,
    /// Bytes of content decoded of segments that are closed.
    decoded: u64,
}

/// What comes next.
pub(super) enum Step {
    /// A line.
    Line(Line),
    /// A part of the tape that cannot be read.
    Fault(TapeError),
    /// The end of a segment; none is open.
    End,
}

impl Lines {
    /// The lines of `segments`, which come oldest first.
    pub(super) fn new(mut segments: Vec<Segment>, selected: Selection, keep: usize) -> Self {
        segments.reverse();
        Self { selected, segments, open: None, keep, decoded: 0 }
    }

    /// Bytes of content of sealed files that were decoded so far.
    pub fn decoded(&self) -> u64 {
        self.decoded + self.open.as_ref().map_or(0, |(source, _)| source.decoded())
    }

    /// A position that no line of the next segment is before; `None`: there is none.
    pub(super) fn bound(&self) -> Option<Position> {
        self.segments.last().map(Segment::bound)
    }

    /// Opens the next segment, if none is open, and reads on in it.
    pub(super) fn step(&mut self) -> Step {
        let Some((source, stamps)) = &mut self.open else {
            let Some(segment) = self.segments.pop() else { return Step::End };
            let stamps = self.selected.of_epoch(segment.epoch());
            return match segment.open(Portion { begin: *stamps.start(), keep: self.keep }) {
                Ok(Some(source)) => {
                    self.open = Some((source, stamps));
                    self.step()
                }
                Ok(None) => Step::End,
                Err(error) => Step::Fault(error),
            };
        };
        loop {
            match source.next() {
                Some(Ok(line)) if line.stamp() < *stamps.start() => {}
                // Stamps increase within a segment, so there is nothing more in this one.
                Some(Ok(line)) if line.stamp() > *stamps.end() => break,
                Some(Ok(line)) => return Step::Line(line),
                Some(Err(error)) => return Step::Fault(error),
                None => break,
            }
        }
        self.decoded += source.decoded();
        self.open = None;
        Step::End
    }
}

impl Iterator for Lines {
    type Item = Result<Line, TapeError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.step() {
                Step::Line(line) => return Some(Ok(line)),
                Step::Fault(error) => return Some(Err(error)),
                Step::End if self.segments.is_empty() => return None,
                Step::End => {}
            }
        }
    }
}
