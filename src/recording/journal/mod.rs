//! The journal: executes commands on the active files, one at a time. A plain struct: its host calls it, and it never
//! waits.
//!
//! ```text
//! JournalCommand ──accept──▶ work ──▶ ActiveFiles ──take_sync_job──▶ syncer
//! ```
//!
//! Every step can fail on a full disk and be called again: it resumes exactly where it stopped, so that no line is
//! lost, doubled or glued to another.

mod active;
mod command;
pub mod displaced;
mod handover;
mod salvage;

pub use command::{BeginEpoch, ClockStep, EventObject, JournalCommand, MakeEvent, Routed};

use super::rotation::Rotation;
use super::router::StreamId;
use super::segment::{Finished, Segment};
use super::sync::SyncJob;
use crate::batch::Entry;
use crate::clock::Stamp;
use crate::files::{Files, IoError};
use crate::tape::line;
use crate::tape::words::RotationReason;
use active::ActiveFiles;
use displaced::Displaced;
use jiff::civil::Date;
use std::collections::BTreeMap;
use std::sync::Arc;

/// See the module.
#[derive(Debug)]
pub struct Journal {
    active: ActiveFiles,
    /// The current command, and its progress.
    current: Option<(JournalCommand, Done)>,
}

/// Progress within a command.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    /// Lines already in the buffers.
    lines: usize,
    /// Bytes of the next record already appended, as a part of its line.
    bytes: usize,
}

impl Journal {
    /// A journal that continues `resumable` segments in `epoch`.
    pub fn new(files: Arc<dyn Files>, rotation: Rotation, resumable: Vec<Segment>, epoch: u64) -> Self {
        Self { active: ActiveFiles::new(files, rotation, resumable, epoch), current: None }
    }

    /// Queues segments of earlier processes for sealing after the next sync, once the events that name them are
    /// durable.
    pub fn seal_after_sync(&mut self, finished: Vec<Finished>) {
        self.active.handover.sync.finished.extend(finished);
    }

    /// Accepts the next command; [`work`](Self::work) executes it.
    pub fn accept(&mut self, command: JournalCommand) {
        debug_assert!(self.current.is_none(), "a command was accepted before the last one was executed");
        self.current = Some((command, Done::default()));
    }

    /// Executes the current command, if any. After an error it stays current, and a later call resumes it.
    pub fn work(&mut self) -> Result<(), IoError> {
        let Some((command, mut done)) = self.current.take() else { return Ok(()) };
        let result = self.execute(&command, &mut done);
        if result.is_err() {
            self.current = Some((command, done));
        }
        result
    }

    /// Accepts an event ahead of lines that wait for a full disk: each file keeps its order, since the file of events
    /// holds nothing else. After an error it was not accepted.
    pub fn pass_event(&mut self, id: StreamId, stamp: Stamp, object: &EventObject) -> Result<(), IoError> {
        if matches!(self.current, Some((JournalCommand::Event(..), _))) {
            self.work()?;
        }
        self.flush(id)?;
        self.append_event(id, stamp, object)
    }

    /// Whether the current command is a clock step.
    pub fn is_stepping(&self) -> bool {
        matches!(self.current, Some((JournalCommand::Step(_), _)))
    }

    /// Writes the lines of one stream to its file. After an error the rest stays, and a later call resumes it.
    pub fn flush(&mut self, id: StreamId) -> Result<(), IoError> {
        self.active.write_out_stream(id)
    }

    /// Bytes of lines that are only in memory.
    pub fn pending_bytes(&self) -> usize {
        self.active.pending_bytes()
    }

    /// Files that these lines are of.
    pub fn pending_files(&self) -> usize {
        self.active.pending_files()
    }

    /// The epoch of the next line.
    pub fn epoch(&self) -> u64 {
        self.active.epoch
    }

    /// Writes all lines to their files. After an error the rest stays, and a later call resumes it.
    pub fn write_out(&mut self) -> Result<(), IoError> {
        self.active.write_out()
    }

    /// Makes every segment due, because the clock was set.
    pub fn end_all(&mut self) {
        self.active.make_due(RotationReason::Clock, |_| true);
    }

    /// Rotates one of the streams that are due; `false`: there is none.
    pub fn rotate_one(&mut self) -> Result<bool, IoError> {
        self.active.rotate_one()
    }

    /// Compares names with open files: those of files written since the last sync, and a share of all names, its size
    /// given by the time since the last check. A displaced file is saved.
    pub fn check_written(&mut self, now: Stamp) -> Result<(), IoError> {
        self.active.check_written(now)
    }

