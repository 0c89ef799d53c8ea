//! Which segments a stream has, and which of them can hold a range of stamps.
//!
//! A recorder moves them while they are looked for, in one direction:
//!
//! ```text
//! KRW-BTC_trade.jsonl ──rename──▶ date=…/KRW-BTC_trade.<time>.jsonl ──seal──▶ ….jsonl.zst (then the plain one goes)
//! ```
//!
//! So the active file is opened first, each directory is listed twice, and then the active file has to be the same
//! still. A segment that a listing misses because it was being sealed has its sealed file before the second one begins;
//! one that was rotated meanwhile makes the active file another one, and all is looked for again.

use super::TapeError;
use super::source::Source;
use crate::clock::Stamp;
use crate::files::disk::Disk;
use crate::files::lines::{LONGEST_OWN, Lines};
use crate::files::open::{Access, Obstacle};
use crate::files::{AppendFile, Files};
use crate::tape::line;
use crate::tape::manifest::Entry;
use crate::tape::segment_name::{self, Archived, SegmentName};
use crate::tape::stream_key::StreamKey;
use crate::upbit::feed::Feed;
use jiff::civil::{Date, Time};
use jiff::tz::Offset;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Looks around before a stream counts as too restless to be read: at the smallest segments and the greatest rates a
/// recorder rotates a stream some times a second, and a look takes milliseconds.
const LOOKS: usize = 100;

/// A name is this much later than the first line at the most, where a clock set back has brought the stamp before.
const NAMED_LATER: Duration = Duration::from_millis(1);

/// A segment to be read.
#[derive(Debug)]
pub(super) enum Segment {
    /// One in the archive, by its name below the root; the length of its content, where the manifest tells.
    Archived { disk: Disk, name: SegmentName, listed: Option<u64> },
    /// The one that was active, held open.
    Active { stream: StreamKey, path: PathBuf, file: File },
}

impl Segment {
    /// Opens it where its lines from `begin` on are, or before; `None` where it is gone since it was listed: pruned.
    pub(super) fn open(self, begin: Stamp) -> Result<Option<Source>, TapeError> {
        let (disk, name, listed) = match self {
            Self::Active { stream, path, file } => {
                return Source::plain(path, file, line::longest(&stream), begin).map(Some);
            }
            Self::Archived { disk, name, listed } => (disk, name, listed),
        };
        let (plain, sealed, longest) = (name.plain(), name.sealed(), line::longest(&name.stream));
        let shown = |path: &Path| disk.path().join(path);
        // What is sealed is proved. A plain file beside it may be what a power cut left of its source.
        if let Some(file) = open(&disk, &sealed)? {
            return Ok(Some(Source::sealed(shown(&sealed), file, longest, listed)));
        }
        if let Some(file) = open(&disk, &plain)? {
            return Source::plain(shown(&plain), file, longest, begin).map(Some);
        }
        // The plain file goes when the sealed one is there.
        Ok(open(&disk, &sealed)?.map(|file| Source::sealed(shown(&sealed), file, longest, listed)))
    }
}

/// The segments of `stream` that can have lines in `stamps`, oldest first.
pub(super) fn list(disk: &Disk, stream: &StreamKey, stamps: &RangeInclusive<Stamp>) -> Result<Vec<Segment>, TapeError> {
    let path = segment_name::active(Feed::Public, stream);
    for _ in 0..LOOKS {
        // Where another thing has the name, whoever records writes to `misc`.
        let active = open_unless_in_the_way(disk, &path)?;
        let mut segments = Vec::new();
        for date in dates(disk, stamps)? {
            segments.append(&mut archived(disk, (&date, stream), stamps)?);
        }
        if is_still(disk, &path, active.as_ref())? {
            let (stream, path) = (stream.clone(), disk.path().join(path));
            segments.extend(active.map(|file| Segment::Active { stream, path, file }));
            return Ok(segments);
        }
    }
    Err(TapeError::Restless { path: disk.path().join(path) })
}

/// When the dates begin that have a directory, newest first.
pub(super) fn dates_back(disk: &Disk) -> Result<Vec<Stamp>, TapeError> {
    let dates = dates(disk, &(Stamp::default()..=Stamp::MAX))?;
    Ok(dates.iter().rev().filter_map(|date| span_of(date)).map(|(begin, _)| begin).collect())
}

/// The streams that have a segment.
pub(super) fn streams(disk: &Disk) -> Result<BTreeSet<StreamKey>, TapeError> {
    let mut streams: BTreeSet<StreamKey> =
        names(disk, Path::new(""))?.iter().filter_map(|name| segment_name::parse_active(name)).collect();
    let archive = segment_name::archive(Feed::Public);
    for date in names(disk, &archive)?.into_iter().filter(|name| segment_name::is_date_directory(name)) {
        let archived = names(disk, &archive.join(&date))?;
        streams.extend(archived.iter().filter_map(|name| segment(&date, name)).map(|segment| segment.stream));
    }
    Ok(streams)
}

