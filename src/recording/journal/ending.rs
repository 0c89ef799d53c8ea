//! When active segments end, and how: the file moves into the archive, and is sealed once it is durable.

use super::segment::{Finished, Segment};
use super::{Journal, Step};
use crate::clock::Stamp;
use crate::files::StorageError;
use crate::recording::rotation::Reason;
use crate::recording::router::StreamId;
use crate::tape::line;
use crate::tape::manifest::Origins;
use crate::tape::segment_name;
use crate::upbit::feed::Feed;
use std::sync::Arc;

impl Journal {
    /// Rotates one of the streams that are due; `false`: there is none.
    pub fn rotate_one(&mut self) -> Result<bool, StorageError> {
        let Some((&id, &reason)) = self.due.first_key_value() else { return Ok(false) };
        self.rotate(id, reason)?;
        Ok(true)
    }

    pub(super) fn begin_time_line(&mut self, step: &Step, done: &mut usize) -> Result<(), StorageError> {
        if *done == 0 {
            self.epoch = step.epoch;
            self.rotate_all(Reason::Clock, |_| true);
            while self.rotate_one()? {}
            // Whatever has ended and is not on record yet: a later event would tell of it in the wrong time line.
            let ended = self.ended.values().flatten().cloned().collect();
            let (first, event) = &step.step;
            let (second, rotated) = (step.rotated.0, (step.rotated.1)(Reason::Clock, ended));
            self.append(step.recorder, *first, &|line, stamp| {
                line::object(line, stamp, event.as_bytes());
                line::object(line, second, rotated.as_bytes());
            })?;
            self.ended.clear();
            *done = 1;
        }
        self.flush(step.recorder)
    }

    pub(super) fn describe(&mut self, feed: Feed, origins: &Arc<Origins>) {
        self.origins[feed] = origins.clone();
        self.rotate_all(Reason::Subscription, |segment| {
            let name = segment.name();
            name.feed == feed && origins.get(&name.stream).is_some_and(|origin| segment.origin() != Some(origin))
        });
    }

    pub(super) fn tick(&mut self, stamp: Stamp) {
        let rotation = self.rotation;
        self.rotate_all(Reason::Interval, |segment| rotation.is_over(segment.name().first, stamp));
    }

    /// Makes the streams due whose segment `is_due`. They are rotated between frames, so that none has to wait long.
    pub(super) fn rotate_all(&mut self, reason: Reason, is_due: impl Fn(&Segment) -> bool) {
        for (index, stream) in self.streams.iter().enumerate() {
            if stream.segment.as_ref().is_some_and(&is_due) {
                self.due.entry(StreamId::at(index)).or_insert(reason);
            }
        }
    }

    pub(super) fn reason_to_rotate(&self, id: StreamId, stamp: Stamp) -> Option<Reason> {
        let segment = self.streams[id.index()].segment.as_ref()?;
        if self.rotation.is_over(segment.name().first, stamp) {
            Some(Reason::Interval)
        } else if self.rotation.is_full(segment.bytes()) {
            Some(Reason::Size)
        } else {
            self.due.get(&id).copied()
        }
    }

    pub(super) fn rotate(&mut self, id: StreamId, reason: Reason) -> Result<(), StorageError> {
        self.write_out_stream(id)?;
        if self.is_displaced(id)? {
            return Ok(());
        }
        let Some(segment) = &self.streams[id.index()].segment else {
            self.due.remove(&id);
            return Ok(());
        };
        let (root, directory) = (segment_name::root(segment.name().feed).to_owned(), segment.name().directory());
        self.make_directory(directory.clone())?;
        let stream = &mut self.streams[id.index()];
        let mut segment = stream.segment.take().expect("it was there above");
        if let Err(error) = segment.archive(&*self.files) {
            stream.segment = Some(segment);
            return Err(error);
        }
        self.due.remove(&id);
        self.sync.add_directory(root);
        self.sync.add_directory(directory);
        segment.take_unsynced().into_iter().for_each(|unsynced| self.sync.add_file(unsynced));
        self.end(reason, segment.finish());
        Ok(())
    }

    /// A segment is in the archive, and waits for the sync and for its compression.
    pub(super) fn end(&mut self, reason: Reason, finished: Finished) {
        self.ended.entry(reason).or_default().push(finished.name.plain_name());
        *self.ended_since.entry(reason).or_default() += 1;
        self.sync.finished.push(finished);
    }
}
