//! Liveness of the process itself: a loop that is due once a second detects that it was not scheduled.
//!
//! ```text
//! ran ──BEAT──▶ due ──LATE──▶ the process did not run since `ran`
//! ```
//!
//! A stopped process, a frozen cgroup and a suspended machine are not reported afterwards, and the monotonic clock,
//! which stands still while the machine is suspended, does not show the latter either. Pure.

use super::{Instant, Moment};
use std::time::Duration;

/// How long the loop may have nothing to do. One wake a second on a connection that brings nothing costs some ten
/// microseconds of it; where data comes, the beat never fires.
const BEAT: Duration = Duration::from_secs(1);

/// A loop that is due and does not run for this long was not scheduled: nothing between two of its reads takes as long.
const LATE: Duration = Duration::from_secs(2);

/// The beat of one loop.
#[derive(Debug)]
pub struct Heartbeat {
    ran: Moment,
}

impl Heartbeat {
    /// Of a loop that runs now.
    pub fn new(now: Moment) -> Self {
        Self { ran: now }
    }

    /// The loop runs now; returns when it had run last if the process was not scheduled since.
    pub fn handle_awake(&mut self, now: Moment) -> Option<Moment> {
        let ran = std::mem::replace(&mut self.ran, now);
        (now.since(ran) >= BEAT + LATE).then_some(ran)
    }

    /// When it has to run again, because after a freeze data that waited in the kernel wakes it like any other.
    pub fn due(&self) -> Instant {
        self.ran.at + BEAT
    }

    /// This instant of the wake that goes on.
    pub fn moment(&self, now: Instant) -> Moment {
        Moment { at: now, suspended: self.ran.suspended }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Stamp};

    const MILLISECOND: Duration = Duration::from_millis(1);

    #[test]
    fn a_wake_two_seconds_late_tells_when_the_loop_ran_last() {
        let start = Moment { at: Clock::anchored(Stamp::MAX).now(), suspended: 9 * BEAT };
        let after = |ran: u32, suspended: u32| Moment {
            at: start.at + ran * MILLISECOND,
            suspended: start.suspended + suspended * MILLISECOND,
        };
        // How long monotonic time went on, and how long the machine was suspended.
        for (awake, expected) in [
            (after(1_000, 0), None),
            (after(2_999, 0), None),
            (after(3_000, 0), Some(start)),
            (after(600_000, 0), Some(start)),
            (after(1, 2_000), None),
            (after(0, 3_000), Some(start)),
            (after(1_500, 1_500), Some(start)),
        ] {
            let mut heartbeat = Heartbeat::new(start);
            assert_eq!(heartbeat.due(), start.at + BEAT);
            assert_eq!(heartbeat.handle_awake(awake), expected, "{awake:?}");
            assert_eq!(heartbeat.handle_awake(awake), None, "it is told once");
            assert_eq!((heartbeat.due(), heartbeat.moment(start.at).suspended), (awake.at + BEAT, awake.suspended));
        }
    }
}
