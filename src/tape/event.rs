//! The recorder's own events: the lines of `recorder.jsonl`, written and read. Pure.
//!
//! ```text
//! {"ts_recv":1795317064154123,"type":"recorder","event":"live","connection":"public","attempt":1}
//!  └ put in front by the journal                  └ Event ──to_json──▶ line ──Record::parse──▶ Event
//! ```
//!
//! `docs/FORMAT.md` shows each of them; a test holds it against this file. No event ever holds bytes of a private frame
//! but the name of its stream. Keys that are not known are ignored, and so are events.

use super::feed_names;
use super::gap::{Gap, GapRecord};
use super::healed::HealReport;
use super::manifest::ManifestEntry;
use super::words::{
    Displacement, EpochReason, PauseCause, Refused, RotationReason, Stage, StopReason, SubscribeReason, Word,
};
use crate::clock::Stamp;
use crate::clock::discipline::ClockState;
use crate::upbit::feed::Feed;
use crate::upbit::venue::Venue;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

/// Something that happened to the recorder. Times are stamps, µs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The process begins. Its stamp is the `run` of the segments it seals.
    Started {
        /// Of the program.
        version: Cow<'static, str>,
        /// The process id.
        pid: u32,
        /// The venue that is recorded; `None`: a version without this field.
        venue: Option<Venue>,
        /// The connections that are enabled.
        #[serde(deserialize_with = "feed_names::known")]
        connections: Vec<Feed>,
        /// The epoch: how often stamps had gone back in this directory; `None`: a version without this field.
        epoch: Option<u64>,
        /// Why another epoch began; `None`: none did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Word<EpochReason>>,
        /// The wall clock, which anchors the stamps.
        #[serde(flatten)]
        clock: ClockHealth,
    },
    /// The process ends in order; always the last line.
    Stopped {
        /// The reason of the stop.
        reason: Word<StopReason>,
        /// The standing request of each connection, so that the next process knows what the active files hold.
        #[serde(with = "feed_names")]
        requests: BTreeMap<Feed, String>,
    },
    /// A WebSocket is open.
    Connected {
        /// Which connection.
        connection: Feed,
        /// Counted from 1 since the last live session.
        attempt: u32,
        /// The address that answered.
        address: String,
    },
    /// The request was handed to the socket.
    Subscribed {
        /// Which connection.
        connection: Feed,
        /// Why it was sent.
        reason: Word<SubscribeReason>,
        /// As sent.
        request: String,
    },
    /// The first data came.
    Live {
        /// Which connection.
        connection: Feed,
        /// The attempt that succeeded.
        attempt: u32,
    },
    /// A connection or an attempt failed.
    Lost {
        /// Which connection.
        connection: Feed,
        /// How far it had come.
        stage: Word<Stage>,
        /// The error, for people.
        cause: String,
        /// Which attempt it was.
        attempt: u32,
        /// The stamp of the connection's last line.
        last: Option<Stamp>,
    },
    /// The exchange refuses the keys or the request. Written once until something changes.
    Refused {
        /// Which connection.
        connection: Feed,
        /// The refused part.
        refused: Word<Refused>,
        /// The exchange's own words.
        reason: String,
        /// The request that was refused; `null` where the upgrade was.
        request: Option<String>,
    },
    /// Subscribed streams that brought no first frame in time.
    Silent {
        /// Which connection.
        connection: Feed,
        /// The streams.
        streams: Vec<String>,
    },
    /// The exchange's list of subscriptions differs from ours.
    Mismatch {
        /// Which connection.
        connection: Feed,
        /// Streams asked for and not listed.
        missing: Vec<String>,
        /// Streams listed and not asked for.
        unexpected: Vec<String>,
    },
    /// Streams that went mute on a living connection.
    Stale {
        /// Which connection.
        connection: Feed,
        /// The streams.
        streams: Vec<String>,
        /// Since when the earliest of them is unreliable.
        since: Stamp,
        /// The last data of each of them, since when it is unreliable.
        #[serde(default)]
        last_data: Vec<Stamp>,
    },
    /// Unreadable bytes came on this connection. Written when the outbreak is over, or has gone on for an hour.
    Unreadable {
        /// Which connection.
        connection: Feed,
        /// When the first of them came.
        since: Stamp,
        /// How many there were.
        frames: u64,
    },
    /// Nothing was read for a while. Lines stamped in between may have arrived earlier.
    Paused {
        /// Which connection.
        connection: Feed,
        /// When reading stopped.
        from: Stamp,
        /// When everything that had waited was read.
        to: Stamp,
        /// Why; `None`: written by a version without this field.
        cause: Option<Word<PauseCause>>,
    },
    /// A connection made its last attempt.
    GivenUp {
        /// Which connection.
        connection: Feed,
        /// How many attempts failed in a row.
        attempts: u32,
    },
    /// An interval without records.
    Gap(GapRecord),
    /// A gap was healed, as far as its data can be fetched.
    Healed {
        /// The id of the gap.
        gap: u64,
        /// Its epoch, where that is not the one of the file's name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gap_epoch: Option<u64>,
        /// The outcome for its streams.
        #[serde(flatten)]
        report: HealReport,
    },
    /// The exchange lists new pairs.
    Listed {
        /// The pairs.
        codes: Vec<String>,
        /// When the list was last known to be complete without them; `None`: not by this process.
        since: Option<Stamp>,
    },
    /// The exchange lists pairs no longer.
    Delisted {
        /// The pairs.
        codes: Vec<String>,
    },
    /// The first message of a new pair.
    FirstMessage {
        /// Its stream.
        stream: String,
        /// The stamp of the `listed` event.
        listed: Stamp,
        /// The time from there to the message, µs.
        after: u64,
    },
    /// The configuration was read again, and its changes are in force from here on.
    Reloaded {
        /// The keys that have another value.
        changed: Vec<String>,
        /// The keys that differ and need a restart.
        restart: Vec<String>,
    },
    /// The configuration was read again, and the one before stays in force.
    ReloadFailed {
        /// The first fault, for people.
        cause: String,
    },
    /// Segments ended.
    Rotated {
        /// Why.
        reason: Word<RotationReason>,
        /// Their names before compression.
        segments: Vec<String>,
    },
    /// A segment is compressed, verified and listed in its manifest.
    Sealed {
        /// The file.
        name: String,
        /// Its stream.
        stream: String,
        /// Its first stamp.
        first: Stamp,
        /// Its last stamp.
        last: Stamp,
        /// Lines.
        lines: u64,
        /// Bytes before compression.
        bytes: u64,
        /// Bytes of the file.
        zst_bytes: u64,
        /// SHA-256 of the file.
        sha256: String,
    },
    /// A run of the retention has deleted sealed files; each has a `pruned` line in its manifest.
    Pruned {
        /// Files.
        files: u64,
        /// Their bytes.
        bytes: u64,
        /// The newest of their last lines.
        until: Stamp,
    },
    /// A line that a crash had torn was ended and kept once more in `quarantine/`.
    Recovered {
        /// The segment it is in.
        file: String,
        /// Where it begins.
        offset: u64,
        /// Its length in bytes.
        length: u64,
        /// Its SHA-256.
        sha256: String,
    },
    /// A file with a name of the recorder's and other content was quarantined.
    Quarantined {
        /// Where it was.
        file: String,
        /// Where it is now.
        kept: String,
        /// Why, for people.
        reason: Cow<'static, str>,
    },
    /// A file, or the data directory, was taken away or changed by another program while it was written.
    Displaced {
        /// Where it was; `.`: the data directory.
        file: String,
        /// The kind of displacement.
        what: Word<Displacement>,
        /// The segment that has its lines now.
        saved: Option<String>,
        /// Where the file is now that had taken its name.
        kept: Option<String>,
        /// The stamp of the first line that it held.
        from: Option<Stamp>,
        /// The stamp of the last line that it held.
        to: Option<Stamp>,
    },
    /// A clock step: the first line after the anchor moved, the one place where stamps may go back.
    ClockStep {
        /// The stamp of this moment before the step.
        before: Stamp,
        /// The wall clock's time, from which stamps go on.
        after: Stamp,
        /// The epoch: how often stamps have gone back in this directory.
        epoch: u64,
    },
    /// How the clocks agree, hourly.
    Clock {
        /// Wall clock minus stamps, µs.
        offset: i64,
        /// How far stamps run ahead of the time they stand for, because more lines came than there are microseconds, µs.
        ahead: u64,
        /// The wall clock.
        #[serde(flatten)]
        clock: ClockHealth,
    },
    /// The disk takes no more.
    DiskFull {
        /// The failed operation, and the system's error.
        cause: String,
    },
    /// The disk takes writes again.
    DiskOk,
    /// A sync failed: lines written after `durable` may be lost.
    SyncFailed {
        /// The last stamp known to survive a power cut.
        durable: Option<Stamp>,
        /// The failed operation, and the system's error.
        cause: String,
    },
}

