//! Sliding windows: at most so many events in any span of a length. Pure.
//!
//! ```text
//! Window  exact: counts the times of past events     where several programs share them in a file
//! Bucket  spread: governor's token bucket            in memory
//! ```
//!
//! A bucket keeps a window only if burst + rate × length stays within the limit, so two fifths of the limit are the burst
//! and the rest is spread evenly. That also leaves one event of slack in every window, for a network that bunches messages
//! which were sent apart.

use crate::clock::Instant;
use governor::clock::{Clock, FakeRelativeClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use std::num::NonZeroU32;
use std::time::Duration;

/// At most `limit` events in any span of this length.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Events; 0 counts as 1.
    pub limit: u32,
    /// The span.
    pub length: Duration,
}

impl Window {
    /// Forgets the events, in microseconds since the epoch, that no span ending `now` holds. One of the future was noted
    /// before a clock was set back, and would hold everything up until then.
    pub fn forget(self, events: &mut Vec<u64>, now: u64) {
        events.retain(|event| *event <= now && now - *event < self.micros());
    }

    /// How long until one more event fits behind those that [`Self::forget`] left; `None`: it does now.
    pub fn wait(self, events: &[u64], now: u64) -> Option<Duration> {
        // There is room when so many have left that one less than the limit is inside.
        let last_to_leave = events.len().checked_sub(self.limit.max(1) as usize)?;
        Some(Duration::from_micros(events[last_to_leave] + self.micros() - now))
    }

    fn micros(self) -> u64 {
        u64::try_from(self.length.as_micros()).unwrap_or(u64::MAX)
    }

    fn quota(self) -> Quota {
        let burst = (self.limit * 2 / 5).max(1);
        // A limit of one leaves nothing to spread: one in four thirds of the window then keeps the same slack.
        let period = match self.limit.saturating_sub(burst) {
            0 => self.length * 4 / 3,
            spread => self.length / spread,
        };
        let burst = NonZeroU32::new(burst).expect("at least one");
        Quota::with_period(period).expect("a window is longer than its limit in nanoseconds").allow_burst(burst)
    }
}

/// A window kept by a token bucket. The caller's instants are its clock: governor's own waiting would sleep in real time.
#[derive(Debug)]
pub struct Bucket {
    latest: Instant,
    clock: FakeRelativeClock,
    limiter:
        RateLimiter<NotKeyed, InMemoryState, FakeRelativeClock, NoOpMiddleware<<FakeRelativeClock as Clock>::Instant>>,
}

impl Bucket {
    /// A full bucket; `now` is any instant before the first event.
    pub fn new(window: Window, now: Instant) -> Self {
        let clock = FakeRelativeClock::default();
        let limiter = RateLimiter::direct_with_clock(window.quota(), clock.clone());
        Self { latest: now, clock, limiter }
    }

    /// Takes one event.
    ///
    /// # Errors
    /// The earliest instant at which there may be one.
    pub fn take(&mut self, now: Instant) -> Result<(), Instant> {
        // Two callers may ask with instants that were read in the other order.
        self.clock.advance(now.saturating_duration_since(self.latest));
        self.latest = self.latest.max(now);
        self.limiter.check().map_err(|refusal| {
            let wait = refusal.wait_time_from(self.clock.now());
            // At least a nanosecond, so that asking again at this instant makes progress.
            self.latest + wait.max(Duration::from_nanos(1))
        })
    }
}
