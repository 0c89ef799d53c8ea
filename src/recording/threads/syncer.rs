//! Hosts the syncer: one job at a time, the state and the durable mark after each, then durable segments to the sealer.

use crate::clock::{self, Clock};
use crate::files::IoError;
use crate::recording::checkpoint::Checkpoint;
use crate::recording::lock::Lock;
use crate::recording::report::{Stop, ThreadReport};
use crate::recording::segment::Finished;
use crate::recording::sync::{SyncError, SyncJob, Syncer};
use crate::recording::vitals::Vitals;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// The interval of retries of a sync that found no room, or no descriptor.
const RETRY: Duration = Duration::from_secs(1);

/// Hosts the syncer.
#[derive(Debug)]
pub struct SyncerHost {
    pub(super) syncer: Syncer,
    pub(super) jobs: mpsc::Receiver<SyncJob>,
    pub(super) finished: mpsc::Sender<Finished>,
    /// Segments beyond the capacity of the sealer's queue: one small entry per file on the disk.
    pub(super) waiting: VecDeque<Finished>,
    pub(super) reports: mpsc::Sender<ThreadReport>,
    pub(super) clock: Clock,
    /// Set when the time to wait for a full disk is over.
    pub(super) stop: Stop,
    /// The lock of the directory, checked on this thread because a check can block.
    pub(super) lock: Option<Arc<Lock>>,
    pub(super) checkpoint: Checkpoint,
    pub(super) vitals: Vitals,
}

impl SyncerHost {
    /// Adds a lock to check after each job.
    pub fn watch(&mut self, lock: Arc<Lock>) {
        self.lock = Some(lock);
    }

    /// Syncs until the queue is closed and empty, or a sync has failed.
    pub async fn run(mut self) {
        while let Some(mut job) = self.jobs.recv().await {
            let start = self.clock.now();
            self.vitals.syncer.begin(start);
            if let Err(error) = self.carry_out(&mut job).await {
                self.checkpoint.fail();
                let _ = self.reports.send(ThreadReport::SyncFailed(error)).await;
                return;
            }
            if let Ok(free) = self.syncer.files().free() {
                let _ = self.reports.try_send(ThreadReport::Space(free));
            }
            self.lock.iter().for_each(|lock| lock.check());
            self.waiting.extend(job.finished.drain(..));
            self.hand_over();
            // Not awaited where the writer is gone.
            job.done.take().into_iter().for_each(|done| _ = done.send(()));
            let end = self.clock.now();
            self.vitals.syncer.end(end);
            self.vitals.syncs.note(end - start);
        }
        // The supervisor's end is closed only while the process stops.
        let _ = self.reports.send(ThreadReport::AllSynced).await;
    }

    /// Makes everything durable that was written before the job: content, then names, then what is certain thereby.
    async fn carry_out(&mut self, job: &mut SyncJob) -> Result<(), IoError> {
        let was_full = self.sync(job).await?;
        if let Some(unsure) = self.checkpoint.take(&mut job.point, was_full) {
            let _ = self.reports.send(ThreadReport::SyncOk(unsure)).await;
        }
        while !self.checkpoint.advance(job)? {
            if job.done.is_none() || self.stop.is_set() {
                // The mark stays, and the next job tries again.
                return if job.done.is_none() { Ok(()) } else { Err(self.checkpoint.refused()) };
            }
            clock::sleep_until(Some(self.clock.now() + RETRY)).await;
        }
        if self.checkpoint.is_certain() {
            // A dropped progress report is superseded by the next one.
            let _ = self.reports.try_send(ThreadReport::Synced(job.point.up_to));
        }
        Ok(())
    }

    /// A full disk may have dropped data it had accepted. The sync is retried until it succeeds, but success proves
    /// nothing about earlier data, which is in doubt from then on: returns whether that is so.
    async fn sync(&self, job: &SyncJob) -> Result<bool, IoError> {
        let (mut was_full, mut was_unopened) = (false, false);
        loop {
            match self.syncer.step(job) {
                Err(SyncError::Full(error)) if !self.stop.is_set() => {
                    if !std::mem::replace(&mut was_full, true) {
                        let _ = self.reports.send(ThreadReport::SyncFull(error.to_string())).await;
                    }
                }
                Err(SyncError::Unopened(error)) if !self.stop.is_set() => {
                    if !std::mem::replace(&mut was_unopened, true) {
                        tracing::warn!(%error, "the sync is tried again: a power cut meanwhile would cost more");
                    }
                }
                Err(error) => return Err(error.into_storage()),
                Ok(()) => return Ok(was_full),
            }
            clock::sleep_until(Some(self.clock.now() + RETRY)).await;
        }
    }

    fn hand_over(&mut self) {
        while let Some(finished) = self.waiting.pop_front() {
            match self.finished.try_send(finished) {
                Ok(()) => {}
                Err(TrySendError::Full(finished)) => return self.waiting.push_front(finished),
                Err(TrySendError::Closed(_)) => return self.waiting.clear(),
            }
        }
    }
}
