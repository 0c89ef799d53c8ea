//! The backlog of ended segments that wait for the sealer, and whether it keeps up. Pure.
//!
//! Where all streams rotate at once the backlog is thousands for a while, and falls. Where it does not fall for
//! minutes, the disk fills ten times as fast as it should, which warrants a warning.

use crate::clock::Instant;
use std::time::Duration;

/// Interval of the checks.
const LOOK: Duration = Duration::from_secs(60);

/// Consecutive checks without a fall before the warning: sealing a segment takes seconds.
const LOOKS: u32 = 5;

/// See the module.
#[derive(Debug)]
pub(super) struct Backlog {
    /// Number of waiting segments.
    pub(super) waiting: usize,
    /// The number at the last check.
    seen: usize,
    next_look: Instant,
    /// Checks since it fell or was zero.
    unfallen: u32,
}

impl Backlog {
    /// Begins with the `waiting` segments of earlier processes.
    pub(super) fn new(waiting: usize, now: Instant) -> Self {
        Self { waiting, seen: waiting, next_look: now + LOOK, unfallen: 0 }
    }

    /// The number of waiting segments when a warning is due: once per backlog that does not fall.
    pub(super) fn look(&mut self, now: Instant) -> Option<usize> {
        if now < self.next_look {
            return None;
        }
        self.next_look = now + LOOK;
        let fell = self.waiting < self.seen || self.waiting == 0;
        self.unfallen = if fell { 0 } else { self.unfallen.saturating_add(1) };
        self.seen = self.waiting;
        (self.unfallen == LOOKS).then_some(self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Stamp};

    /// The minutes with a warning, given the backlog at the end of each.
    fn warned(waiting: &[usize]) -> Vec<usize> {
        let begin = Clock::anchored(Stamp::default()).now();
        let mut backlog = Backlog::new(0, begin);
        let mut warned = Vec::new();
        for second in 1..=60 * waiting.len() {
            let minute = (second - 1) / 60;
            backlog.waiting = waiting[minute];
            let now = begin + Duration::from_secs(second as u64);
            warned.extend(backlog.look(now).map(|_| minute));
        }
        warned
    }

    #[test]
    fn a_backlog_that_does_not_fall_is_warned_of_once() {
        assert_eq!(warned(&[3, 6, 9, 12, 15, 18, 21]), [4]);
        assert_eq!(warned(&[9, 9, 9, 9, 9, 9]), [4]);
        assert_eq!(warned(&[3, 6, 9, 12, 15, 0, 3, 6, 9, 12, 15]), [4, 10]);
    }

    #[test]
    fn a_rotation_that_is_worked_off_is_none() {
        assert!(warned(&[0, 2565, 2100, 1600, 1100, 600, 100, 0, 0, 0, 0, 0]).is_empty());
        assert!(warned(&[9, 9, 9, 9, 8, 9, 9, 9, 9, 8]).is_empty());
    }
}
