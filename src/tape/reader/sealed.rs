//! What is sealed of a date: each stream's files, as the manifest lists them and as far as they are there.

use super::lines::{self, Lines};
use super::merged;
use super::segment::{Archive, Segment};
use super::segments;
use super::tree::Tree;
use super::{Selection, TapeError};
use crate::clock::{Position, Stamp};
use crate::tape::manifest::ManifestEntry;
use crate::tape::paths;
use crate::tape::segment_name::SegmentName;
use crate::tape::stream_key::StreamKey;
use crate::upbit::feed::Feed;
use jiff::civil::Date;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The sealed files of a date, by stream.
#[derive(Debug, Default)]
pub struct SealedDate {
    /// Each stream that the manifest has a file of.
    pub streams: BTreeMap<StreamKey, SealedStream>,
    /// The streams that have a segment of this date that is not sealed.
    pub waiting: BTreeSet<StreamKey>,
    /// The venue that the manifest names, where it names one.
    pub venue: Option<String>,
}

/// The sealed files of a stream on a date.
#[derive(Clone, Debug)]
pub struct SealedStream {
    tree: Arc<Tree>,
    /// In the order in which they were written.
    pub segments: Vec<SealedSegment>,
    /// Files that the manifest lists and that are not there: deleted by the retention, or moved away.
    pub missing: u64,
}

/// A sealed file, in as few bytes as tell it: a day may have hundreds of thousands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedSegment {
    name: SegmentName,
    /// Its epoch, and the stamp in its name.
    position: Position,
    /// The stamp of its last line.
    pub last: Stamp,
    /// Lines.
    pub lines: u64,
    /// Bytes before compression.
    pub bytes: u64,
    /// SHA-256 of the file, lower-case hex.
    pub sha256: Box<str>,
}

impl SealedSegment {
    /// The file's name.
    pub fn file_name(&self) -> String {
        self.name.sealed().file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Where its last line is.
    pub fn end(&self) -> Position {
        Position { stamp: self.last, ..self.position }
    }
}

impl SealedStream {
    /// The lines of all files, in their order. A file that is gone since has none; [`Lines::decoded`] tells.
    pub fn lines(&self) -> Lines {
        let archived = self.segments.iter().map(|segment| {
            let listed = Some((segment.last, segment.bytes));
            Segment::Archived(Archive::new(self.tree.clone(), segment.name.clone(), segment.position, listed))
        });
        Lines::new(archived.collect(), Selection::from(Stamp::default()..=Stamp::MAX), lines::ALONE)
    }

    /// The same date without a file.
    #[must_use]
    pub fn without_segments(&self) -> Self {
        Self { tree: self.tree.clone(), segments: Vec::new(), missing: 0 }
    }

    /// Bytes of the content of all files.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }
}

/// What is sealed of a date, of the streams that are meant.
pub(super) fn of_date(tree: &Tree, date: Date, is_meant: &dyn Fn(&StreamKey) -> bool) -> Result<SealedDate, TapeError> {
    let directory = paths::date_directory(Feed::Public, date);
    let shown = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let names: BTreeSet<String> = tree.names(&directory)?.into_iter().collect();
    let listing = tree.listing_of_all(&paths::manifest(&directory))?;
    let (shared, mut sealed) = (Arc::new(tree.clone()), SealedDate::default());
    let empty = || SealedStream { tree: shared.clone(), segments: Vec::new(), missing: 0 };
    let segment = |name: &str| segments::segment(&shown, name).filter(|segment| is_meant(&segment.stream));
    for entry in listing.sealed {
        let Some(name) = segment(&entry.name) else { continue };
        sealed.venue = entry.venue.as_ref().map(ToString::to_string).or(sealed.venue);
        let own = sealed.streams.entry(name.stream.clone()).or_insert_with(empty);
        match names.contains(&entry.name) {
            true => own.segments.push(of_entry(name, entry)),
            false => own.missing += 1,
        }
    }
    for name in listing.pruned.keys().filter_map(|name| segment(name)) {
        sealed.streams.entry(name.stream).or_insert_with(empty).missing += 1;
    }
    for own in sealed.streams.values_mut() {
        own.segments.sort_by_key(|segment| segment.position);
    }
    let plain = segments::plain(tree, &BTreeSet::from([date]), is_meant)?;
    sealed.waiting =
        plain.into_iter().filter(|plain| plain.path.starts_with(&directory)).map(|plain| plain.stream).collect();
    Ok(sealed)
}

fn of_entry(name: SegmentName, entry: ManifestEntry) -> SealedSegment {
    // A version before this one had the epoch in the manifest alone.
    let epoch = if name.epoch == 0 { entry.epoch } else { name.epoch };
    let position = Position { epoch, stamp: name.first };
    let ManifestEntry { last, lines, bytes, sha256, .. } = entry;
    SealedSegment { name, position, last, lines, bytes, sha256: sha256.into() }
}

/// Two streams of one date as one, in the order of positions.
pub fn merged(streams: &[&SealedStream]) -> merged::Merged {
    merged::Merged::new(streams.iter().map(|stream| stream.lines()).collect())
}
