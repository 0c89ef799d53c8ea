//! The supervisor's state of a connection, and the events that its notices become. Pure.

use super::joining::Joining;
use super::sequence::stamps_of;
use crate::batch::Batch;
use crate::clock::{Clock, Instant, Position, Stamp};
use crate::connection::Notice;
use crate::desired::{Listed, Wanted};
use crate::ops::status::feeds::{ConnectionCount, Link};
use crate::quantity::rounded_duration;
use crate::recording::router::StreamId;
use crate::tape::event::Event;
use crate::tape::manifest::Origins;
use crate::tape::state::{REQUESTS, Standing};
use crate::tape::words::{Refused, Stage};
use crate::upbit::feed::Feed;
use crate::upbit::refusal::Objection;
use crate::upbit::subscription::Request;
use std::collections::BTreeSet;
use std::sync::Arc;

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    feed: Feed,
    /// The configured subscription, resolved by the known pairs.
    wanted: Wanted,
    /// The request it should send next.
    next: Request,
    /// The last sent request, or the first one to send.
    standing: Arc<Request>,
    /// Streams that wait for the list of pairs, under the names of their patterns.
    pub(super) unresolved: Vec<String>,
    /// The streams of a request that replaced another, until data proves that the exchange has taken it.
    pub(super) joining: Option<Joining>,
    /// Since when the streams added by the next request are missed; an inner `None` is the beginning of the process.
    missed_since: Option<Option<Instant>>,
    /// Since when what a list of pairs adds is wanted; `None`: since the process began.
    listings_since: Option<Instant>,
    /// The frame of the last sent request.
    pub(super) sent: String,
    /// Its state, for the status.
    pub(super) link: Link,
    /// The names that [`Self::streams`] has, for the status.
    pub(super) asked: Arc<Vec<String>>,
    /// What it has done.
    pub(super) count: ConnectionCount,
    /// The stamp of its last line from the exchange, of any kind.
    pub(super) last_line: Option<Stamp>,
    /// The stamp up to which it is proved to be delivering: that of its last data of a subscribed stream. The account
    /// may be quiet for days, so on the private connection any line proves it.
    pub(super) last: Option<Stamp>,
    /// The stamp at which its last session was last known to be listening: since it is live, or of its last proof of life.
    pub(super) alive_at: Option<Stamp>,
    /// The stamp at which a pause of reading began that is not told yet.
    pub(super) unsettled: Option<Stamp>,
    /// Its last requests, those of earlier processes first.
    pub(super) requests: Vec<Standing>,
}

impl Connection {
    pub(super) fn new(feed: Feed, wanted: Wanted, listed: &Listed) -> Self {
        let (request, unresolved) = (wanted.request(listed), wanted.unresolved(listed));
        let waits = request.subscriptions.is_empty();
        let mut connection = Self {
            feed,
            sent: request.to_frame("not sent"),
            standing: Arc::new(request.clone()),
            next: request,
            wanted,
            unresolved,
            joining: None,
            missed_since: None,
            listings_since: None,
            link: if waits { Link::Unresolved } else { Link::Dialing { attempt: 1 } },
            last_line: None,
            last: None,
            alive_at: None,
            unsettled: None,
            requests: Vec::new(),
            asked: Arc::default(),
            count: ConnectionCount::default(),
        };
        connection.asked = Arc::new(connection.streams());
        connection
    }

    /// Notes the stamps of the last line and of the last data of subscribed streams.
    pub(super) fn handle_lines(&mut self, last_line: Option<Stamp>, last_data: Option<Stamp>) {
        self.last_line = last_line.or(self.last_line);
        let proof = if self.feed == Feed::Private { last_line } else { last_data };
        self.last = proof.or(self.last);
    }

    /// Notes a request that is handed to the socket.
    pub(super) fn note_request(&mut self, standing: &Request, since: Position) {
        let request = standing.to_frame("sent");
        if self.requests.last().is_none_or(|last| last.request != request) {
            self.requests.push(Standing { epoch: since.epoch, since: since.stamp, request });
            let old = self.requests.len().saturating_sub(REQUESTS);
            self.requests.drain(..old);
        }
    }

    /// The stamp up to which it is proved to have listened. It does not pass the beginning of a pause that is not told yet:
    /// what was lost in that one is in no gap.
    pub(super) fn heard(&self) -> Option<Stamp> {
        let proved = self.last.max(self.alive_at);
        self.unsettled.map_or(proved, |from| proved.min(Some(from)))
    }

    /// An epoch begins with this stamp.
    pub(super) fn begin_epoch(&mut self, first: Stamp) {
        self.last_line = Some(first);
        self.last = Some(first);
        self.alive_at = self.alive_at.map(|_| first);
        self.unsettled = self.unsettled.map(|_| first);
    }

    /// The request it should have standing.
    pub(super) fn next(&self) -> &Request {
        &self.next
    }

    /// The standing request, per stream.
    pub(super) fn origins(&self) -> Origins {
        Origins::of(&self.standing)
    }

