//! Connections and streams, as operators see them.

use crate::clock::{Instant, Stamp};
use crate::tape::state::OpenGap;
use crate::tape::stream_key::StreamKey;
use crate::tape::words::Stage;
use crate::upbit::feed::Feed;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One connection.
#[derive(Clone, Debug)]
pub struct ConnectionStatus {
    /// Its state.
    pub link: Link,
    /// The streams asked for, and patterns that wait for the list of pairs, sorted.
    pub asked: Arc<Vec<String>>,
    /// Those of them that are mute on a living connection.
    pub mute: Vec<String>,
    /// The gap that is open: it ends with the next data.
    pub gap: Option<OpenGap>,
    /// What it has done since the start.
    pub count: ConnectionCount,
}

/// What a connection has done since the start of the process.
#[derive(Clone, Debug, Default)]
pub struct ConnectionCount {
    /// Attempts to connect.
    pub attempts: u64,
    /// Attempts that opened a WebSocket.
    pub connects: u64,
    /// Failed attempts and lost connections, by the stage that they had reached.
    pub losses: BTreeMap<Stage, u64>,
    /// Requests sent.
    pub requests: u64,
}

/// The state of a connection.
#[derive(Clone, Debug)]
pub enum Link {
    /// Backing off until `until`; `None`: no further attempt.
    Waiting {
        /// Why the last one failed.
        cause: String,
        /// The number of the next attempt.
        attempt: u32,
        /// When it begins.
        until: Option<Instant>,
    },
    /// Blocked: no subscription resolves until the list of pairs is known.
    Unresolved,
    /// Connecting.
    Dialing {
        /// Its number.
        attempt: u32,
    },
    /// Connected; no data yet.
    Subscribing,
    /// Data is arriving.
    Live,
}

impl Link {
    /// Why there is no connection.
    pub fn cause(&self) -> Option<&str> {
        match self {
            Self::Waiting { cause, .. } => Some(cause),
            _ => None,
        }
    }

    /// In one word, for programs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Waiting { until: Some(_), .. } => "waiting",
            Self::Waiting { until: None, .. } => "given_up",
            Self::Unresolved => "unresolved",
            Self::Dialing { .. } => "connecting",
            Self::Subscribing => "subscribing",
            Self::Live => "live",
        }
    }
}

/// One stream, since the start of the process.
#[derive(Clone, Debug)]
pub struct StreamStatus {
    /// The connection that it comes over.
    pub feed: Feed,
    /// Its name.
    pub stream: StreamKey,
    /// Its lines.
    pub lines: u64,
    /// Their bytes as received.
    pub bytes: u64,
    /// The stamp of the last of them.
    pub last: Option<Stamp>,
}

impl StreamStatus {
    /// A stream without lines.
    pub fn new(feed: Feed, stream: StreamKey) -> Self {
        Self { feed, stream, lines: 0, bytes: 0, last: None }
    }

    /// Adds a line.
    pub fn note(&mut self, bytes: usize, stamp: Stamp) {
        self.lines += 1;
        self.bytes += bytes as u64;
        self.last = Some(stamp);
    }

    /// Whether its lines came over a connection; others are the recorder's own, or were fetched later.
    pub fn is_received(&self) -> bool {
        self.stream.is_recorded() || self.stream == StreamKey::misc()
    }
}
