//! What a connection is to the supervisor, and what its notices mean on record.

use crate::clock::{Instant, Stamp};
use crate::connection::{ConnectionId, Notice, Stage};
use crate::events::Event;
use crate::recording::naming::manifest::Origins;
use crate::status::{self, Link};
use crate::upbit::refusal::Objection;
use crate::upbit::subscription::Request;
use tokio::sync::watch;

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    id: ConnectionId,
    request: watch::Receiver<Request>,
    /// The last request that was sent.
    pub(super) sent: String,
    /// How it is, for the status.
    pub(super) link: Link,
    /// The stamp of its last line from the exchange, whatever it was.
    pub(super) last_line: Option<Stamp>,
    /// The stamp up to which it is proved to have brought what it should: that of its last data, of a subscribed stream.
    /// The account may be quiet for days, so there any line proves it.
    pub(super) last: Option<Stamp>,
    /// Since when its last session is sure to have listened.
    pub(super) live_since: Option<Stamp>,
}

impl Connection {
    pub(super) fn new(id: ConnectionId, request: watch::Receiver<Request>) -> Self {
        let sent = request.borrow().to_frame("not sent");
        Self { id, request, sent, link: Link::Dialing { attempt: 1 }, last_line: None, last: None, live_since: None }
    }

    /// Lines came, up to this stamp, and data of subscribed streams up to that one.
    pub(super) fn handle_lines(&mut self, last_line: Option<Stamp>, last_data: Option<Stamp>) {
        self.last_line = last_line.or(self.last_line);
        let proof = if self.id == ConnectionId::Private { last_line } else { last_data };
        self.last = proof.or(self.last);
    }

    /// What it asks for, per stream.
    pub(super) fn origins(&self) -> Origins {
        Origins::of(&self.request.borrow())
    }

    /// Takes a notice of the moment `at` in; returns the event that puts it on record. `stamp` gives an instant its
    /// time.
    pub(super) fn handle(&mut self, notice: Notice, at: Instant, stamp: &dyn Fn(Instant) -> Stamp) -> Option<Event> {
        let connection = self.id.to_string();
        let micros = |instant| stamp(instant).as_micros();
        Some(match notice {
            Notice::Dialing { attempt } => {
                self.link = Link::Dialing { attempt };
                return None;
            }
            Notice::Connected { attempt, address } => {
                self.link = Link::Subscribing;
                tracing::info!(connection, attempt, address, "connected");
                Event::Connected { connection, attempt, address }
            }
            Notice::Subscribed { request, reason } => {
                self.sent.clone_from(&request);
                tracing::debug!(connection, reason, request, "subscribed");
                Event::Subscribed { connection, reason, request }
            }
            Notice::Live { attempt } => {
                self.link = Link::Live;
                tracing::info!(connection, attempt, "live: recording");
                Event::Live { connection, attempt }
            }
            Notice::Lost { stage, cause, attempt, retry_at } => {
                let retry_in = retry_at.map(|retry_at| status::duration(retry_at.saturating_duration_since(at)));
                self.link = Link::Waiting { cause: cause.clone(), attempt: attempt + 1, until: retry_at };
                log_loss(&connection, (stage, attempt), &cause, retry_in);
                let last = self.last.map(Stamp::as_micros);
                Event::Lost { connection, stage: stage.to_string(), cause, attempt, last }
            }
            Notice::GivenUp { attempts } => {
                tracing::error!(connection, attempts, "given up, as public.max_retries or private.max_retries says");
                Event::GivenUp { connection, attempts }
            }
            Notice::Refused { objection, reason, request } => {
                let refused = name_of(objection);
                log_refusal(&connection, objection, &reason, request.as_deref());
                Event::Refused { connection, refused, reason, request }
            }
            Notice::Silent { streams } => {
                tracing::warn!(
                    connection,
                    ?streams,
                    "subscribed, but without a first frame: does the exchange list these?"
                );
                Event::Silent { connection, streams }
            }
            Notice::Mismatch { missing, unexpected } => {
                tracing::warn!(
                    connection,
                    ?missing,
                    ?unexpected,
                    "the exchange's list of subscriptions differs from ours"
                );
                Event::Mismatch { connection, missing, unexpected }
            }
            Notice::Stale { streams } => {
                let last_data: Vec<u64> = streams.iter().map(|suspect| micros(suspect.since)).collect();
                let since = last_data.iter().copied().min().unwrap_or_else(|| micros(at));
                let streams: Vec<String> = streams.into_iter().map(|suspect| suspect.stream).collect();
                tracing::warn!(connection, ?streams, "mute on a living connection");
                Event::Stale { connection, streams, since, last_data }
            }
            Notice::Unreadable { since, frames } => {
                let since = stamp(since);
                tracing::warn!(connection, frames, %since, "bytes came that nobody can read; they are kept in misc.jsonl");
                Event::Unreadable { connection, since: since.as_micros(), frames }
            }
            Notice::Fresh { streams } => {
                tracing::info!(connection, ?streams, "no longer mute");
                return None;
            }
            Notice::Paused { from, to } => {
                tracing::warn!(connection, "reading paused while the disk did not keep up");
                Event::Paused { connection, from: micros(from), to: micros(to) }
            }
        })
    }
}

/// Shows a loss, with the wait until the next attempt; there is none after a stop or when the connection is given up.
fn log_loss(connection: &str, (stage, attempt): (Stage, u32), cause: &str, retry_in: Option<String>) {
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

/// Shows a refusal; a person is needed where the recording itself is refused. When it is tried again stands in the line
/// of the loss that follows.
fn log_refusal(connection: &str, objection: Objection, reason: &str, request: Option<&str>) {
    let refused = name_of(objection);
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

/// What is refused, as the event says it.
fn name_of(objection: Objection) -> &'static str {
    match objection {
        Objection::Credentials | Objection::WorkingCredentials => "credentials",
        Objection::Request | Objection::ServedRequest => "request",
        Objection::Limit { .. } => "rate",
        Objection::Keepalive => "keepalive",
        Objection::Listing => "listing",
        Objection::Unclear => "unclear",
    }
}
