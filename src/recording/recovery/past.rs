//! The last stamps of earlier processes, from their segments, manifests and events.
//!
//! ```text
//! archive/date=*/manifest.jsonl   newest first, until each tree has a stamp ──┐
//! active and waiting segments                                                ├──▶ Past: the newest epoch counts
//! recorder.jsonl, and its last archived segments ──▶ History ─────────────────┘
//! ```
//!
//! Dates later than today come from a wrong clock, then or now, so they are read as well.

use super::history::{Asked, History};
use super::manifests::manifest;
use super::order::{RecorderSegment, in_order};
use crate::clock::Stamp;
use crate::files::{Files, IoError};
use crate::tape::paths;
use crate::tape::segment_name::SegmentName;
use crate::tape::stream_key::StreamKey;
use crate::upbit::feed::{Feed, PerFeed};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

/// The last stamps, by epoch.
#[derive(Debug, Default)]
pub(super) struct Past {
    by_epoch: BTreeMap<u64, Last>,
    /// The requested streams, per tree; `None`: not known.
    pub(super) asked: PerFeed<Option<Asked>>,
}

/// The latest stamps of one epoch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Last {
    /// Of any line.
    pub(super) any: Option<Stamp>,
    /// Of a line from the exchange, per tree.
    pub(super) data: PerFeed<Option<Stamp>>,
}

/// The newest epoch that the events name.
#[derive(Clone, Copy)]
pub(super) struct NewestEpoch {
    pub(super) number: u64,
    /// Its first stamp, where it is known.
    pub(super) began: Option<Stamp>,
}

impl Past {
    /// Adds a line stamped `last`.
    pub(super) fn note(&mut self, epoch: u64, feed: Feed, stream: &StreamKey, last: Stamp) {
        let is_proof = self.is_proof(feed, stream);
        let noted = self.by_epoch.entry(epoch).or_default();
        noted.any = noted.any.max(Some(last));
        if is_proof {
            let data = &mut noted.data[feed];
            *data = (*data).max(Some(last));
        }
    }

    /// The latest epoch with any line.
    pub(super) fn newest_epoch(&self) -> u64 {
        self.by_epoch.keys().next_back().copied().unwrap_or_default()
    }

    /// The latest stamps of an epoch.
    pub(super) fn last(&self, epoch: u64) -> Last {
        self.by_epoch.get(&epoch).copied().unwrap_or_default()
    }

    /// Whether any epoch has a line from the exchange.
    pub(super) fn has_data(&self, feed: Feed) -> bool {
        self.by_epoch.values().any(|last| last.data[feed].is_some())
    }

    /// Reads manifests, those of `directories` in their order, until one lists a line from the exchange: of the newest
    /// epoch, or of any where only older ones remain.
    pub(super) fn read_manifests(
        &mut self,
        files: &dyn Files,
        feed: Feed,
        directories: impl Iterator<Item = PathBuf>,
        newest: NewestEpoch,
    ) -> Result<(), IoError> {
        let first = newest.began.map(|first| SegmentName { feed, stream: StreamKey::misc(), epoch: 0, first }.directory());
        let mut found = None;
        for directory in directories {
            let is_older = first.as_ref().is_none_or(|first| directory < *first);
            if found >= Some(newest.number) || (found.is_some() && is_older) {
                break;
            }
            for entry in manifest(files, &directory)? {
                if let Some(stream) = StreamKey::from_stem(&entry.stream) {
                    found = found.max(Some(entry.epoch).filter(|_| self.is_proof(feed, &stream)));
                    self.note(entry.epoch, feed, &stream, entry.last);
                }
            }
        }
        Ok(())
    }

    /// Whether the lines of a stream prove the liveness of its feed. A status, or a stream that was not requested,
    /// arrives even on a connection with every requested stream mute; for the account, which may be quiet for days, any
    /// line is proof.
    fn is_proof(&self, feed: Feed, stream: &StreamKey) -> bool {
        let is_asked = self.asked[feed].as_ref().is_none_or(|asked| asked.has(stream));
        let is_data = feed == Feed::Private || (*stream != StreamKey::misc() && is_asked);
        *stream != StreamKey::recorder() && !stream.is_healed() && is_data
    }
}

/// Reads the recorder's events: the last segments in the archive, then the active file.
pub(super) fn read_history(
    files: &dyn Files,
    segments: Vec<RecorderSegment>,
    reached: Stamp,
) -> Result<History, IoError> {
    let mut history = History::default();
    for (segment, epoch) in in_order(files, segments, reached)? {
        if let Err(error) = segment.open(files).and_then(|events| history.read(events, epoch)) {
            // A damaged file's events are missing; it must not prevent recording.
            tracing::warn!(file = %segment.path().display(), %error, "the recorder's earlier events cannot be read");
            history.is_incomplete = true;
        }
    }
    let active = paths::active(Feed::Public, &StreamKey::recorder());
    let read = match files.read(&active) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        file => file.and_then(|file| history.read(file, None)).map_err(IoError::at("read", &active)),
    };
    match read {
        Err(error) if error.is_about_the_file() => {
            tracing::warn!(%error, "the recorder's last events cannot be read");
            history.is_incomplete = true;
        }
        read => read?,
    }
    Ok(history)
}
