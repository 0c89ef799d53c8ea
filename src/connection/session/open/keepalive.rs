//! Whether the other side is still there: pings at a steady pace, and a deadline for any byte in answer.
//!
//! ```text
//! ping ──interval──▶ ping ──interval──▶ ping ──timeout without a byte──▶ dead
//! ```
//!
//! Pings go out at a steady pace whatever arrives, because nobody has settled which direction of traffic resets the
//! exchange's idle timer (about 60 s on the wire). Any byte answers, so a quiet market with pongs is never cut and a
//! mute socket always is, within one interval and one timeout. While the recorder itself does not read, silence proves
//! nothing: the deadline is suspended, and the first ping after that arms it again.

use crate::clock::Instant;
use std::time::Duration;

/// The pings of one connection.
#[derive(Debug)]
pub(in crate::connection::session) struct Keepalive {
    interval: Duration,
    timeout: Duration,
    ping_at: Instant,
    dead_at: Option<Instant>,
    suspended: bool,
}

impl Keepalive {
    /// For a connection opened `now`; both durations come from the configuration.
    pub(in crate::connection::session) fn new(interval: Duration, timeout: Duration, now: Instant) -> Self {
        Self { interval, timeout, ping_at: now + interval, dead_at: None, suspended: false }
    }

    /// Whether it is time for a ping; the next is due an interval later, also where this one has to wait for the budget.
    pub(in crate::connection::session) fn take_due_ping(&mut self, now: Instant) -> bool {
        let due = now >= self.ping_at;
        if due {
            self.ping_at = now + self.interval;
        }
        due
    }

    /// A ping was handed to the socket.
    pub(in crate::connection::session) fn handle_ping_sent(&mut self, now: Instant) {
        if !self.suspended {
            // An earlier ping that is still unanswered keeps its deadline.
            self.dead_at.get_or_insert(now + self.timeout);
        }
    }

    /// At least one byte came.
    pub(in crate::connection::session) fn handle_heard(&mut self) {
        self.dead_at = None;
    }

    /// Whether the socket counts as dead.
    pub(in crate::connection::session) fn is_dead(&self, now: Instant) -> bool {
        self.dead_at.is_some_and(|dead_at| now >= dead_at)
    }

    /// The recorder stops reading (`true`) or reads again.
    pub(in crate::connection::session) fn suspend(&mut self, suspended: bool) {
        self.suspended = suspended;
        self.dead_at = None;
    }

    /// When the next ping is due.
    pub(in crate::connection::session) fn ping_at(&self) -> Instant {
        self.ping_at
    }

    /// When the socket is given up unless something comes.
    pub(in crate::connection::session) fn dead_at(&self) -> Option<Instant> {
        self.dead_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Stamp};
    use proptest::prelude::*;

    const INTERVAL: Duration = Duration::from_secs(15);
    const TIMEOUT: Duration = Duration::from_secs(10);

    fn start() -> Instant {
        Clock::anchored(Stamp::MAX).now()
    }

    /// Runs the pings until `end`, hearing something at each of `heard` (seconds, ascending); returns when it died.
    fn died(heard: &[u64], end: u64) -> Option<u64> {
        let start = start();
        let mut keepalive = Keepalive::new(INTERVAL, TIMEOUT, start);
        for second in 0..=end {
            let now = start + Duration::from_secs(second);
            if heard.contains(&second) {
                keepalive.handle_heard();
            }
            if keepalive.is_dead(now) {
                return Some(second);
            }
            if keepalive.take_due_ping(now) {
                keepalive.handle_ping_sent(now);
            }
        }
        None
    }

    proptest! {
        #[test]
        fn a_mute_socket_is_left_within_an_interval_and_a_timeout(mute_from in 1..100_u64) {
            let heard: Vec<u64> = (0..mute_from).collect();
            let died = died(&heard, 200).unwrap();
            prop_assert!(died <= mute_from + 25, "mute from {mute_from}, left at {died}");
        }

        #[test]
        fn an_answer_within_the_timeout_keeps_it(delay in 1..10_u64) {
            let pongs: Vec<u64> = (1..20).map(|ping| ping * 15 + delay).collect();
            prop_assert_eq!(died(&pongs, 290), None);
        }
    }

    #[test]
    fn nothing_dies_while_nobody_reads() {
        let start = start();
        let mut keepalive = Keepalive::new(INTERVAL, TIMEOUT, start);
        keepalive.handle_ping_sent(start);
        keepalive.suspend(true);
        let later = start + Duration::from_secs(3600);
        assert!(!keepalive.is_dead(later) && keepalive.take_due_ping(later));
        keepalive.handle_ping_sent(later);
        keepalive.suspend(false);
        assert_eq!(keepalive.dead_at(), None);
        keepalive.handle_ping_sent(later + INTERVAL);
        assert!(keepalive.is_dead(later + INTERVAL + TIMEOUT));
    }
}