/// What a process tells of itself at its start.
#[derive(Clone, Debug)]
pub struct Start {
    /// The process id.
    pub pid: u32,
    /// What it records.
    pub venue: Venue,
    /// The connections that are enabled.
    pub connections: Vec<Feed>,
    /// The epoch.
    pub epoch: u64,
    /// Why another one begins.
    pub reason: Option<EpochReason>,
    /// The wall clock.
    pub clock: ClockHealth,
}

/// How far the wall clock is to be relied on, by the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockHealth {
    /// Whether it is synchronised; `None`: the kernel does not tell.
    #[serde(default)]
    pub synchronised: Option<bool>,
    /// How wrong it is by the estimate of the program that sets it, µs.
    #[serde(default)]
    pub estimated_error: Option<u64>,
    /// How wrong it may be at the most, µs.
    #[serde(default)]
    pub max_error: Option<u64>,
}

impl From<&ClockState> for ClockHealth {
    fn from(state: &ClockState) -> Self {
        let micros = |length: Duration| u64::try_from(length.as_micros()).unwrap_or(u64::MAX);
        let error = state.error();
        Self {
            synchronised: state.is_synchronised(),
            estimated_error: error.map(|error| micros(error.estimated)),
            max_error: error.map(|error| micros(error.maximum)),
        }
    }
}

impl Event {
    /// The object without its stamp.
    pub fn to_json(&self) -> String {
        let line = EventLine { kind: "recorder", event: self };
        serde_json::to_string(&line).expect("strings and numbers always serialise")
    }

    /// The event that begins a process's life.
    pub fn started(start: Start) -> Self {
        let Start { pid, venue, connections, epoch, reason, clock } = start;
        let (version, venue) = (env!("CARGO_PKG_VERSION").into(), Some(venue));
        Self::Started { version, pid, venue, connections, epoch: Some(epoch), reason: reason.map(Word::from), clock }
    }

    /// The event of a closed gap; `id` is the stamp it will be written with, `all` the streams of the connection.
    pub fn gap(gap: Gap, id: Stamp, all: Vec<String>) -> Self {
        Self::Gap(gap.record(id, all))
    }
}

impl From<ManifestEntry> for Event {
    fn from(entry: ManifestEntry) -> Self {
        let ManifestEntry { name, stream, first, last, lines, bytes, zst_bytes, sha256, .. } = entry;
        Self::Sealed { name, stream, first, last, lines, bytes, zst_bytes, sha256 }
    }
}

#[derive(Serialize)]
struct EventLine<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    event: &'a Event,
}
