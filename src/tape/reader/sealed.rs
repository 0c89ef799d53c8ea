//! What is sealed of a date: each stream's files as far as they are there, as the manifest lists them, or as they are.

use super::lines::{self, Lines};
use super::manifest::Listing;
use super::merged;
use super::segment::{Archive, Segment};
use super::segments::{self, Wanted};
use super::source::About;
use super::summary;
use super::tree::Tree;
use super::unlisted::{Measured, measure};
use super::{Selection, TapeError};
use crate::clock::{Position, Stamp};
use crate::files::ReadFile;
use crate::tape::line::longest;
use crate::tape::manifest::ManifestEntry;
use crate::tape::paths;
use crate::tape::segment_name::{self, Archived, SegmentName, parse_archived};
use crate::tape::stream_key::StreamKey;
use crate::upbit::feed::Feed;
use jiff::civil::Date;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// The sealed files of a date, by stream.
#[derive(Debug, Default)]
pub struct SealedDate {
    /// Each stream that has a file, or that the manifest has one of.
    pub streams: BTreeMap<StreamKey, SealedStream>,
    /// The streams that have a segment of this date that is not sealed and listed: in its directory, or active.
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
    /// Files that the manifest does not list.
    unlisted: Vec<SegmentName>,
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
        Self { tree: self.tree.clone(), segments: Vec::new(), unlisted: Vec::new(), missing: 0 }
    }

    /// Whether no file of it is there.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.unlisted.is_empty()
    }

    /// Where its first file begins, by its name; `None`: it has none.
    pub fn begin(&self) -> Option<Position> {
        let unlisted = self.unlisted.iter().map(|name| Position { epoch: name.epoch, stamp: name.first });
        self.segments.iter().map(|segment| segment.position).chain(unlisted).min()
    }

    /// The same with the files that the manifest does not list, which are read for it.
    ///
    /// # Errors
    /// One of them cannot be read, or is damaged.
    pub fn measured(&self) -> Result<Cow<'_, Self>, TapeError> {
        if self.unlisted.is_empty() {
            return Ok(Cow::Borrowed(self));
        }
        let mut own = self.clone();
        for name in std::mem::take(&mut own.unlisted) {
            match measure(&self.tree, &name)? {
                Some(measured) => own.segments.push(of_measured(name, measured)),
                None => own.missing += 1,
            }
        }
        own.segments.sort_by_key(|segment| segment.position);
        Ok(Cow::Owned(own))
    }

    /// Bytes of the content of all files that are listed.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }
}

/// What is sealed of a date, of the streams that are meant.
pub(super) fn of_date(tree: &Tree, date: Date, is_meant: &dyn Fn(&StreamKey) -> bool) -> Result<SealedDate, TapeError> {
    let directory = paths::date_directory(Feed::Public, date);
    let shown = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // The manifest first: what is sealed meanwhile is a file that it does not list, and none that is missing.
    let listing = tree.listing_of_all(&paths::manifest(&directory))?;
    let names: BTreeSet<String> = tree.names(&directory)?.into_iter().collect();
    let (shared, mut sealed) = (Arc::new(tree.clone()), SealedDate::default());
    let empty = || SealedStream { tree: shared.clone(), segments: Vec::new(), unlisted: Vec::new(), missing: 0 };
    let segment = |name: &str| segments::segment(&shown, name).filter(|segment| is_meant(&segment.stream));
    let mut listed: BTreeSet<String> = listing.pruned.keys().cloned().collect();
    for name in listing.pruned.keys().filter_map(|name| segment(name)) {
        sealed.streams.entry(name.stream).or_insert_with(empty).missing += 1;
    }
    for entry in listing.sealed {
        let Some(name) = segment(&entry.name) else { continue };
        sealed.venue = entry.venue.as_ref().map(ToString::to_string).or(sealed.venue);
        listed.insert(entry.name.clone());
        let own = sealed.streams.entry(name.stream.clone()).or_insert_with(empty);
        match names.contains(&entry.name) {
            true => own.segments.push(of_entry(name, entry)),
            false => own.missing += 1,
        }
    }
    let files = names.iter().filter_map(|name| Some((name, parse_archived(Feed::Public, &shown, name)?)));
    for (file, archived) in files {
        match archived {
            Archived::Sealed(name) if is_meant(&name.stream) && !listed.contains(file) => {
                sealed.streams.entry(name.stream.clone()).or_insert_with(empty).unlisted.push(name);
            }
            // One beside its sealed file was compressed, and is removed once that is listed.
            Archived::Plain(name) if is_meant(&name.stream) => {
                let file = format!("{file}.zst");
                if !(names.contains(&file) && listed.contains(&file)) {
                    sealed.waiting.insert(name.stream);
                }
            }
            _ => {}
        }
    }
    for own in sealed.streams.values_mut() {
        own.segments.sort_by_key(|segment| segment.position);
    }
    // One that cannot be read may be of any date.
    let active = active_dates(tree, is_meant)?.into_iter();
    sealed.waiting.extend(active.filter(|(_, own)| own.is_none_or(|own| own == date)).map(|(stream, _)| stream));
    Ok(sealed)
}

