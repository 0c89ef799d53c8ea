//! Active files that another process removes, truncates or writes to: detected, saved, recorded.
//!
//! ```text
//! check_name ──▶ in place
//!            └─▶ removed, renamed, replaced, truncated, grown
//!            │ its whole lines, from the descriptor ──copy──▶ archive/…/x.jsonl: a segment as any other
//!            │ the file that has the name now ──rename──▶ quarantine/
//!            └ Displaced: the interval in doubt, for the record
//! ```
//!
//! A displaced file is still open, so its content exists until the descriptor is closed. Every step is idempotent: an
//! unfinished copy is removed and made again.

use super::handover::Handover;
use super::salvage::{Expected, Salvage, salvage};
use crate::clock::Stamp;
use crate::files::{AppendFile, IoError, Root};
use crate::recording::archive::free_name;
use crate::recording::segment::{Finished, Segment, Unsynced};
use crate::tape::event::Event;
use crate::tape::paths;
use crate::tape::quarantine;
use crate::tape::segment_name::SegmentName;
use crate::tape::stream_key::StreamKey;
use crate::tape::words::Displacement;
use crate::upbit::feed::Feed;
use std::collections::VecDeque;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The period in which every active name is compared, written to or not.
const ROUND: Duration = Duration::from_secs(60);

/// The kind of displacement, as text for the user.
pub fn shown(what: Displacement) -> &'static str {
    match what {
        Displacement::Grown => "written to by others",
        _ => what.as_str(),
    }
}

/// A displaced file, and the part of its content that is saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Displaced {
    /// The tree and the stream; `None`: it is the data directory itself.
    pub stream: Option<(Feed, StreamKey)>,
    /// Its path before.
    pub file: PathBuf,
    /// The kind of displacement.
    pub what: Displacement,
    /// The segment that holds its lines now, by its plain name; `None`: no line is left.
    pub saved: Option<String>,
    /// The quarantine path of the file that had its name; `None`: there was none, or it was not moved.
    pub kept: Option<PathBuf>,
    /// The stamps of the first and the last line that it held.
    pub held: Option<[Stamp; 2]>,
    /// The interval in doubt.
    pub doubt: Option<Doubt>,
}

impl From<&Displaced> for Event {
    fn from(displaced: &Displaced) -> Self {
        let Displaced { file, what, saved, kept, held, .. } = displaced;
        let [from, to] = held.map_or([None; 2], |held| held.map(Some));
        let text = |path: &PathBuf| path.display().to_string();
        let (file, kept) = (text(file), kept.as_ref().map(text));
        Self::Displaced { file, what: (*what).into(), saved: saved.clone(), kept, from, to }
    }
}

/// An interval of a stream, both ends excluded, in the epoch of the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// Where it begins.
    pub from: Stamp,
    /// Where it ends.
    pub to: Stamp,
    /// Lines are lost. Otherwise all lines exist, but another process may have changed them since `from`.
    pub is_lost: bool,
}

impl Displaced {
    /// An ended segment truncated before it was sealed; `last` is the last remaining line.
    pub fn of_cut(finished: &Finished, last: Option<Stamp>) -> Self {
        let gone = Self::of_unsealed(finished);
        let from = last.unwrap_or(finished.name.first.previous());
        let doubt = gone.doubt.map(|doubt| Doubt { from, ..doubt });
        Self { what: Displacement::Truncated, saved: Some(finished.name.plain_name()), doubt, ..gone }
    }

    /// An ended segment removed before it was sealed.
    pub fn of_unsealed(finished: &Finished) -> Self {
        let (name, last) = (&finished.name, finished.last);
        Self {
            stream: Some((name.feed, name.stream.clone())),
            file: name.plain(),
            what: Displacement::Removed,
            saved: None,
            kept: None,
            held: Some([name.first, last]),
            doubt: Some(Doubt { from: name.first.previous(), to: last.next(), is_lost: true }),
        }
    }

    /// Logs it, unless the whole data directory was displaced, which is logged once.
    fn log(&self, with_all: bool) {
        let (file, what, saved) = (self.file.display(), shown(self.what), self.saved.as_deref());
        let kept = self.kept.as_ref().map(|kept| kept.display().to_string());
        match self.doubt.filter(|doubt| doubt.is_lost) {
            None if with_all => tracing::debug!(%file, what, saved, "saved"),
            None => {
                tracing::warn!(%file, what, saved, kept, "not in its place while it is written: all of it is saved, and a new file goes on")
            }
            Some(Doubt { from, to, .. }) => {
                tracing::warn!(%file, what, saved, kept, %from, %to, "not in its place while it is written: a part is lost, and a new file goes on");
            }
        }
    }

    fn of_root(what: Displacement) -> Self {
        let file = PathBuf::from(".");
        Self { stream: None, file, what, saved: None, kept: None, held: None, doubt: None }
    }
}

/// Which names are compared next, and the displaced files that are not on record yet.
#[derive(Debug, Default)]
pub(super) struct NameWatch {
    /// Displaced files that are not on record yet: one for each segment.
    pub(super) displaced: VecDeque<Displaced>,
    /// The index of the stream compared last, and the time of the last complete round.
    turn: usize,
    checked_at: Stamp,
    /// The data directory was renamed or unmounted, and that is on record.
    is_elsewhere: bool,
    /// It was removed and made again in this round, and that is on record.
    is_made_again: bool,
}

