//! Whether what was asked for is what comes: the exchange acknowledges nothing and misspelt codes are just silent.
//!
//! ```text
//! silence     subscribed, but no first frame in time                      one notice with the list
//! listing     LIST_SUBSCRIPTIONS says something else                      one notice
//! staleness   trades moved the ticker, but the trade stream brings none   ask ▶ send the request again ▶ reconnect
//! ```
//!
//! None of it is judged while the recorder does not read.

mod silence;
mod staleness;

use super::pacing::Reason;
use crate::clock::Instant;
use crate::connection::Notice;
use crate::connection::batch::{Batch, Entry};
use crate::upbit::listing::Listing;
use crate::upbit::subscription::Request;
use silence::Silence;
use staleness::Staleness;
use std::time::Duration;

/// What has to be done about streams that went mute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::connection::session) enum Remedy {
    /// Ask what is subscribed.
    Ask,
    /// Send the standing request again.
    Resubscribe,
    /// Make a new connection.
    Reconnect,
}

/// The watch over one socket's streams.
#[derive(Debug)]
pub(in crate::connection::session) struct Watch {
    first_frame_timeout: Duration,
    silence: Silence,
    staleness: Staleness,
    wanted: Listing,
    listing: Asking,
    paused: bool,
}

/// Where the comparison with the exchange's list stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asking {
    Unasked,
    Asked,
    Compared,
}

impl Watch {
    /// Over a socket on which nothing was asked for yet.
    pub(in crate::connection::session) fn new(first_frame_timeout: Duration) -> Self {
        Self {
            first_frame_timeout,
            silence: Silence::default(),
            staleness: Staleness::default(),
            wanted: Listing::default(),
            listing: Asking::Compared,
            paused: false,
        }
    }

    /// The request was handed to the socket. One that is repeated for mute streams has them reported already.
    pub(in crate::connection::session) fn handle_requested(&mut self, now: Instant, request: &Request, reason: Reason) {
        if reason != Reason::Stale {
            self.silence = Silence::new(request, now + self.first_frame_timeout);
        }
        self.staleness.handle_requested(now, request);
        self.wanted = Listing::of(request);
        self.listing = Asking::Unasked;
    }

    /// Frames came.
    pub(in crate::connection::session) fn handle_batch(&mut self, batch: &Batch) {
        if self.silence.is_over() && self.staleness.is_idle() {
            return;
        }
        for (received, entry) in batch.entries() {
            if let Entry::Data { object, kind, code: Some(code) } = entry {
                self.silence.handle_data(kind, code);
                self.staleness.handle_data(received, kind, (code, object));
            }
        }
    }

    /// Whether to ask for the exchange's list now: once for each request, after it has brought data.
    pub(in crate::connection::session) fn take_question(&mut self) -> bool {
        let unasked = self.listing == Asking::Unasked;
        if unasked {
            self.listing = Asking::Asked;
        }
        unasked
    }

    /// The exchange's list came, or something that is none.
    pub(in crate::connection::session) fn handle_reply(&mut self, object: &[u8]) -> Option<Notice> {
        if self.listing != Asking::Asked {
            return None;
        }
        let subscribed = Listing::from_reply(object)?;
        self.listing = Asking::Compared;
        let difference = self.wanted.compare(&subscribed);
        let same = difference.missing.is_empty() && difference.unexpected.is_empty();
        (!same).then_some(Notice::Mismatch { missing: difference.missing, unexpected: difference.unexpected })
    }

    /// The recorder has no room to read: its own silence is not the exchange's.
    pub(in crate::connection::session) fn handle_paused(&mut self) {
        self.paused = true;
    }

    /// All that had waited is read. After a `long` pause everything begins anew; a short one changes nothing, or one
    /// every few seconds would keep the watch from ever seeing anything.
    pub(in crate::connection::session) fn handle_resumed(&mut self, now: Instant, long: bool) {
        self.paused = false;
        if long {
            self.silence.postpone(now + self.first_frame_timeout);
            self.staleness.handle_interrupted(now);
        }
    }

    /// What is to be reported at this instant.
    pub(in crate::connection::session) fn poll_notice(&mut self, now: Instant) -> Option<Notice> {
        if self.paused {
            return None;
        }
        self.silence.take_silent(now).or_else(|| self.staleness.poll_notice(now))
    }

    /// What is to be done at this instant about streams that went mute.
    pub(in crate::connection::session) fn poll_remedy(&mut self, now: Instant) -> Option<Remedy> {
        if self.paused {
            return None;
        }
        let remedy = self.staleness.poll_remedy(now)?;
        if remedy == Remedy::Ask {
            // Asked again by a request of its own, the answer is compared again as well.
            self.listing = Asking::Asked;
        }
        Some(remedy)
    }

    /// When to poll again.
    pub(in crate::connection::session) fn deadline(&self) -> Option<Instant> {
        let deadlines = [self.silence.deadline(), self.staleness.deadline()];
        deadlines.into_iter().flatten().min().filter(|_| !self.paused)
    }
}
