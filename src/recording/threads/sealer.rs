//! Hosts the sealer: paces and retries it, obeys requests to hurry or to give up, and lets the retention and the summaries
//! of days work in between.

use super::pruner::Pruner;
use super::summaries::Summaries;
use crate::clock::{self, Clock};
use crate::recording::report::{Stop, ThreadReport};
use crate::recording::seal::{SealError, Sealer};
use crate::recording::segment::Finished;
use crate::recording::vitals::Vitals;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;

/// The delay before a failed segment is retried.
const SEAL_RETRY: Duration = Duration::from_secs(10);

/// The longest pause between two segments.
const SEAL_PAUSE_MAX: Duration = Duration::from_secs(1);

/// Hosts the sealer: one segment at a time, each followed by a pause of the same length, so that it uses at most half
/// of the disk's and the processor's time.
#[derive(Debug)]
pub struct SealerHost {
    pub(super) sealer: Sealer,
    pub(super) pruner: Pruner,
    pub(super) summaries: Summaries,
    pub(super) waiting: VecDeque<Finished>,
    pub(super) finished: mpsc::Receiver<Finished>,
    pub(super) reports: mpsc::Sender<ThreadReport>,
    pub(super) clock: Clock,
    pub(super) hurry: Stop,
    pub(super) stop: Stop,
    pub(super) vitals: Vitals,
}

/// What the thread does next.
enum Next {
    Segment(Finished),
    /// The retention, or a summary.
    Upkeep,
    End,
}

impl SealerHost {
    /// Seals until the queue is closed and empty.
    pub async fn run(mut self) {
        loop {
            match self.next().await {
                Next::Segment(finished) => self.seal_and_pause(finished).await,
                Next::Upkeep => {}
                Next::End => return,
            }
            self.prune().await;
            self.sum_up();
        }
    }

    /// Seals a segment, and pauses for as long as that took.
    async fn seal_and_pause(&mut self, finished: Finished) {
        let start = self.clock.now();
        self.vitals.sealer.begin(start);
        let is_done = self.seal(&finished).await;
        let end = self.clock.now();
        self.vitals.sealer.end(end);
        if is_done {
            self.vitals.seals.note(end - start);
            self.pause((end - start).min(SEAL_PAUSE_MAX)).await;
        } else {
            self.waiting.push_back(finished);
            self.pause(SEAL_RETRY).await;
        }
    }

    /// The segment that has waited longest, or whatever comes first.
    async fn next(&mut self) -> Next {
        while let Ok(finished) = self.finished.try_recv() {
            self.waiting.push_back(finished);
        }
        if self.waiting.is_empty() {
            let is_stopping = self.hurry.is_set() || self.stop.is_set();
            tokio::select! {
                biased;
                finished = self.finished.recv() => self.waiting.extend(finished),
                () = self.pruner.wait(), if !is_stopping => return Next::Upkeep,
                () = self.summaries.wait(), if !is_stopping => return Next::Upkeep,
            }
        }
        self.waiting.pop_front().filter(|_| !self.stop.is_set()).map_or(Next::End, Next::Segment)
    }

    /// Deletes some old files, where it is time; while the process stops, it only tells what was deleted.
    async fn prune(&mut self) {
        let is_stopping = self.hurry.is_set() || self.stop.is_set();
        self.vitals.sealer.begin(self.clock.now());
        let report = if is_stopping { self.pruner.finish() } else { self.pruner.step() };
        self.vitals.sealer.end(self.clock.now());
        if let Some(report) = report {
            // The supervisor's end is closed only while the process stops.
            let _ = self.reports.send(report).await;
        }
    }

    /// Sums a day up, where one is due; never while the process stops.
    fn sum_up(&mut self) {
        if !self.hurry.is_set() && !self.stop.is_set() {
            self.vitals.sealer.begin(self.clock.now());
            self.summaries.step();
            self.vitals.sealer.end(self.clock.now());
        }
    }

    async fn pause(&mut self, length: Duration) {
        /// The polling interval of a request to hurry.
        const STEP: Duration = Duration::from_millis(100);
        let end = self.clock.now() + length;
        while !self.hurry.is_set() && !self.stop.is_set() {
            let now = self.clock.now();
            if now >= end {
                return;
            }
            match self.finished.try_recv() {
                Ok(finished) => self.waiting.push_back(finished),
                Err(TryRecvError::Empty) => clock::sleep_until(Some(end.min(now + STEP))).await,
                Err(TryRecvError::Disconnected) => return,
            }
        }
    }

    /// Seals a segment; `false`: it has to be tried again.
    async fn seal(&self, finished: &Finished) -> bool {
        let name = || finished.name.plain().display().to_string();
        let is_last_try = self.hurry.is_set();
        let (report, is_done) = match self.sealer.step(finished) {
            Ok(sealed) => {
                if let Some(moved) = sealed.quarantined {
                    let _ = self.reports.send(ThreadReport::Quarantined(moved)).await;
                }
                if let Some(cut) = sealed.cut {
                    tracing::warn!(file = %cut.file.display(), "a segment was cut before it was sealed: a part is lost");
                    let _ = self.reports.send(ThreadReport::Displaced(Box::new(cut))).await;
                }
                (ThreadReport::Sealed(Box::new(sealed.entry)), true)
            }
            Err(SealError::Stopped) => return true,
            Err(SealError::Gone(_)) => (ThreadReport::Gone(Box::new(finished.clone())), true),
            Err(SealError::Storage(error)) if error.is_passing() && !is_last_try => {
                (ThreadReport::NotSealed { name: name(), cause: error.to_string(), retried: true }, false)
            }
            Err(error) => (ThreadReport::NotSealed { name: name(), cause: error.to_string(), retried: false }, true),
        };
        // The supervisor's end is closed only while the process stops.
        let _ = self.reports.send(report).await;
        is_done
    }
}
