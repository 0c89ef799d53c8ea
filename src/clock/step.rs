//! Detection of a clock step: the decision to move the anchor after the wall clock was set. Pure.
//!
//! ```text
//! |wall − ours|  ──2 s or more at every check─▶ 5 s ──▶ the anchor moves
//!                └─less at one check──▶ nothing happened
//! ```
//!
//! Small corrections are left alone, since the order of the lines is worth more than a second of absolute time; a
//! difference has to last, since a clock that is being set can jump more than once. Time without checks does not count:
//! the pause of a process that did not run has to be on record before the clock step.

use super::{Instant, Stamp};
use std::time::Duration;

/// A smaller difference is left as it is.
pub const STEP: Duration = Duration::from_secs(2);

/// How long the difference has to stay.
pub const STEADY: Duration = Duration::from_secs(5);

/// A check further than this from the one before starts anew. Checks are a second apart while the process runs.
const UNSEEN: Duration = Duration::from_secs(3);

/// Watches the difference of the two clocks.
#[derive(Debug, Default)]
pub struct StepWatch {
    since: Option<Instant>,
    looked: Option<Instant>,
}

impl StepWatch {
    /// Compares both clocks at `now`; `true`: the anchor has to move.
    pub fn handle(&mut self, now: Instant, ours: Stamp, wall: Stamp) -> bool {
        let is_first = self.looked.replace(now).is_none_or(|looked| now >= looked + UNSEEN);
        if is_first || ours.distance(wall) < STEP {
            self.since = None;
        }
        if ours.distance(wall) < STEP {
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
    fn a_lasting_difference_moves_the_anchor_once() {
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
    fn time_in_which_nobody_looked_does_not_count() {
        let start = Clock::anchored(stamp(0)).now();
        let mut watch = StepWatch::default();
        let mut look = |second| watch.handle(start + Duration::from_secs(second), stamp(100), stamp(200));
        assert!(![0, 1, 601, 602, 605].into_iter().any(&mut look));
        assert!(![606, 607, 608, 609].into_iter().any(&mut look) && look(610));
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
