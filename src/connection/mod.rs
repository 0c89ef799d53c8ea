//! One socket to the exchange and everything it takes to keep it: two of these live beside each other.
//!
//! What comes out is one ordered stream of [`Delivery`]s, so that a notice (lost, live) stands exactly between the
//! messages it separates.

pub mod batch;

use crate::clock::Instant;
use batch::Batch;
use std::fmt;

/// Which of the two connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConnectionId {
    /// Market data, no credentials.
    Public,
    /// The account's own events.
    Private,
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "public",
            Self::Private => "private",
        })
    }
}

/// What a connection hands to the supervisor.
#[derive(Debug)]
pub struct Delivery {
    /// Who says it.
    pub connection: ConnectionId,
    /// When it happened.
    pub at: Instant,
    /// What it is.
    pub what: What,
}

/// Frames, or something that happened between frames.
#[derive(Debug)]
pub enum What {
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
        /// Why it was sent: `connected` or `changed`.
        reason: &'static str,
    },
    /// The first data frame of this session came.
    Live {
        /// The number of the attempt that succeeded.
        attempt: u32,
    },
    /// The attempt or the connection failed.
    Lost {
        /// How far it had come.
        stage: Stage,
        /// What went wrong, for people.
        cause: String,
        /// The number of the attempt.
        attempt: u32,
        /// When the next attempt begins; `None`: never, by configuration or because of the shutdown.
        retry_at: Option<Instant>,
    },
}

/// How far a connection had come when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Looking the host's addresses up.
    Resolve,
    /// Opening the TCP connection.
    Tcp,
    /// The TLS handshake.
    Tls,
    /// The HTTP upgrade to WebSocket.
    Upgrade,
    /// Connected, but no data yet.
    Subscribing,
    /// Data had come.
    Live,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "resolve",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Upgrade => "upgrade",
            Self::Subscribing => "subscribing",
            Self::Live => "live",
        })
    }
}
