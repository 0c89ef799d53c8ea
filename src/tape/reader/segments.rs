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
use super::segment::{Archive, Segment};
use super::selection::Selection;
use super::source::About;
use super::tree::Tree;
use crate::clock::{Position, Stamp};
use crate::files::ReadFile;
use crate::tape::day_summary;
use crate::tape::line;
use crate::tape::manifest::ManifestEntry;
use crate::tape::paths::{self, PLAIN};
use crate::tape::segment_name::{self, Archived, SegmentName};
use crate::tape::stream_key::StreamKey;
use crate::upbit::feed::Feed;
use jiff::civil::Date;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Listings before a stream counts as rotated too fast to be read: at the smallest segments and the greatest rates a
/// recorder rotates a stream some times a second, and a listing takes milliseconds.
const LOOKS: usize = 100;

/// Which streams are listed.
pub(super) enum Wanted<'a> {
    /// One.
    One(&'a StreamKey),
    /// All that are meant.
    Meant(&'a dyn Fn(&StreamKey) -> bool),
}

impl Wanted<'_> {
    fn holds(&self, stream: &StreamKey) -> bool {
        match self {
            Self::One(one) => *one == stream,
            Self::Meant(is_meant) => is_meant(stream),
        }
    }
}

/// The segments of each wanted stream that can have lines that are selected, in the order in which they were written.
pub(super) fn list(
    tree: &Tree,
    wanted: &Wanted<'_>,
    selected: &Selection,
) -> Result<BTreeMap<StreamKey, Vec<Segment>>, TapeError> {
    let shared = Arc::new(tree.clone());
    let mut changed = None;
    for _ in 0..LOOKS {
        let active = open_active(tree, wanted)?;
        let mut archives: BTreeMap<StreamKey, Vec<Archive>> = BTreeMap::new();
        for date in dates(tree, selected.stamps())? {
            for archive in archived(&shared, &date, wanted)? {
                archives.entry(archive.stream().clone()).or_default().push(archive);
            }
        }
        let newest = tree.epoch();
        changed = changed_since(tree, wanted, &active)?;
        if changed.is_none() {
            return Ok(in_order(tree, Listed { active, archives, newest }, selected));
        }
    }
    let stream = changed.unwrap_or_else(StreamKey::misc);
    Err(TapeError::Restless { path: tree.shown(&paths::active(Feed::Public, &stream)) })
}

/// The active files of wanted streams, held open.
pub(super) type Active = BTreeMap<StreamKey, Box<dyn ReadFile>>;

struct Listed {
    active: Active,
    archives: BTreeMap<StreamKey, Vec<Archive>>,
    /// The epoch that the recorder's own files name.
    newest: u64,
}

fn in_order(tree: &Tree, listed: Listed, selected: &Selection) -> BTreeMap<StreamKey, Vec<Segment>> {
    let Listed { mut active, mut archives, newest } = listed;
    let streams: BTreeSet<StreamKey> = active.keys().chain(archives.keys()).cloned().collect();
    let segments = streams.into_iter().map(|stream| {
        let mut archives = archives.remove(&stream).unwrap_or_default();
        archives.sort_by_key(Archive::position);
        let epoch = archives.last().map_or(0, |archive| archive.position().epoch).max(newest);
        archives.retain(|archive| archive.can_hold(&selected.of_epoch(archive.position().epoch)));
        let path = tree.shown(&paths::active(Feed::Public, &stream));
        let about = About { path, longest: line::longest(&stream), epoch };
        let active = active.remove(&stream).filter(|_| !selected.of_epoch(epoch).is_empty());
        let archived = archives.into_iter().map(Segment::Archived);
        (stream, archived.chain(active.map(|file| Segment::Active(about, file))).collect())
    });
    segments.collect()
}

/// Opens the active files. A stream whose name an obstacle has taken is recorded in `misc`.
pub(super) fn open_active(tree: &Tree, wanted: &Wanted<'_>) -> Result<Active, TapeError> {
    let mut active = BTreeMap::new();
    for stream in active_streams(tree, wanted)? {
        if let Some(file) = tree.open_unless_in_the_way(&paths::active(Feed::Public, &stream))? {
            active.insert(stream, file);
        }
    }
    Ok(active)
}

/// A stream whose active file is another one by now.
fn changed_since(tree: &Tree, wanted: &Wanted<'_>, active: &Active) -> Result<Option<StreamKey>, TapeError> {
    let path = |stream: &StreamKey| paths::active(Feed::Public, stream);
    for (stream, held) in active {
        if !tree.is_still(&path(stream), &**held)? {
            return Ok(Some(stream.clone()));
        }
    }
    for stream in active_streams(tree, wanted)?.into_iter().filter(|stream| !active.contains_key(stream)) {
        if tree.open_unless_in_the_way(&path(&stream))?.is_some() {
            return Ok(Some(stream));
        }
    }
    Ok(None)
}