/// The streams that are meant and have lines in an active file, and the date of these; `None`: it cannot be read.
pub(super) fn active_dates(
    tree: &Tree,
    is_meant: &dyn Fn(&StreamKey) -> bool,
) -> Result<Vec<(StreamKey, Option<Date>)>, TapeError> {
    let date = |(stream, file): (StreamKey, Box<dyn ReadFile>)| {
        let path = tree.shown(&paths::active(Feed::Public, &stream));
        let about = About { path, longest: longest(&stream), epoch: 0 };
        match Segment::Active(about, file).first_position() {
            Ok(first) => first.map(|first| (stream, Some(segment_name::date(first.stamp)))),
            Err(_) => Some((stream, None)),
        }
    };
    Ok(segments::open_active(tree, &Wanted::Meant(is_meant))?.into_iter().filter_map(date).collect())
}

/// Where each stream ended before a position, as the manifests of some dates tell, of deleted files too. A date that cannot
/// be read tells nothing: that it is damaged is found where it is read for itself.
pub(super) fn ends_before(
    tree: &Tree,
    dates: Range<Date>,
    mut wanted: BTreeMap<StreamKey, Position>,
) -> Result<BTreeMap<StreamKey, Position>, TapeError> {
    let mut found = BTreeMap::new();
    for date in summary::dates(tree)?.into_iter().rev().filter(|date| dates.contains(date)) {
        if wanted.is_empty() {
            break;
        }
        let directory = paths::date_directory(Feed::Public, date);
        let Ok(Listing { sealed, pruned }) = tree.listing_of_all(&paths::manifest(&directory)) else { continue };
        for entry in sealed.iter().chain(pruned.values().flatten()) {
            let stream = StreamKey::from_stem(&entry.stream);
            let end = Position { epoch: entry.epoch, stamp: entry.last };
            if let Some(stream) = stream.filter(|stream| wanted.get(stream).is_some_and(|begin| end < *begin)) {
                let last = found.entry(stream).or_insert(end);
                *last = end.max(*last);
            }
        }
        wanted.retain(|stream, _| !found.contains_key(stream));
    }
    Ok(found)
}

fn of_entry(name: SegmentName, entry: ManifestEntry) -> SealedSegment {
    // A version before this one had the epoch in the manifest alone.
    let epoch = if name.epoch == 0 { entry.epoch } else { name.epoch };
    let position = Position { epoch, stamp: name.first };
    let ManifestEntry { last, lines, bytes, sha256, .. } = entry;
    SealedSegment { name, position, last, lines, bytes, sha256: sha256.into() }
}

fn of_measured(name: SegmentName, measured: Measured) -> SealedSegment {
    let position = Position { epoch: name.epoch, stamp: name.first };
    let Measured { last, lines, bytes, sha256 } = measured;
    SealedSegment { name, position, last, lines, bytes, sha256: sha256.into() }
}

/// Two streams of one date as one, in the order of positions.
pub fn merged(streams: &[&SealedStream]) -> merged::Merged {
    merged::Merged::new(streams.iter().map(|stream| stream.lines()).collect())
}
