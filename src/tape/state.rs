//! The checkpoint of a data directory, `.state`: what a start has to know of the processes before it. Pure.
//!
//! ```text
//! slot 0  {"generation":16,"bytes":1412,"sha256":"…"}\n{"version":1,"venue":"upbit-kr","epoch":0,…}
//! slot 1  {"generation":17,"bytes":1398,"sha256":"…"}\n{…}         the higher generation that is whole counts
//! ```
//!
//! Two slots of [`SLOT`] bytes are replaced in turn, so that a crash while one is written leaves the other. Nothing that a
//! start needs is dropped for want of room: it is coarsened, so that gaps get wider and never fewer.

use super::gap::{Gap, GapKind};
use crate::clock::Stamp;
use crate::printable;
use crate::upbit::feed::{Feed, PerFeed};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// The length of a slot in bytes.
pub const SLOT: usize = 256 * 1024;

/// The version of the format on disk that this program writes, and the highest that it reads.
pub const VERSION: u32 = 1;

/// The longest text of a cause that is kept, in characters.
const CAUSE: usize = 300;

/// The requests kept of a feed: one differs from that before it only where the configuration or the list of pairs changed.
pub const REQUESTS: usize = 8;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Of the format on disk.
    pub version: u32,
    /// The exchange that the directory is recorded from.
    pub venue: String,
    /// The epoch: how often stamps had gone back.
    pub epoch: u64,
    /// The first stamp of the epoch.
    pub began: Stamp,
    /// How the process ended.
    pub ended: Ended,
    /// A new epoch that begins: nothing has been written in it yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stepping: Option<Stepping>,
    /// Intervals of all feeds of which lines may be lost, because a sync had found no room; in no gap yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsure: Vec<Unsure>,
    /// Dates with segments that wait to be sealed, or that could not be read.
    #[serde(default)]
    pub dates: BTreeSet<Date>,
    /// The feeds.
    pub feeds: PerFeed<FeedState>,
    /// Gaps that are decided and not on record yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redo: Vec<Redo>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// It runs, or died.
    Running,
    /// In order, with everything it wrote durable.
    Stopped {
        /// Its last stamp.
        last: Stamp,
        /// What was heard last of each feed, as in the durable mark.
        heard: PerFeed<Option<Stamp>>,
    },
    /// A sync failed: lines after the durable mark may be lost although they are read.
    SyncFailed,
}

/// A step of stamps into a new epoch, from its decision until its first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stepping {
    /// The epoch that begins.
    pub epoch: u64,
    /// The last stamp of the epoch that ends.
    pub before: Stamp,
    /// The first stamp of the one that begins.
    pub after: Stamp,
}

/// An interval in which lines may be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsure {
    /// Its epoch.
    pub epoch: u64,
    /// Where it begins.
    pub from: Stamp,
    /// Where it ends.
    pub to: Stamp,
}

/// The state of a feed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedState {
    /// Whether it is recorded.
    pub wanted: bool,
    /// The gap of the whole feed that is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<OpenGap>,
    /// Streams suspected to be mute, and since when.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub suspected: BTreeMap<String, Stamp>,
    /// The last requests, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<Standing>,
    /// The streams of its gaps as long as no request is known: those on the tape.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub streams: Vec<String>,
}

/// A gap that is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenGap {
    /// Where it begins.
    pub from: Stamp,
    /// Why.
    pub kind: GapKind,
    /// Why, for people.
    pub cause: String,
}

/// A request to the exchange.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The epoch in which it was sent.
    pub epoch: u64,
    /// Since when it stands.
    pub since: Stamp,
    /// The frame.
    pub request: String,
}

/// A gap that is decided and not on record yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redo {
    /// Its id, which it keeps however often it is told.
    pub id: Stamp,
    /// The gap.
    #[serde(flatten)]
    pub gap: Gap,
}

/// The first line of a slot.
#[derive(Serialize, Deserialize)]
struct Header {
    generation: u64,
    bytes: usize,
    sha256: String,
}

impl State {
    /// That of a directory in which nothing was recorded yet.
    pub fn new(venue: &str, began: Stamp) -> Self {
        Self {
            version: VERSION,
            venue: venue.to_owned(),
            epoch: 0,
            began,
            ended: Ended::Running,
            stepping: None,
            unsure: Vec::new(),
            dates: BTreeSet::new(),
            feeds: PerFeed::default(),
            redo: Vec::new(),
        }
    }

