//! Active files that somebody takes away, cuts or writes to while they are written: noticed, saved, told.
//!
//! ```text
//! look ──▶ in place
//!      └─▶ removed, renamed, replaced, truncated, grown
//!            │ its whole lines, from the descriptor ──copy──▶ archive/…/x.jsonl: a segment as any other
//!            │ what has the name now ──rename──▶ quarantine/
//!            └ Displaced: what is in doubt, for the record
//! ```
//!
//! A displaced file is still open, so its content is there until the descriptor is closed. Every step can be called again:
//! an unfinished copy is removed and made anew.

use super::salvage::{Expected, Salvage, salvage};
use super::segment::{Finished, Unsynced, free_name};
use super::{Journal, Reason, StorageError, StreamId};
use crate::clock::Stamp;
use crate::files::{AppendFile, Root};
use crate::recording::recovery::quarantine;
use crate::tape::segment_name;
use crate::tape::segment_name::SegmentName;
use crate::tape::stream_key::StreamKey;
use crate::upbit::feed::Feed;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// In this time every active name is looked at, whether anything was written to its file or not.
const ROUND: Duration = Duration::from_secs(60);

/// The distance of two stamps in a row.
const MICROSECOND: Duration = Duration::from_micros(1);

/// What happened to a file behind our back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Displacement {
    /// Nothing has its name, and the file none.
    Removed,
    /// Nothing has its name, and the file another one.
    Renamed,
    /// Another file has its name.
    Replaced,
    /// It is shorter than what was written.
    Truncated,
    /// It is longer than what was written.
    Grown,
}

impl fmt::Display for Displacement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Removed => "removed",
            Self::Renamed => "renamed",
            Self::Replaced => "replaced",
            Self::Truncated => "truncated",
            Self::Grown => "written to by others",
        })
    }
}

/// A displaced file, and what became of its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Displaced {
    /// The tree and the stream; `None`: it is the data directory itself.
    pub stream: Option<(Feed, StreamKey)>,
    /// Where it was.
    pub file: PathBuf,
    /// What happened.
    pub what: Displacement,
    /// The segment that its lines are in now, by its plain name; `None`: none of them are left.
    pub saved: Option<String>,
    /// Where that is which had its name; `None`: there was nothing, or it is there still.
    pub kept: Option<PathBuf>,
    /// The stamps of the first and the last line that it held.
    pub held: Option<[Stamp; 2]>,
    /// What is not to be relied on.
    pub doubt: Option<Doubt>,
}

/// An interval of a stream, both ends excluded, in the epoch of the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// Where it begins.
    pub from: Stamp,
    /// Where it ends.
    pub to: Stamp,
    /// Lines are gone. Otherwise all that was written is there, and others had it in hand since `from`.
    pub is_lost: bool,
}

impl Displaced {
    /// An ended segment that was cut before it was sealed; `last` is the last line that was left.
    pub fn of_cut(finished: &Finished, last: Option<Stamp>) -> Self {
        let gone = Self::of_unsealed(finished);
        let from = last.unwrap_or(finished.name.first.before(MICROSECOND));
        let doubt = gone.doubt.map(|doubt| Doubt { from, ..doubt });
        Self { what: Displacement::Truncated, saved: Some(finished.name.plain_name()), doubt, ..gone }
    }

    /// An ended segment that is gone before it was sealed.
    pub fn of_unsealed(finished: &Finished) -> Self {
        let (name, last) = (&finished.name, finished.last);
        Self {
            stream: Some((name.feed, name.stream.clone())),
            file: name.plain(),
            what: Displacement::Removed,
            saved: None,
            kept: None,
            held: Some([name.first, last]),
            doubt: Some(Doubt { from: name.first.before(MICROSECOND), to: last.next(), is_lost: true }),
        }
    }

