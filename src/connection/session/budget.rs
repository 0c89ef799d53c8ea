//! The exchange's limits, kept at every instant.
//!
//! ```text
//! ConnectBudget   connects a second, shared by both connections (the exchange counts them per address)
//! MessageBudget   messages a second and a minute, one for each connection
//! ```
//!
//! A caller gets a token at its instant, or the instant at which there is one.

use crate::clock::Instant;
use crate::window::{Bucket, Window};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// The connects that all connections together may make.
#[derive(Debug)]
pub struct ConnectBudget(Mutex<Connects>);

#[derive(Debug)]
struct Connects {
    bucket: Bucket,
    held_until: Instant,
}

impl ConnectBudget {
    /// At most `per_second` connects in any second; `now` is any instant before the first connect. A limit of 0 counts
    /// as 1.
    pub fn new(per_second: u32, now: Instant) -> Self {
        Self(Mutex::new(Connects {
            bucket: Bucket::new(Window { limit: per_second, length: SECOND }, now),
            held_until: now,
        }))
    }

    /// Takes one connect.
    ///
    /// # Errors
    /// The earliest instant at which there may be one.
    pub fn take(&self, now: Instant) -> Result<(), Instant> {
        let mut connects = self.lock();
        if now < connects.held_until {
            return Err(connects.held_until);
        }
        connects.bucket.take(now)
    }

    /// No connect before `until`: the exchange has asked this address to stay away.
    pub fn hold(&self, until: Instant) {
        let mut connects = self.lock();
        connects.held_until = connects.held_until.max(until);
    }

    /// A panic elsewhere cannot leave the limit half changed, so a poisoned lock is used like any.
    fn lock(&self) -> MutexGuard<'_, Connects> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The messages that one connection may send.
#[derive(Debug)]
pub(super) struct MessageBudget {
    second: Bucket,
    minute: Bucket,
}

impl MessageBudget {
    /// At most `per_second` messages in any second and `per_minute` in any minute.
    pub(super) fn new(per_second: u32, per_minute: u32, now: Instant) -> Self {
        let bucket = |limit, length| Bucket::new(Window { limit, length }, now);
        Self { second: bucket(per_second, SECOND), minute: bucket(per_minute, MINUTE) }
    }

    /// Takes one message.
    ///
    /// Where only the second allows it, its token is lost, which errs on the quiet side.
    ///
    /// # Errors
    /// The earliest instant at which there may be one.
    pub(super) fn take(&mut self, now: Instant) -> Result<(), Instant> {
        self.second.take(now)?;
        self.minute.take(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Stamp};
    use proptest::prelude::*;

    fn start() -> Instant {
        Clock::anchored(Stamp::MAX).now()
    }

    /// The most of `times` that any half-open window of this length holds.
    fn most_in_window(times: &[Instant], window: Duration) -> usize {
        let count = |&first: &Instant| times.iter().filter(|&&time| time >= first && time < first + window).count();
        times.iter().map(count).max().unwrap_or(0)
    }

    proptest! {
        #[test]
        fn no_window_ever_holds_more_than_the_limits(
            gaps in proptest::collection::vec(0..2_000_u64, 1..400),
            per_second in 1..20_u32,
            per_minute in 1..200_u32,
        ) {
            let mut now = start();
            let mut budget = MessageBudget::new(per_second, per_minute, now);
            let mut sent = Vec::new();
            for gap in gaps {
                now += Duration::from_millis(gap);
                if budget.take(now).is_ok() {
                    sent.push(now);
                }
            }
            prop_assert!(most_in_window(&sent, SECOND) <= per_second as usize);
            prop_assert!(most_in_window(&sent, MINUTE) <= per_minute as usize);
        }

        #[test]
        fn who_comes_back_when_told_is_served_without_ever_exceeding(limit in 1..50_u32) {
            let mut now = start();
            let budget = ConnectBudget::new(limit, now);
            let mut taken = Vec::new();
            for _ in 0..limit * 4 {
                while let Err(later) = budget.take(now) {
                    prop_assert!(later > now);
                    now = later;
                }
                taken.push(now);
            }
            prop_assert!(most_in_window(&taken, SECOND) <= limit as usize);
            // A network that delays some by a tenth of a second bunches them, and the window still holds.
            prop_assert!(limit > 5 || most_in_window(&taken, SECOND + SECOND / 10) <= limit as usize);
        }
    }

    #[test]
    fn the_exchanges_limits_let_a_useful_burst_through() {
        let now = start();
        let budget = ConnectBudget::new(5, now);
        assert_eq!((0..5).filter(|_| budget.take(now).is_ok()).count(), 2);
    }

    #[test]
    fn a_held_budget_gives_nothing_before_its_time() {
        let now = start();
        let budget = ConnectBudget::new(5, now);
        budget.hold(now + MINUTE);
        budget.hold(now + SECOND);
        assert_eq!(budget.take(now + SECOND), Err(now + MINUTE));
        assert!(budget.take(now + MINUTE).is_ok());
    }

    #[test]
    fn instants_out_of_order_do_no_harm() {
        let now = start() + SECOND;
        let budget = ConnectBudget::new(1, now - SECOND);
        assert!(budget.take(now).is_ok());
        assert!(budget.take(now - SECOND).is_err());
    }
}
