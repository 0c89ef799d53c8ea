//! The active files of all streams, fed by one ordered queue. A plain struct: its host calls it, it never waits.
//!
//! ```text
//! Order ──accept──▶ work ──▶ Segment (memory) ──write_out──▶ active file ──rename──▶ archive/ ──take_sync_job──▶ syncer
//! ```
//!
//! Every step can fail because the disk is full, and be called again: it goes on exactly where it stopped, so that no
//! line is lost, doubled or glued to another.

pub mod displaced;
mod ending;
mod order;
mod salvage;
pub mod segment;

pub use order::{Object, Order, Routed, Step, Tell};

use super::recovery::quarantine::clear_directories;
use super::rotation::{Reason, Rotation};
use super::router::{NewStream, StreamId};
use super::sync::SyncJob;
use crate::batch::Entry;
use crate::clock::Stamp;
use crate::files::open::Obstacle;
use crate::files::{Files, StorageError};
use crate::tape::line;
use crate::tape::manifest::Origins;
use crate::tape::segment_name;
use crate::tape::segment_name::SegmentName;
use crate::tape::stream_key::StreamKey;
use crate::upbit::feed::{Feed, PerFeed};
use displaced::Displaced;
use segment::{Finished, Segment};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Buffers kept for reuse: as many streams as are usually written between two flushes.
const SPARE_BUFFERS: usize = 64;

/// A larger buffer is given back to the system after use: it held an unusual burst.
const SPARE_BUFFER_BYTES: usize = 64 * 1024;

/// Directories remembered as being there: two trees, a few dates each.
const KNOWN_DIRECTORIES: usize = 32;

/// See the module.
#[derive(Debug)]
pub struct Journal {
    files: Arc<dyn Files>,
    rotation: Rotation,
    streams: Vec<Stream>,
    misc: PerFeed<Option<StreamId>>,
    origins: PerFeed<Arc<Origins>>,
    epoch: u64,
    resumable: BTreeMap<(Feed, StreamKey), Segment>,
    /// The order in hand, and how far it is done.
    current: Option<(Order, Done)>,
    /// Streams with lines in memory, and how many bytes those are.
    pending: Vec<StreamId>,
    pending_bytes: usize,
    /// Streams to be rotated when nothing more urgent waits.
    due: BTreeMap<StreamId, Reason>,
    unsynced: Vec<StreamId>,
    sync: SyncJob,
    /// The names of segments that ended and are not on record yet.
    ended: BTreeMap<Reason, Vec<String>>,
    /// How many have ended since this was last asked.
    ended_since: BTreeMap<Reason, usize>,
    directories: BTreeSet<PathBuf>,
    spare: Vec<Vec<u8>>,
    /// What was displaced and is not on record yet: once a segment.
    displaced: VecDeque<Displaced>,
    /// Whose name was looked at last, and when that was, of all in turn.
    turn: usize,
    looked_at: Stamp,
    /// The data directory was renamed or unmounted, and that was told.
    is_elsewhere: bool,
    /// It was removed and made again since the last look, and that was told.
    is_made_again: bool,
}

/// How far an order is carried out.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    /// Lines that are in the buffers.
    lines: usize,
    /// Bytes of the next record whose portion of the line is there, too.
    bytes: usize,
}

#[derive(Debug)]
struct Stream {
    feed: Feed,
    key: StreamKey,
    segment: Option<Segment>,
    /// A file that is not ours has the name: the lines go to `misc`.
    is_blocked: bool,
}

impl Journal {
    /// A journal that continues `resumable` segments; `epoch` is how often stamps have gone back in this directory.
    pub fn new(files: Arc<dyn Files>, rotation: Rotation, resumable: Vec<Segment>, epoch: u64) -> Self {
        let by_stream = |segment: Segment| ((segment.name().feed, segment.name().stream.clone()), segment);
        Self {
            files,
            rotation,
            streams: Vec::new(),
            misc: PerFeed::default(),
            origins: Default::default(),
            epoch,
            resumable: resumable.into_iter().map(by_stream).collect(),
            current: None,
            pending: Vec::new(),
            pending_bytes: 0,
            due: BTreeMap::new(),
            unsynced: Vec::new(),
            sync: SyncJob::default(),
            ended: BTreeMap::new(),
            ended_since: BTreeMap::new(),
            directories: BTreeSet::new(),
            spare: Vec::new(),
            displaced: VecDeque::new(),
            turn: 0,
            looked_at: Stamp::default(),
            is_elsewhere: false,
            is_made_again: false,
        }
    }

