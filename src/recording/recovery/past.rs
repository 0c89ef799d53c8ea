//! How far earlier processes had come: the last stamps of what they left, and their own events.
//!
//! ```text
//! archive/date=*/manifest.jsonl   newest first, until every tree has a stamp ─┐
//! active and waiting segments                                                ├──▶ Past: the newest time line counts
//! recorder.jsonl, and the last segments of it in the archive ──▶ History ─────┘
//! ```
//!
//! Dates later than today are of a clock that was wrong, then or now, so they are looked at as well.

use super::history::History;
use crate::clock::Stamp;
use crate::recording::files::{Files, StorageError};
use crate::recording::naming::layout::{SegmentName, Tree};
use crate::recording::naming::manifest::Entry;
use crate::recording::naming::stream_key::StreamKey;
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

/// Segments of the recorder's own stream that are read, of those that are sealed: a day has one, and a few more where
/// streams are rotated by hand. Only what is not sealed yet depends on them, and that is never so old.
const RECORDER_SEGMENTS: usize = 8;

/// The last stamps, by time line.
#[derive(Debug, Default)]
pub(super) struct Past {
    by_epoch: BTreeMap<u64, Last>,
}

/// The latest stamps of one time line.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Last {
    /// Of any line.
    pub(super) any: Option<Stamp>,
    /// Of a line from the exchange, per tree.
    pub(super) data: [Option<Stamp>; 2],
}

impl Past {
    /// A line stamped `last` is there.
    pub(super) fn note(&mut self, epoch: u64, tree: Tree, stream: &StreamKey, last: Stamp) {
        let noted = self.by_epoch.entry(epoch).or_default();
        noted.any = noted.any.max(Some(last));
        if is_received(stream) {
            let data = &mut noted.data[tree as usize];
            *data = (*data).max(Some(last));
        }
    }

    /// The latest time line that left anything.
    pub(super) fn newest_epoch(&self) -> u64 {
        self.by_epoch.keys().next_back().copied().unwrap_or_default()
    }

    /// The latest stamps of a time line.
    pub(super) fn last(&self, epoch: u64) -> Last {
        self.by_epoch.get(&epoch).copied().unwrap_or_default()
    }

    /// Whether there is a line from the exchange in any time line.
    pub(super) fn has_data(&self, tree: Tree) -> bool {
        self.by_epoch.values().any(|last| last.data[tree as usize].is_some())
    }

    /// Reads manifests, those of `directories` in their order, until one knows a line from the exchange.
    pub(super) fn read_manifests(
        &mut self,
        files: &dyn Files,
        tree: Tree,
        directories: impl Iterator<Item = PathBuf>,
    ) -> Result<(), StorageError> {
        for directory in directories {
            let mut found = false;
            for entry in manifest(files, &directory)? {
                let (stream, last) = (StreamKey::from_stem(&entry.stream), Stamp::from_micros(entry.last));
                if let (Some(stream), Some(last)) = (stream, last) {
                    found |= is_received(&stream);
                    self.note(entry.epoch, tree, &stream, last);
                }
            }
            if found {
                break;
            }
        }
        Ok(())
    }
}

/// Whether lines of a stream came over a connection, and so say that it was listened to.
fn is_received(stream: &StreamKey) -> bool {
    *stream != StreamKey::recorder() && !stream.is_healed()
}

/// A segment of the recorder's own stream in the archive.
#[derive(Debug)]
pub(super) struct RecorderSegment {
    pub(super) name: SegmentName,
    pub(super) is_sealed: bool,
}

/// Reads the recorder's events: the last segments in the archive, then the active file.
pub(super) fn read_history(
    files: &dyn Files,
    segments: Vec<RecorderSegment>,
    now: Stamp,
) -> Result<History, StorageError> {
    let mut history = History::default();
    for segment in in_order(files, segments, now)? {
        let path = if segment.is_sealed { segment.name.sealed() } else { segment.name.plain() };
        if let Err(error) = read_segment(files, &segment, &path, &mut history) {
            // What a damaged file would have told is missing then; it must not keep the recorder from recording.
            tracing::warn!(file = %path.display(), %error, "the recorder's earlier events cannot be read");
        }
    }
    let active = Tree::Public.active(&StreamKey::recorder());
    let read = match files.read(&active) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        file => file.and_then(|file| history.read(file)).map_err(StorageError::at("read", &active)),
    };
    match read {
        Err(error) if error.is_about_the_file() => {
            tracing::warn!(%error, "the recorder's last events cannot be read");
        }
        read => read?,
    }
    Ok(history)
}