    /// Compares all names with the open files.
    pub fn check_all(&mut self) -> Result<(), IoError> {
        self.active.check_all()
    }

    /// A displaced file that is not on record yet.
    pub fn take_displaced(&mut self) -> Option<Displaced> {
        self.active.take_displaced()
    }

    /// The changes since the last call that need a sync.
    pub fn take_sync_job(&mut self) -> SyncJob {
        self.active.collect_unsynced();
        std::mem::take(&mut self.active.handover.sync)
    }

    /// The number of segments ended since the last call, by reason and date. [`EventObject::Ended`] puts their names on record;
    /// a clock step does so for those it has ended.
    pub fn take_ended(&mut self) -> BTreeMap<(RotationReason, Date), usize> {
        std::mem::take(&mut self.active.handover.ended_since)
    }

    fn execute(&mut self, command: &JournalCommand, done: &mut Done) -> Result<(), IoError> {
        match command {
            JournalCommand::Open(stream) => self.active.open(stream),
            JournalCommand::Lines(routed) => return self.append_lines(routed, done),
            JournalCommand::Event(id, stamp, object) => return self.append_event(*id, *stamp, object),
            JournalCommand::Missed(id, objects) => return self.append_missed(*id, objects, &mut done.lines),
            JournalCommand::Describe(feed, origins) => self.active.describe(*feed, origins),
            JournalCommand::Tick { stamp, .. } => self.active.tick(*stamp),
            JournalCommand::Rotate(reason) => self.active.make_due(*reason, |_| true),
            JournalCommand::SetRotation(rotation) => self.active.rotation = *rotation,
            JournalCommand::CheckNames => return self.check_all(),
            JournalCommand::Step(step) => return self.step(step, &mut done.lines),
            // The writer executes them, since they wait for syncs.
            JournalCommand::BeginEpoch(_) | JournalCommand::Stop(_) => {}
        }
        Ok(())
    }

    fn append_lines(&mut self, routed: &Routed, done: &mut Done) -> Result<(), IoError> {
        let entries = routed.batch.entries().zip(&routed.lines).skip(done.lines);
        for ((_, entry), &(stamp, id)) in entries {
            match entry {
                Entry::Data { object, .. } | Entry::Control { object } => {
                    self.append_object(id, stamp, object)?;
                }
                Entry::Unreadable { bytes } => self.active.append_raw(id, stamp, bytes, &mut done.bytes)?,
            }
            *done = Done { lines: done.lines + 1, bytes: 0 };
        }
        Ok(())
    }

    fn append_missed(&mut self, id: StreamId, objects: &[(Stamp, String)], done: &mut usize) -> Result<(), IoError> {
        for (stamp, object) in objects.iter().skip(*done) {
            self.append_object(id, *stamp, object.as_bytes())?;
            *done += 1;
        }
        Ok(())
    }

    fn append_event(&mut self, id: StreamId, stamp: Stamp, object: &EventObject) -> Result<(), IoError> {
        match object {
            EventObject::Text(text) => self.append_object(id, stamp, text.as_bytes()),
            EventObject::Ended(reason, make_event) => {
                let Some(names) = self.active.handover.ended.remove(reason) else { return Ok(()) };
                let appended = self.append_object(id, stamp, make_event(*reason, names.clone()).as_bytes());
                if appended.is_err() {
                    self.active.handover.ended.entry(*reason).or_default().splice(0..0, names);
                }
                appended
            }
        }
    }

    fn append_object(&mut self, id: StreamId, stamp: Stamp, object: &[u8]) -> Result<(), IoError> {
        self.active.append(id, stamp, &|line, stamp| line::object(line, stamp, object))
    }

    fn step(&mut self, step: &ClockStep, done: &mut usize) -> Result<(), IoError> {
        if *done == 0 {
            self.end_all();
            while self.rotate_one()? {}
            self.active.epoch = step.epoch;
            let ended = self.active.handover.ended.values().flatten().cloned().collect();
            let rotated = (step.rotated)(RotationReason::Clock, ended);
            self.active.append(step.recorder, step.first, &|line, stamp| {
                line::object(line, stamp, step.event.as_bytes());
                line::object(line, step.second, rotated.as_bytes());
            })?;
            self.active.handover.ended.clear();
            *done = 1;
        }
        self.flush(step.recorder)
    }
}

#[cfg(test)]
mod tests;
