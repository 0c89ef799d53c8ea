//! The recorder's own events: the lines of `recorder.jsonl`. Pure.
//!
//! ```text
//! {"ts_recv":1795317064154123,"type":"recorder","event":"live","connection":"public","attempt":1}
//!  └ put in front by the journal
//! ```
//!
//! `docs/FORMAT.md` shows each of them; a test holds it against this file. No event ever holds bytes of a private frame
//! but the name of its stream.

use crate::clock::Stamp;
use crate::daemon::gaps::Gap;
use crate::history::healing::plan::Report;
use crate::recording::journal::displaced::{Displaced, Displacement};
use crate::recording::quarantine::Quarantined;
use crate::recording::recovery::Torn;
use crate::recording::rotation::Reason;
use crate::tape::manifest::{Entry, TornLine};
use crate::upbit::feed::Feed;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Something that happened to the recorder. Times are stamps, µs.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The process begins. Its stamp is the `run` of the segments it seals.
    Started {
        /// Of the program.
        version: &'static str,
        /// The process id.
        pid: u32,
        /// The connections that are enabled.
        connections: Vec<String>,
        /// How often stamps had gone back in this directory.
        epoch: u64,
        /// Where each connection's gap begins that is open at the start.
        missing_since: BTreeMap<String, u64>,
    },
    /// The process ends in order; always the last line.
    Stopped {
        /// What ended it.
        reason: String,
        /// What each connection had standing, so that the next process knows what the active files hold.
        requests: BTreeMap<String, String>,
    },
    /// A WebSocket is open.
    Connected {
        /// Which connection.
        connection: String,
        /// Counted from 1 since the last live session.
        attempt: u32,
        /// The address that answered.
        address: String,
    },
    /// The request was handed to the socket.
    Subscribed {
        /// Which connection.
        connection: String,
        /// Why it was sent.
        reason: &'static str,
        /// As sent.
        request: String,
    },
    /// The first data came.
    Live {
        /// Which connection.
        connection: String,
        /// The attempt that succeeded.
        attempt: u32,
    },
    /// A connection or an attempt failed.
    Lost {
        /// Which connection.
        connection: String,
        /// How far it had come.
        stage: String,
        /// What went wrong.
        cause: String,
        /// Which attempt it was.
        attempt: u32,
        /// The stamp of the connection's last line.
        last: Option<u64>,
    },
    /// The exchange refuses the keys or the request. Written once until something changes.
    Refused {
        /// Which connection.
        connection: String,
        /// What is refused: `credentials`, `request`, `rate`, `keepalive`, `listing`.
        refused: &'static str,
        /// The exchange's own words.
        reason: String,
        /// The request that was refused; `null` where the upgrade was.
        request: Option<String>,
    },
    /// Subscribed streams that brought no first frame in time.
    Silent {
        /// Which connection.
        connection: String,
        /// The streams.
        streams: Vec<String>,
    },
    /// The exchange's list of subscriptions differs from ours.
    Mismatch {
        /// Which connection.
        connection: String,
        /// Streams asked for and not listed.
        missing: Vec<String>,
        /// Streams listed and not asked for.
        unexpected: Vec<String>,
    },
    /// Streams that went mute on a living connection.
    Stale {
        /// Which connection.
        connection: String,
        /// The streams.
        streams: Vec<String>,
        /// Since when the earliest of them is not to be relied on.
        since: u64,
        /// The last data of each of them, since when it is not to be relied on.
        last_data: Vec<u64>,
    },
    /// Bytes that nobody can read, on this connection. Written when the outbreak is over, or has gone on for an hour.
    Unreadable {
        /// Which connection.
        connection: String,
        /// When the first of them came.
        since: u64,
        /// How many there were.
        frames: u64,
    },
    /// Nothing was read for a while. Lines stamped in between may have arrived earlier.
    Paused {
        /// Which connection.
        connection: String,
        /// When reading stopped.
        from: u64,
        /// When everything that had waited was read.
        to: u64,
        /// Why.
        cause: &'static str,
    },
    /// A connection made its last attempt.
    GivenUp {
        /// Which connection.
        connection: String,
        /// How many attempts failed in a row.
        attempts: u32,
    },
    /// An interval without records.
    Gap {
        /// The event's own stamp; `healed` names it.
        id: u64,
        /// Its ends and its cause.
        #[serde(flatten)]
        gap: Gap,
        /// The streams affected.
        streams: Vec<String>,
    },
    /// What was missed in a gap was fetched, as far as it can be.
    Healed {
        /// The id of the gap.
        gap: u64,
        /// What became of its streams.
        #[serde(flatten)]
        report: Report,
    },
    /// Segments ended.
    Rotated {
        /// Why.
        reason: Reason,
        /// Their names before compression.
        segments: Vec<String>,
        /// With [`Reason::Recovered`]: how often stamps had gone back when they were written.
        #[serde(skip_serializing_if = "Option::is_none")]
        epoch: Option<u64>,
    },
    /// A segment is compressed, proved and listed in its manifest.
    Sealed {
        /// The file.
        name: String,
        /// Its stream.
        stream: String,
        /// Its first stamp.
        first: u64,
        /// Its last stamp.
        last: u64,
        /// Lines.
        lines: u64,
        /// Bytes before compression.
        bytes: u64,
        /// Bytes of the file.
        zst_bytes: u64,
        /// SHA-256 of the file.
        sha256: String,
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
    /// A file that bore one of our names and did not hold what it said was moved away.
    Quarantined {
        /// Where it was.
        file: String,
        /// Where it is now.
        kept: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A file, or the data directory, was taken away or changed by somebody else while it was written.
    Displaced {
        /// Where it was; `.`: the data directory.
        file: String,
        /// What happened to it.
        what: Displacement,
        /// The segment that has its lines now.
        saved: Option<String>,
        /// Where that is which had its name.
        kept: Option<String>,
        /// The stamp of the first line that it held.
        from: Option<u64>,
        /// The stamp of the last line that it held.
        to: Option<u64>,
    },
    /// The wall clock was set: the first line of a new time line, the one place where stamps may go back.
    ClockStep {
        /// What the old time line showed at this moment.
        before: u64,
        /// What the wall clock showed, and the stamps go on from.
        after: u64,
        /// How often stamps have gone back in this directory.
        epoch: u64,
        /// At a start: since when each connection was missing when the old time line ended, where a gap is told of it.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        missing_since: BTreeMap<String, u64>,
    },
    /// How the clocks agree, hourly.
    Clock {
        /// Wall clock minus stamps, µs.
        offset: i64,
        /// How far stamps run ahead of the time they stand for, because more lines came than there are microseconds, µs.
        ahead: u64,
    },
    /// The disk takes no more.
    DiskFull {
        /// What was tried, and the system's answer.
        cause: String,
    },
    /// The disk takes writes again.
    DiskOk,
    /// A sync failed: what was written after `durable` may be lost.
    SyncFailed {
        /// The last stamp known to survive a power cut.
        durable: Option<u64>,
        /// What was tried, and the system's answer.
        cause: String,
    },
}

impl Event {
    /// The object without its stamp.
    pub fn to_json(&self) -> String {
        let line = Line { kind: "recorder", event: self };
        serde_json::to_string(&line).expect("strings and numbers always serialise")
    }

    /// The event that begins a process's life.
    pub fn started(pid: u32, connections: Vec<String>, epoch: u64, missing_since: BTreeMap<String, u64>) -> Self {
        Self::Started { version: env!("CARGO_PKG_VERSION"), pid, connections, epoch, missing_since }
    }

    /// The event of a closed gap; `id` is the stamp it will be written with, `all` the streams of the connection.
    pub fn gap(mut gap: Gap, id: Stamp, all: Vec<String>) -> Self {
        let streams = gap.only.take().unwrap_or(all);
        Self::Gap { id: id.as_micros(), gap, streams }
    }

    /// The event of an orderly stop.
    pub fn stopped(reason: String, requests: impl IntoIterator<Item = (Feed, String)>) -> Self {
        let requests = requests.into_iter().map(|(connection, request)| (connection.to_string(), request)).collect();
        Self::Stopped { reason, requests }
    }
}

impl From<Torn> for Event {
    fn from(torn: Torn) -> Self {
        let Torn { file, line: TornLine { offset, length, sha256 } } = torn;
        Self::Recovered { file: file.display().to_string(), offset, length, sha256 }
    }
}

impl From<&Displaced> for Event {
    fn from(displaced: &Displaced) -> Self {
        let Displaced { file, what, saved, kept, held, .. } = displaced;
        let [from, to] = held.map_or([None; 2], |held| held.map(|stamp| Some(stamp.as_micros())));
        let text = |path: &PathBuf| path.display().to_string();
        Self::Displaced { file: text(file), what: *what, saved: saved.clone(), kept: kept.as_ref().map(text), from, to }
    }
}

impl From<Quarantined> for Event {
    fn from(moved: Quarantined) -> Self {
        let Quarantined { file, kept, reason } = moved;
        Self::Quarantined { file: file.display().to_string(), kept: kept.display().to_string(), reason }
    }
}

impl From<Entry> for Event {
    fn from(entry: Entry) -> Self {
        let Entry { name, stream, first, last, lines, bytes, zst_bytes, sha256, .. } = entry;
        Self::Sealed { name, stream, first, last, lines, bytes, zst_bytes, sha256 }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    event: &'a Event,
}
