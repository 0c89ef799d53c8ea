//! Mends the files of earlier processes: brings them into a consistent state without losing data.
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
//! [`Survey`] looks and clears the names; [`mend`] ends lines and moves segments, once the state is durable by
//! which they belong to an epoch.
//!
//! | part | owns |
//! |---|---|
//! | [`mod@inspect`] | the content of one plain segment |
//! | [`mod@survey`] | the walk over the directory, and [`tails`]: the last stamps found in it |
//! | `unlisted` | sealed files without a line in the manifest |
//! | `obstacles` | foreign entries at our names, and modes that expose the account's tree |
//! | `torn_copies`, `torn_lines` | lines that were torn, and ending them |

pub mod inspect;
mod obstacles;
pub mod survey;
pub mod tails;
mod torn_copies;
mod torn_lines;
mod unlisted;

use super::archive;
use super::rotation::Rotation;
use super::seal::compare::{Comparison, compare};
use super::seal::torn::Source;
use super::segment::{Finished, Segment};
use crate::clock::{Position, Stamp};
use crate::files::{Files, IoError};
use crate::tape::manifest::{Origin, Origins};
use crate::tape::quarantine::Quarantined;
use crate::tape::segment_name::SegmentName;
use crate::tape::state::Standing;
use crate::tape::stream_key::StreamKey;
use crate::upbit::feed::{Feed, PerFeed};
use crate::upbit::subscription::Request;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use survey::Plain;
pub use survey::{Scope, Survey};
pub use torn_lines::Torn;
use torn_lines::{Tail, TornLines};

/// How active files go on.
#[derive(Clone, Copy, Debug)]
pub struct Mending<'a> {
    /// Their epoch.
    pub epoch: u64,
    /// The time.
    pub now: Stamp,
    /// Those whose period runs and whose last line is whole are continued; `None`: none is.
    pub continued: Option<Rotation>,
    /// The requests of each feed, oldest first.
    pub requests: PerFeed<&'a [Standing]>,
}

/// A data directory in order.
#[derive(Debug, Default)]
pub struct Mended {
    /// Segments to be continued.
    pub resumable: Vec<Segment>,
    /// Segments to be sealed, oldest first.
    pub backlog: Vec<Finished>,
    /// Lines that were being written when the process died.
    pub torn: Vec<Torn>,
    /// Files that were moved away.
    pub quarantined: Vec<Quarantined>,
    /// Files and directories that are not ours.
    pub foreign: Vec<PathBuf>,
}

/// Ends torn lines, and moves what is not continued into the archive.
///
/// # Errors
/// A file operation failed; the next start repeats it.
pub fn mend(mut survey: Survey, files: &dyn Files, mending: &Mending<'_>) -> Result<Mended, IoError> {
    let mended = Mended {
        quarantined: std::mem::take(&mut survey.quarantined),
        foreign: std::mem::take(&mut survey.foreign),
        ..Mended::default()
    };
    let (waiting, active) = (std::mem::take(&mut survey.waiting), std::mem::take(&mut survey.active));
    let unlisted = std::mem::take(&mut survey.unlisted);
    let mut work = Work { files, mending, survey: &survey, mended };
    for segment in waiting {
        work.mend_archived(segment)?;
    }
    for name in unlisted {
        let last = name.first;
        work.push_to_backlog(Finished { name, origin: None, last, bytes: None, torn: Vec::new() });
    }
    for (feed, stream) in &survey.unreadable_active {
        work.set_aside(*feed, stream)?;
    }
    for segment in active {
        work.mend_active(segment)?;
    }
    if mending.continued.is_none() {
        // The last writes of a killed process are only in the kernel's cache.
        files.sync_all().map_err(IoError::at("sync the file system of", Path::new(".")))?;
    }
    let mut mended = work.mended;
    mended.backlog.sort_by(|a, b| {
        (a.name.epoch, a.name.first, &a.name.stream).cmp(&(b.name.epoch, b.name.first, &b.name.stream))
    });
    Ok(mended)
}

