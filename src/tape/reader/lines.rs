//! The lines of a list of segments, one in memory at a time.

use super::error::TapeError;
use super::segments::Segment;
use super::selection::Selection;
use super::source::Source;
use crate::clock::Stamp;
use crate::tape::line::Line;
use std::ops::RangeInclusive;

/// See [`Tape::lines`](super::Tape::lines). After an error the iterator goes on with the next readable line.
#[derive(Debug)]
pub struct Lines {
    selected: Selection,
    /// Newest first, so that the next one is the last.
    segments: Vec<Segment>,
    /// The open one, and the stamps selected of it.
    open: Option<(Source, RangeInclusive<Stamp>)>,
}

impl Lines {
    /// The lines of `segments`, which come oldest first.
    pub(super) fn new(mut segments: Vec<Segment>, selected: Selection) -> Self {
        segments.reverse();
        Self { selected, segments, open: None }
    }
}

impl Iterator for Lines {
    type Item = Result<Line, TapeError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some((source, stamps)) = &mut self.open else {
                let segment = self.segments.pop()?;
                let stamps = self.selected.of_epoch(segment.epoch());
                match segment.open(*stamps.start()) {
                    Ok(source) => self.open = source.map(|source| (source, stamps)),
                    Err(error) => return Some(Err(error)),
                }
                continue;
            };
            match source.next() {
                Some(Ok(line)) if line.stamp() < *stamps.start() => {}
                // Stamps increase within a segment, so there is nothing more in this one.
                Some(Ok(line)) if line.stamp() > *stamps.end() => self.open = None,
                Some(item) => return Some(item),
                None => self.open = None,
            }
        }
    }
}
