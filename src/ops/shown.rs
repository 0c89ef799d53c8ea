//! The snapshot as JSON, for `/status`, `/readyz` and the page. Pure.

use super::liveness::{self, busy};
use super::readiness::{Reason, reasons};
use super::status::feeds::{ConnectionStatus, Link, StreamStatus};
use super::status::gaps::{Healed, RecentGap};
use super::status::{About, Status};
use crate::clock::discipline::ClockState;
use crate::clock::{Instant, Stamp};
use crate::counters::uploads::Uploads;
use crate::tape::gap::GapKind;
use crate::tape::stream_key::StreamKey;
use crate::upbit::feed::Feed;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The holder of the data directory, as `.lock` names it: no two processes have all three.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The host's name.
    pub host: String,
    /// The process id, as that host sees it.
    pub pid: u32,
    /// When it took the lock, µs.
    pub started: u64,
}

/// Whether data is being recorded, and by which process.
#[derive(Debug, Serialize, Deserialize)]
pub struct Readiness {
    /// Whether it is.
    pub ready: bool,
    /// Why not.
    pub reasons: Vec<ShownReason>,
    /// Which process answers.
    pub owner: Owner,
    /// The stamp of its `started` event, µs; `None`: the start is not done.
    pub run: Option<u64>,
}

/// A reason why data is not being recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownReason {
    /// The part that it is about.
    pub part: String,
    /// For people.
    pub text: String,
}

impl From<Reason> for ShownReason {
    fn from(reason: Reason) -> Self {
        Self { part: reason.part.to_owned(), text: reason.text }
    }
}

impl Readiness {
    /// That of a snapshot at `now`.
    pub fn of(status: &Status, owner: &Owner, now: Instant) -> Self {
        let reasons: Vec<ShownReason> = reasons(status, now).into_iter().map(ShownReason::from).collect();
        let run = status.about.as_ref().map(|about| about.run.as_micros());
        Self { ready: reasons.is_empty(), reasons, owner: owner.clone(), run }
    }
}

/// `/status`: times are stamps in µs, ages and lengths seconds.
#[derive(Debug, Serialize)]
pub struct Shown<'a> {
    version: &'static str,
    #[serde(flatten)]
    readiness: Readiness,
    alive: bool,
    venue: Option<String>,
    at: u64,
    epoch: u64,
    connections: BTreeMap<Feed, ShownConnection<'a>>,
    streams: Vec<ShownStream<'a>>,
    gaps: Vec<ShownGap<'a>>,
    disk: ShownDisk<'a>,
    queues: BTreeMap<&'static str, u64>,
    loops: BTreeMap<&'static str, f64>,
    clock_offset: f64,
    clock_synchronised: Option<bool>,
    key_expires: Option<Stamp>,
    /// `None`: nothing is uploaded.
    uploads: Option<ShownUploads<'a>>,
}

#[derive(Debug, Serialize)]
struct ShownUploads<'a> {
    backlog_files: u64,
    backlog_bytes: u64,
    oldest: Option<Stamp>,
    refused_files: u64,
    files: u64,
    bytes: u64,
    failures: u64,
    cause: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct ShownConnection<'a> {
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_in: Option<f64>,
    asked: usize,
    mute: &'a [String],
    attempts: u64,
    connects: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    gap: Option<ShownOpenGap<'a>>,
}

#[derive(Debug, Serialize)]
struct ShownOpenGap<'a> {
    from: Stamp,
    kind: GapKind,
    cause: &'a str,
}

#[derive(Debug, Serialize)]
struct ShownStream<'a> {
    stream: &'a str,
    connection: Feed,
    lines: u64,
    bytes: u64,
    last: Option<Stamp>,
}

#[derive(Debug, Serialize)]
struct ShownGap<'a> {
    id: u64,
    epoch: u64,
    connection: Feed,
    kind: GapKind,
    cause: &'a str,
    from: Stamp,
    to: Stamp,
    /// `None`: all of the connection.
    streams: Option<usize>,
    healed: Option<ShownHealed<'a>>,
}

#[derive(Debug, Serialize)]
struct ShownHealed<'a> {
    objects: u64,
    complete: usize,
    partial: usize,
    impossible: &'a BTreeSet<String>,
}

#[derive(Debug, Serialize)]
struct ShownDisk<'a> {
    full: Option<&'a str>,
    free_bytes: Option<u64>,
    free_inodes: Option<u64>,
    min_free_bytes: Option<u64>,
    unwritten_bytes: u64,
    oldest_unwritten: f64,
    durable: Option<Stamp>,
    backlog: usize,
    sealed_bytes: u64,
    sealed_compressed_bytes: u64,
}