    /// Segments of earlier processes that are sealed after the next sync, when what is told of them is durable.
    pub fn seal_after_sync(&mut self, finished: Vec<Finished>) {
        self.sync.finished.extend(finished);
    }

    /// Takes the next order in hand; [`work`](Self::work) carries it out.
    pub fn accept(&mut self, order: Order) {
        debug_assert!(self.current.is_none(), "an order was accepted before the last one was done");
        self.current = Some((order, Done::default()));
    }

    /// Carries out the order in hand, if there is one. After an error it stays in hand, and a later call resumes it.
    pub fn work(&mut self) -> Result<(), StorageError> {
        let Some((order, mut done)) = self.current.take() else { return Ok(()) };
        let result = self.carry_out(&order, &mut done);
        if result.is_err() {
            self.current = Some((order, done));
        }
        result
    }

    /// Takes an event in past lines that wait for a full disk: each file keeps its order all the same, since nothing else
    /// goes into that of the events. After an error it was not taken in.
    pub fn pass_event(&mut self, id: StreamId, stamp: Stamp, object: &Object) -> Result<(), StorageError> {
        if matches!(self.current, Some((Order::Event(..), _))) {
            self.work()?;
        }
        self.flush(id)?;
        self.append_event(id, stamp, object)
    }

    /// Whether the order in hand is a step.
    pub fn is_stepping(&self) -> bool {
        matches!(self.current, Some((Order::Step(_), _)))
    }

    /// Writes the lines of one stream to its file. After an error the rest stays, and a later call resumes it.
    pub fn flush(&mut self, id: StreamId) -> Result<(), StorageError> {
        self.write_out_stream(id)
    }

    /// How often stamps have gone back, by the orders so far.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Bytes of lines that are only in memory.
    pub fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    /// Writes all lines to their files. After an error the rest stays, and a later call resumes it.
    pub fn write_out(&mut self) -> Result<(), StorageError> {
        while let Some(id) = self.pending.last().copied() {
            self.write_out_stream(id)?;
            self.pending.pop();
        }
        self.pending_bytes = 0;
        Ok(())
    }

    /// What has to be made durable since the last call; `None`: nothing.
    pub fn take_sync_job(&mut self) -> Option<SyncJob> {
        for id in std::mem::take(&mut self.unsynced) {
            let segment = self.streams[id.index()].segment.as_mut();
            if let Some(unsynced) = segment.and_then(Segment::take_unsynced) {
                self.sync.add_file(unsynced);
            }
        }
        let job = std::mem::take(&mut self.sync);
        (!job.is_empty()).then_some(job)
    }

    /// How many segments have ended since the last call, by reason. Their names are told by [`Object::Ended`], those that a
    /// step has ended by the step.
    pub fn take_ended(&mut self) -> BTreeMap<Reason, usize> {
        std::mem::take(&mut self.ended_since)
    }

    fn carry_out(&mut self, order: &Order, done: &mut Done) -> Result<(), StorageError> {
        match order {
            Order::Open(stream) => self.open(stream),
            Order::Lines(routed) => return self.append_lines(routed, done),
            Order::Event(id, stamp, object) => return self.append_event(*id, *stamp, object),
            Order::Missed(id, objects) => return self.append_missed(*id, objects, &mut done.lines),
            Order::Describe(feed, origins) => self.describe(*feed, origins),
            Order::Tick { stamp, .. } => self.tick(*stamp),
            Order::Rotate => self.rotate_all(Reason::Requested, |_| true),
            Order::Look => return self.look_at_all(),
            Order::Step(step) => return self.begin_time_line(step, &mut done.lines),
        }
        Ok(())
    }

