//! The write order of the recorder's own segments: by epoch, then by name.
//!
//! ```text
//! sealed        the manifest has its epoch, unless a failing disk has lost the line
//! begins with   started, clock_step ──▶ names its own epoch
//! otherwise     a later one records its end: in the same epoch, or in the one before if a clock step has ended it
//! ```

use super::manifests::manifest;
use crate::clock::Stamp;
use crate::files::lines::{LONGEST_OWN, Lines};
use crate::files::{Files, IoError};
use crate::tape::event::Event;
use crate::tape::paths;
use crate::tape::record::Record;
use crate::tape::segment_name::SegmentName;
use crate::tape::stream_key::StreamKey;
use crate::tape::words::RotationReason;
use crate::upbit::feed::Feed;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::PathBuf;

/// Sealed segments of the recorder's own stream that are read: a day has one, and a few more after manual rotations.
/// Only segments not sealed yet depend on them, and those are recent.
const SEGMENTS: usize = 16;

/// A segment of the recorder's own stream in the archive.
#[derive(Debug)]
pub(super) struct RecorderSegment {
    pub(super) name: SegmentName,
    pub(super) is_sealed: bool,
}

impl RecorderSegment {
    pub(super) fn path(&self) -> PathBuf {
        if self.is_sealed { self.name.sealed() } else { self.name.plain() }
    }

    /// Its events.
    pub(super) fn open(&self, files: &dyn Files) -> io::Result<Box<dyn Read>> {
        let file = files.read(&self.path())?;
        Ok(if self.is_sealed { Box::new(zstd::stream::read::Decoder::new(file)?) } else { Box::new(file) })
    }
}

/// The last segments in write order, with their epochs where recorded. The bound applies separately to those up to
/// `reached` and those ahead of it.
pub(super) fn in_order(
    files: &dyn Files,
    mut segments: Vec<RecorderSegment>,
    reached: Stamp,
) -> Result<Vec<(RecorderSegment, Option<u64>)>, IoError> {
    // A segment both plain and sealed was being sealed; its plain file is certainly whole.
    segments.sort_by_key(|segment| (segment.name.first, segment.is_sealed));
    segments.dedup_by(|later, earlier| later.name == earlier.name);
    let (ahead, past): (Vec<_>, Vec<_>) = segments.into_iter().partition(|segment| segment.name.first > reached);
    let mut chosen = Vec::new();
    for part in [past, ahead] {
        let skipped = part.len().saturating_sub(SEGMENTS);
        // An unsealed segment is recent, whatever its name: the clock may have been set back.
        let is_recent = |(index, segment): &(usize, RecorderSegment)| *index >= skipped || !segment.is_sealed;
        chosen.extend(part.into_iter().enumerate().filter(is_recent).map(|(_, segment)| segment));
    }
    let epochs = epochs(files, &chosen)?;
    let epoch_of = |segment: &RecorderSegment| {
        let before = epochs.iter().filter(|(name, _)| name.first <= segment.name.first).map(|(_, epoch)| *epoch);
        // An unrecorded epoch is at least that of the segments before it by name.
        epochs.get(&segment.name).copied().or(before.max()).unwrap_or(u64::MAX)
    };
    chosen.sort_by_cached_key(|segment| (epoch_of(segment), segment.name.first));
    let told = |segment: RecorderSegment| {
        let epoch = epochs.get(&segment.name).copied();
        (segment, epoch)
    };
    Ok(chosen.into_iter().map(told).collect())
}

/// The recorded epochs of segments.
fn epochs(files: &dyn Files, segments: &[RecorderSegment]) -> Result<BTreeMap<SegmentName, u64>, IoError> {
    let (mut epochs, mut manifests, mut told) = (BTreeMap::new(), BTreeMap::new(), EndedSegments::default());
    // Unreadable files are skipped here; the reader of their events reports them.
    if let Ok(active) = files.read(&paths::active(Feed::Public, &StreamKey::recorder())) {
        told.read("recorder.jsonl", active);
    }
    for segment in segments {
        let (name, directory) = (&segment.name, segment.name.directory());
        if segment.is_sealed && !manifests.contains_key(&directory) {
            let entries = manifest(files, &directory)?.into_iter().map(|entry| (entry.name, entry.epoch));
            manifests.insert(directory.clone(), entries.collect::<BTreeMap<_, _>>());
        }
        let file = segment.path();
        let sealed = file.file_name().unwrap_or_default().to_string_lossy();
        if let Some(epoch) = manifests.get(&directory).and_then(|listed| listed.get(&*sealed)) {
            epochs.insert(name.clone(), *epoch);
        } else if let Ok(content) = segment.open(files) {
            told.read(&name.plain_name(), content);
        }
    }
    for RecorderSegment { name, .. } in segments {
        if let Some(epoch) = told.epoch(&name.plain_name()) {
            epochs.entry(name.clone()).or_insert(epoch);
        }
    }
    Ok(epochs)
}

/// The epochs that segments record of themselves and of each other, by their plain names.
#[derive(Debug, Default)]
struct EndedSegments {
    epochs: BTreeMap<String, u64>,
    /// The segment that records the end of another, and whether a backward step had ended that one.
    ended: BTreeMap<String, (String, bool)>,
}

impl EndedSegments {
    fn read(&mut self, name: &str, content: impl Read) {
        let (mut is_first, mut went_back) = (true, false);
        let mut lines = Lines::new(content, LONGEST_OWN);
        while let Ok(Some(line)) = lines.next_line() {
            let is_first = std::mem::take(&mut is_first);
            match Record::parse(line).and_then(|record| record.event) {
                Some(Event::Started { epoch: Some(epoch), .. }) if is_first => {
                    self.epochs.insert(name.to_owned(), epoch);
                }
                Some(Event::ClockStep { epoch, before, after, .. }) if is_first => {
                    self.epochs.insert(name.to_owned(), epoch);
                    went_back = before >= after;
                }
                Some(Event::Rotated { reason, mut segments, epoch }) => {
                    segments.retain(|segment| segment.starts_with("recorder."));
                    let by = (name.to_owned(), went_back && reason == RotationReason::Clock.into());
                    for segment in segments {
                        match epoch {
                            Some(epoch) => _ = self.epochs.insert(segment, epoch),
                            None => _ = self.ended.insert(segment, by.clone()),
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn epoch(&self, name: &str) -> Option<u64> {
        let (mut name, mut steps) = (name, 0);
        // The recording segment is the later one, but damaged files may form a cycle, so the walk is bounded.
        for _ in 0..=self.ended.len() {
            if let Some(epoch) = self.epochs.get(name) {
                return Some(epoch.saturating_sub(steps));
            }
            let (by, is_step) = self.ended.get(name)?;
            (name, steps) = (by, steps + u64::from(*is_step));
        }
        None
    }
}
