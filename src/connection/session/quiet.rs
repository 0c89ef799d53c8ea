//! When a request counts as accepted on a connection that may bring nothing for days: the account's.
//!
//! ```text
//! requested ──a byte in answer──▶ answered ──no error for `patience`──▶ stands, since the answer
//! ```
//!
//! The exchange acknowledges no request, but it answers the ping behind it, and it answers in order. An objection comes
//! within a round trip; waiting longer costs nothing, because whatever comes is recorded anyway.

use crate::clock::Instant;
use std::time::Duration;

/// The signs that a request stands although it brings nothing.
#[derive(Debug)]
pub(super) struct Quiet {
    patience: Duration,
    requested_at: Option<Instant>,
    answered_at: Option<Instant>,
}

impl Quiet {
    /// For a socket without a request; an error has `patience` to come.
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, requested_at: None, answered_at: None }
    }

    /// The request is handed to the socket.
    pub(super) fn handle_requested(&mut self, now: Instant) {
        self.requested_at.get_or_insert(now);
    }

    /// At least one byte came.
    pub(super) fn handle_received(&mut self, now: Instant) {
        if self.requested_at.is_some() {
            self.answered_at.get_or_insert(now);
        }
    }

    /// When the first byte behind the request came.
    pub(super) fn answered_at(&self) -> Option<Instant> {
        self.answered_at
    }

    /// When an answered request counts as accepted.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.answered_at.and(self.requested_at).map(|requested_at| requested_at + self.patience)
    }
}
