//! Which lines of a stream are read. Pure.

use crate::clock::{Position, Stamp};
use std::ops::{RangeFrom, RangeInclusive};

/// Lines by their stamps, by their positions, or by both: made of a range of stamps, which holds in every epoch, or of the
/// position to begin at.
#[derive(Clone, Debug)]
pub struct Selection {
    begin: Position,
    end: Position,
    stamps: RangeInclusive<Stamp>,
}

/// Behind every line.
const END: Position = Position { epoch: u64::MAX, stamp: Stamp::MAX };

impl From<RangeInclusive<Stamp>> for Selection {
    fn from(stamps: RangeInclusive<Stamp>) -> Self {
        Self { begin: Position::default(), end: END, stamps }
    }
}

impl From<RangeFrom<Position>> for Selection {
    fn from(RangeFrom { start: begin }: RangeFrom<Position>) -> Self {
        Self { begin, end: END, stamps: Stamp::default()..=Stamp::MAX }
    }
}

impl Selection {
    /// None that is stamped before `stamp`, in whichever epoch: directories of earlier dates are not listed.
    #[must_use]
    pub fn not_before(self, stamp: Stamp) -> Self {
        let (start, end) = self.stamps.into_inner();
        Self { stamps: start.max(stamp)..=end, ..self }
    }

    /// None behind `end`.
    #[must_use]
    pub fn until(self, end: Position) -> Self {
        Self { end, ..self }
    }

    /// The stamps selected in any epoch.
    pub(super) fn stamps(&self) -> &RangeInclusive<Stamp> {
        &self.stamps
    }

    /// The stamps selected in one epoch; an empty range where there are none.
    pub(super) fn of_epoch(&self, epoch: u64) -> RangeInclusive<Stamp> {
        let (start, end) = self.stamps.clone().into_inner();
        if epoch < self.begin.epoch || self.end.epoch < epoch {
            return Stamp::MAX..=Stamp::default();
        }
        let start = if epoch == self.begin.epoch { start.max(self.begin.stamp) } else { start };
        let end = if epoch == self.end.epoch { end.min(self.end.stamp) } else { end };
        start..=end
    }
}
