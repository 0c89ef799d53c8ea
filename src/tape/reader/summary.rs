//! What a day or what is not sealed yet holds, in few numbers: of `day.json`, else of manifest and events.

use super::TapeError;
use super::manifest::{Listing, Manifest};
use super::segments::{self, Plain};
use super::tree::Tree;
use crate::clock::Stamp;
use crate::files::Files;
use crate::tape::day_summary::{DayGaps, DaySummary, Part, summarise};
use crate::tape::manifest::ManifestEntry;
use crate::tape::paths;
use crate::tape::segment_name::parse_archived;
use crate::tape::stream_key::StreamKey;
use crate::upbit::feed::Feed;
use jiff::civil::Date;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::ops::RangeInclusive;
use std::path::Path;

/// The most bytes of a summary: those of 100,000 streams, the configurable maximum, in 300 each.
pub const LONGEST_SUMMARY: u64 = 32 << 20;

/// The dates of a tree's archive.
pub(super) fn dates(tree: &Tree) -> Result<Vec<Date>, TapeError> {
    let names = tree.names(&paths::archive(Feed::Public))?;
    let mut dates: Vec<Date> = names.iter().filter_map(|name| paths::date_of_directory(name)).collect();
    dates.sort_unstable();
    Ok(dates)
}

/// The summary of a day that stands on disk, as text.
#[derive(Debug)]
pub struct SummaryText {
    date: Date,
    text: Vec<u8>,
    /// The length of the manifest beside it.
    manifest: u64,
}

impl SummaryText {
    pub(super) fn read(tree: &Tree, date: Date) -> Option<Self> {
        let directory = paths::date_directory(Feed::Public, date);
        let mut text = Vec::new();
        let file = tree.open_unless_in_the_way(&directory.join(paths::SUMMARY)).ok()??;
        file.take(LONGEST_SUMMARY).read_to_end(&mut text).ok()?;
        let manifest = tree.open_unless_in_the_way(&paths::manifest(&directory)).ok()??.identify().ok()?.bytes;
        Some(Self { date, text, manifest })
    }

    /// What it says; `None`: it is torn, or out of date, and as good as none.
    pub fn parse(&self) -> Option<DaySummary<'_>> {
        let summary: DaySummary<'_> = serde_json::from_slice(&self.text).ok()?;
        (summary.manifest == self.manifest && summary.date == self.date).then_some(summary)
    }
}

/// The sealed parts of each stream of a day, and what was deleted.
pub(super) fn sealed(tree: &Tree, date: Date) -> Result<BTreeMap<String, Vec<Part>>, TapeError> {
    let manifest = paths::manifest(&paths::date_directory(Feed::Public, date));
    Ok(parts(date, tree.listing_of_all(&manifest)?))
}

/// How many files of each stream of a day are in a store: all of them, or those that reach into a span.
pub(super) fn uploaded(
    tree: &Tree,
    date: Date,
    to: &str,
    span: Option<&RangeInclusive<Stamp>>,
) -> Result<BTreeMap<String, u64>, TapeError> {
    let directory = paths::date_directory(Feed::Public, date);
    let there = tree.uploaded(&directory, to)?;
    let mut counts = BTreeMap::new();
    let Some(span) = span.filter(|_| there.count() > 0) else {
        let name_of_date = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let segments = there.each().filter_map(|name| segments::segment(&name_of_date, name));
        segments.for_each(|segment| *counts.entry(segment.stream.to_string()).or_default() += 1);
        return Ok(counts);
    };
    for entry in tree.listing_of_all(&paths::manifest(&directory))?.sealed {
        let reaches = entry.first <= *span.end() && *span.start() <= entry.last;
        if reaches && there.has(&entry.name, &entry.sha256) {
            *counts.entry(entry.stream).or_default() += 1;
        }
    }
    Ok(counts)
}

