//! What may be sent now: the exchange's limits, kept at every instant.
//!
//! ```text
//! ConnectBudget   connects a second, shared by both connections (the exchange counts them per address)
//! MessageBudget   messages a second and a minute, one for each connection
//! ```
//!
//! The rooms ask with the instant in hand and get either leave or the instant to come back at; governor's own waiting
//! would sleep in real time and is not used. A token bucket keeps a window only if burst + rate × window stays within
//! the limit, so two fifths of a limit are the burst and the rest is spread evenly. That also leaves one send of slack
//! in every window, for a network that bunches what was sent apart.

use crate::clock::Instant;
use governor::clock::{Clock, FakeRelativeClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// The connects that all connections together may make.
#[derive(Debug)]
pub struct ConnectBudget(Mutex<Connects>);

#[derive(Debug)]
struct Connects {
    limit: Limit,
    held_until: Instant,
}

impl ConnectBudget {
    /// At most `per_second` connects in any second; `now` is any instant before the first connect. A limit of 0 counts
    /// as 1.
    pub fn new(per_second: u32, now: Instant) -> Self {
        Self(Mutex::new(Connects { limit: Limit::new(per_second, SECOND, now), held_until: now }))
    }

    /// Takes one connect, or says when to ask again.
    ///
    /// # Errors
    /// The earliest instant at which there may be one.
    pub fn take(&self, now: Instant) -> Result<(), Instant> {
        let mut connects = self.lock();
        if now < connects.held_until {
            return Err(connects.held_until);
        }
        connects.limit.take(now)
    }

    /// No connect before `until`: the exchange has asked this address to stay away.
    pub fn hold(&self, until: Instant) {
        let mut connects = self.lock();
        connects.held_until = connects.held_until.max(until);
    }

    /// A panic elsewhere cannot leave the limit half changed, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, Connects> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The messages that one connection may send.
#[derive(Debug)]
pub(super) struct MessageBudget {
    second: Limit,
    minute: Limit,
}

impl MessageBudget {
    /// At most `per_second` messages in any second and `per_minute` in any minute.
    pub(super) fn new(per_second: u32, per_minute: u32, now: Instant) -> Self {
        Self { second: Limit::new(per_second, SECOND, now), minute: Limit::new(per_minute, MINUTE, now) }
    }

    /// Takes one message, or says when to ask again.
    ///
    /// Where only the second allows it, its token is lost, which errs on the quiet side.
    pub(super) fn take(&mut self, now: Instant) -> Result<(), Instant> {
        self.second.take(now)?;
        self.minute.take(now)
    }
}

/// One window of the exchange's.
#[derive(Debug)]
struct Limit {
    latest: Instant,
    clock: FakeRelativeClock,
    limiter:
        RateLimiter<NotKeyed, InMemoryState, FakeRelativeClock, NoOpMiddleware<<FakeRelativeClock as Clock>::Instant>>,
}

impl Limit {
    fn new(limit: u32, window: Duration, now: Instant) -> Self {
        let clock = FakeRelativeClock::default();
        let limiter = RateLimiter::direct_with_clock(quota(limit, window), clock.clone());
        Self { latest: now, clock, limiter }
    }

    fn take(&mut self, now: Instant) -> Result<(), Instant> {
        // Two connections may ask with instants that were read in the other order.
        self.clock.advance(now.saturating_duration_since(self.latest));
        self.latest = self.latest.max(now);
        self.limiter.check().map_err(|refusal| {
            let wait = refusal.wait_time_from(self.clock.now());
            // At least a nanosecond, so that coming back at the instant named always is progress.
            self.latest + wait.max(Duration::from_nanos(1))
        })
    }
}

fn quota(limit: u32, window: Duration) -> Quota {
    let burst = (limit * 2 / 5).max(1);
    // A limit of one leaves nothing to spread: one in four thirds of the window then keeps the same slack.
    let period = match limit.saturating_sub(burst) {
        0 => window * 4 / 3,
        spread => window / spread,
    };
    let burst = NonZeroU32::new(burst).expect("at least one");
    Quota::with_period(period).expect("a window is longer than its limit in nanoseconds").allow_burst(burst)
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