    fn open(&mut self, stream: &NewStream) {
        debug_assert_eq!(stream.id.index(), self.streams.len(), "stream numbers have no holes");
        if stream.key == StreamKey::misc() {
            self.misc[stream.feed] = Some(stream.id);
        }
        let segment = self.resumable.remove(&(stream.feed, stream.key.clone()));
        self.streams.push(Stream { feed: stream.feed, key: stream.key.clone(), segment, is_blocked: false });
    }

    fn append_lines(&mut self, routed: &Routed, done: &mut Done) -> Result<(), StorageError> {
        let entries = routed.batch.entries().zip(&routed.lines).skip(done.lines);
        for ((_, entry), &(stamp, id)) in entries {
            match entry {
                Entry::Data { object, .. } | Entry::Control { object } => {
                    self.append(id, stamp, &|line, stamp| line::object(line, stamp, object))?;
                }
                Entry::Unreadable { bytes } => self.append_raw((id, stamp), bytes, &mut done.bytes)?,
            }
            *done = Done { lines: done.lines + 1, bytes: 0 };
        }
        Ok(())
    }

    fn append_missed(
        &mut self,
        id: StreamId,
        objects: &[(Stamp, String)],
        done: &mut usize,
    ) -> Result<(), StorageError> {
        for (stamp, object) in objects.iter().skip(*done) {
            self.append(id, *stamp, &|line, stamp| line::object(line, stamp, object.as_bytes()))?;
            *done += 1;
        }
        Ok(())
    }

    /// Appends the line of what may be long and becomes longer, in portions that are written before the next one is made.
    fn append_raw(
        &mut self,
        (id, stamp): (StreamId, Stamp),
        bytes: &[u8],
        done: &mut usize,
    ) -> Result<(), StorageError> {
        if *done > 0 && self.streams[self.target(id).index()].segment.is_none() {
            // Its file was taken away: what was saved of it has whole lines alone.
            *done = 0;
        }
        let id = if *done == 0 { self.prepare(id, stamp)? } else { self.target(id) };
        loop {
            if *done > 0 {
                self.write_out_stream(id)?;
            }
            self.extend(id, &mut |line| *done = line::raw(line, stamp, bytes, *done));
            if *done == bytes.len() {
                return Ok(());
            }
        }
    }

    fn append_event(&mut self, id: StreamId, stamp: Stamp, object: &Object) -> Result<(), StorageError> {
        let append = |journal: &mut Self, text: &str| {
            journal.append(id, stamp, &|line, stamp| line::object(line, stamp, text.as_bytes()))
        };
        match object {
            Object::Text(text) => append(self, text),
            Object::Ended(reason, tell) => {
                let Some(names) = self.ended.remove(reason) else { return Ok(()) };
                let appended = append(self, &tell(*reason, names.clone()));
                if appended.is_err() {
                    self.ended.entry(*reason).or_default().splice(0..0, names);
                }
                appended
            }
        }
    }

    fn append(&mut self, id: StreamId, stamp: Stamp, write: &dyn Fn(&mut Vec<u8>, Stamp)) -> Result<(), StorageError> {
        let id = self.prepare(id, stamp)?;
        self.extend(id, &mut |line| write(line, stamp));
        Ok(())
    }

    /// Lets `write` append to the buffer of a prepared stream.
    fn extend(&mut self, id: StreamId, write: &mut dyn FnMut(&mut Vec<u8>)) {
        let segment = self.streams[id.index()].segment.as_mut().expect("a prepared stream has a segment");
        if !segment.has_pending() {
            self.pending.push(id);
        }
        let spare = &mut self.spare;
        self.pending_bytes += segment.extend(|| spare.pop().unwrap_or_default(), write);
    }

    /// The stream that takes the lines of this one: `misc` where a file that is not ours has its name.
    fn target(&self, id: StreamId) -> StreamId {
        let stream = &self.streams[id.index()];
        self.misc[stream.feed].filter(|_| stream.is_blocked).unwrap_or(id)
    }

