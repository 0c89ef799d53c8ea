//! Commands taken from the queue and not executed: one batch of them usually, everything that comes on a full disk. Events
//! pass the lines that wait, since the file of events holds nothing else.

use super::reserve::Reserve;
use crate::files::{Files, IoError};
use crate::recording::journal::{Journal, JournalCommand};
use std::collections::VecDeque;
use std::sync::Arc;

/// Commands that may wait for a full disk. Batches are bounded earlier by their budgets; the rest are events, a few
/// thousand in the worst hour.
const MOST: usize = 1 << 16;

/// See the module.
#[derive(Debug)]
pub(super) struct Backlog {
    /// In the order of the queue.
    pub(super) commands: VecDeque<JournalCommand>,
    /// The room for events.
    pub(super) reserve: Reserve,
}

impl Backlog {
    pub(super) fn new(files: Arc<dyn Files>) -> Self {
        Self { commands: VecDeque::new(), reserve: Reserve::new(files) }
    }

    /// Whether more may be taken from the queue.
    pub(super) fn has_room(&self) -> bool {
        self.commands.len() < MOST
    }

    /// Adds a command that came on a full disk; whether it is an event, which may pass the others.
    pub(super) fn put_behind(&mut self, command: JournalCommand) -> bool {
        match (command, self.commands.back_mut()) {
            // Only the latest time is kept.
            (JournalCommand::Tick { stamp: later, sync: syncs }, Some(JournalCommand::Tick { stamp, sync })) => {
                *stamp = later;
                *sync = match (syncs, sync.take()) {
                    (Some(point), earlier) => Some(Box::new(point.after(earlier.map(|earlier| *earlier)))),
                    (None, earlier) => earlier,
                };
                false
            }
            (command, _) => {
                let is_event = matches!(command, JournalCommand::Event(..));
                self.commands.push_back(command);
                is_event
            }
        }
    }

    /// Writes the waiting events, from the reserve if the disk is full. Where an epoch begins, nothing passes it.
    pub(super) fn let_events_pass(&mut self, journal: &mut Journal, is_stepping: bool) {
        let mut rest = VecDeque::with_capacity(self.commands.len());
        let mut written_to = None;
        // Commands behind a clock step belong to the next epoch, which begins with the step's event.
        let mut is_stuck = is_stepping || journal.is_stepping();
        while let Some(command) = self.commands.pop_front() {
            match command {
                JournalCommand::Event(id, stamp, object) if !is_stuck => {
                    if self.with_reserve(|| journal.pass_event(id, stamp, &object)) {
                        written_to = Some(id);
                    } else {
                        // The others stay behind it, in order.
                        is_stuck = true;
                        rest.push_back(JournalCommand::Event(id, stamp, object));
                    }
                }
                other => {
                    is_stuck |= matches!(other, JournalCommand::Step(_) | JournalCommand::BeginEpoch(_));
                    rest.push_back(other);
                }
            }
        }
        self.commands = rest;
        if let Some(id) = written_to {
            self.with_reserve(|| journal.flush(id));
        }
    }

    /// Runs a step for the events, and retries it after releasing the reserve; whether it succeeded.
    fn with_reserve(&mut self, mut step: impl FnMut() -> Result<(), IoError>) -> bool {
        match step() {
            Err(error) if error.is_full() && self.reserve.release() => step().is_ok(),
            result => result.is_ok(),
        }
    }
}
