//! Recovery at the start: brings the files of earlier processes into a consistent state without losing data.
//!
//! ```text
//! x.jsonl.zst.tmp         ──▶ removed: its source still exists; without one, quarantine/
//! archive/…/x.jsonl       ──▶ backlog of the sealer; a torn last line is ended first
//! x.jsonl, intact         ──▶ continued after an orderly stop, while its period runs
//! x.jsonl, otherwise      ──▶ archived; a torn last line is ended, and copied to quarantine/
//! empty                   ──▶ removed: created for a line that was never written
//! in the archive under one of our names, and not written by us ──▶ quarantine/
//! misc.jsonl, recorder.jsonl, not written by us ──▶ quarantine/: recording needs these names
//! unreadable              ──▶ left for the next start; an active file moves into the archive
//! a link, a pipe, … at a name of ours, a line beyond the longest ──▶ quarantine/
//! anything else           ──▶ never touched, logged once
//! ```
//!
//! | part | owns |
//! |---|---|
//! | [`mod@inspect`] | the content of one plain segment |
//! | [`history`] | the state in the recorder's own events |
//! | `order` | the write order of the recorder's own segments |
//! | `past` | the last stamps of earlier processes |
//! | `decide` | the certain part, and the intervals in doubt |
//! | `unlisted` | sealed files without a line in the manifest |
//! | `obstacles` | foreign entries at our names, and modes that expose the account's tree |
//! | `mend` | ending torn lines, moving files |

mod decide;
pub mod history;
pub mod inspect;
mod manifests;
mod mend;
mod obstacles;
mod order;
mod past;
mod recovered;
mod torn_copies;
mod unlisted;

use super::archive;
use super::mark;
use super::rotation::Rotation;
use super::seal::compare::{Comparison, compare};
use super::seal::torn::Source;
use super::segment::{Finished, Segment};
use crate::clock::Stamp;
use crate::files::{EntryKind, Files, IoError, Listed};
use crate::tape::durable::DurableMark;
use crate::tape::line;
use crate::tape::paths;
use crate::tape::quarantine;
use crate::tape::segment_name::{self, Archived, SegmentName};
use crate::tape::stream_key::StreamKey;
use crate::upbit::feed::{Feed, PerFeed};
use decide::{Decision, Evidence};
use inspect::{Inspected, inspect};
pub use mend::Torn;
use mend::{Mender, Tail};
use obstacles::{NO_DIRECTORY, NO_FILE, clear_the_way};
use order::RecorderSegment;
use past::{NewestEpoch, Past};
pub use recovered::Recovered;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use torn_copies::TornCopies;

/// The reason for moving away a foreign file at one of our names.
const NOT_OURS: &str = "its first line is none that the recorder writes";

/// The reason for moving away a file that is ours up to its damaged end.
const DAMAGED: &str = "what it ends in is longer than any line of its stream";

/// Recovers a data directory. `now` decides whether a period still runs, and whether the clock was set back.
pub fn recover(files: &dyn Files, rotation: Rotation, now: Stamp) -> Result<Recovered, IoError> {
    let (past, found, copies) = (Past::default(), Recovered::default(), TornCopies::default());
    let mut recovery = Recovery { files, rotation, now, mark: None, past, found, copies, has_unreadable: false };
    recovery.found.quarantined = clear_the_way(files)?;
    recovery.mark = mark::read(files);
    recovery.copies = TornCopies::list(files)?;
    recovery.put_archives_in_order()?;
    let active = recovery.look_at_active()?;
    recovery.decide();
    for segment in active {
        recovery.put_segment_in_order(segment)?;
    }
    if !recovery.found.is_clean {
        // The last writes of a killed process are only in the kernel's cache.
        files.sync_all().map_err(IoError::at("sync the file system of", Path::new(".")))?;
    }
    // Oldest first: an unsealed segment gets its epoch from later ones.
    let order = |a: &Finished, b: &Finished| {
        (a.name.epoch, a.name.first, &a.name.stream).cmp(&(b.name.epoch, b.name.first, &b.name.stream))
    };
    recovery.found.backlog.sort_by(order);
    Ok(recovery.found)
}

struct Recovery<'a> {
    files: &'a dyn Files,
    rotation: Rotation,
    now: Stamp,
    mark: Option<DurableMark>,
    past: Past,
    found: Recovered,
    copies: TornCopies,
    /// An unreadable file exists.
    has_unreadable: bool,
}

