//! Whether the exchange's list of subscriptions agrees with the request.
//!
//! ```text
//! unasked ──first data──▶ asked ──list──▶ compared ──5 min, or a mute feed──▶ asked
//!                                            └ lacks a stream that had brought data ── 5 s without data ──▶ suspected
//! ```
//!
//! A stream that brings data while the list lacks it proves the list wrong, and is not suspected because of it again.

use super::streams::Streams;
use crate::clock::Instant;
use crate::connection::{Notice, Suspect};
use crate::upbit::listing::{Difference, Listing, stream_name};
use crate::upbit::subscription::Request;
use crate::upbit::types::PRIVATE_TYPES;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long a stream that the list lacks may take to prove it wrong. Frames on their way come within a second.
const UNLISTED: Duration = Duration::from_secs(5);

/// How often the list is asked for on a connection that brings data: a stream that is dropped from it is found in this time,
/// at the cost of one of the five hundred messages that may be sent meanwhile.
const ASK_EVERY: Duration = Duration::from_secs(300);

/// The comparison of one socket's list.
#[derive(Debug, Default)]
pub(super) struct ListCheck {
    /// Received names are redacted.
    is_private: bool,
    wanted: Listing,
    state: State,
    /// How the list differed when it last came.
    difference: Difference,
    ask_at: Option<Instant>,
    /// When the streams that the list lacks are suspected.
    unlisted_at: Option<Instant>,
    /// Streams on record as mute because the list lacks them.
    suspected: BTreeSet<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    Unasked,
    /// To be asked because streams are suspected.
    Wanted,
    Asked,
    #[default]
    Compared,
}

impl ListCheck {
    /// Of a socket without a request.
    pub(super) fn new(is_private: bool) -> Self {
        Self { is_private, ..Self::default() }
    }

    /// Another request stands: the list is asked for after its first data.
    pub(super) fn handle_requested(&mut self, request: &Request, streams: &mut Streams) {
        let suspected = std::mem::take(&mut self.suspected);
        let wanted = Listing::of(request);
        *self = Self { is_private: self.is_private, wanted, state: State::Unasked, suspected, ..Self::default() };
        streams.each().for_each(|stream| stream.is_unlisted = false);
    }

    /// Whether to ask for the list now: once for each request, after it has brought data.
    pub(super) fn take_question(&mut self) -> bool {
        let is_unasked = self.state == State::Unasked;
        if is_unasked {
            self.state = State::Asked;
        }
        is_unasked
    }

    /// Wants the list, because the whole feed may be mute.
    pub(super) fn want(&mut self) {
        self.state = State::Wanted;
    }

    /// The list is asked for, whatever for: its answer is compared.
    pub(super) fn handle_asked(&mut self) {
        self.state = State::Asked;
    }

    /// A reply came, perhaps the list. Streams that are on it again go to `fresh`. A difference is reported once for as long
    /// as it stays the same.
    pub(super) fn handle_reply(
        &mut self,
        now: Instant,
        object: &[u8],
        streams: &mut Streams,
        fresh: &mut BTreeSet<String>,
    ) -> Option<Notice> {
        if self.state != State::Asked {
            return None;
        }
        let subscribed = Listing::from_reply(object)?;
        (self.state, self.ask_at) = (State::Compared, Some(now + ASK_EVERY));
        let difference = self.wanted.compare(&subscribed);
        for name in &difference.missing {
            let stream = streams.named(name).filter(|stream| stream.last.is_some() && !stream.list_is_wrong);
            if let Some(stream) = stream {
                stream.is_unlisted = true;
                self.unlisted_at = Some(now + UNLISTED);
            }
        }
        self.retain(&difference.missing, fresh);
        if std::mem::replace(&mut self.difference, difference.clone()) == difference {
            return None;
        }
        let Difference { missing, unexpected } = difference;
        let differs = !missing.is_empty() || !unexpected.is_empty();
        let unexpected = if self.is_private { redact(&unexpected) } else { unexpected };
        differs.then_some(Notice::Mismatch { missing, unexpected })
    }

    /// Data of a stream came; a suspected one goes to `fresh`.
    pub(super) fn handle_data(&mut self, kind: &str, code: Option<&str>, fresh: &mut BTreeSet<String>) {
        if !self.suspected.is_empty() {
            fresh.extend(self.suspected.take(&stream_name(kind, code)));
        }
    }

    /// Suspects none but the `kept` streams, which are sorted; the others go to `fresh`.
    pub(super) fn retain(&mut self, kept: &[String], fresh: &mut BTreeSet<String>) {
        move_unless(&mut self.suspected, kept, fresh);
    }

    /// Nothing was read for a while.
    pub(super) fn postpone(&mut self, now: Instant) {
        self.unlisted_at = self.unlisted_at.map(|at| at.max(now + UNLISTED));
    }

    /// The streams that the list lacks and that did not prove it wrong in time.
    pub(super) fn poll_unlisted(&mut self, now: Instant, streams: &Streams) -> Vec<Suspect> {
        let is_due = self.unlisted_at.take_if(|at| now >= *at).is_some();
        if is_due { streams.suspects(|stream| stream.is_unlisted, now) } else { Vec::new() }
    }

    /// Streams are on record as mute.
    pub(super) fn handle_suspects(&mut self, suspects: &[Suspect]) {
        self.suspected.extend(suspects.iter().map(|suspect| suspect.stream.clone()));
    }

    /// Whether it is time to ask for the list.
    pub(super) fn poll_ask(&mut self, now: Instant) -> bool {
        self.ask_at.take_if(|at| now >= *at).is_some() || self.state == State::Wanted
    }

    /// Whether a stream is on record as mute.
    pub(super) fn holds(&self, stream: &str) -> bool {
        self.suspected.contains(stream)
    }

    /// Whether no stream is.
    pub(super) fn is_over(&self) -> bool {
        self.suspected.is_empty()
    }

    /// When to poll again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.unlisted_at.into_iter().chain(self.ask_at).min()
    }
}

/// Moves the names that are not among the `kept`, which are sorted.
pub(super) fn move_unless(names: &mut BTreeSet<String>, kept: &[String], to: &mut BTreeSet<String>) {
    let (stay, go) = std::mem::take(names).into_iter().partition(|name| kept.binary_search(name).is_ok());
    *names = stay;
    to.append(&mut { go });
}

/// The types of received names, `other` for unknown ones, because received text must not be shown.
fn redact(streams: &[String]) -> Vec<String> {
    let kind = |stream: &String| {
        let known = PRIVATE_TYPES.into_iter().find(|kind| stream.rsplit('_').next() == Some(*kind));
        known.unwrap_or("other").to_owned()
    };
    let kinds: BTreeSet<String> = streams.iter().map(kind).collect();
    kinds.into_iter().collect()
}
