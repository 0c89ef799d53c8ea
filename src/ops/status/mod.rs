//! The snapshot of a running recorder, published by the supervisor each second. Plain numbers and names, no byte of a
//! frame. Pure.
//!
//! | part | about |
//! |---|---|
//! | this file | the process, its queues and loops, the disk |
//! | [`feeds`] | connections and streams |
//! | [`gaps`] | gaps, and what was healed |

pub mod feeds;
pub mod gaps;

use crate::clock::discipline::ClockState;
use crate::clock::{Instant, Stamp};
use crate::counters::durations::Durations;
use crate::counters::requests::Requests;
use crate::counters::turns::Turn;
use crate::counters::uploads::Uploads;
use crate::upbit::feed::Feed;
use crate::upbit::venue::Venue;
use feeds::{ConnectionStatus, StreamStatus};
use gaps::GapStatus;
use std::collections::BTreeMap;
use std::time::Duration;

/// A snapshot.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// The process; `None`: its start is not done.
    pub about: Option<About>,
    /// When the supervisor's loop took it: it does so each second as long as it turns.
    pub turned: Option<Instant>,
    /// The same moment by the clock of the stamps.
    pub at: Stamp,
    /// How often stamps have gone back in the directory.
    pub epoch: u64,
    /// The connections that are enabled.
    pub connections: BTreeMap<Feed, ConnectionStatus>,
    /// The streams that this process knows, in the order in which they came up, the recorder's own among them.
    pub streams: Vec<StreamStatus>,
    /// Streams of the exchange seen so far.
    pub stream_count: usize,
    /// Messages recorded since the start.
    pub messages: u64,
    /// Bytes of messages recorded since the start.
    pub bytes: u64,
    /// Gaps on record.
    pub gaps: GapStatus,
    /// The disk.
    pub disk: DiskStatus,
    /// What waits to be written.
    pub queues: Queues,
    /// The hosts of the disk.
    pub hosts: Hosts,
    /// The state of the wall clock; `None`: not asked yet.
    pub clock: Option<ClockState>,
    /// The wall clock minus the clock of the stamps, µs.
    pub clock_offset: i64,
    /// Requests over REST since the start.
    pub requests: Requests,
    /// What waits to be uploaded, and what was.
    pub uploads: Uploads,
    /// When the account's key expires, where the exchange tells it.
    pub key_expires: Option<Stamp>,
    /// What came of reading the configuration.
    pub reload: LastReload,
    /// Pairs that came and went since the start.
    pub listings: ListingCounts,
    /// The process is shutting down.
    pub is_stopping: bool,
}

/// Pairs that came and went since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListingCounts {
    /// Listed.
    pub listed: u64,
    /// Delisted.
    pub delisted: u64,
    /// How long the last new pair took from its listing to its first message.
    pub first_message: Option<Duration>,
}

/// What does not change in a process.
#[derive(Clone, Debug)]
pub struct About {
    /// The process id.
    pub pid: u32,
    /// The stamp of its `started` event.
    pub run: Stamp,
    /// Whose data it records.
    pub venue: Venue,
    /// Less free space than this is a fault, bytes.
    pub min_free_bytes: u64,
    /// What it may send.
    pub limits: Limits,
}

/// What may be sent in any second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests over REST: of all groups together as configured, in each group as the exchange allows.
    pub rest: Limit,
    /// Attempts to connect.
    pub connects: Limit,
    /// Messages on a connection.
    pub messages: Limit,
}

impl Limits {
    /// Each with its name.
    pub fn each(&self) -> [(&'static str, Limit); 3] {
        [("rest", self.rest), ("connects", self.connects), ("messages", self.messages)]
    }
}

/// A limit a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// As configured.
    pub configured: u32,
    /// As the exchange allows.
    pub exchange: u32,
}

/// The state of the disk.
#[derive(Clone, Debug, Default)]
pub struct DiskStatus {
    /// Why recording is suspended; `None`: it is not.
    pub full: Option<String>,
    /// The room that is left; `None`: not measured yet.
    pub room: Option<Room>,
    /// Everything up to this stamp survives a power cut; `None`: not known yet in this process.
    pub durable: Option<Stamp>,
    /// Ended segments that are not sealed yet.
    pub backlog: usize,
    /// What was sealed.
    pub sealed: Sealed,
}

/// The room that is left on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes.
    pub bytes: u64,
    /// Files that can still be created; `u64::MAX` where the file system does not count them.
    pub inodes: u64,
    /// Less than `min_free_bytes`, or too few inodes: an operator should make room.
    pub is_low: bool,
}

/// Segments sealed since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sealed {
    /// How many.
    pub segments: u64,
    /// Their bytes before compression.
    pub bytes: u64,
    /// Their bytes on disk.
    pub compressed_bytes: u64,
    /// Attempts that failed.
    pub failures: u64,
}

/// What waits on its way to the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queues {
    /// Deliveries of the connections that wait for the supervisor.
    pub deliveries: usize,
    /// Commands that wait for the writer.
    pub commands: usize,
    /// Reports of the disk's hosts that wait for the supervisor.
    pub reports: usize,
    /// Bytes of messages that are in no file.
    pub unwritten_bytes: u64,
    /// The age of the oldest of them, at most; zero where there are none.
    pub oldest_unwritten: Duration,
}

/// The hosts of the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    /// The writer's last turn.
    pub writer: Option<Turn>,
    /// The syncer's.
    pub syncer: Option<Turn>,
    /// The sealer's.
    pub sealer: Option<Turn>,
    /// How long syncs took.
    pub syncs: Durations,
    /// How long sealing a segment took.
    pub seals: Durations,
}

/// The last time that the configuration was read; the start counts as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastReload {
    /// It was taken over; otherwise the one before stayed in force.
    pub succeeded: bool,
    /// When.
    pub at: Stamp,
    /// When the one in force was read.
    pub in_force_since: Stamp,
    /// It is being read once more.
    pub is_running: bool,
    /// How often it was read since the start, with whatever outcome.
    pub ended: u64,
}

impl LastReload {
    /// That of a start.
    pub fn started(at: Stamp) -> Self {
        Self { succeeded: true, at, in_force_since: at, is_running: false, ended: 0 }
    }
}

impl Default for LastReload {
    fn default() -> Self {
        Self::started(Stamp::default())
    }
}