impl NameWatch {
    /// A round of comparisons begins.
    pub(super) fn begin_round(&mut self) {
        self.is_made_again = false;
    }

    /// How many of `streams` are compared at `now`, so that each is once in a [`ROUND`].
    pub(super) fn share(&self, streams: usize, now: Stamp) -> usize {
        share(streams, now.since(self.checked_at))
    }

    /// The index of the stream whose turn it is.
    pub(super) fn next_turn(&mut self, streams: usize) -> usize {
        self.turn = (self.turn + 1) % streams;
        self.turn
    }

    /// The round that began at `now` is complete.
    pub(super) fn end_round(&mut self, now: Stamp) {
        self.checked_at = now;
    }

    /// Puts a displaced file on the list for the record.
    pub(super) fn add(&mut self, displaced: Displaced) {
        displaced.log(self.is_made_again);
        self.displaced.push_back(displaced);
    }

    /// Whether the data directory was removed and created again. An unknown answer counts as no.
    pub(super) fn check_root(&mut self, handover: &mut Handover) -> bool {
        let root = handover.files.look_at_root().unwrap_or(Root::InPlace);
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
                handover.forget_directories();
            }
        }
        root == Root::MadeAgain
    }
}

/// The outcome of [`save`].
#[derive(Debug)]
pub(super) struct Saved {
    /// For the record.
    pub(super) displaced: Displaced,
    /// The copy of the lines in the archive; `None`: no line is left.
    pub(super) copy: Option<SavedCopy>,
}

/// Lines of a displaced file, in the archive.
#[derive(Debug)]
pub(super) struct SavedCopy {
    /// The segment that holds them now.
    pub(super) name: SegmentName,
    /// Its length in bytes.
    pub(super) bytes: u64,
}

/// Copies the remaining lines of a displaced segment into the archive, and moves the file that has its name now to the
/// quarantine. The directories must exist.
pub(super) fn save(handover: &mut Handover, segment: &Segment, what: Displacement) -> Result<Saved, IoError> {
    let (path, feed) = (segment.path(), segment.name().feed);
    let name = free_name(&*handover.files, segment.name().clone())?;
    let salvaged = copy(handover, segment, &name)?;
    let kept = move_away(handover, &path, feed);
    let (seen, held) = (segment.seen(), [segment.began(), segment.last()]);
    let doubt = |from, is_lost| Doubt { from, to: segment.last().next(), is_lost };
    let doubt = match salvaged.lost_since {
        Some(from) => Some(doubt(from, true)),
        // An equal length does not prove equal content.
        None => (seen.last < segment.last()).then(|| doubt(seen.last, false)),
    };
    let copy = (salvaged.bytes > 0).then_some(SavedCopy { name, bytes: salvaged.bytes });
    let saved = copy.as_ref().map(|copy| copy.name.plain_name());
    let stream = Some((feed, segment.name().stream.clone()));
    let displaced = Displaced { stream, file: path, what, saved, kept, held: Some(held), doubt };
    Ok(Saved { displaced, copy })
}

/// Copies a segment's whole lines to `name`.
fn copy(handover: &mut Handover, segment: &Segment, name: &SegmentName) -> Result<Salvage, IoError> {
    let files = handover.files.clone();
    let (path, plain) = (segment.path(), name.plain());
    let source = segment.source(&*files);
    let expected = Expected {
        bytes: segment.bytes(),
        began: segment.began(),
        last: segment.last(),
        seen: segment.seen(),
        is_whole: source.as_ref().is_some_and(|source| is_whole(&**source, segment.on_disk())),
    };
    let copy = files.create(&plain).map_err(IoError::at("create", &plain))?;
    let file = source.map(|file| Descriptor { file, offset: 0 });
    let content = file.into_iter().fold(Box::new(io::empty()) as Box<dyn Read>, |_, file| Box::new(file));
    let salvaged = salvage(content.chain(segment.unwritten()), &*copy, &expected);
    if !salvaged.as_ref().is_ok_and(|salvaged| salvaged.bytes > 0) {
        // The first error is reported; the partial copy has no value.
        let _ = files.remove(&plain);
    }
    let salvaged = salvaged.map_err(IoError::at("save", &path))?;
    if salvaged.bytes > 0 {
        handover.sync.add_file(Unsynced { path: plain, file: Some(copy) });
        handover.sync.add_directory(name.directory());
    }
    Ok(salvaged)
}

/// Moves the file that has taken a name to the quarantine. If that fails, it stays, as any foreign file.
fn move_away(handover: &mut Handover, path: &Path, feed: Feed) -> Option<PathBuf> {
    handover.files.identify(path).ok().flatten()?;
    let moved = quarantine::keep(&*handover.files, feed, path, "it took the name of a file that was written").ok()?;
    handover.sync.add_directory(paths::root(feed).to_owned());
    handover.sync.add_directory(paths::quarantine(feed));
    Some(moved.kept)
}

/// Whether the length is the written one, and the last line is ended.
fn is_whole(file: &dyn AppendFile, expected: u64) -> bool {
    let mut last = [0];
    let is_ended = expected == 0 || matches!(file.read_at(expected - 1, &mut last), Ok(1)) && last == *b"\n";
    is_ended && file.identify().is_ok_and(|own| own.bytes == expected)
}

/// How many of `streams` are compared after `elapsed`, so that each is once in a [`ROUND`].
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
