//! The order in which the recorder's own segments were written: that of their time lines, and of their names within one.
//!
//! ```text
//! sealed        the manifest has its time line, unless a failing disk has lost it
//! begins with   started, clock_step ──▶ says it itself
//! otherwise     a later one tells that it ended: in the same time line, or in the one before where a step has ended it
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

/// Segments of the recorder's own stream that are read, of those that are sealed: a day has one, and a few more where
/// streams are rotated by hand. Only what is not sealed yet depends on them, and that is never so old.
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

/// The last segments in the order in which they were written, with their time lines where anything tells them. Those up to
/// `reached` and those ahead of it count apart.
pub(super) fn in_order(
    files: &dyn Files,
    mut segments: Vec<RecorderSegment>,
    reached: Stamp,
) -> Result<Vec<(RecorderSegment, Option<u64>)>, IoError> {
    // A segment that is there both plain and sealed was being sealed; the plain one is certain to be whole.
    segments.sort_by_key(|segment| (segment.name.first, segment.is_sealed));
    segments.dedup_by(|later, earlier| later.name == earlier.name);
    let (ahead, past): (Vec<_>, Vec<_>) = segments.into_iter().partition(|segment| segment.name.first > reached);
    let mut chosen = Vec::new();
    for part in [past, ahead] {
        let skipped = part.len().saturating_sub(SEGMENTS);
        // What is not sealed yet is recent, whatever its name says: the clock may have been set back.
        let is_recent = |(index, segment): &(usize, RecorderSegment)| *index >= skipped || !segment.is_sealed;
        chosen.extend(part.into_iter().enumerate().filter(is_recent).map(|(_, segment)| segment));
    }
    let epochs = epochs(files, &chosen)?;
    let epoch_of = |segment: &RecorderSegment| {
        let before = epochs.iter().filter(|(name, _)| name.first <= segment.name.first).map(|(_, epoch)| *epoch);
        // What nothing tells is not older than what is before it by its name.
        epochs.get(&segment.name).copied().or(before.max()).unwrap_or(u64::MAX)
    };
    chosen.sort_by_cached_key(|segment| (epoch_of(segment), segment.name.first));
    let told = |segment: RecorderSegment| {
        let epoch = epochs.get(&segment.name).copied();
        (segment, epoch)
    };
    Ok(chosen.into_iter().map(told).collect())
}

/// The time lines of segments, as far as anything tells them.
fn epochs(files: &dyn Files, segments: &[RecorderSegment]) -> Result<BTreeMap<SegmentName, u64>, IoError> {
    let (mut epochs, mut manifests, mut told) = (BTreeMap::new(), BTreeMap::new(), Told::default());
    // One that cannot be read tells nothing here; the user is told where its events are read.
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

/// What segments tell of themselves and of each other, by their plain names.
#[derive(Debug, Default)]
struct Told {
    epochs: BTreeMap<String, u64>,
    /// Who tells that a segment ended, and whether a step had ended it by which stamps went back.
    ended: BTreeMap<String, (String, bool)>,
}

impl Told {
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
        // Whoever tells is later than what it tells of, but files may say anything.
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