/// The directories of the dates that `stamps` touches, in order.
fn dates(disk: &Disk, stamps: &RangeInclusive<Stamp>) -> Result<BTreeSet<String>, TapeError> {
    let touches = |name: &String| {
        // No segment spans two dates.
        span_of(name).is_some_and(|(begin, end)| begin <= *stamps.end() && *stamps.start() < end)
    };
    Ok(names(disk, &segment_name::archive(Feed::Public))?.into_iter().filter(touches).collect())
}

/// A stream's segments in the directory of a date, as far as they can have lines in `stamps`; with what the manifest
/// says of them.
fn archived(
    disk: &Disk,
    (date, stream): (&str, &StreamKey),
    stamps: &RangeInclusive<Stamp>,
) -> Result<Vec<Segment>, TapeError> {
    let directory = segment_name::archive(Feed::Public).join(date);
    let begin = format!("{stream}.");
    let mut found = BTreeSet::new();
    for _ in 0..2 {
        let own = names(disk, &directory)?.into_iter().filter(|name| name.starts_with(&begin));
        found.extend(own.filter_map(|name| segment(date, &name)).filter(|segment| segment.stream == *stream));
    }
    found.retain(|name: &SegmentName| name.first.before(NAMED_LATER) <= *stamps.end());
    let Some(manifest) = found.first().map(SegmentName::manifest) else { return Ok(Vec::new()) };
    let entries = read_manifest(disk, &manifest, stream)?;
    let segments = found.into_iter().filter_map(|name| {
        let file = name.sealed().file_name()?.to_str()?.to_owned();
        let entry = entries.get(&file);
        let ends_too_early = entry.is_some_and(|entry| entry.last < *stamps.start());
        let listed = entry.map(|entry| entry.bytes);
        (!ends_too_early).then(|| Segment::Archived { disk: disk.clone(), name, listed })
    });
    Ok(segments.collect())
}

/// The entries of one stream, by the names of the files. Lines that are none are passed over.
fn read_manifest(disk: &Disk, path: &Path, stream: &StreamKey) -> Result<BTreeMap<String, Entry>, TapeError> {
    let mut entries = BTreeMap::new();
    // What is in the way of it lists nothing, and what is sealed says enough itself.
    let Some(file) = open_unless_in_the_way(disk, path)? else { return Ok(entries) };
    // A day of the whole exchange has thousands of entries: most need not be understood.
    let begin = format!("{{\"name\":\"{stream}.");
    let mut lines = Lines::new(file, LONGEST_OWN);
    while let Some(line) = lines.next_line().map_err(at(disk, "read", path))? {
        if line.starts_with(begin.as_bytes())
            && let Ok(entry) = serde_json::from_slice::<Entry>(line)
        {
            entries.insert(entry.name.clone(), entry);
        }
    }
    lines.tell(path);
    Ok(entries)
}

/// When the date of a directory begins, and when it is over.
fn span_of(directory: &str) -> Option<(Stamp, Stamp)> {
    let date = segment_name::date_of_directory(directory)?;
    let stamp = |date: Date| {
        let midnight = Offset::UTC.to_timestamp(date.to_datetime(Time::midnight())).ok()?;
        Some(u64::try_from(midnight.as_microsecond()).ok().and_then(Stamp::from_micros).unwrap_or(Stamp::MAX))
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

/// Whether the active file is the one that is held open, or there is still none.
fn is_still(disk: &Disk, path: &Path, held: Option<&File>) -> Result<bool, TapeError> {
    let Some(held) = held else { return Ok(open_unless_in_the_way(disk, path)?.is_none()) };
    let now = disk.identify(path).map_err(at(disk, "look at", path))?;
    let held = held.identify().map_err(at(disk, "look at", path))?;
    Ok(now.is_some_and(|now| now.file == held.file))
}

/// `None` where there is none, or another thing has its name.
fn open_unless_in_the_way(disk: &Disk, path: &Path) -> Result<Option<File>, TapeError> {
    match disk.file(path, Access::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound || Obstacle::of(&error).is_some() => Ok(None),
        file => file.map(Some).map_err(at(disk, "open", path)),
    }
}

/// `None` where it is not there.
fn open(disk: &Disk, path: &Path) -> Result<Option<File>, TapeError> {
    match disk.file(path, Access::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        file => file.map(Some).map_err(at(disk, "open", path)),
    }
}

/// The names in a directory that are text; none where there is no such directory.
fn names(disk: &Disk, path: &Path) -> Result<Vec<String>, TapeError> {
    let names = disk.names(path).map_err(at(disk, "list", path))?;
    Ok(names.into_iter().filter_map(|name| name.into_string().ok()).collect())
}

fn at(disk: &Disk, action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> TapeError {
    let path = disk.path().join(path);
    move |source| TapeError::Io { action, path, source }
}