/// The last segments in the order in which they were written, which is that of the stamps within a time line.
fn in_order(
    files: &dyn Files,
    mut segments: Vec<RecorderSegment>,
    now: Stamp,
) -> Result<Vec<RecorderSegment>, StorageError> {
    // A segment that is there both plain and sealed was being sealed; the plain one is certain to be whole.
    segments.sort_by_key(|segment| (segment.name.first, segment.is_sealed));
    segments.dedup_by(|later, earlier| later.name == earlier.name);
    let (ahead, past): (Vec<_>, Vec<_>) = segments.into_iter().partition(|segment| segment.name.first > now);
    let mut chosen = Vec::new();
    for part in [past, ahead] {
        let skipped = part.len().saturating_sub(RECORDER_SEGMENTS);
        chosen.extend(part.into_iter().skip(skipped));
    }
    let epochs = epochs(files, &chosen)?;
    let epoch_of = |segment: &RecorderSegment| {
        let before = epochs.iter().filter(|(name, _)| name.first <= segment.name.first).map(|(_, epoch)| *epoch);
        // What nothing tells is not older than what is before it by its name.
        epochs.get(&segment.name).copied().or(before.max()).unwrap_or(u64::MAX)
    };
    chosen.sort_by_cached_key(|segment| (epoch_of(segment), segment.name.first));
    Ok(chosen)
}

/// The time lines of segments, as far as manifests tell of those that are sealed, and the first events of the others.
fn epochs(files: &dyn Files, segments: &[RecorderSegment]) -> Result<BTreeMap<SegmentName, u64>, StorageError> {
    #[derive(serde::Deserialize)]
    struct First {
        event: String,
        epoch: u64,
    }
    let (mut epochs, mut manifests) = (BTreeMap::new(), BTreeMap::new());
    for segment in segments {
        let (name, directory) = (&segment.name, segment.name.directory());
        let told = if segment.is_sealed {
            if !manifests.contains_key(&directory) {
                let entries = manifest(files, &directory)?.into_iter().map(|entry| (entry.name, entry.epoch));
                manifests.insert(directory.clone(), entries.collect::<BTreeMap<_, _>>());
            }
            let sealed = name.sealed();
            let sealed = sealed.file_name().unwrap_or_default().to_string_lossy();
            manifests.get(&directory).and_then(|listed| listed.get(&*sealed).copied())
        } else {
            // One that cannot be read is told of where it is read.
            let mut first = Vec::new();
            let read = files.read(&name.plain()).and_then(|file| BufReader::new(file).read_until(b'\n', &mut first));
            let first = read.ok().and_then(|_| serde_json::from_slice::<First>(&first).ok());
            first.filter(|first| ["started", "clock_step"].contains(&&*first.event)).map(|first| first.epoch)
        };
        epochs.extend(told.map(|epoch| (name.clone(), epoch)));
    }
    Ok(epochs)
}

fn read_segment(files: &dyn Files, segment: &RecorderSegment, path: &Path, history: &mut History) -> io::Result<()> {
    let file = files.read(path)?;
    if segment.is_sealed { history.read(zstd::stream::read::Decoder::new(file)?) } else { history.read(file) }
}

/// The entries of a directory's manifest; lines that are none are passed over.
pub(super) fn manifest(files: &dyn Files, directory: &Path) -> Result<Vec<Entry>, StorageError> {
    let path = directory.join("manifest.jsonl");
    let file = match files.read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => match opened.map_err(StorageError::at("read", &path)) {
            Err(error) if error.is_about_the_file() => {
                tracing::warn!(%error, "what it lists is not known");
                return Ok(Vec::new());
            }
            opened => opened?,
        },
    };
    let mut entries = Vec::new();
    for line in BufReader::new(file).split(b'\n') {
        entries.extend(serde_json::from_slice(&line.map_err(StorageError::at("read", &path))?).ok());
    }
    Ok(entries)
}
