//! Which segments a stream has, and which of them can hold what is selected.
//!
//! A recorder moves them while they are listed, in one direction:
//!
//! ```text
//! KRW-BTC_trade.jsonl ──rename──▶ date=…/KRW-BTC_trade.<time>.jsonl ──seal──▶ ….jsonl.zst (then the plain one goes)
//! ```
//!
//! So the active file is opened first, each directory is listed twice, and then the active file has to be the same
//! still. A segment that a listing misses because it was being sealed has its sealed file before the second one begins;
//! one that was rotated meanwhile makes the active file another one, and the listing is repeated. An active file is of the
//! epoch that the recorder's own files name, since a new one begins after all segments ended.

use super::error::TapeError;
use super::selection::Selection;
use super::source::{About, Source};
use super::tree::Tree;
use crate::clock::{Position, Stamp};
use crate::files::ReadFile;
use crate::tape::day::midnight;
use crate::tape::line;
use crate::tape::manifest::ManifestEntry;
use crate::tape::paths;
use crate::tape::segment_name::{self, Archived, SegmentName};
use crate::tape::stream_key::StreamKey;
use crate::upbit::feed::Feed;
use jiff::civil::Date;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

/// Listings before a stream counts as rotated too fast to be read: at the smallest segments and the greatest rates a
/// recorder rotates a stream some times a second, and a listing takes milliseconds.
const LOOKS: usize = 100;

/// A name is this much later than the first line at the most, in a directory whose names hold no epochs: where a clock set
/// back had brought the stamp before.
const NAMED_LATER: Duration = Duration::from_millis(1);

/// A segment to be read.
#[derive(Debug)]
pub(super) enum Segment {
    /// One in the archive.
    Archived(Archive),
    /// The one that was active, held open.
    Active(About, Box<dyn ReadFile>),
}

/// A segment in the archive, and what its manifest says of it.
#[derive(Debug)]
pub(super) struct Archive {
    tree: Tree,
    name: SegmentName,
    /// Its epoch, and the stamp in its name.
    position: Position,
    /// The stamp of its last line, and the length of its content, where the manifest lists it.
    listed: Option<(Stamp, u64)>,
}

impl Segment {
    /// The epoch of its lines.
    pub(super) fn epoch(&self) -> u64 {
        match self {
            Self::Archived(archived) => archived.position.epoch,
            Self::Active(about, _) => about.epoch,
        }
    }

    /// Opens it where its lines from `begin` on are, or before; `None` where it is gone since it was listed: pruned.
    pub(super) fn open(self, begin: Stamp) -> Result<Option<Source>, TapeError> {
        match self {
            Self::Active(about, file) => Source::plain(about, file, begin).map(Some),
            Self::Archived(archived) => archived.open(begin),
        }
    }
}

impl Archive {
    fn open(self, begin: Stamp) -> Result<Option<Source>, TapeError> {
        let Self { tree, name, position, listed } = self;
        let (plain, sealed, longest) = (name.plain(), name.sealed(), line::longest(&name.stream));
        let about = |path: &Path| About { path: tree.shown(path), longest, epoch: position.epoch };
        let bytes = listed.map(|(_, bytes)| bytes);
        // A sealed segment is verified. A plain file beside it may be the rest of its source after a power cut.
        if let Some(file) = tree.open(&sealed)? {
            return Ok(Some(Source::sealed(about(&sealed), file, bytes)));
        }
        if let Some(file) = tree.open(&plain)? {
            return Source::plain(about(&plain), file, begin).map(Some);
        }
        // The plain file goes when the sealed one is there.
        Ok(tree.open(&sealed)?.map(|file| Source::sealed(about(&sealed), file, bytes)))
    }

    /// Whether it can have a line in `stamps`.
    fn can_hold(&self, stamps: &RangeInclusive<Stamp>) -> bool {
        self.name.first.before(NAMED_LATER) <= *stamps.end()
            && stamps.start() <= stamps.end()
            && self.listed.is_none_or(|(last, _)| last >= *stamps.start())
    }
}

/// The segments of `stream` that can have lines that are selected, in the order in which they were written.
pub(super) fn list(tree: &Tree, stream: &StreamKey, selected: &Selection) -> Result<Vec<Segment>, TapeError> {
    let path = paths::active(Feed::Public, stream);
    for _ in 0..LOOKS {
        // A stream whose name an obstacle has taken is recorded in `misc`.
        let active = tree.open_unless_in_the_way(&path)?;
        let mut archives = Vec::new();
        for date in dates(tree, selected.stamps())? {
            archives.append(&mut archived(tree, &date, stream)?);
        }
        archives.sort_by_key(|archive| archive.position);
        let epoch = archives.last().map_or(0, |archive| archive.position.epoch).max(tree.epoch());
        archives.retain(|archive| archive.can_hold(&selected.of_epoch(archive.position.epoch)));
        let is_still = match &active {
            Some(active) => tree.is_still(&path, &**active)?,
            None => tree.open_unless_in_the_way(&path)?.is_none(),
        };
        if is_still {
            let about = About { path: tree.shown(&path), longest: line::longest(stream), epoch };
            let active = active.filter(|_| !selected.of_epoch(epoch).is_empty());
            let archived = archives.into_iter().map(Segment::Archived);
            return Ok(archived.chain(active.map(|file| Segment::Active(about, file))).collect());
        }
    }
    Err(TapeError::Restless { path: tree.shown(&path) })
}

