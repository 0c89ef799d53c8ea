//! The recorder as the healer sees it: its clock, how far it has written, and the two channels.
//!
//! The tape is scanned when the files hold everything that came: a record on its way to the disk would be taken for
//! missing.

use super::interrupted::Interrupted;
use super::link::{HealerInput, HealerOutput, HealerPorts};
use crate::clock::{Clock, Stamp, sleep_until};
use crate::recording::progress::Progress;
use std::ops::RangeInclusive;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Everything is in its file so soon after it came: the writer says so once a second. It is well within what is left to
/// records to settle.
const WRITTEN_WITHIN: Duration = Duration::from_secs(2);

/// The pause before the writer's progress is read again.
const WRITTEN_PAUSE: Duration = Duration::from_millis(50);

/// See the module.
pub(super) struct Recorder {
    input: watch::Receiver<HealerInput>,
    output: mpsc::Sender<HealerOutput>,
    progress: Progress,
    clock: Clock,
    steps: u64,
    /// Stamps that may be of two epochs, since they went back.
    overlap: RangeInclusive<Stamp>,
    /// Everything up to here has to be in its file before the tape is scanned.
    handed_on: Stamp,
    /// Events are on the tape that were not read.
    pub(super) has_unread: bool,
}

impl Recorder {
    pub(super) fn new(ports: HealerPorts, progress: Progress) -> Self {
        let HealerPorts { input, output } = ports;
        let clock = input.borrow().clock;
        Self {
            input,
            output,
            progress,
            clock,
            steps: 0,
            overlap: Stamp::MAX..=Stamp::default(),
            handed_on: Stamp::default(),
            has_unread: true,
        }
    }

    /// The clock that makes the stamps now.
    pub(super) fn clock(&self) -> Clock {
        self.clock
    }

    /// What it shows.
    pub(super) fn now(&self) -> Stamp {
        self.clock.stamp()
    }

    /// No line of this epoch has a later stamp.
    pub(super) fn latest(&self) -> Stamp {
        self.now().after(WRITTEN_WITHIN)
    }

    /// From where on stamps may be of two epochs, while they may.
    pub(super) fn overlap_begin(&self) -> Option<Stamp> {
        self.overlap.contains(&self.now()).then_some(*self.overlap.start())
    }

    /// Takes in the newest input.
    pub(super) fn handle_input(&mut self) {
        if !self.input.has_changed().unwrap_or(false) {
            return;
        }
        let HealerInput { clock, steps, last } = *self.input.borrow_and_update();
        if steps != self.steps {
            // Stamps from before the step say nothing about what is written after it.
            self.overlap = last.previous()..=self.now().after(WRITTEN_WITHIN);
            (self.steps, self.handed_on) = (steps, last);
        }
        // Another clock without a step is that of a machine that was suspended: its stamps are of the same epoch.
        self.clock = clock;
        self.handed_on = self.handed_on.max(last);
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

    /// Something that was handed on has this stamp.
    pub(super) fn note_handed_on(&mut self, stamp: Stamp) {
        self.handed_on = self.handed_on.max(stamp);
    }

    /// Waits until the files hold everything that is to be scanned: what was handed on, and what had come when it began to
    /// settle. On a full disk that takes its time.
    pub(super) async fn until_written(&mut self) -> Result<(), Interrupted> {
        let begin = self.now().before(WRITTEN_WITHIN);
        let steps = self.steps;
        loop {
            self.handle_input();
            let wanted = if self.steps == steps { self.handed_on.max(begin) } else { self.handed_on };
            // Progress far ahead of the clock is of the epoch before a step that is not written yet.
            if (wanted..=self.latest()).contains(&self.progress.written()) {
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
        assert_eq!(
            (recorder.clock, recorder.steps),
            (resumed, 0),
            "or it would wait for an hour before the gap is over"
        );
    }
}
