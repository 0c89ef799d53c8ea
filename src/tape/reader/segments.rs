//! Which segments a stream has, and which of them can hold a range of stamps.
//!
//! A recorder moves them while they are listed, in one direction:
//!
//! ```text
//! KRW-BTC_trade.jsonl ──rename──▶ date=…/KRW-BTC_trade.<time>.jsonl ──seal──▶ ….jsonl.zst (then the plain one goes)
//! ```
//!
//! So the active file is opened first, each directory is listed twice, and then the active file has to be the same
//! still. A segment that a listing misses because it was being sealed has its sealed file before the second one begins;
//! one that was rotated meanwhile makes the active file another one, and the listing is repeated.

use super::error::TapeError;
use super::source::Source;
use super::tree::Tree;
use crate::clock::Stamp;
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
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Listings before a stream counts as rotated too fast to be read: at the smallest segments and the greatest rates a
/// recorder rotates a stream some times a second, and a listing takes milliseconds.
const LOOKS: usize = 100;

/// A name is this much later than the first line at the most, where a clock set back has brought the stamp before.
const NAMED_LATER: Duration = Duration::from_millis(1);

/// A segment to be read.
#[derive(Debug)]
pub(super) enum Segment {
    /// One in the archive, by its name below the root; the length of its content, if the manifest lists it.
    Archived { tree: Tree, name: SegmentName, listed: Option<u64> },
    /// The one that was active, held open.
    Active { stream: StreamKey, path: PathBuf, file: Box<dyn ReadFile> },
}

impl Segment {
    /// Opens it where its lines from `begin` on are, or before; `None` where it is gone since it was listed: pruned.
    pub(super) fn open(self, begin: Stamp) -> Result<Option<Source>, TapeError> {
        let (tree, name, listed) = match self {
            Self::Active { stream, path, file } => {
                return Source::plain(path, file, line::longest(&stream), begin).map(Some);
            }
            Self::Archived { tree, name, listed } => (tree, name, listed),
        };
        let (plain, sealed, longest) = (name.plain(), name.sealed(), line::longest(&name.stream));
        // A sealed segment is verified. A plain file beside it may be the rest of its source after a power cut.
        if let Some(file) = tree.open(&sealed)? {
            return Ok(Some(Source::sealed(tree.shown(&sealed), file, longest, listed)));
        }
        if let Some(file) = tree.open(&plain)? {
            return Source::plain(tree.shown(&plain), file, longest, begin).map(Some);
        }
        // The plain file goes when the sealed one is there.
        Ok(tree.open(&sealed)?.map(|file| Source::sealed(tree.shown(&sealed), file, longest, listed)))
    }
}

/// The segments of `stream` that can have lines in `stamps`, oldest first.
pub(super) fn list(tree: &Tree, stream: &StreamKey, stamps: &RangeInclusive<Stamp>) -> Result<Vec<Segment>, TapeError> {
    let path = paths::active(Feed::Public, stream);
    for _ in 0..LOOKS {
        // A stream whose name an obstacle has taken is recorded in `misc`.
        let active = tree.open_unless_in_the_way(&path)?;
        let mut segments = Vec::new();
        for date in dates(tree, stamps)? {
            segments.append(&mut archived(tree, &date, stream, stamps)?);
        }
        let is_still = match &active {
            Some(active) => tree.is_still(&path, &**active)?,
            None => tree.open_unless_in_the_way(&path)?.is_none(),
        };
        if is_still {
            let (stream, path) = (stream.clone(), tree.shown(&path));
            segments.extend(active.map(|file| Segment::Active { stream, path, file }));
            return Ok(segments);
        }
    }
    Err(TapeError::Restless { path: tree.shown(&path) })
}

/// When the dates begin that have a directory, newest first.
pub(super) fn dates_back(tree: &Tree) -> Result<Vec<Stamp>, TapeError> {
    let dates = dates(tree, &(Stamp::default()..=Stamp::MAX))?;
    Ok(dates.iter().rev().filter_map(|date| span_of(date)).map(|(begin, _)| begin).collect())
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

/// The directories of the dates that `stamps` touches, in order.
fn dates(tree: &Tree, stamps: &RangeInclusive<Stamp>) -> Result<BTreeSet<String>, TapeError> {
    let touches = |name: &String| {
        // No segment spans two dates.
        span_of(name).is_some_and(|(begin, end)| begin <= *stamps.end() && *stamps.start() < end)
    };
    Ok(tree.names(&paths::archive(Feed::Public))?.into_iter().filter(touches).collect())
}

/// A stream's segments in the directory of a date, as far as they can have lines in `stamps`; with their entries in the
/// manifest.
fn archived(
    tree: &Tree,
    date: &str,
    stream: &StreamKey,
    stamps: &RangeInclusive<Stamp>,
) -> Result<Vec<Segment>, TapeError> {
    let directory = paths::archive(Feed::Public).join(date);
    let begin = format!("{stream}.");
    let mut found = BTreeSet::new();
    for _ in 0..2 {
        let own = tree.names(&directory)?.into_iter().filter(|name| name.starts_with(&begin));
        found.extend(own.filter_map(|name| segment(date, &name)).filter(|segment| segment.stream == *stream));
    }
    found.retain(|name: &SegmentName| name.first.before(NAMED_LATER) <= *stamps.end());
    let Some(manifest) = found.first().map(SegmentName::manifest) else { return Ok(Vec::new()) };
    let entries = tree.entries(&manifest, stream)?.into_iter().map(|entry| (entry.name.clone(), entry));
    let entries: BTreeMap<String, ManifestEntry> = entries.collect();
    let segments = found.into_iter().filter_map(|name| {
        let file = name.sealed().file_name()?.to_str()?.to_owned();
        let entry = entries.get(&file);
        let ends_too_early = entry.is_some_and(|entry| entry.last < *stamps.start());
        let listed = entry.map(|entry| entry.bytes);
        (!ends_too_early).then(|| Segment::Archived { tree: tree.clone(), name, listed })
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