struct Work<'a> {
    files: &'a dyn Files,
    mending: &'a Mending<'a>,
    survey: &'a Survey,
    mended: Mended,
}

impl Work<'_> {
    fn mend_archived(&mut self, segment: Plain) -> Result<(), IoError> {
        let Plain { name, last, bytes, torn: tail } = segment;
        // An earlier start ended them, and may have died before it wrote their events.
        let end = if tail.is_empty() { u64::MAX } else { bytes - tail.len() as u64 };
        let mut torn = self.survey.copies.before(self.files, &name, end)?;
        if !tail.is_empty() && !self.is_whole_in_sealed(&name)? {
            torn.extend(self.lines().end(&name.plain(), &name, Tail { bytes, torn: &tail })?);
        }
        self.finish(name, last, torn);
        Ok(())
    }

    /// Whether a segment's sealed file continues where the plain one is torn: then a crash only undid the removal of
    /// the plain one.
    fn is_whole_in_sealed(&self, name: &SegmentName) -> Result<bool, IoError> {
        let torn = self.survey.copies.before(self.files, name, u64::MAX)?;
        let torn: Vec<_> = torn.into_iter().map(|torn| torn.line).collect();
        let compared = compare(self.files, Source { name, torn: &torn }, &AtomicBool::new(false));
        Ok(matches!(compared, Ok(Comparison::Holds(_))))
    }

    fn mend_active(&mut self, segment: Plain) -> Result<(), IoError> {
        let Plain { name, last, bytes, torn: tail } = segment;
        let Mending { epoch, now, continued, .. } = *self.mending;
        let name = SegmentName { epoch, ..name };
        if tail.is_empty() && continued.is_some_and(|rotation| !rotation.is_over(name.first, now)) {
            let origin = self.origin(name.feed, &name.stream, Position { epoch, stamp: last });
            let about = Finished { name, origin, last, bytes: None, torn: Vec::new() };
            self.mended.resumable.push(Segment::resume(about, bytes).hold(self.files));
            return Ok(());
        }
        let end = if tail.is_empty() { u64::MAX } else { bytes - tail.len() as u64 };
        let closed = self.lines().close(name, Tail { bytes, torn: &tail })?;
        // An earlier start may have ended a line and died before it moved the file.
        let mut torn = self.survey.copies.before(self.files, &closed.name, end)?;
        torn.extend(closed.torn);
        self.finish(closed.name, last, torn);
        Ok(())
    }

    /// An active file that cannot be read makes way for its stream's next lines.
    fn set_aside(&mut self, feed: Feed, stream: &StreamKey) -> Result<(), IoError> {
        let Mending { epoch, now, .. } = *self.mending;
        let name = SegmentName { feed, stream: stream.clone(), epoch, first: now };
        self.mended.quarantined.push(archive::set_aside(self.files, name)?);
        Ok(())
    }

    fn finish(&mut self, name: SegmentName, last: Stamp, torn: Vec<Torn>) {
        let lines = torn.iter().map(|torn| torn.line.clone()).collect();
        self.mended.torn.extend(torn);
        self.push_to_backlog(Finished { name, origin: None, last, bytes: None, torn: lines });
    }

    /// Queues a segment for the sealer, with the request of its lines.
    fn push_to_backlog(&mut self, ended: Finished) {
        let first = Position { epoch: ended.name.epoch, stamp: ended.name.first };
        let origin = self.origin(ended.name.feed, &ended.name.stream, first);
        self.mended.backlog.push(Finished { origin, ..ended });
    }

    /// The request that stood at a position; `None`: it is not known.
    fn origin(&self, feed: Feed, stream: &StreamKey, at: Position) -> Option<Origin> {
        let requests = self.mending.requests[feed].iter().rev();
        let standing =
            requests.into_iter().find(|request| Position { epoch: request.epoch, stamp: request.since } <= at)?;
        Origins::of(&Request::from_frame(&standing.request)?).get(stream).cloned()
    }

    fn lines(&self) -> TornLines<'_> {
        TornLines { files: self.files }
    }
}

#[cfg(test)]
mod tests;
