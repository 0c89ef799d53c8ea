//! When a request counts as accepted on a connection that may bring nothing for days: the account's.
//!
//! ```text
//! requested ──a byte in answer──▶ answered ──no error for `patience`──▶ stands, since the answer
//!                                                                         └ pinged ──a message──▶ proof of life
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
    /// When the last request counts as accepted.
    proved_from: Option<Instant>,
    is_pinged: bool,
}

impl Quiet {
    /// For a socket without a request; an error has `patience` to come.
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, requested_at: None, answered_at: None, proved_from: None, is_pinged: false }
    }

    /// The request is handed to the socket.
    pub(super) fn handle_requested(&mut self, now: Instant) {
        self.requested_at.get_or_insert(now);
        self.proved_from = Some(now + self.patience);
    }

    /// A ping is handed to the socket.
    pub(super) fn handle_pinged(&mut self) {
        self.is_pinged = true;
    }

    /// At least one byte came.
    pub(super) fn handle_received(&mut self, now: Instant) {
        if self.requested_at.is_some() {
            self.answered_at.get_or_insert(now);
        }
    }

    /// A whole message came, of any kind. Returns whether it is the first one behind a ping, and the last request counts as
    /// accepted.
    pub(super) fn take_proof(&mut self, now: Instant) -> bool {
        std::mem::take(&mut self.is_pinged) && self.proved_from.is_some_and(|from| now >= from)
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