    /// Gives the stream a segment that may take a line stamped `stamp`. Returns the stream to use: `misc` where a file
    /// that is not ours has the name.
    fn prepare(&mut self, id: StreamId, stamp: Stamp) -> Result<StreamId, StorageError> {
        let target = self.target(id);
        if target != id {
            return self.prepare(target, stamp);
        }
        if let Some(reason) = self.reason_to_rotate(id, stamp) {
            self.rotate(id, reason)?;
        }
        if self.streams[id.index()].segment.is_none() {
            match self.begin(id, stamp) {
                Ok(segment) => self.streams[id.index()].segment = Some(segment),
                Err(error) if error.source.kind() == io::ErrorKind::AlreadyExists && self.block(id) => {
                    return self.prepare(id, stamp);
                }
                Err(error) => return Err(error),
            }
        }
        if let Some(segment) = &mut self.streams[id.index()].segment {
            segment.reach(stamp);
        }
        Ok(id)
    }

    fn begin(&mut self, id: StreamId, first: Stamp) -> Result<Segment, StorageError> {
        let stream = &self.streams[id.index()];
        let (feed, key) = (stream.feed, stream.key.clone());
        let origin = self.origins[feed].get(&key).cloned();
        let name = SegmentName { feed, stream: key, first };
        let about = Finished { name, origin, epoch: self.epoch, last: first, bytes: None, torn: Vec::new() };
        self.make_directory(segment_name::root(feed).to_owned())?;
        self.sync.add_directory(segment_name::root(feed).to_owned());
        match Segment::create(&*self.files, about.clone()) {
            Err(error) if error.is_out_of_descriptors() => {
                self.close_idle();
                Segment::create(&*self.files, about)
            }
            segment => segment,
        }
    }

    /// Sends a stream's lines to `misc` from here on, because a file that is not ours has its name. `false`: the stream
    /// is `misc` itself.
    fn block(&mut self, id: StreamId) -> bool {
        let stream = &mut self.streams[id.index()];
        let has_misc = self.misc[stream.feed].is_some_and(|misc| misc != id);
        if has_misc {
            stream.is_blocked = true;
            tracing::warn!(stream = %stream.key, "a file that is not ours has this stream's name: its lines go to misc.jsonl");
        }
        has_misc
    }

    fn write_out_stream(&mut self, id: StreamId) -> Result<(), StorageError> {
        let Some(segment) = &mut self.streams[id.index()].segment else { return Ok(()) };
        let was_unsynced = segment.is_unsynced();
        let written = match segment.write_out(&*self.files) {
            Err(error) if error.is_out_of_descriptors() => {
                self.close_idle();
                let segment = self.streams[id.index()].segment.as_mut().expect("closing keeps the segment");
                segment.write_out(&*self.files)
            }
            written => written,
        };
        let segment = self.streams[id.index()].segment.as_ref().expect("writing keeps the segment");
        if segment.is_unsynced() && !was_unsynced {
            self.unsynced.push(id);
        }
        let buffer = written?;
        if self.spare.len() < SPARE_BUFFERS && (1..=SPARE_BUFFER_BYTES).contains(&buffer.capacity()) {
            self.spare.push(buffer);
        }
        Ok(())
    }

    fn make_directory(&mut self, path: PathBuf) -> Result<(), StorageError> {
        if self.directories.len() > KNOWN_DIRECTORIES {
            self.directories.clear();
        }
        if path.as_os_str().is_empty() || self.directories.contains(&path) {
            return Ok(());
        }
        let files = self.files.clone();
        let make = || files.make_directory(&path).map_err(StorageError::at("make the directory", &path));
        match make() {
            Err(error) if error.is_out_of_descriptors() => {
                self.close_idle();
                make()?;
            }
            Err(error) if Obstacle::of(&error.source).is_some() => {
                clear_directories(&*self.files, &path)?;
                make()?;
            }
            made => made?,
        }
        self.directories.insert(path);
        Ok(())
    }

    /// Gives descriptors back: the files of all streams for which nothing waits are opened again when they are needed.
    fn close_idle(&mut self) {
        self.streams.iter_mut().filter_map(|stream| stream.segment.as_mut()).for_each(Segment::close);
    }
}

#[cfg(test)]
mod tests;