/// Segments that are not sealed, each counted by reading it.
pub(super) fn unsealed(
    tree: &Tree,
    dates: &BTreeSet<Date>,
    is_meant: &dyn Fn(&StreamKey) -> bool,
) -> Result<Vec<(StreamKey, Date, Part)>, TapeError> {
    let mut parts = Vec::new();
    for Plain { stream, path } in segments::plain(tree, dates, is_meant)? {
        let Some(file) = tree.open_unless_in_the_way(&path)? else { continue };
        if let Some(part) = count(file).map_err(|error| tree.failed("read", &path)(error))? {
            parts.push((stream, crate::tape::segment_name::date(part.first), part));
        }
    }
    Ok(parts)
}

/// The lines of a plain file that are whole.
fn count(file: impl Read) -> io::Result<Option<Part>> {
    let mut lines = crate::files::lines::Lines::new(file, crate::tape::line::longest(&StreamKey::misc()));
    let mut part: Option<Part> = None;
    while let Some(line) = lines.next_line()? {
        let Some(stamp) = crate::tape::line::stamp(line) else { continue };
        let bytes = line.len() as u64 + 1;
        let begin = Part { first: stamp, last: stamp, lines: 0, bytes: 0, zst_bytes: None, is_pruned: false };
        let so_far = part.get_or_insert(begin);
        (so_far.last, so_far.lines, so_far.bytes) = (stamp, so_far.lines + 1, so_far.bytes + bytes);
    }
    Ok(part)
}

fn parts(date: Date, Listing { sealed, pruned }: Listing) -> BTreeMap<String, Vec<Part>> {
    let mut parts: BTreeMap<String, Vec<Part>> = BTreeMap::new();
    let of = |entry: &ManifestEntry, is_pruned| Part {
        first: entry.first,
        last: entry.last,
        lines: entry.lines,
        bytes: entry.bytes,
        zst_bytes: Some(entry.zst_bytes),
        is_pruned,
    };
    for entry in sealed {
        parts.entry(entry.stream.clone()).or_default().push(of(&entry, false));
    }
    for (name, entry) in pruned {
        let directory = paths::date_directory(Feed::Public, date);
        let directory = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (stream, part) = match &entry {
            Some(entry) => (entry.stream.clone(), of(entry, true)),
            // Its own line is lost, and with it all but its name.
            None => {
                let Some(segment) = segments::segment(&directory, &name) else { continue };
                let (first, last) = (segment.first, segment.first);
                let part = Part { first, last, lines: 0, bytes: 0, zst_bytes: Some(0), is_pruned: true };
                (segment.stream.to_string(), part)
            }
        };
        parts.entry(stream).or_default().push(part);
    }
    parts
}

/// The line that sums up a complete day of a directory's tree, to be written beside its manifest; `None`: it has no
/// manifest, or segments that are not sealed.
///
/// # Errors
/// It cannot be read.
pub fn of_complete_day(
    files: &dyn Files,
    feed: Feed,
    date: Date,
    gaps: &DayGaps,
    now: Stamp,
) -> io::Result<Option<String>> {
    let directory = paths::date_directory(feed, date);
    let manifest = paths::manifest(&directory);
    let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let is_plain = |file: &str| {
        use crate::tape::segment_name::Archived::Plain;
        matches!(parse_archived(feed, &name, file), Some(Plain(_)))
    };
    if files.names(&directory)?.iter().any(|file| file.to_str().is_some_and(is_plain)) {
        return Ok(None);
    }
    let bytes = match files.read(&manifest) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?.identify()?.bytes,
    };
    let read = |opened: Manifest| opened.read();
    let listing = Manifest::open(files, Path::new(&manifest)).and_then(|opened| opened.map(read).transpose());
    let listing = listing.map_err(|error| error.source)?.unwrap_or_default();
    let parts = parts(date, listing);
    let streams = summarise(date, &parts, gaps);
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Ok(Some(DaySummary { date, version, written: now, manifest: bytes, streams }.to_line()))
}
