//! Lines of a tree as they are written: behind what is there, across rotations and restarts, each once.
//!
//! ```text
//! the active file, held open ──grows──▶ lines            once a round its name is looked at
//!   └─ its name leads elsewhere: read to its end, and all that is behind it is listed again ──▶ past, then the next one
//! ```
//!
//! It works where no notification of the system does, as on network file systems. Two rotations between two looks cost
//! nothing: what is between the held file and the next one stands in the archive.

use super::error::TapeError;
use super::growing::Growing;
use super::lines::Lines;
use super::segment::Segment;
use super::segments::{self, Wanted};
use super::selection::Selection;
use super::tree::Tree;
use crate::clock::{Position, Stamp};
use crate::tape::line::Line;
use crate::tape::paths;
use crate::tape::stream_key::StreamKey;
use crate::upbit::feed::Feed;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// Content of a stream that is read in a round: at the exchange's 2,565 streams 160 MiB at the most, where all of them have
/// as much to tell.
const ROUND: usize = 64 * 1024;

/// How far back the archive is listed at the beginning: a file that is active now was begun since, and what is older than
/// a stream's end needs no listing.
const RECENT: Duration = Duration::from_secs(2 * 86_400);

/// Which streams are followed.
type IsMeant = Box<dyn Fn(&StreamKey) -> bool>;

/// See the module.
pub struct Follower {
    tree: Tree,
    is_meant: IsMeant,
    streams: BTreeMap<StreamKey, Followed>,
    /// What is stamped before is not listed, in the epoch at the beginning.
    floor: Position,
}

/// A stream.
#[derive(Default)]
struct Followed {
    /// The last line that was read.
    last: Option<Position>,
    /// Lines of segments that have ended.
    past: Option<Lines>,
    held: Option<Growing>,
    /// The last line at the beginning, where it was read.
    begun_behind: Option<Line>,
    /// Its active file is another one, or there is one now.
    is_due: bool,
}

/// What a round brought.
#[derive(Debug, Default)]
pub struct Round {
    /// New lines, those of each stream in order.
    pub lines: Vec<(StreamKey, Line)>,
    /// Parts that cannot be read.
    pub faults: Vec<TapeError>,
    /// Whether more is there already.
    pub has_more: bool,
}

impl Follower {
    /// Begins behind the lines that are there, and reads the last of each stream if `reads_last`. What is `now` by the
    /// reader's clock only decides what is listed.
    pub(super) fn begin(tree: Tree, is_meant: IsMeant, now: Stamp, reads_last: bool) -> Result<Self, TapeError> {
        let epoch = tree.epoch();
        let newest = segments::newest_date(&tree)?.unwrap_or(now);
        let floor = Position { epoch, stamp: now.min(newest).before(RECENT) };
        let selected = Selection::from(Position::default()..).not_before(floor.stamp);
        let mut streams = BTreeMap::new();
        for (stream, mut listed) in segments::list(&tree, &Wanted::Meant(&*is_meant), &selected)? {
            let mut followed = Followed::default();
            let active = listed.pop_if(|segment| segment.is_active());
            if let Some((about, file)) = active.and_then(Segment::into_active) {
                let mut held = Growing::new(about, file);
                followed.begun_behind = held.skip_to_end()?;
                followed.last = followed.begun_behind.as_ref().map(Line::position);
                followed.held = Some(held);
            }
            while let (None, Some(segment)) = (followed.last, listed.pop()) {
                if reads_last {
                    followed.begun_behind = segment.last_line()?;
                    followed.last = followed.begun_behind.as_ref().map(Line::position);
                } else {
                    followed.last = segment.last_position()?;
                }
            }
            streams.insert(stream, followed);
        }
        Ok(Self { tree, is_meant, streams, floor })
    }

    /// Where each stream that has lines ended at the beginning, and has come to since.
    pub fn ends(&self) -> impl Iterator<Item = (&StreamKey, Position)> {
        self.streams.iter().filter_map(|(stream, followed)| Some((stream, followed.last?)))
    }

    /// The last line of each stream at the beginning, of those that were written to in the last two days; to be had once.
    pub fn take_last_lines(&mut self) -> impl Iterator<Item = (&StreamKey, Line)> {
        self.streams.iter_mut().filter_map(|(stream, followed)| Some((stream, followed.begun_behind.take()?)))
    }