    /// The streams of the standing request, and those that wait.
    pub(super) fn streams(&self) -> Vec<String> {
        let mut names = self.origins().names();
        names.extend(self.unresolved.iter().cloned());
        names
    }

    /// Takes over other subscriptions, wanted since `now`; returns the request if it has changed.
    pub(super) fn want(&mut self, wanted: Wanted, listed: &Listed, now: Instant) -> Option<Request> {
        if self.wants_other_listings(&wanted, listed) {
            self.listings_since = Some(now);
        }
        self.wanted = wanted;
        self.unresolved = self.wanted.unresolved(listed);
        self.rebuild(listed, Some(now))
    }

    /// Rebuilds the request from a new list of pairs, the one before having been complete at `since`; returns it if it has
    /// changed.
    pub(super) fn resolve(&mut self, listed: &Listed, since: Option<Instant>) -> Option<Request> {
        self.rebuild(listed, since.max(self.listings_since))
    }

    /// Whether nothing that a list may add was wanted before. Other patterns may mean the same pairs; without a list, what
    /// a pattern has missed is a gap under its own name, which ends with it.
    fn wants_other_listings(&self, wanted: &Wanted, listed: &Listed) -> bool {
        let patterns = |wanted: &Wanted| wanted.unresolved(&Listed::default());
        let before = patterns(&self.wanted);
        let is_known = listed.codes.is_some();
        before.is_empty() || !is_known && patterns(wanted).iter().all(|pattern| !before.contains(pattern))
    }

    /// Rebuilds the request, with what it adds missed `since` then; returns it if it has changed.
    fn rebuild(&mut self, listed: &Listed, since: Option<Instant>) -> Option<Request> {
        let request = self.wanted.request(listed);
        // An unlisted subscription does no harm, and a connection needs a request.
        if request.subscriptions.is_empty() || request == self.next {
            return None;
        }
        self.missed_since = Some(self.missed_since.map_or(since, |earlier| earlier.min(since)));
        self.next.clone_from(&request);
        Some(request)
    }

    /// Takes out the waiting streams that turn out not to exist.
    pub(super) fn take_unlisted(&mut self, listed: &Listed) -> Vec<String> {
        let waits = !self.wanted.unresolved(listed).is_empty() || self.missed_since.is_some();
        let unlisted = if waits { Vec::new() } else { std::mem::take(&mut self.unresolved) };
        if !unlisted.is_empty() {
            self.asked = Arc::new(self.streams());
        }
        unlisted
    }

    /// The stamp of the last line of a requested stream: a connection that closes does not mark its data any more.
    pub(super) fn last_asked(&self, batch: &Batch, lines: &[(Stamp, StreamId)]) -> Option<Stamp> {
        let asked = self.origins().names();
        stamps_of(batch, lines, |stream| asked.contains(stream)).last()
    }

    /// Notes a request handed to the socket; returns its change from the previous one, if any.
    pub(super) fn stand(&mut self, standing: &Arc<Request>, listed: &Listed) -> Option<Change> {
        if *standing == self.standing {
            return None;
        }
        let before: BTreeSet<String> = self.origins().names().into_iter().collect();
        self.standing = standing.clone();
        let after: BTreeSet<String> = self.origins().names().into_iter().collect();
        let mut added: Vec<String> = after.difference(&before).cloned().collect();
        let kept = after.intersection(&before).cloned().collect();
        let is_newest = self.next == **standing;
        // Without a list it has none of the pairs that patterns wait for.
        if is_newest && self.wanted.unresolved(listed).is_empty() {
            added.append(&mut self.unresolved);
        }
        self.asked = Arc::new(self.streams());
        let since = if is_newest { self.missed_since.take() } else { self.missed_since };
        Some(Change { added, kept, removed: before.difference(&after).cloned().collect(), since: since.flatten() })
    }