/// The streams that have a segment.
pub(super) fn streams(tree: &Tree) -> Result<BTreeSet<StreamKey>, TapeError> {
    let mut streams: BTreeSet<StreamKey> =
        tree.names(Path::new(""))?.iter().filter_map(|name| paths::parse_active(name)).collect();
    let archive = paths::archive(Feed::Public);
    for date in tree.names(&archive)?.into_iter().filter(|name| paths::is_date_directory(name)) {
        let archived = tree.names(&archive.join(&date))?;
        streams.extend(archived.iter().filter_map(|name| segment(&date, name)).map(|segment| segment.stream));
    }
    Ok(streams)
}

/// Whether selected lines of `stream` were deleted by the retention.
pub(super) fn is_pruned(tree: &Tree, stream: &StreamKey, selected: &Selection) -> Result<bool, TapeError> {
    for date in dates(tree, selected.stamps())? {
        let manifest = paths::manifest(&paths::archive(Feed::Public).join(&date));
        let touches = |(name, entry): (&String, &Option<ManifestEntry>)| match entry {
            Some(entry) => {
                let stamps = selected.of_epoch(entry.epoch);
                !stamps.is_empty() && entry.first <= *stamps.end() && *stamps.start() <= entry.last
            }
            // Its own line is lost, and where it ended.
            None => segment(&date, name).is_none_or(|segment| segment.first <= *selected.of_epoch(segment.epoch).end()),
        };
        if tree.listing(&manifest, stream)?.pruned.iter().any(touches) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The directories of the dates that `stamps` touches, in order.
fn dates(tree: &Tree, stamps: &RangeInclusive<Stamp>) -> Result<BTreeSet<String>, TapeError> {
    let touches = |name: &String| {
        // No segment spans two dates.
        span_of(name).is_some_and(|(begin, end)| begin <= *stamps.end() && *stamps.start() < end)
    };
    Ok(tree.names(&paths::archive(Feed::Public))?.into_iter().filter(touches).collect())
}

/// A stream's segments in the directory of a date. Where a name holds no epoch, that of the manifest counts: a version
/// before this one had it there alone.
fn archived(tree: &Tree, date: &str, stream: &StreamKey) -> Result<Vec<Archive>, TapeError> {
    let directory = paths::archive(Feed::Public).join(date);
    let begin = format!("{stream}.");
    let mut found = BTreeSet::new();
    for _ in 0..2 {
        let own = tree.names(&directory)?.into_iter().filter(|name| name.starts_with(&begin));
        found.extend(own.filter_map(|name| segment(date, &name)).filter(|segment| segment.stream == *stream));
    }
    let Some(manifest) = found.first().map(SegmentName::manifest) else { return Ok(Vec::new()) };
    let entries = tree.listing(&manifest, stream)?.sealed.into_iter().map(|entry| (entry.name.clone(), entry));
    let entries: BTreeMap<String, ManifestEntry> = entries.collect();
    let segments = found.into_iter().map(|name| {
        let file = name.sealed();
        let entry = file.file_name().and_then(|file| entries.get(file.to_str()?));
        let epoch = entry.filter(|_| name.epoch == 0).map_or(name.epoch, |entry| entry.epoch);
        let listed = entry.map(|entry| (entry.last, entry.bytes));
        Archive { tree: tree.clone(), position: Position { epoch, stamp: name.first }, name, listed }
    });
    Ok(segments.collect())
}

/// When the date of a directory begins, and when it is over.
fn span_of(directory: &str) -> Option<(Stamp, Stamp)> {
    let date = paths::date_of_directory(directory)?;
    let stamp = |date: Date| {
        Some(u64::try_from(midnight(date)?.as_microsecond()).ok().and_then(Stamp::from_micros).unwrap_or(Stamp::MAX))
    };
    Some((stamp(date)?, stamp(date.tomorrow().ok()?)?))
}

/// The segment that a file in a date directory is, or was sealed from.
fn segment(directory: &str, name: &str) -> Option<SegmentName> {
    match segment_name::parse_archived(Feed::Public, directory, name)? {
        Archived::Plain(segment) | Archived::Sealed(segment) => Some(segment),
        Archived::Unfinished(_) => None,
    }
}