/// The wanted streams that have an active file, or may have.
fn active_streams(tree: &Tree, wanted: &Wanted<'_>) -> Result<Vec<StreamKey>, TapeError> {
    match wanted {
        Wanted::One(stream) => Ok(vec![(*stream).clone()]),
        Wanted::Meant(is_meant) => {
            let names = tree.names(Path::new(""))?;
            Ok(names.iter().filter_map(|name| paths::parse_active(name)).filter(|stream| is_meant(stream)).collect())
        }
    }
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

/// A segment that is not sealed.
pub(super) struct Plain {
    pub(super) stream: StreamKey,
    pub(super) path: PathBuf,
}

/// The segments that are not sealed, of streams that are meant: those of some dates, and the active ones.
pub(super) fn plain(
    tree: &Tree,
    dates: &BTreeSet<Date>,
    is_meant: &dyn Fn(&StreamKey) -> bool,
) -> Result<Vec<Plain>, TapeError> {
    let mut plain = Vec::new();
    for date in dates {
        let directory = paths::date_directory(Feed::Public, *date);
        let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let names: BTreeSet<String> = tree.names(&directory)?.into_iter().collect();
        for file in names.iter().filter(|file| file.ends_with(PLAIN)) {
            // One beside its sealed file was compressed, and not removed yet.
            let is_sealed = || names.contains(&format!("{file}.zst"));
            let Some(segment) = segment(&name, file) else { continue };
            if is_meant(&segment.stream) && !is_sealed() {
                plain.push(Plain { path: segment.plain(), stream: segment.stream });
            }
        }
    }
    let active = active_streams(tree, &Wanted::Meant(is_meant))?.into_iter();
    plain.extend(active.map(|stream| Plain { path: paths::active(Feed::Public, &stream), stream }));
    Ok(plain)
}

/// When the newest date of the archive begins.
pub(super) fn newest_date(tree: &Tree) -> Result<Option<Stamp>, TapeError> {
    let names = tree.names(&paths::archive(Feed::Public))?;
    Ok(names.iter().filter_map(|name| span_of(name)).map(|(begin, _)| begin).max())
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

/// Whether selected lines of `stream` may be in a segment without a sealed file. Whether a manifest lists that says nothing:
/// a pruned one may still be there.
pub(super) fn is_unsealed(tree: &Tree, stream: &StreamKey, selected: &Selection) -> Result<bool, TapeError> {
    let segments = list(tree, &Wanted::One(stream), selected)?.remove(stream);
    for segment in segments.into_iter().flatten() {
        let begins = match segment {
            Segment::Archived(archive) if archive.is_sealed()? => None,
            Segment::Archived(archive) => Some(archive.bound()),
            segment @ Segment::Active(..) => segment.first_position()?,
        };
        if begins.is_some_and(|Position { epoch, stamp }| stamp <= *selected.of_epoch(epoch).end()) {
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

/// The segments of wanted streams in the directory of a date. Where a name holds no epoch, that of the manifest counts: a
/// version before this one had it there alone.
fn archived(tree: &Arc<Tree>, date: &str, wanted: &Wanted<'_>) -> Result<Vec<Archive>, TapeError> {
    let directory = paths::archive(Feed::Public).join(date);
    let begin = match wanted {
        Wanted::One(stream) => format!("{stream}."),
        Wanted::Meant(_) => String::new(),
    };
    let mut found = BTreeSet::new();
    for _ in 0..2 {
        let own = tree.names(&directory)?.into_iter().filter(|name| name.starts_with(&begin));
        found.extend(own.filter_map(|name| segment(date, &name)).filter(|segment| wanted.holds(&segment.stream)));
    }
    let Some(manifest) = found.first().map(SegmentName::manifest) else { return Ok(Vec::new()) };
    let sealed = match wanted {
        Wanted::One(stream) => tree.listing(&manifest, stream)?.sealed,
        Wanted::Meant(_) => {
            let file = |name: &SegmentName| Some(name.sealed().file_name()?.to_str()?.to_owned());
            tree.listing_of_files(&manifest, &found.iter().filter_map(file).collect())?.sealed
        }
    };
    let entries: BTreeMap<String, ManifestEntry> =
        sealed.into_iter().map(|entry| (entry.name.clone(), entry)).collect();
    let segments = found.into_iter().map(|name| {
        let file = name.sealed();
        let entry = file.file_name().and_then(|file| entries.get(file.to_str()?));
        let epoch = entry.filter(|_| name.epoch == 0).map_or(name.epoch, |entry| entry.epoch);
        let listed = entry.map(|entry| (entry.last, entry.bytes));
        let position = Position { epoch, stamp: name.first };
        Archive::new(tree.clone(), name, position, listed)
    });
    Ok(segments.collect())
}

/// When the date of a directory begins, and when it is over.
fn span_of(directory: &str) -> Option<(Stamp, Stamp)> {
    day_summary::span(paths::date_of_directory(directory)?)
}

/// The segment that a file in a date directory is, or was sealed from.
pub(super) fn segment(directory: &str, name: &str) -> Option<SegmentName> {
    match segment_name::parse_archived(Feed::Public, directory, name)? {
        Archived::Plain(segment) | Archived::Sealed(segment) => Some(segment),
        Archived::Unfinished(_) => None,
    }
}