    /// Handles a notice of the instant `at`; returns its event.
    pub(super) fn handle(&mut self, notice: Notice, at: Instant, clock: &Clock) -> Option<Event> {
        let (connection, shown) = (self.feed, self.feed.as_str());
        Some(match notice {
            Notice::Alive => {
                self.alive_at = Some(clock.stamp_at(at));
                return None;
            }
            Notice::Dialing { attempt } => {
                self.count.attempts += 1;
                self.link = Link::Dialing { attempt };
                return None;
            }
            Notice::Connected { attempt, address } => {
                self.count.connects += 1;
                self.link = Link::Subscribing;
                tracing::info!(connection = shown, attempt, address, "connected");
                Event::Connected { connection, attempt, address }
            }
            Notice::Subscribed { request, reason, .. } => {
                self.count.requests += 1;
                self.sent.clone_from(&request);
                tracing::debug!(connection = shown, reason = reason.as_str(), request, "subscribed");
                Event::Subscribed { connection, reason: reason.into(), request }
            }
            Notice::Live { attempt } => {
                self.link = Link::Live;
                tracing::info!(connection = shown, attempt, "live: recording");
                Event::Live { connection, attempt }
            }
            Notice::Lost { stage, cause, attempt, retry_at } => {
                *self.count.losses.entry(stage).or_default() += 1;
                let retry_in = retry_at.map(|retry_at| rounded_duration(retry_at.saturating_duration_since(at)));
                self.link = Link::Waiting { cause: cause.clone(), attempt: attempt + 1, until: retry_at };
                log_loss(shown, stage, attempt, &cause, retry_in);
                Event::Lost { connection, stage: stage.into(), cause, attempt, last: self.last }
            }
            Notice::GivenUp { attempts } => {
                tracing::error!(
                    connection = shown,
                    attempts,
                    "given up, as public.max_retries or private.max_retries says"
                );
                Event::GivenUp { connection, attempts }
            }
            Notice::Refused { objection, reason, request } => {
                let refused = refused(objection).into();
                log_refusal(shown, objection, &reason, request.as_deref());
                Event::Refused { connection, refused, reason, request }
            }
            Notice::Silent { streams } => {
                tracing::warn!(
                    connection = shown,
                    ?streams,
                    "subscribed, but without a first frame: does the exchange list these?"
                );
                Event::Silent { connection, streams }
            }
            Notice::Mismatch { missing, unexpected } => {
                tracing::warn!(
                    connection = shown,
                    ?missing,
                    ?unexpected,
                    "the exchange's list of subscriptions differs from ours"
                );
                Event::Mismatch { connection, missing, unexpected }
            }
            Notice::Stale { streams } => {
                let last_data: Vec<Stamp> = streams.iter().map(|suspect| clock.stamp_at(suspect.since)).collect();
                let since = last_data.iter().copied().min().unwrap_or_else(|| clock.stamp_at(at));
                let streams: Vec<String> = streams.into_iter().map(|suspect| suspect.stream).collect();
                tracing::warn!(connection = shown, ?streams, "mute on a living connection");
                Event::Stale { connection, streams, since, last_data }
            }
            Notice::Unreadable { since, frames } => {
                let since = clock.stamp_at(since);
                tracing::warn!(connection = shown, frames, %since, "bytes came that nobody can read; they are kept in misc.jsonl");
                Event::Unreadable { connection, since, frames }
            }
            Notice::Fresh { streams } => {
                tracing::info!(connection = shown, ?streams, "no longer mute");
                return None;
            }
            Notice::Paused { from, to, cause } => {
                let length = rounded_duration(to.since(from));
                tracing::warn!(connection = shown, length, cause = cause.as_str(), "nothing was read for a while");
                let [from, to] = [from, to].map(|end| clock.stamp_of(end));
                Event::Paused { connection, from, to, cause: Some(cause.into()) }
            }
        })
    }
}

/// The change between two requests.
#[derive(Debug)]
pub(super) struct Change {
    /// Added streams, and the pattern names under which some of them had waited.
    pub(super) added: Vec<String>,
    /// Streams of both.
    pub(super) kept: Vec<String>,
    /// Removed streams.
    pub(super) removed: Vec<String>,
    /// Since when the added ones were missed; `None`: since the process began.
    pub(super) since: Option<Instant>,
}

/// Logs a loss, with the wait until the next attempt; there is none after a stop or when the connection is given up.
fn log_loss(connection: &str, stage: Stage, attempt: u32, cause: &str, retry_in: Option<String>) {
    match (stage, retry_in) {
        (_, None) => tracing::info!(connection, cause, "disconnected"),
        (Stage::Subscribing | Stage::Live, Some(retry_in)) => {
            tracing::warn!(connection, cause, attempt, retry_in, "lost the exchange");
        }
        (_, Some(retry_in)) => {
            tracing::warn!(connection, cause, attempt, retry_in, "the exchange cannot be reached");
        }
    }
}

/// Logs a refusal; a person is needed where the recording itself is refused. The time of the next attempt is in the
/// line of the loss that follows.
fn log_refusal(connection: &str, objection: Objection, reason: &str, request: Option<&str>) {
    let refused = refused(objection).as_str();
    match objection {
        Objection::Keepalive | Objection::Listing => {
            tracing::warn!(connection, refused, reason, "not known here; it is not said again");
        }
        Objection::ServedRequest => {
            let message =
                "the exchange refuses again and again what it served before; tried again with the usual pauses";
            tracing::error!(connection, refused, reason, request, "{message}");
        }
        Objection::WorkingCredentials => {
            tracing::error!(connection, refused, reason, "the exchange refuses keys that it accepted before");
        }
        _ => tracing::error!(connection, refused, reason, request, "the exchange refuses; tried again slowly"),
    }
}

/// The refused operation, in the event's vocabulary.
fn refused(objection: Objection) -> Refused {
    match objection {
        Objection::Credentials | Objection::WorkingCredentials => Refused::Credentials,
        Objection::Request | Objection::ServedRequest => Refused::Request,
        Objection::Limit { .. } => Refused::Rate,
        Objection::Keepalive => Refused::Keepalive,
        Objection::Listing => Refused::Listing,
        Objection::Unclear => Refused::Unclear,
    }
}

#[cfg(test)]
mod tests;
