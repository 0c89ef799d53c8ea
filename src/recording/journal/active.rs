//! The active files of all streams: lines go in, segments begin, are written, and end.
//!
//! ```text
//! append ──▶ Segment (memory) ──write_out──▶ active file ──rotate──▶ archive/ ──▶ Handover: sync, then seal
//!                                                └─ displaced ──save──▶ archive/
//! ```

use super::displaced::{Displaced, NameWatch, save};
use super::handover::Handover;
use crate::clock::Stamp;
use crate::files::{Files, IoError};
use crate::recording::rotation::Rotation;
use crate::recording::router::{NewStream, StreamId};
use crate::recording::segment::{Finished, Segment};
use crate::tape::line;
use crate::tape::manifest::Origins;
use crate::tape::paths;
use crate::tape::segment_name::SegmentName;
use crate::tape::stream_key::StreamKey;
use crate::tape::words::RotationReason;
use crate::upbit::feed::{Feed, PerFeed};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Bytes of buffers kept for reuse: those of the streams that are written together under the greatest load.
const SPARE_BYTES: usize = 8 * 1024 * 1024;

/// A larger buffer is freed after use: it held an unusual burst.
const SPARE_BUFFER_BYTES: usize = 64 * 1024;

/// See the module.
#[derive(Debug)]
pub(super) struct ActiveFiles {
    pub(super) handover: Handover,
    pub(super) watch: NameWatch,
    pub(super) epoch: u64,
    pub(super) rotation: Rotation,
    streams: Vec<Stream>,
    misc: PerFeed<Option<StreamId>>,
    origins: PerFeed<Arc<Origins>>,
    resumable: BTreeMap<(Feed, StreamKey), Segment>,
    /// Streams with lines in memory, and the size of those lines in bytes.
    pending: Vec<StreamId>,
    pending_bytes: usize,
    /// Streams to be rotated when no command waits.
    due: BTreeMap<StreamId, RotationReason>,
    unsynced: Vec<StreamId>,
    /// Empty buffers for reuse, and their size in bytes.
    spare: Vec<Vec<u8>>,
    spare_bytes: usize,
}

#[derive(Debug)]
struct Stream {
    feed: Feed,
    key: StreamKey,
    segment: Option<Segment>,
    /// A foreign file has the name: the lines go to `misc`.
    is_blocked: bool,
}

/// Streams and their lines.
impl ActiveFiles {
    pub(super) fn new(files: Arc<dyn Files>, rotation: Rotation, resumable: Vec<Segment>, epoch: u64) -> Self {
        let by_stream = |segment: Segment| ((segment.name().feed, segment.name().stream.clone()), segment);
        Self {
            handover: Handover::new(files),
            watch: NameWatch::default(),
            epoch,
            rotation,
            streams: Vec::new(),
            misc: PerFeed::default(),
            origins: PerFeed::default(),
            resumable: resumable.into_iter().map(by_stream).collect(),
            pending: Vec::new(),
            pending_bytes: 0,
            due: BTreeMap::new(),
            unsynced: Vec::new(),
            spare: Vec::new(),
            spare_bytes: 0,
        }
    }

    /// Registers a stream, and continues its segment if an earlier process left one intact.
    pub(super) fn open(&mut self, stream: &NewStream) {
        debug_assert_eq!(stream.id.index(), self.streams.len(), "stream numbers have no holes");
        if stream.key == StreamKey::misc() {
            self.misc[stream.feed] = Some(stream.id);
        }
        let segment = self.resumable.remove(&(stream.feed, stream.key.clone()));
        self.streams.push(Stream { feed: stream.feed, key: stream.key.clone(), segment, is_blocked: false });
    }

    /// Appends a line to the buffer of its stream.
    pub(super) fn append(
        &mut self,
        id: StreamId,
        stamp: Stamp,
        write: &dyn Fn(&mut Vec<u8>, Stamp),
    ) -> Result<(), IoError> {
        let id = self.prepare(id, stamp)?;
        self.extend(id, &mut |line| write(line, stamp));
        Ok(())
    }

