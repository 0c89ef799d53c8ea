//! Gaps: intervals without reliable records, in the form of the event `gap`. Pure.

use super::words::{Word, vocabulary};
use crate::clock::{Position, Stamp};
use crate::upbit::codes::{Meaning, is_pattern};
use crate::upbit::feed::Feed;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The streams affected; a name with `*` or `?` stands for all that it matches, and a type that was asked for without
    /// codes for its streams of all codes.
    pub streams: Vec<String>,
}

impl GapRecord {
    /// Which streams it touches.
    pub fn touched(&self) -> Touched {
        let kinds = self.streams.iter().filter(|name| is_kind(name)).cloned().collect();
        Touched { meaning: Meaning::of(&self.streams), kinds }
    }
}

/// The streams that a gap touches.
#[derive(Debug)]
pub struct Touched {
    meaning: Meaning,
    /// Types, for all codes.
    kinds: BTreeSet<String>,
}

impl Touched {
    /// Whether a stream is one of them.
    pub fn holds(&self, stream: &str) -> bool {
        self.meaning.holds(stream) || stream.split_once('_').is_some_and(|(_, kind)| self.kinds.contains(kind))
    }
}

/// Whether a name in a gap is that of a type, such as `myOrder`, and of all its streams.
pub fn is_kind(name: &str) -> bool {
    !name.contains('_') && !is_pattern(name)
}

/// The most beginnings of gaps that are decided together: where there are more, neighbours have the earliest of them.
const BEGINNINGS: usize = 64;

/// The gaps of suspected streams that end at `to`: one for all streams with the same beginning.
pub fn suspicions(connection: Feed, suspected: BTreeMap<String, Stamp>, to: Position) -> Vec<Gap> {
    grouped(connection, suspected, to, GapKind::Suspected, "no data on a living connection")
}

/// Gaps of single streams that end at `to`: one for all with the same beginning, or a near one where they are many.
pub fn grouped(connection: Feed, since: BTreeMap<String, Stamp>, to: Position, kind: GapKind, cause: &str) -> Vec<Gap> {
    let Position { epoch, stamp: to } = to;
    let mut by_beginning: BTreeMap<Stamp, BTreeSet<String>> = BTreeMap::new();
    for (stream, from) in since.into_iter().filter(|(_, from)| *from < to) {
        by_beginning.entry(from).or_default().insert(stream);
    }
    let groups: Vec<_> = by_beginning.into_iter().collect();
    let gaps = groups.chunks(groups.len().div_ceil(BEGINNINGS).max(1)).map(|group| {
        let streams: BTreeSet<String> = group.iter().flat_map(|(_, streams)| streams).cloned().collect();
        let only = Some(streams.into_iter().collect());
        Gap { connection, epoch, from: group[0].0, to, kind, cause: cause.to_owned(), only }
    });
    gaps.collect()
}
