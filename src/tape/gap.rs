//! Gaps: intervals without reliable records, in the form of the event `gap`. Pure.

use super::words::{Word, vocabulary};
use crate::clock::Stamp;
use crate::upbit::feed::Feed;
use serde::{Deserialize, Serialize};
use std::time::Duration;

vocabulary! {
    /// Why an interval cannot be relied on.
    GapKind {
        /// There was no live connection.
        Disconnected = "disconnected",
        /// The recorder had been stopped in order.
        Stopped = "stopped",
        /// The recorder was killed, and lines not yet on disk were lost.
        Killed = "killed",
        /// The disk did not keep up, so nothing was read; the exchange may have dropped frames.
        Paused = "paused",
        /// Written lines may be lost: a sync failed.
        Unsure = "unsure",
        /// Streams were mute on a living connection while the exchange showed that they should not be.
        Suspected = "suspected",
    }
}

/// An interval without reliable records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Whose streams are affected.
    pub connection: Feed,
    /// The epoch of both its ends.
    pub epoch: u64,
    /// The stamp of the last data before it.
    pub from: Stamp,
    /// The stamp of the first data after it.
    pub to: Stamp,
    /// Why.
    pub kind: GapKind,
    /// Why, for people.
    pub cause: String,
    /// The streams affected, sorted; `None`: all of the connection.
    pub only: Option<Vec<String>>,
}

impl Gap {
    /// From its beginning to its end.
    pub fn length(&self) -> Duration {
        self.to.since(self.from)
    }

    /// Its record; `id` is the stamp of the event, `all` are the streams of the connection.
    pub fn record(self, id: Stamp, all: Vec<String>) -> GapRecord {
        let Self { connection, epoch, from, to, kind, cause, only } = self;
        let (epoch, streams) = (Some(epoch), only.unwrap_or(all));
        GapRecord { id: id.as_micros(), connection, epoch, from, to, kind: kind.into(), cause, streams }
    }
}

/// A gap as it is on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GapRecord {
    /// The stamp that it was decided at, µs; `healed` names it. Unique within its epoch: what is told twice is one.
    pub id: u64,
    /// Whose streams are affected.
    pub connection: Feed,
    /// The epoch of its ends and its id; `None`: a version without this field, and the epoch is that of its segment.
    pub epoch: Option<u64>,
    /// The stamp of the last data before it.
    pub from: Stamp,
    /// The stamp of the first data after it.
    pub to: Stamp,
    /// Why.
    pub kind: Word<GapKind>,
    /// Why, for people.
    pub cause: String,
    /// The streams affected; a name with `*` or `?` stands for all that it matches.
    pub streams: Vec<String>,
}