    /// Says it once: with the data directory, which was told of, all its files went.
    fn log(&self, with_all: bool) {
        let (file, what, saved) = (self.file.display(), self.what, self.saved.as_deref());
        let kept = self.kept.as_ref().map(|kept| kept.display().to_string());
        match self.doubt.filter(|doubt| doubt.is_lost) {
            None if with_all => tracing::debug!(%file, %what, saved, "saved"),
            None => {
                tracing::warn!(%file, %what, saved, kept, "not in its place while it is written: all of it is saved, and a new file goes on")
            }
            Some(Doubt { from, to, .. }) => {
                tracing::warn!(%file, %what, saved, kept, %from, %to, "not in its place while it is written: a part is lost, and a new file goes on");
            }
        }
    }

    fn of_root(what: Displacement) -> Self {
        let file = PathBuf::from(".");
        Self { stream: None, file, what, saved: None, kept: None, held: None, doubt: None }
    }
}

impl Journal {
    /// Looks at the names of the files that were written to since the last sync, and at a share of all. `now` tells how
    /// large that is.
    pub fn look_at_written(&mut self, now: Stamp) -> Result<(), StorageError> {
        self.is_made_again = false;
        if self.look_at_root() {
            return self.look_at_all();
        }
        for index in 0..self.unsynced.len() {
            self.look_at(self.unsynced[index])?;
        }
        let share = share(self.streams.len(), now.since(self.looked_at));
        for _ in 0..share {
            self.turn = (self.turn + 1) % self.streams.len();
            self.look_at(StreamId::at(self.turn))?;
        }
        self.looked_at = now;
        Ok(())
    }

    /// Looks at all names, and takes no directory for being there any more.
    pub fn look_at_all(&mut self) -> Result<(), StorageError> {
        self.directories.clear();
        self.look_at_root();
        (0..self.streams.len()).try_for_each(|index| self.look_at(StreamId::at(index)))
    }

    /// What was displaced and is not on record yet.
    pub fn take_displaced(&mut self) -> Option<Displaced> {
        self.displaced.pop_front()
    }

    /// Whether the file of a stream is in its place; where it is not, it is saved.
    pub(super) fn is_displaced(&mut self, id: StreamId) -> Result<bool, StorageError> {
        let Some(segment) = &mut self.streams[id.index()].segment else { return Ok(false) };
        let Some(what) = segment.look(&*self.files) else { return Ok(false) };
        self.look_at_root();
        self.save(id, what)?;
        Ok(true)
    }

    fn look_at(&mut self, id: StreamId) -> Result<(), StorageError> {
        self.is_displaced(id).map(drop)
    }

    /// Whether the data directory had been removed, and is another one now. Where the system does not say, it was not.
    fn look_at_root(&mut self) -> bool {
        let root = self.files.look_at_root().unwrap_or(Root::InPlace);
        let was_elsewhere = std::mem::replace(&mut self.is_elsewhere, root == Root::Elsewhere);
        self.is_made_again |= root == Root::MadeAgain;
        match root {
            Root::InPlace => {}
            Root::Elsewhere if was_elsewhere => {}
            Root::Elsewhere => {
                tracing::warn!("the data directory was renamed or unmounted: it is written to where it is now");
                self.displaced.push_back(Displaced::of_root(Displacement::Renamed));
            }
            Root::MadeAgain => {
                tracing::warn!("the data directory was removed, and is made again: what was open is saved");
                self.displaced.push_back(Displaced::of_root(Displacement::Removed));
                self.directories.clear();
            }
        }
        root == Root::MadeAgain
    }

    /// Copies what is left of a displaced segment into the archive and ends it; the stream's next line begins another one.
    fn save(&mut self, id: StreamId, what: Displacement) -> Result<(), StorageError> {
        let Some(segment) = &self.streams[id.index()].segment else { return Ok(()) };
        let (path, name) = (segment.path(), segment.name().clone());
        let name = self.free_name(name)?;
        let salvaged = self.copy(id, &name)?;
        let kept = self.move_away(&path, name.feed);
        let Some(segment) = self.streams[id.index()].segment.take() else { return Ok(()) };
        self.due.remove(&id);
        let (seen, held) = (segment.seen(), [segment.began(), segment.last()]);
        let doubt = |from, is_lost| Doubt { from, to: segment.last().next(), is_lost };
        let doubt = match salvaged.lost_since {
            Some(from) => Some(doubt(from, true)),
            // Lengths do not prove what others did in the meantime.
            None => (seen.last < segment.last()).then(|| doubt(seen.last, false)),
        };
        let is_saved = salvaged.bytes > 0;
        let saved = is_saved.then(|| name.plain_name());
        let stream = Some((name.feed, name.stream.clone()));
        let displaced = Displaced { stream, file: path, what, saved, kept, held: Some(held), doubt };
        displaced.log(self.is_made_again);
        self.displaced.push_back(displaced);
        if is_saved {
            let mut finished = segment.finish();
            (finished.name, finished.bytes) = (name, Some(salvaged.bytes));
            self.end(Reason::Displaced, finished);
        }
        Ok(())
    }

