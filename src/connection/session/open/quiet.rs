//! When a connection that may bring nothing for days counts as live: the account's, when nobody trades.
//!
//! ```text
//! request said ──a byte in answer──▶ taken ──no error for `patience`──▶ live, since the byte
//! ```
//!
//! The exchange acknowledges no request, but it answers the ping behind it, and it answers in order. What it objects to
//! it says within a round trip; waiting longer costs nothing, for whatever comes is recorded anyway.

use crate::clock::Instant;
use std::time::Duration;

/// The signs that a request stands although it brings nothing.
#[derive(Debug)]
pub(in crate::connection::session) struct Quiet {
    patience: Duration,
    said_at: Option<Instant>,
    answered_at: Option<Instant>,
}

impl Quiet {
    /// For a socket on which nothing was asked for yet; an error has `patience` to come.
    pub(in crate::connection::session) fn new(patience: Duration) -> Self {
        Self { patience, said_at: None, answered_at: None }
    }

    /// The request was handed to the socket.
    pub(in crate::connection::session) fn handle_requested(&mut self, now: Instant) {
        self.said_at.get_or_insert(now);
    }

    /// At least one byte came.
    pub(super) fn handle_heard(&mut self, now: Instant) {
        if self.said_at.is_some() {
            self.answered_at.get_or_insert(now);
        }
    }

    /// Since when the request stands, once that is sure.
    pub(super) fn stands_since(&self, now: Instant) -> Option<Instant> {
        self.answered_at.filter(|_| self.sure_at().is_some_and(|sure_at| now >= sure_at))
    }

    /// When to look again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.answered_at.and(self.sure_at())
    }

    fn sure_at(&self) -> Option<Instant> {
        Some(self.said_at? + self.patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Stamp};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_request_that_was_answered_and_not_refused_stands_since_the_answer() {
        let now = Clock::anchored(Stamp::MAX).now();
        let mut quiet = Quiet::new(10 * SECOND);
        quiet.handle_heard(now);
        quiet.handle_requested(now);
        assert_eq!(
            (quiet.stands_since(now + 60 * SECOND), quiet.deadline()),
            (None, None),
            "only what comes behind it"
        );
        quiet.handle_heard(now + SECOND);
        quiet.handle_heard(now + 2 * SECOND);
        assert_eq!((quiet.stands_since(now + 9 * SECOND), quiet.deadline()), (None, Some(now + 10 * SECOND)));
        assert_eq!(quiet.stands_since(now + 10 * SECOND), Some(now + SECOND));
    }
}