    /// The content of a slot, up to [`SLOT`] bytes.
    pub fn to_slot(&self, generation: u64) -> Vec<u8> {
        let mut state = self.clone();
        state.shorten_texts();
        let mut coarser: [fn(&mut Self) -> bool; 4] =
            [Self::forget_a_request, Self::merge_suspicions, Self::merge_redo, Self::forget_the_requests];
        let mut content = encode(&state, generation);
        for coarsen in &mut coarser {
            while content.len() > SLOT && coarsen(&mut state) {
                content = encode(&state, generation);
            }
        }
        content
    }

    /// The state of a slot, and its generation; `None`: it is not whole.
    pub fn of_slot(slot: &[u8]) -> Option<(u64, Self)> {
        let end = slot.iter().position(|byte| *byte == b'\n')?;
        let Header { generation, bytes, sha256 } = serde_json::from_slice(&slot[..end]).ok()?;
        let content = slot.get(end + 1..)?.get(..bytes)?;
        let is_whole = checksum(content) == sha256;
        is_whole.then(|| serde_json::from_slice(content).ok()).flatten().map(|state| (generation, state))
    }

    fn shorten_texts(&mut self) {
        let open = self.feeds.iter_mut().filter_map(|feed| feed.open.as_mut()).map(|open| &mut open.cause);
        for cause in open.chain(self.redo.iter_mut().map(|redo| &mut redo.gap.cause)) {
            if let Some((end, _)) = cause.char_indices().nth(CAUSE) {
                cause.truncate(end);
            }
        }
        for feed in self.feeds.iter_mut() {
            let old = feed.requests.len().saturating_sub(REQUESTS);
            feed.requests.drain(..old);
        }
    }

    /// Segments of an older request then have an unknown origin.
    fn forget_a_request(&mut self) -> bool {
        let longest = self.feeds.iter_mut().max_by_key(|feed| feed.requests.len());
        let Some(feed) = longest.filter(|feed| feed.requests.len() > 1) else { return false };
        feed.requests.remove(0);
        true
    }

    fn forget_the_requests(&mut self) -> bool {
        let forget =
            |feed: &mut FeedState| std::mem::take(&mut feed.requests).len() + std::mem::take(&mut feed.streams).len();
        self.feeds.iter_mut().map(forget).sum::<usize>() > 0
    }

    /// Suspicions become one of the whole feed, from the earliest.
    fn merge_suspicions(&mut self) -> bool {
        let mut has_merged = false;
        for feed in self.feeds.iter_mut() {
            let Some(from) = std::mem::take(&mut feed.suspected).into_values().min() else { continue };
            has_merged = true;
            let suspected = || OpenGap { from, kind: GapKind::Suspected, cause: "streams were mute".to_owned() };
            let open = feed.open.get_or_insert_with(suspected);
            open.from = open.from.min(from);
        }
        has_merged
    }

    /// The entries of a feed and an epoch become one, from the first to the last.
    fn merge_redo(&mut self) -> bool {
        let before = self.redo.len();
        let mut merged: BTreeMap<(u64, Feed), Redo> = BTreeMap::new();
        for redo in std::mem::take(&mut self.redo) {
            let key = (redo.gap.epoch, redo.gap.connection);
            if let Some(Redo { gap, .. }) = merged.get_mut(&key) {
                (gap.from, gap.to) = (gap.from.min(redo.gap.from), gap.to.max(redo.gap.to));
                (gap.kind, gap.only) = (GapKind::Unsure, None);
            } else {
                merged.insert(key, redo);
            }
        }
        self.redo = merged.into_values().collect();
        self.redo.len() < before
    }
}

fn encode(state: &State, generation: u64) -> Vec<u8> {
    let content = serde_json::to_vec(state).expect("texts and numbers always serialise");
    let header = Header { generation, bytes: content.len(), sha256: checksum(&content) };
    let mut slot = serde_json::to_vec(&header).expect("texts and numbers always serialise");
    slot.push(b'\n');
    slot.extend(content);
    slot
}

fn checksum(content: &[u8]) -> String {
    printable::hex(&Sha256::digest(content))
}