impl<'a> Shown<'a> {
    /// A snapshot at `now`.
    pub fn of(status: &'a Status, owner: &Owner, now: Instant) -> Self {
        let since = status.turned.map_or(Duration::ZERO, |turned| now.saturating_duration_since(turned));
        let queues = &status.queues;
        Self {
            version: env!("CARGO_PKG_VERSION"),
            readiness: Readiness::of(status, owner, now),
            alive: liveness::hangs(status, now).is_none(),
            venue: status.about.as_ref().map(|about| about.venue.to_string()),
            at: status.at.after(since).as_micros(),
            epoch: status.epoch,
            connections: status.connections.iter().map(|(feed, connection)| (*feed, shown(connection, now))).collect(),
            streams: streams(status),
            gaps: status.gaps.recent.iter().map(ShownGap::of).collect(),
            disk: ShownDisk::of(status),
            queues: BTreeMap::from([
                ("deliveries", queues.deliveries as u64),
                ("commands", queues.commands as u64),
                ("reports", queues.reports as u64),
            ]),
            loops: busy(status, now).into_iter().map(|(host, length)| (host.as_str(), length.as_secs_f64())).collect(),
            clock_offset: seconds(status.clock_offset),
            clock_synchronised: status.clock.as_ref().and_then(ClockState::is_synchronised),
            key_expires: status.key_expires,
            uploads: ShownUploads::of(&status.uploads),
        }
    }
}

/// µs as seconds.
#[expect(clippy::cast_precision_loss, reason = "a double holds 285 years to the microsecond")]
pub(super) fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

fn shown(connection: &ConnectionStatus, now: Instant) -> ShownConnection<'_> {
    let until = match &connection.link {
        Link::Waiting { until, .. } => *until,
        _ => None,
    };
    ShownConnection {
        state: connection.link.as_str(),
        cause: connection.link.cause(),
        retry_in: until.map(|until| until.saturating_duration_since(now).as_secs_f64()),
        asked: connection.asked.len(),
        mute: &connection.mute,
        attempts: connection.count.attempts,
        connects: connection.count.connects,
        gap: connection.gap.as_ref().map(|gap| ShownOpenGap { from: gap.from, kind: gap.kind, cause: &gap.cause }),
    }
}

/// Streams that were asked for and have not come stand with those that have.
fn streams(status: &Status) -> Vec<ShownStream<'_>> {
    let of = |count: &'_ StreamStatus| (count.feed, count.stream.as_str().to_owned());
    let mut shown: BTreeMap<(Feed, String), ShownStream<'_>> = BTreeMap::new();
    for (feed, connection) in &status.connections {
        for stream in connection.asked.iter() {
            let silent = ShownStream { stream, connection: *feed, lines: 0, bytes: 0, last: None };
            // A type that was asked for as a whole brings streams of its own names.
            if StreamKey::from_stem(stream).is_some_and(|key| key.code().is_some()) {
                shown.insert((*feed, stream.clone()), silent);
            }
        }
    }
    for count in status.streams.iter().filter(|count| count.lines > 0) {
        let StreamStatus { feed, stream, lines, bytes, last } = count;
        let came =
            ShownStream { stream: stream.as_str(), connection: *feed, lines: *lines, bytes: *bytes, last: *last };
        shown.insert(of(count), came);
    }
    shown.into_values().collect()
}

impl<'a> ShownGap<'a> {
    fn of(recent: &'a RecentGap) -> Self {
        let RecentGap { position, gap, healed } = recent;
        Self {
            id: position.stamp.as_micros(),
            epoch: position.epoch,
            connection: gap.connection,
            kind: gap.kind,
            cause: &gap.cause,
            from: gap.from,
            to: gap.to,
            streams: gap.only.as_ref().map(Vec::len),
            healed: healed.as_ref().map(|healed| {
                let Healed { objects, complete, partial, impossible } = healed;
                ShownHealed { objects: *objects, complete: *complete, partial: *partial, impossible }
            }),
        }
    }
}

impl<'a> ShownUploads<'a> {
    fn of(uploads: &'a Uploads) -> Option<Self> {
        let Uploads { backlog_files, backlog_bytes, oldest, refused_files, files, bytes, failures, cause } = uploads;
        Some(Self {
            backlog_files: (*backlog_files)?,
            backlog_bytes: *backlog_bytes,
            oldest: *oldest,
            refused_files: *refused_files,
            files: *files,
            bytes: *bytes,
            failures: *failures,
            cause: cause.as_deref(),
        })
    }
}

impl<'a> ShownDisk<'a> {
    fn of(status: &'a Status) -> Self {
        let (disk, queues) = (&status.disk, &status.queues);
        Self {
            full: disk.full.as_deref(),
            free_bytes: disk.room.map(|room| room.bytes),
            free_inodes: disk.room.map(|room| room.inodes).filter(|inodes| *inodes < u64::MAX),
            min_free_bytes: status.about.as_ref().map(|About { min_free_bytes, .. }| *min_free_bytes),
            unwritten_bytes: queues.unwritten_bytes,
            oldest_unwritten: queues.oldest_unwritten.as_secs_f64(),
            durable: disk.durable,
            backlog: disk.backlog,
            sealed_bytes: disk.sealed.bytes,
            sealed_compressed_bytes: disk.sealed.compressed_bytes,
        }
    }
}
