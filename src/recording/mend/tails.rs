//! The last stamps in the files of a data directory.

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
    pub(super) active: BTreeMap<(Feed, StreamKey), Stamp>,
    /// The epoch that the first event of the active file names.
    pub(super) begun: u64,
    /// An active file cannot be read.
    pub has_unreadable: bool,
}

impl Tails {
    /// Whether there are none: nothing was recorded yet.
    pub fn is_empty(&self) -> bool {
        self.archived.is_empty() && self.active.is_empty() && !self.has_unreadable
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

    /// The exchange's streams of a feed with lines in an epoch, that of the active files, and their last stamps.
    pub fn streams(&self, feed: Feed, epoch: u64) -> impl Iterator<Item = (String, Stamp)> {
        let archived = self.archived.iter().filter(move |(_, last)| last.epoch == epoch);
        let mut last: BTreeMap<&StreamKey, Stamp> = BTreeMap::new();
        let all = archived
            .map(|(stream, last)| (stream, last.stamp))
            .chain(self.active.iter().map(|(stream, last)| (stream, *last)));
        for ((_, stream), stamp) in all.filter(|((of, stream), _)| *of == feed && stream.is_recorded()) {
            let last = last.entry(stream).or_default();
            *last = stamp.max(*last);
        }
        last.into_iter().map(|(stream, last)| (stream.to_string(), last))
    }

    /// Notes the last stamp of an active file, and the epoch that its first line names.
    pub(super) fn note_active(&mut self, files: &dyn Files, feed: Feed, stream: &StreamKey, last: Stamp) {
        self.active.insert((feed, stream.clone()), last);
        if feed == Feed::Public && *stream == StreamKey::recorder() {
            self.begun = record::first_epoch(files, &paths::active(feed, stream)).unwrap_or_default();
        }
    }

    pub(super) fn note(&mut self, feed: Feed, stream: &StreamKey, last: Position) {
        let noted = self.archived.entry((feed, stream.clone())).or_default();
        *noted = last.max(*noted);
    }
}