    /// Appends a line of many bytes, which grow when escaped as text: in portions, each written before the next one is
    /// encoded. `done` counts the bytes appended.
    pub(super) fn append_raw(
        &mut self,
        id: StreamId,
        stamp: Stamp,
        bytes: &[u8],
        done: &mut usize,
    ) -> Result<(), IoError> {
        if *done > 0 && self.streams[self.target(id).index()].segment.is_none() {
            // Its file was displaced: the saved copy ends with a whole line.
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

    /// Bytes of lines that are only in memory.
    pub(super) fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    /// Files with lines that are only in memory.
    pub(super) fn pending_files(&self) -> usize {
        self.pending.len()
    }

    /// Writes all lines to their files. After an error the rest stays, and a later call resumes it.
    pub(super) fn write_out(&mut self) -> Result<(), IoError> {
        while let Some(id) = self.pending.last().copied() {
            self.write_out_stream(id)?;
            self.pending.pop();
        }
        self.pending_bytes = 0;
        Ok(())
    }

    /// Writes the lines of one stream to its file. After an error the rest stays, and a later call resumes it.
    pub(super) fn write_out_stream(&mut self, id: StreamId) -> Result<(), IoError> {
        let Some(segment) = &self.streams[id.index()].segment else { return Ok(()) };
        let was_unsynced = segment.is_unsynced();
        let written = self.with_descriptor(|active| {
            let segment = active.streams[id.index()].segment.as_mut().expect("closing keeps the segment");
            segment.write_out(&*active.handover.files)
        });
        let segment = self.streams[id.index()].segment.as_ref().expect("writing keeps the segment");
        if segment.is_unsynced() && !was_unsynced {
            self.unsynced.push(id);
        }
        let buffer = written?;
        let bytes = buffer.capacity();
        if (1..=SPARE_BUFFER_BYTES).contains(&bytes) && self.spare_bytes + bytes <= SPARE_BYTES {
            self.spare_bytes += bytes;
            self.spare.push(buffer);
        }
        Ok(())
    }

    /// Adds the files that were written since the last call to the sync job.
    pub(super) fn collect_unsynced(&mut self) {
        for id in std::mem::take(&mut self.unsynced) {
            let segment = self.streams[id.index()].segment.as_mut();
            if let Some(unsynced) = segment.and_then(Segment::take_unsynced) {
                self.handover.sync.add_file(unsynced);
            }
        }
    }

    /// Lets `write` append to the buffer of a prepared stream.
    fn extend(&mut self, id: StreamId, write: &mut dyn FnMut(&mut Vec<u8>)) {
        let segment = self.streams[id.index()].segment.as_mut().expect("a prepared stream has a segment");
        if !segment.has_pending() {
            self.pending.push(id);
        }
        let (spare, spare_bytes) = (&mut self.spare, &mut self.spare_bytes);
        let buffer = || {
            let buffer = spare.pop().unwrap_or_default();
            *spare_bytes -= buffer.capacity();
            buffer
        };
        self.pending_bytes += segment.extend(buffer, write);
    }

    /// The stream that takes the lines of this one: `misc` where a foreign file has its name.
    fn target(&self, id: StreamId) -> StreamId {
        let stream = &self.streams[id.index()];
        self.misc[stream.feed].filter(|_| stream.is_blocked).unwrap_or(id)
    }

    /// Gives the stream a segment for a line stamped `stamp`. Returns the stream to use: `misc` where a foreign file
    /// has its name.
    fn prepare(&mut self, id: StreamId, stamp: Stamp) -> Result<StreamId, IoError> {
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

    fn begin(&mut self, id: StreamId, first: Stamp) -> Result<Segment, IoError> {
        let stream = &self.streams[id.index()];
        let (feed, key) = (stream.feed, stream.key.clone());
        let origin = self.origins[feed].get(&key).cloned();
        let name = SegmentName { feed, stream: key, epoch: self.epoch, first };
        let about = Finished { name, origin, last: first, bytes: None, torn: Vec::new() };
        self.make_directory(paths::root(feed))?;
        self.handover.sync.add_directory(paths::root(feed).to_owned());
        self.with_descriptor(|active| Segment::create(&*active.handover.files, about.clone()))
    }

    /// Redirects a stream's lines to `misc`, because a foreign file has its name. `false`: the stream is `misc` itself.
    fn block(&mut self, id: StreamId) -> bool {
        let stream = &mut self.streams[id.index()];
        let has_misc = self.misc[stream.feed].is_some_and(|misc| misc != id);
        if has_misc {
            stream.is_blocked = true;
            tracing::warn!(stream = %stream.key, "a file that is not ours has this stream's name: its lines go to misc.jsonl");
        }
        has_misc
    }

    fn make_directory(&mut self, path: &Path) -> Result<(), IoError> {
        self.with_descriptor(|active| active.handover.make_directory(path))
    }

    /// Retries after closing idle files, where descriptors are exhausted.
    fn with_descriptor<T>(&mut self, attempt: impl Fn(&mut Self) -> Result<T, IoError>) -> Result<T, IoError> {
        match attempt(self) {
            Err(error) if error.is_out_of_descriptors() => {
                self.close_idle();
                attempt(self)
            }
            result => result,
        }
    }

    /// Closes the files of streams without lines in memory; each is reopened on use.
    pub(super) fn close_idle(&mut self) {
        self.streams.iter_mut().filter_map(|stream| stream.segment.as_mut()).for_each(Segment::close);
    }
}

/// Rotation.
impl ActiveFiles {
    /// Records the request of a feed's streams from here on; segments of another request become due, and those of
    /// streams that are no longer requested.
    pub(super) fn describe(&mut self, feed: Feed, origins: &Arc<Origins>) {
        let before = std::mem::replace(&mut self.origins[feed], origins.clone());
        self.make_due(RotationReason::Subscription, |segment| {
            let name = segment.name();
            let is_over = match origins.get(&name.stream) {
                Some(origin) => segment.origin() != Some(origin),
                None => before.get(&name.stream).is_some(),
            };
            name.feed == feed && is_over
        });
    }

    /// Makes the segments due whose period is over at `stamp`.
    pub(super) fn tick(&mut self, stamp: Stamp) {
        let rotation = self.rotation;
        self.make_due(RotationReason::Interval, |segment| rotation.is_over(segment.name().first, stamp));
    }

    /// Marks the streams whose segment `is_due`. They are rotated between frames, to bound the delay of each frame.
    pub(super) fn make_due(&mut self, reason: RotationReason, is_due: impl Fn(&Segment) -> bool) {
        for (index, stream) in self.streams.iter().enumerate() {
            if stream.segment.as_ref().is_some_and(&is_due) {
                self.due.entry(StreamId::at(index)).or_insert(reason);
            }
        }
    }

    /// Rotates one of the streams that are due; `false`: there is none.
    pub(super) fn rotate_one(&mut self) -> Result<bool, IoError> {
        let Some((&id, &reason)) = self.due.first_key_value() else { return Ok(false) };
        self.rotate(id, reason)?;
        Ok(true)
    }

    fn reason_to_rotate(&self, id: StreamId, stamp: Stamp) -> Option<RotationReason> {
        let segment = self.streams[id.index()].segment.as_ref()?;
        if self.rotation.is_over(segment.name().first, stamp) {
            Some(RotationReason::Interval)
        } else if self.rotation.is_full(segment.bytes()) {
            Some(RotationReason::Size)
        } else {
            self.due.get(&id).copied()
        }
    }

    fn rotate(&mut self, id: StreamId, reason: RotationReason) -> Result<(), IoError> {
        self.write_out_stream(id)?;
        if self.save_displaced(id)? {
            return Ok(());
        }
        let Some(segment) = &self.streams[id.index()].segment else {
            self.due.remove(&id);
            return Ok(());
        };
        let (root, directory) = (paths::root(segment.name().feed).to_owned(), segment.name().directory());
        self.make_directory(&directory)?;
        let slot = &mut self.streams[id.index()].segment;
        let mut segment = slot.take().expect("it was there above");
        if let Err(error) = segment.archive(&*self.handover.files) {
            *slot = Some(segment);
            return Err(error);
        }
        self.due.remove(&id);
        let sync = &mut self.handover.sync;
        sync.add_directory(root);
        sync.add_directory(directory);
        segment.take_unsynced().into_iter().for_each(|unsynced| sync.add_file(unsynced));
        self.handover.end(reason, segment.finish());
        Ok(())
    }
}

/// Files displaced while they are written.
impl ActiveFiles {
    /// Compares names with open files: those of files written since the last sync, and a share of all names in turn,
    /// its size given by the time since the last check.
    pub(super) fn check_written(&mut self, now: Stamp) -> Result<(), IoError> {
        self.watch.begin_round();
        if self.watch.check_root(&mut self.handover) {
            return self.check_all();
        }
        for index in 0..self.unsynced.len() {
            self.save_displaced(self.unsynced[index])?;
        }
        for _ in 0..self.watch.share(self.streams.len(), now) {
            let index = self.watch.next_turn(self.streams.len());
            self.save_displaced(StreamId::at(index))?;
        }
        self.watch.end_round(now);
        Ok(())
    }

    /// Compares all names, and clears the cache of existing directories.
    pub(super) fn check_all(&mut self) -> Result<(), IoError> {
        self.handover.forget_directories();
        self.watch.check_root(&mut self.handover);
        (0..self.streams.len()).try_for_each(|index| self.save_displaced(StreamId::at(index)).map(drop))
    }

    /// A displaced file with content in doubt, not yet on record.
    pub(super) fn take_displaced(&mut self) -> Option<Displaced> {
        self.watch.displaced.pop_front()
    }

    /// Ends the segment of a displaced file and saves its lines; `false`: the file is in its place. The stream's next
    /// line begins another segment.
    fn save_displaced(&mut self, id: StreamId) -> Result<bool, IoError> {
        let Some(segment) = &mut self.streams[id.index()].segment else { return Ok(false) };
        let Some(what) = segment.check_name(&*self.handover.files) else { return Ok(false) };
        let name = segment.name().clone();
        self.watch.check_root(&mut self.handover);
        self.make_directory(paths::root(name.feed))?;
        self.make_directory(&name.directory())?;
        let Some(segment) = &self.streams[id.index()].segment else { return Ok(true) };
        let saved = save(&mut self.handover, segment, what)?;
        self.due.remove(&id);
        if let (Some(segment), Some(copy)) = (self.streams[id.index()].segment.take(), saved.copy) {
            let finished = Finished { name: copy.name, bytes: Some(copy.bytes), ..segment.finish() };
            self.handover.end(RotationReason::Displaced, finished);
        }
        self.watch.add(saved.displaced);
        Ok(true)
    }
}
