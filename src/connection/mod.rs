//! One socket to the exchange and everything it takes to keep it: two of these live beside each other.
//!
//! ```text
//!             ┌──────── connect budget, pause ────────┐
//!             ▼                                       │
//! Waiting ──due──▶ Dialing ──opened──▶ Subscribing ─first data (1)─▶ Live
//!    ▲                │ failed             │ lost                   │ lost
//!    │                ▼                    ▼                        ▼
//!    ├── backoff ─────┴────────────────────┴────────────────────────┤
//!    ├── refused: keys or request, never served ── slow retry ──────┤
//!    └── 429, 418: as long as the exchange says ────────────────────┘
//!
//! any ──shutdown──▶ Closing ──answered or timed out──▶ Finished       max_retries failed in a row ──▶ Finished
//!
//! (1) private: or the request was answered by a sign of life and not refused in time, for nothing may come for days
//! ```
//!
//! | part | owns |
//! |---|---|
//! | [`session`] | the diagram above as a pure state machine: pauses, pings, limits, requests, liveness |
//! | [`transport`] | WebSocket over that stream; the only room that names tungstenite |
//! | [`actor`] | the task around them, which moves bytes, batches and notices |
//!
//! Each connection delivers one ordered stream of [`Delivery`]s, so that a notice (lost, live) stands exactly between the
//! messages it separates.

pub mod actor;
pub mod session;
pub mod transport;

use crate::batch::Batch;
use crate::clock::{Instant, Moment};
use crate::tape::words::{PauseCause, Stage, SubscribeReason};
use crate::upbit::feed::Feed;
use crate::upbit::refusal::Objection;
use crate::upbit::subscription::Request;
use std::sync::Arc;

/// One item of a connection's ordered stream to the supervisor.
#[derive(Debug)]
pub struct Delivery {
    /// The connection it is from.
    pub connection: Feed,
    /// When it happened.
    pub at: Instant,
    /// When a pause of reading began that is not told yet: its [`Notice::Paused`] comes later in this stream, unless it
    /// turns out too short to be told. What is delivered meanwhile proves nothing of the time behind this moment.
    pub unsettled: Option<Moment>,
    /// The frames, or the change.
    pub payload: Payload,
}

/// Frames, or something that happened between frames.
#[derive(Debug)]
pub enum Payload {
    /// Frames in the order they left the socket.
    Batch(Batch),
    /// A change of the session.
    Notice(Notice),
}

/// A change of the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// An attempt begins; `attempt` counts from 1 since the last live session.
    Dialing {
        /// The number of the attempt.
        attempt: u32,
    },
    /// The WebSocket is open.
    Connected {
        /// The number of the attempt.
        attempt: u32,
        /// The address that answered.
        address: String,
    },
    /// The request was handed to the socket.
    Subscribed {
        /// The frame as sent.
        request: String,
        /// The request, parsed: only its streams follow from here on.
        standing: Arc<Request>,
        /// Why it was sent.
        reason: SubscribeReason,
    },
    /// The first data of a subscribed stream came in this session; on the private connection also: the request stands although it has
    /// brought nothing. Its instant is the one since which the exchange is listened to.
    Live {
        /// The number of the attempt that succeeded.
        attempt: u32,
    },
    /// A ping was answered while the request stands: what the exchange had sent by then was received. On the private
    /// connection alone, which may be quiet for days; once for each ping at most, and left out where lines prove as much.
    Alive,
    /// The exchange refuses the keys or the request; the next attempt comes slowly, unless it had accepted them before.
    /// Shown once until something changes.
    /// Or it refuses an auxiliary message, which is then disabled.
    Refused {
        /// The refused part.
        objection: Objection,
        /// The exchange's own words.
        reason: String,
        /// The frame that was refused; `None` where the upgrade was.
        request: Option<String>,
    },
    /// Subscribed streams that have not brought a first frame in time, as `CODE_type`, sorted.
    Silent {
        /// The streams.
        streams: Vec<String>,
    },
    /// The exchange's list of subscriptions differs from the request; streams as `CODE_type`, sorted.
    Mismatch {
        /// Asked for, but not subscribed.
        missing: Vec<String>,
        /// Subscribed, but not asked for.
        unexpected: Vec<String>,
    },
    /// Streams that went mute on a living socket, as `CODE_type`, sorted.
    Stale {
        /// The streams.
        streams: Vec<Suspect>,
    },
    /// Streams that were stale bring frames again, as `CODE_type`, sorted.
    Fresh {
        /// The streams.
        streams: Vec<String>,
    },
    /// Unreadable bytes came; once for each outbreak, when it is over or has gone on for an hour.
    Unreadable {
        /// When the first of them came.
        since: Instant,
        /// How many: frames, or elements of a list.
        frames: u64,
    },
    /// Nothing was read for a while; frames received in this time are stamped later than they came.
    Paused {
        /// When reading stopped, or was last sure to go on.
        from: Moment,
        /// When everything that had waited was read, or the connection was lost.
        to: Moment,
        /// Why.
        cause: PauseCause,
    },
    /// The configured number of attempts failed in a row; there will be no other.
    GivenUp {
        /// How many failed.
        attempts: u32,
    },
    /// The attempt or the connection failed; once for each.
    Lost {
        /// The stage that it had reached.
        stage: Stage,
        /// The error, for people.
        cause: String,
        /// The number of the attempt.
        attempt: u32,
        /// When the next attempt begins; `None`: never, because of the shutdown or (see [`Notice::GivenUp`]) by
        /// configuration.
        retry_at: Option<Instant>,
    },
}

/// A stream that went mute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// As `CODE_type`.
    pub stream: String,
    /// Its last data: it is unreliable from there on.
    pub since: Instant,
}
