//! Which lines of a stream are read. Pure.

use crate::clock::{Position, Stamp};
use std::ops::{RangeFrom, RangeInclusive};

/// Lines by their stamps, by their positions, or by both: made of a range of stamps, which holds in every epoch, or of the
/// position to begin at.
#[derive(Clone, Debug)]
pub struct Selection {
    begin: Position,
    stamps: RangeInclusive<Stamp>,
}

impl From<RangeInclusive<Stamp>> for Selection {
    fn from(stamps: RangeInclusive<Stamp>) -> Self {
        Self { begin: Position::default(), stamps }
    }
}

impl From<RangeFrom<Position>> for Selection {
    fn from(RangeFrom { start: begin }: RangeFrom<Position>) -> Self {
        Self { begin, stamps: Stamp::default()..=Stamp::MAX }
    }
}

impl Selection {
    /// None that is stamped before `stamp`, in whichever epoch: directories of earlier dates are not listed.
    #[must_use]
    pub fn not_before(self, stamp: Stamp) -> Self {
        let (start, end) = self.stamps.into_inner();
        Self { stamps: start.max(stamp)..=end, ..self }
    }

    /// The stamps selected in any epoch.
    pub(super) fn stamps(&self) -> &RangeInclusive<Stamp> {
        &self.stamps
    }

    /// The stamps selected in one epoch; an empty range where there are none.
    pub(super) fn of_epoch(&self, epoch: u64) -> RangeInclusive<Stamp> {
        let (start, end) = self.stamps.clone().into_inner();
        match epoch.cmp(&self.begin.epoch) {
            std::cmp::Ordering::Less => Stamp::MAX..=Stamp::default(),
            std::cmp::Ordering::Equal => start.max(self.begin.stamp)..=end,
            std::cmp::Ordering::Greater => start..=end,
        }
    }
}
