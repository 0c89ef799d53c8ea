//! How far the writer has come, and what is certain of that.

use crate::clock::{Position, Stamp};
use crate::recording::journal::JournalCommand;
use crate::recording::progress::Progress;
use crate::recording::sync::SyncPoint;

/// See the module.
#[derive(Debug)]
pub(super) struct Reached {
    progress: Progress,
    /// The stamp of the last executed command.
    pub(super) stamp: Stamp,
    /// The clock steps until then.
    steps: u64,
    /// The bytes of messages since the last flush.
    taken: u64,
    /// What the last executed tick said to be certain once all before it is written.
    ticked: Option<SyncPoint>,
    /// The same of the last tick before which all is in its file: without a newer state nothing beyond it is certain.
    pub(super) certain: Option<SyncPoint>,
}

impl Reached {
    pub(super) fn new(progress: Progress) -> Self {
        Self { progress, stamp: Stamp::default(), steps: 0, taken: 0, ticked: None, certain: None }
    }

    /// A command is about to be executed.
    pub(super) fn note(&mut self, command: &JournalCommand) {
        match command {
            JournalCommand::Lines(routed) => {
                self.taken += routed.batch.len() as u64;
                self.stamp = routed.lines.last().map_or(self.stamp, |(stamp, _)| *stamp);
            }
            JournalCommand::Missed(_, objects) => {
                self.stamp = objects.last().map_or(self.stamp, |(stamp, _)| *stamp);
            }
            JournalCommand::Event(_, stamp, _) | JournalCommand::Tick { stamp, .. } => self.stamp = *stamp,
            JournalCommand::Step(step) => {
                self.stamp = step.second;
                self.steps += 1;
            }
            JournalCommand::CheckNames | JournalCommand::Open(_) | JournalCommand::Describe(..) => {}
            JournalCommand::Rotate(_) | JournalCommand::SetRotation(_) => {}
            JournalCommand::BeginEpoch(_) | JournalCommand::Stop(_) => {}
        }
    }

    /// A tick says what is certain once all before it is durable.
    pub(super) fn note_tick(&mut self, point: &SyncPoint) {
        self.ticked = Some(without_state(point));
    }

    /// A sync up to this point is asked for out of turn.
    pub(super) fn note_sync(&mut self, point: &SyncPoint) {
        self.certain = Some(without_state(point));
    }

    /// Everything that was executed is in its file.
    pub(super) fn written(&mut self, epoch: u64) {
        let up_to = Position { epoch, stamp: self.stamp };
        self.progress.advance(std::mem::take(&mut self.taken), up_to, self.steps);
        self.certain = self.ticked.take().or(self.certain.take());
    }
}

fn without_state(point: &SyncPoint) -> SyncPoint {
    SyncPoint { state: None, ..point.clone() }
}
