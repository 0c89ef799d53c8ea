//! The lines of a list of segments, one in memory at a time.

use super::error::TapeError;
use super::segments::Segment;
use super::source::Source;
use crate::clock::Stamp;
use crate::tape::line::Line;
use std::ops::RangeInclusive;

/// See [`Tape::lines`](super::Tape::lines). After an error the iterator goes on with the next readable line.
#[derive(Debug)]
pub struct Lines {
    stamps: RangeInclusive<Stamp>,
    /// Newest first, so that the next one is the last.
    segments: Vec<Segment>,
    source: Option<Source>,
}

impl Lines {
    /// The lines of `segments`, which come oldest first.
    pub(super) fn new(mut segments: Vec<Segment>, stamps: RangeInclusive<Stamp>) -> Self {
        segments.reverse();
        Self { stamps, segments, source: None }
    }
}

impl Iterator for Lines {
    type Item = Result<Line, TapeError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(source) = &mut self.source else {
                match self.segments.pop()?.open(*self.stamps.start()) {
                    Ok(source) => self.source = source,
                    Err(error) => return Some(Err(error)),
                }
                continue;
            };
            match source.next() {
                Some(Ok(line)) if line.stamp() < *self.stamps.start() => {}
                // Stamps increase within a segment, so there is nothing more in this one.
                Some(Ok(line)) if line.stamp() > *self.stamps.end() => self.source = None,
                Some(item) => return Some(item),
                None => self.source = None,
            }
        }
    }
}
