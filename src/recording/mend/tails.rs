//! The first and the last stamps in the files of a data directory.

use crate::clock::{Position, Stamp};
use crate::files::Files;
use crate::tape::paths;
use crate::tape::record;
use crate::tape::stream_key::StreamKey;
use crate::upbit::feed::Feed;
use std::collections::BTreeMap;

/// See the module.
#[derive(Debug, Default)]
pub struct Tails {
    /// The last position of each stream in the archive, as far as it was looked into.
    pub(super) archived: BTreeMap<(Feed, StreamKey), Position>,
    /// The last stamp of each active file; the state has their epoch.
    pub(in crate::recording) active: BTreeMap<(Feed, StreamKey), Stamp>,
    /// The first stamp of each epoch in the archive, and that of the active files.
    pub(in crate::recording) began: BTreeMap<u64, Stamp>,
    pub(in crate::recording) active_began: Option<Stamp>,
    /// The epoch that the first event of the active file names.
    pub(in crate::recording) begun: u64,
    /// An active file cannot be read.
    pub has_unreadable: bool,
}

impl Tails {
    /// Whether there are none: nothing was recorded yet, or no line of it was whole.
    pub fn is_empty(&self) -> bool {
        self.archived.is_empty() && self.active.values().all(|last| *last == Stamp::default()) && !self.has_unreadable
    }

    /// Whether there are some of a feed.
    pub fn has(&self, feed: Feed) -> bool {
        self.archived.keys().chain(self.active.keys()).any(|(of, _)| *of == feed)
    }

    /// The number of active files.
    pub fn active(&self) -> usize {
        self.active.len()
    }

    /// The highest epoch that is named.
    pub fn epoch(&self) -> u64 {
        self.archived.values().map(|last| last.epoch).max().unwrap_or_default().max(self.begun)
    }

    /// The last stamp of an epoch, that of the active files.
    pub fn last(&self, epoch: u64) -> Option<Stamp> {
        let archived = self.archived.values().filter(|last| last.epoch == epoch).map(|last| last.stamp);
        archived.chain(self.active.values().copied()).max()
    }

    /// The first stamp of an epoch, that of the active files.
    pub fn began(&self, epoch: u64) -> Stamp {
        self.began.get(&epoch).copied().into_iter().chain(self.active_began).min().unwrap_or_default()
    }

    /// The exchange's streams of a feed, and the last stamp of each in an epoch, that of the active files; the first stamp
    /// of the epoch where it has none.
    pub fn streams(&self, feed: Feed, epoch: u64) -> BTreeMap<String, Stamp> {
        let began = self.began(epoch);
        let of_epoch = |last: &Position| if last.epoch == epoch { last.stamp } else { began };
        let archived = self.archived.iter().map(|(stream, last)| (stream, of_epoch(last)));
        let mut last: BTreeMap<String, Stamp> = BTreeMap::new();
        for ((of, stream), stamp) in archived.chain(self.active.iter().map(|(stream, last)| (stream, *last))) {
            if *of == feed && stream.is_recorded() {
                let last = last.entry(stream.to_string()).or_default();
                *last = stamp.max(*last).max(began);
            }
        }
        last
    }

    /// Notes the first and the last stamp of an active file, and the epoch that its first line names.
    pub(super) fn note_active(&mut self, files: &dyn Files, feed: Feed, stream: &StreamKey, ends: [Stamp; 2]) {
        let [first, last] = ends;
        self.active.insert((feed, stream.clone()), last);
        self.active_began = self.active_began.into_iter().chain([first]).min();
        if feed == Feed::Public && *stream == StreamKey::recorder() {
            self.begun = record::first_epoch(files, &paths::active(feed, stream)).unwrap_or_default();
        }
    }

    /// Notes an active file without a line.
    pub(super) fn note_headless(&mut self, feed: Feed, stream: &StreamKey) {
        self.active.insert((feed, stream.clone()), Stamp::default());
    }

    /// Notes a position of a stream in the archive.
    pub(in crate::recording) fn note(&mut self, feed: Feed, stream: &StreamKey, last: Position) {
        let noted = self.archived.entry((feed, stream.clone())).or_default();
        *noted = last.max(*noted);
        let began = self.began.entry(last.epoch).or_insert(last.stamp);
        *began = last.stamp.min(*began);
    }
}