    fn free_name(&mut self, name: SegmentName) -> Result<SegmentName, StorageError> {
        self.make_directory(segment_name::root(name.feed).to_owned())?;
        self.make_directory(name.directory())?;
        free_name(&*self.files, name)
    }

    /// Copies a segment's whole lines to where `name` says.
    fn copy(&mut self, id: StreamId, name: &SegmentName) -> Result<Salvage, StorageError> {
        let Some(segment) = &self.streams[id.index()].segment else { return Ok(Salvage::default()) };
        let (path, plain) = (segment.path(), name.plain());
        let source = segment.source(&*self.files);
        let expected = Expected {
            bytes: segment.bytes(),
            began: segment.began(),
            last: segment.last(),
            seen: segment.seen(),
            is_whole: source.as_ref().is_some_and(|source| is_whole(&**source, segment.on_disk())),
        };
        let copy = self.files.create(&plain).map_err(StorageError::at("create", &plain))?;
        let file = source.map(|file| Descriptor { file, offset: 0 });
        let content = file.into_iter().fold(Box::new(io::empty()) as Box<dyn Read>, |_, file| Box::new(file));
        let salvaged = salvage(content.chain(segment.unwritten()), &*copy, &expected);
        if !salvaged.as_ref().is_ok_and(|salvaged| salvaged.bytes > 0) {
            // What made it fail is the error to report; nothing of value is in it.
            let _ = self.files.remove(&plain);
        }
        let salvaged = salvaged.map_err(StorageError::at("save", &path))?;
        if salvaged.bytes > 0 {
            self.sync.add_file(Unsynced { path: plain, file: Some(copy) });
            self.sync.add_directory(name.directory());
        }
        Ok(salvaged)
    }

    /// Moves what has taken the name into quarantine. Where it cannot be moved, it stays, as any file that is not ours.
    fn move_away(&mut self, path: &Path, feed: Feed) -> Option<PathBuf> {
        self.files.identify(path).ok().flatten()?;
        let moved = quarantine::keep(&*self.files, feed, path, "it took the name of a file that was written").ok()?;
        self.sync.add_directory(segment_name::root(feed).to_owned());
        self.sync.add_directory(segment_name::quarantine(feed));
        Some(moved.kept)
    }
}

/// Whether nothing was cut off or added, as far as the length tells, and the last line is ended.
fn is_whole(file: &dyn AppendFile, expected: u64) -> bool {
    let mut last = [0];
    let is_ended = expected == 0 || matches!(file.read_at(expected - 1, &mut last), Ok(1)) && last == *b"\n";
    is_ended && file.identify().is_ok_and(|own| own.bytes == expected)
}

/// How many of `streams` are to be looked at after `elapsed`, so that each is once in a [`ROUND`].
fn share(streams: usize, elapsed: Duration) -> usize {
    let elapsed = elapsed.min(ROUND).as_millis();
    let share = (streams as u128 * elapsed).div_ceil(ROUND.as_millis());
    usize::try_from(share).unwrap_or(streams).min(streams)
}

/// The content of an open file, from its beginning.
struct Descriptor {
    file: Arc<dyn AppendFile>,
    offset: u64,
}

impl Read for Descriptor {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read_at(self.offset, buffer)?;
        self.offset += length as u64;
        Ok(length)
    }
}

#[cfg(test)]
mod tests;