    /// Reads what is new of some streams, without looking whether their files are others by now, or what others there
    /// are: the next round does.
    pub fn read_on(&mut self, streams: &BTreeSet<StreamKey>) -> Round {
        let mut round = Round::default();
        for stream in streams {
            match self.streams.get_mut(stream) {
                Some(followed) => followed.read(stream, &mut round),
                None => round.has_more |= (self.is_meant)(stream),
            }
        }
        round.lines.sort_by_key(|(_, line)| line.position());
        round
    }

    /// Reads what is new, up to some KiB of a stream.
    pub fn round(&mut self) -> Round {
        let mut round = Round::default();
        if let Err(fault) = self.look() {
            round.faults.push(fault);
        }
        for (stream, followed) in &mut self.streams {
            followed.read(stream, &mut round);
        }
        let due: BTreeSet<StreamKey> =
            self.streams.iter().filter(|(_, it)| it.is_due && it.is_idle()).map(|(stream, _)| stream.clone()).collect();
        if !due.is_empty() {
            match self.list(&due) {
                Ok(()) => round.has_more = true,
                Err(fault) => round.faults.push(fault),
            }
        }
        round.lines.sort_by_key(|(_, line)| line.position());
        round
    }

    /// Notices new streams, and active files that are others now.
    fn look(&mut self) -> Result<(), TapeError> {
        for name in self.tree.names(Path::new(""))? {
            let stream = paths::parse_active(&name).filter(|stream| (self.is_meant)(stream));
            if let Some(stream) = stream {
                let followed = self.streams.entry(stream).or_default();
                followed.is_due |= followed.held.is_none();
            }
        }
        for (stream, followed) in &mut self.streams {
            if let Some(held) = &followed.held {
                followed.is_due |= !self.tree.is_still(&paths::active(Feed::Public, stream), held.file())?;
            }
        }
        Ok(())
    }

    /// Lists what streams have behind their last lines, and holds their active files.
    fn list(&mut self, due: &BTreeSet<StreamKey>) -> Result<(), TapeError> {
        let last = due.iter().map(|stream| self.streams[stream].last.unwrap_or(self.floor)).min();
        let begin = last.unwrap_or(self.floor);
        let all = Selection::from(begin..);
        // Behind a step back of the clock stamps are anywhere.
        let selected = if self.tree.epoch() == begin.epoch { all.not_before(begin.stamp) } else { all };
        let listed = match due.first().filter(|_| due.len() == 1) {
            Some(one) => segments::list(&self.tree, &Wanted::One(one), &selected)?,
            None => segments::list(&self.tree, &Wanted::Meant(&|stream| due.contains(stream)), &selected)?,
        };
        for (stream, mut segments) in listed {
            let Some(followed) = self.streams.get_mut(&stream) else { continue };
            let active = segments.pop_if(|segment| segment.is_active());
            let behind = Selection::from(followed.last.unwrap_or(self.floor)..);
            if let Some((about, file)) = active.and_then(Segment::into_active) {
                let begin = *behind.of_epoch(about.epoch).start();
                let mut held = Growing::new(about, file);
                held.skip_to(begin)?;
                followed.held = Some(held);
            } else {
                followed.held = None;
            }
            followed.past = Some(Lines::new(segments, behind, ROUND));
        }
        for stream in due {
            if let Some(followed) = self.streams.get_mut(stream) {
                followed.is_due = false;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower").field("tree", &self.tree).field("floor", &self.floor).finish_non_exhaustive()
    }
}

impl Followed {
    /// Whether nothing is left of what was listed.
    fn is_idle(&self) -> bool {
        self.past.is_none() && self.held.as_ref().is_none_or(Growing::is_read)
    }

    fn read(&mut self, stream: &StreamKey, round: &mut Round) {
        let mut room = ROUND;
        while let Some(lines) = &mut self.past {
            match lines.next() {
                None => self.past = None,
                Some(Err(fault)) => round.faults.push(fault),
                Some(Ok(line)) => {
                    room = room.saturating_sub(line.text().len());
                    self.take(stream, line, round);
                }
            }
            if room == 0 {
                round.has_more = true;
                return;
            }
        }
        let Some(held) = &mut self.held else { return };
        let lines = held.read(room, &mut round.faults);
        round.has_more |= !held.is_read();
        lines.into_iter().for_each(|line| self.take(stream, line, round));
    }

    fn take(&mut self, stream: &StreamKey, line: Line, round: &mut Round) {
        if self.last.is_none_or(|last| last < line.position()) {
            self.last = Some(line.position());
            round.lines.push((stream.clone(), line));
        }
    }
}