/// A plain segment and the result of its inspection.
struct Plain {
    name: SegmentName,
    last: Stamp,
    bytes: u64,
    torn: Vec<u8>,
}

/// The segments of all archives that recovery reads.
#[derive(Default)]
struct ArchivedSegments {
    /// Those that wait to be sealed.
    plain: Vec<Plain>,
    /// Those of the recorder's own stream.
    recorder: Vec<RecorderSegment>,
}

impl Recovery<'_> {
    fn evidence(&self) -> Evidence<'_> {
        let Self { mark, has_unreadable, now, .. } = *self;
        Evidence { history: &self.found.history, past: &self.past, mark, has_unreadable, now }
    }

    fn decide(&mut self) {
        let Decision { is_clean, last, goes_back, epoch, reached, untold } = self.evidence().decide();
        let found = &mut self.found;
        (found.is_clean, found.last, found.goes_back) = (is_clean, last, goes_back);
        (found.epoch, found.reached) = (epoch, reached);
        found.history.untold.extend(untold);
    }

    fn put_archives_in_order(&mut self) -> Result<(), IoError> {
        let mut listed = ArchivedSegments::default();
        let mut dates = PerFeed::<Vec<_>>::default();
        for feed in Feed::ALL {
            let archive = paths::archive(feed);
            for date in self.list(&archive)? {
                let directory = archive.join(&date.name);
                match date.name.to_str().is_some_and(paths::is_date_directory) {
                    true if date.kind != EntryKind::Directory => self.move_away(feed, &directory, NO_DIRECTORY)?,
                    true => {
                        self.put_date_in_order(feed, &directory, &mut listed)?;
                        dates[feed].push(directory);
                    }
                    false => self.found.foreign.push(directory),
                }
            }
        }
        // The stamp that the last process had reached in its epoch; segments of older epochs may have later names.
        let reached = self.mark.map_or(self.now, |mark| mark.durable);
        self.found.history = past::read_history(self.files, listed.recorder, reached)?;
        self.past.asked = PerFeed::from_fn(|feed| self.found.history.asked(feed));
        let misc = StreamKey::misc();
        let today = SegmentName { feed: Feed::Public, stream: misc, epoch: 0, first: self.now }.directory();
        for feed in Feed::ALL {
            let (past, ahead): (Vec<_>, Vec<_>) =
                dates[feed].iter().rev().cloned().partition(|date| date.file_name() <= today.file_name());
            let history = &self.found.history;
            let newest = NewestEpoch { number: history.epoch, began: history.epoch_start };
            self.past.read_manifests(self.files, feed, past.into_iter(), newest)?;
            self.past.read_manifests(self.files, feed, ahead.into_iter(), newest)?;
        }
        for segment in listed.plain {
            self.put_archived_in_order(segment)?;
        }
        for feed in Feed::ALL {
            for name in unlisted::unlisted(self.files, feed, &dates[feed])? {
                let last = name.first;
                self.push_to_backlog(Finished { name, origin: None, last, bytes: None, torn: Vec::new() });
            }
        }
        Ok(())
    }

    fn put_date_in_order(
        &mut self,
        feed: Feed,
        directory: &Path,
        segments: &mut ArchivedSegments,
    ) -> Result<(), IoError> {
        let date = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let listed = self.readable(self.list(directory))?.unwrap_or_default();
        let names: BTreeSet<OsString> = listed.iter().map(|entry| entry.name.clone()).collect();
        let is_there = |path: &Path| path.file_name().is_some_and(|name| names.contains(name));
        for entry in listed {
            let path = directory.join(&entry.name);
            let archived = entry.name.to_str().and_then(|name| segment_name::parse_archived(feed, &date, name));
            let is_beside = paths::BESIDE_SEGMENTS.iter().any(|own| entry.name == *own);
            if !entry.is_file() && (is_beside || archived.is_some()) {
                self.move_away(feed, &path, NO_FILE)?;
                continue;
            }
            let is_own = |name: &SegmentName| feed == Feed::Public && name.stream == StreamKey::recorder();
            match archived {
                Some(Archived::Unfinished(name)) => {
                    let is_needed = !is_there(&name.plain()) && !is_there(&name.sealed());
                    self.put_unfinished_away(&name, is_needed)?;
                }
                Some(Archived::Plain(name)) => {
                    if is_own(&name) {
                        segments.recorder.push(RecorderSegment { name: name.clone(), is_sealed: false });
                    }
                    let is_sealed = is_there(&name.sealed());
                    segments.plain.extend(self.look_at_archived(name, is_sealed)?);
                }
                Some(Archived::Sealed(name)) if is_own(&name) => {
                    segments.recorder.push(RecorderSegment { name, is_sealed: true })
                }
                Some(Archived::Sealed(_)) => {}
                None if is_beside => {}
                None => self.found.foreign.push(path),
            }
        }
        Ok(())
    }

    /// An unfinished sealed file has no value while its source exists.
    fn put_unfinished_away(&mut self, name: &SegmentName, is_needed: bool) -> Result<(), IoError> {
        let path = name.unfinished();
        if !is_needed {
            return self.files.remove(&path).map_err(IoError::at("remove", &path));
        }
        self.move_away(name.feed, &path, "unfinished, and without its source")
    }

    /// A segment to be sealed. Its name and its place are the recorder's, so any other content is damage.
    fn look_at_archived(&mut self, name: SegmentName, is_sealed: bool) -> Result<Option<Plain>, IoError> {
        let path = name.plain();
        let inspected = inspect(self.files, &path, line::longest(&name.stream));
        let Some(inspected) = self.readable(inspected.map_err(IoError::at("read", &path)))? else {
            return Ok(None);
        };
        match inspected {
            // The sealer compares the two.
            Inspected::Empty if is_sealed => Ok(Some(Plain { last: name.first, name, bytes: 0, torn: Vec::new() })),
            Inspected::Empty => {
                self.files.remove(&path).map_err(IoError::at("remove", &path))?;
                Ok(None)
            }
            Inspected::Foreign | Inspected::Damaged => {
                let reason = if inspected == Inspected::Damaged { DAMAGED } else { NOT_OURS };
                self.move_away(name.feed, &path, reason)?;
                Ok(None)
            }
            Inspected::Segment { last, bytes, torn, .. } => Ok(Some(Plain { name, last, bytes, torn })),
        }
    }

    fn put_archived_in_order(&mut self, segment: Plain) -> Result<(), IoError> {
        let path = segment.name.plain();
        self.past.note(segment.name.epoch, segment.name.feed, &segment.name.stream, segment.last);
        // An earlier start ended them, and may have died before it wrote their events.
        let begin = segment.bytes - segment.torn.len() as u64;
        let mut torn =
            self.copies.before(self.files, &segment.name, if segment.torn.is_empty() { u64::MAX } else { begin })?;
        if !segment.torn.is_empty() && !self.is_whole_in_sealed(&segment.name)? {
            torn.extend(self.mender().end_line(
                &path,
                &segment.name,
                Tail { bytes: segment.bytes, torn: &segment.torn },
            )?);
        }
        let lines = torn.iter().map(|torn| torn.line.clone()).collect();
        self.found.torn.extend(torn);
        let Plain { name, last, .. } = segment;
        self.push_to_backlog(Finished { name, origin: None, last, bytes: None, torn: lines });
        Ok(())
    }

    /// Whether a segment's sealed file continues where the plain one is torn: then a crash only undid the removal of
    /// the plain one.
    fn is_whole_in_sealed(&self, name: &SegmentName) -> Result<bool, IoError> {
        let torn: Vec<_> = self.copies.before(self.files, name, u64::MAX)?.into_iter().map(|torn| torn.line).collect();
        Ok(matches!(
            compare(self.files, Source { name, torn: &torn }, &AtomicBool::new(false)),
            Ok(Comparison::Holds(_))
        ))
    }

    fn look_at_active(&mut self) -> Result<Vec<Plain>, IoError> {
        let mut active = Vec::new();
        for feed in Feed::ALL {
            for entry in self.list(paths::root(feed))? {
                let path = paths::root(feed).join(&entry.name);
                let stream = entry.name.to_str().and_then(paths::parse_active);
                match stream.filter(|_| entry.is_file()) {
                    Some(stream) => active.extend(self.look_at_stream(feed, stream, &path)?),
                    None if is_own(feed, &entry) => {}
                    None => self.found.foreign.push(path),
                }
            }
        }
        Ok(active)
    }

    fn look_at_stream(&mut self, feed: Feed, stream: StreamKey, path: &Path) -> Result<Option<Plain>, IoError> {
        let inspected = inspect(self.files, path, line::longest(&stream)).map_err(IoError::at("read", path));
        let Some(inspected) = self.readable(inspected)? else {
            let name = SegmentName { feed, stream, epoch: self.evidence().newest_epoch(), first: self.now };
            let moved = archive::set_aside(self.files, name)?;
            let kept = moved.kept.file_name().unwrap_or_default().to_string_lossy().into_owned();
            self.found.set_aside.push((self.evidence().newest_epoch(), kept));
            self.found.quarantined.push(moved);
            return Ok(None);
        };
        match inspected {
            // Created for a first line that was never written.
            Inspected::Empty => self.files.remove(path).map_err(IoError::at("remove", path))?,
            // Recording needs these two names.
            Inspected::Foreign if paths::is_needed(feed, &stream) => self.move_away(feed, path, NOT_OURS)?,
            Inspected::Foreign => self.found.foreign.push(path.to_owned()),
            Inspected::Damaged => self.move_away(feed, path, DAMAGED)?,
            Inspected::Segment { first, last, bytes, torn } => {
                let epoch = self.evidence().newest_epoch();
                self.past.note(epoch, feed, &stream, last);
                // A first line torn within its stamp has no time of its own.
                let first = if first == Stamp::default() { self.now } else { first };
                return Ok(Some(Plain { name: SegmentName { feed, stream, epoch, first }, last, bytes, torn }));
            }
        }
        Ok(None)
    }

    fn put_segment_in_order(&mut self, segment: Plain) -> Result<(), IoError> {
        let Plain { name, last, bytes, torn } = segment;
        let runs = !self.found.goes_back && !self.rotation.is_over(name.first, self.now);
        if self.found.is_clean && runs && torn.is_empty() {
            let origins = self.found.history.last_origins(name.feed);
            let origin = origins.and_then(|origins| origins.get(&name.stream).cloned());
            self.found.resumable.push(Segment::resume(
                Finished { name, origin, last, bytes: None, torn: Vec::new() },
                bytes,
            ));
            return Ok(());
        }
        let begin = if torn.is_empty() { u64::MAX } else { bytes - torn.len() as u64 };
        let (name, ended) = self.mender().close(name, Tail { bytes, torn: &torn })?;
        // An earlier start may have ended a line and died before it moved the file.
        let mut torn = self.copies.before(self.files, &name, begin)?;
        torn.extend(ended);
        let lines = torn.iter().map(|torn| torn.line.clone()).collect();
        self.found.torn.extend(torn);
        self.push_to_backlog(Finished { name, origin: None, last, bytes: None, torn: lines });
        Ok(())
    }

    /// Queues a segment for the sealer, with the request of its lines.
    fn push_to_backlog(&mut self, ended: Finished) {
        let origins = self.found.history.origins_at(ended.name.feed, ended.name.first);
        let origin = origins.and_then(|origins| origins.get(&ended.name.stream).cloned());
        self.found.backlog.push(Finished { origin, ..ended });
    }

    fn move_away(&mut self, feed: Feed, path: &Path, reason: &'static str) -> Result<(), IoError> {
        self.found.quarantined.push(quarantine::quarantine(self.files, feed, path, reason)?);
        Ok(())
    }

    /// An unreadable file must not prevent recording; `None`: it is unreadable.
    fn readable<T>(&mut self, read: Result<T, IoError>) -> Result<Option<T>, IoError> {
        match read {
            Err(error) if error.is_about_the_file() && !error.path.as_os_str().is_empty() => {
                tracing::warn!(%error, "left for the next start, or for you");
                self.has_unreadable = true;
                Ok(None)
            }
            read => read.map(Some),
        }
    }

    fn mender(&self) -> Mender<'_> {
        Mender { files: self.files }
    }

    fn list(&self, path: &Path) -> Result<Vec<Listed>, IoError> {
        self.files.list(path).map_err(IoError::at("list", path))
    }
}

/// Whether an entry of a tree's root, other than a stream, is the recorder's.
fn is_own(feed: Feed, entry: &Listed) -> bool {
    let own = if entry.is_file() { paths::own_files(feed) } else { paths::own_directories(feed) };
    own.iter().any(|name| entry.name == *name)
}

#[cfg(test)]
mod tests;
