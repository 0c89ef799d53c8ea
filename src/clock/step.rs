//! When the wall clock has been set: the decision to move the anchor. Pure.
//!
//! ```text
//! |wall − ours|  ──2 s or more at every look──▶ 5 s ──▶ the anchor moves
//!                └─less at one look──▶ nothing happened
//! ```
//!
//! Small corrections are left alone, since the order of the lines is worth more than a second of absolute time; a
//! difference has to stay for a while, since a clock that is being set can jump more than once.

use super::{Instant, Stamp};
use std::time::Duration;

/// A smaller difference is left as it is.
pub const STEP: Duration = Duration::from_secs(2);

/// How long the difference has to stay.
pub const STEADY: Duration = Duration::from_secs(5);

/// Watches the difference of the two clocks.
#[derive(Debug, Default)]
pub struct StepWatch {
    since: Option<Instant>,
}

impl StepWatch {
    /// Looks at both clocks at `now`; `true`: the anchor has to move.
    pub fn handle(&mut self, now: Instant, ours: Stamp, wall: Stamp) -> bool {
        if ours.distance(wall) < STEP {
            self.since = None;
            return false;
        }
        let since = *self.since.get_or_insert(now);
        let is_due = now >= since + STEADY;
        if is_due {
            self.since = None;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    fn stamp(seconds: u64) -> Stamp {
        Stamp::from_micros(seconds * 1_000_000).unwrap()
    }

    #[test]
    fn a_difference_that_stays_moves_the_anchor_once_in_either_direction() {
        let start = Clock::anchored(stamp(0)).now();
        for wall in [90, 110] {
            let mut watch = StepWatch::default();
            let looks =
                (0..=11).map(|second| watch.handle(start + Duration::from_secs(second), stamp(100), stamp(wall)));
            let steps: Vec<_> = looks.enumerate().filter(|(_, is_due)| *is_due).map(|(second, _)| second).collect();
            assert_eq!(steps, [5, 11], "again only after another 5 s, if the caller did not move the anchor");
        }
    }

    #[test]
    fn what_is_small_or_passes_is_left_alone() {
        let start = Clock::anchored(stamp(0)).now();
        let mut watch = StepWatch::default();
        for second in 0..100 {
            let wall = if second % 5 == 4 { stamp(101) } else { stamp(200) };
            assert!(!watch.handle(start + Duration::from_secs(second), stamp(100), wall));
        }
    }
}
