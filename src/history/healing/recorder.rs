//! The healer's view of the recorder: its clock, the writer's progress, and the two channels.
//!
//! The tape is scanned only when all received lines are in their files: a record on its way to the disk would count as
//! missing.

use super::interrupted::Interrupted;
use super::link::{HealerInput, HealerOutput, HealerPorts};
use crate::clock::{Clock, Position, Stamp, sleep_until};
use crate::recording::progress::Progress;
use crate::upbit::subscription::Subscription;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// A received line is in its file within this time: the writer reports every second. It is well below the time that
/// records are given to settle.
const WRITTEN_WITHIN: Duration = Duration::from_secs(2);

/// The pause before the writer's progress is read again.
const WRITTEN_PAUSE: Duration = Duration::from_millis(50);

/// See the module.
pub(super) struct Recorder {
    input: watch::Receiver<HealerInput>,
    output: mpsc::Sender<HealerOutput>,
    progress: Progress,
    clock: Clock,
    /// Everything up to this position has to be in its file before the tape is scanned.
    handed_on: Position,
    /// That of the last object.
    missed: Position,
    /// The tape has unread events.
    pub(super) has_unread: bool,
    /// The entries of the public connection, where they were changed and not taken yet.
    pub(super) entries: Option<Arc<[Subscription]>>,
}

impl Recorder {
    pub(super) fn new(ports: HealerPorts, progress: Progress) -> Self {
        let HealerPorts { input, output } = ports;
        let clock = input.borrow().clock;
        let (handed_on, missed) = Default::default();
        Self { input, output, progress, clock, handed_on, missed, has_unread: true, entries: None }
    }

    /// The clock that makes the stamps now.
    pub(super) fn clock(&self) -> Clock {
        self.clock
    }

    /// The stamp of now.
    pub(super) fn now(&self) -> Stamp {
        self.clock.stamp()
    }

    /// The position of now.
    pub(super) fn position(&self) -> Position {
        Position { epoch: self.handed_on.epoch, stamp: self.now() }
    }

    /// Takes in the newest input.
    pub(super) fn handle_input(&mut self) {
        if !self.input.has_changed().unwrap_or(false) {
            return;
        }
        let HealerInput { clock, last, entries } = self.input.borrow_and_update().clone();
        self.clock = clock;
        self.entries = entries;
        self.note_handed_on(last);
        self.has_unread = true;
    }

    /// Waits for input, or until a time.
    pub(super) async fn wait(&mut self, until: Option<Stamp>) -> Result<(), Interrupted> {
        let deadline = until.map(|until| self.clock.now() + until.since(self.now()));
        tokio::select! {
            biased;
            changed = self.input.changed() => {
                self.input.mark_changed();
                changed.map_err(|_| Interrupted::Stopped)
            }
            () = sleep_until(deadline) => Ok(()),
        }
    }

    pub(super) async fn pause(&self, length: Duration) {
        sleep_until(Some(self.clock.now() + length)).await;
    }

    pub(super) async fn hand_on(&self, output: HealerOutput) -> Result<(), Interrupted> {
        self.output.send(output).await.map_err(|_| Interrupted::Stopped)
    }

    /// Notes the position of an object that was handed on.
    pub(super) fn note_missed(&mut self, position: Position) {
        self.missed = position;
        self.note_handed_on(position);
    }

    /// Notes the position of what was handed on.
    fn note_handed_on(&mut self, position: Position) {
        self.handed_on = self.handed_on.max(position);
    }

    /// Waits until everything that was missed survives a power cut: an event that is there without its lines would say that
    /// they are.
    pub(super) async fn until_durable(&mut self) -> Result<(), Interrupted> {
        while self.progress.durable() < self.missed {
            if self.output.is_closed() {
                return Err(Interrupted::Stopped);
            }
            self.pause(WRITTEN_PAUSE).await;
        }
        Ok(())
    }

    /// Waits until the files hold everything to be scanned: all that was handed on, and all that had arrived when the
    /// wait began. On a full disk this takes long.
    pub(super) async fn until_written(&mut self) -> Result<(), Interrupted> {
        let begin = self.position().before(WRITTEN_WITHIN);
        loop {
            self.handle_input();
            if self.progress.written() >= self.handed_on.max(begin) {
                return Ok(());
            }
            if self.output.is_closed() {
                return Err(Interrupted::Stopped);
            }
            self.pause(WRITTEN_PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::healing::link::connect;

    #[test]
    fn it_follows_the_clock_of_a_machine_that_was_suspended() {
        let clock = Clock::anchored(Stamp::default());
        let (handle, ports) = connect(clock);
        let mut recorder = Recorder::new(ports, Progress::default());
        let resumed = clock.resumed(Duration::from_secs(3600));
        handle.input.send_modify(|input| input.clock = resumed);
        recorder.handle_input();
        assert_eq!(recorder.clock, resumed, "or it would wait for an hour before the gap is over");
    }
}
