//! Hosts the syncer: a job at a time, the mark behind each, and the segments that are durable go on to the sealer.

use crate::clock::{self, Clock};
use crate::files::IoError;
use crate::recording::lock::Lock;
use crate::recording::mark;
use crate::recording::report::{Stop, ThreadReport};
use crate::recording::segment::Finished;
use crate::recording::sync::{SyncError, SyncJob, Syncer};
use crate::tape::durable::DurableMark;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// How often a sync is tried again that found no room, or no descriptor.
const RETRY: Duration = Duration::from_secs(1);

/// Hosts the syncer.
#[derive(Debug)]
pub struct SyncerHost {
    pub(super) syncer: Syncer,
    pub(super) jobs: mpsc::Receiver<SyncJob>,
    pub(super) finished: mpsc::Sender<Finished>,
    /// Segments that the sealer's queue had no room for: one small entry per file on the disk.
    pub(super) waiting: VecDeque<Finished>,
    pub(super) reports: mpsc::Sender<ThreadReport>,
    pub(super) clock: Clock,
    /// Set when there is no time left to wait for a full disk.
    pub(super) stop: Stop,
    /// The lock of the directory, checked on this thread since a check can block.
    pub(super) lock: Option<Arc<Lock>>,
}

impl SyncerHost {
    /// Has a lock checked behind each job.
    pub fn watch(&mut self, lock: Arc<Lock>) {
        self.lock = Some(lock);
    }

    /// Syncs until there are no more jobs, or a sync has failed.
    pub async fn run(mut self) {
        while let Some(mut job) = self.jobs.recv().await {
            if let Err(error) = self.sync(&job).await {
                let _ = self.reports.send(ThreadReport::SyncFailed(error)).await;
                return;
            }
            self.mark(&job);
            // A lost figure of progress is followed by the next one.
            let _ = self.reports.try_send(ThreadReport::Synced(job.up_to));
            if let Ok(free) = self.syncer.files().free() {
                let _ = self.reports.try_send(ThreadReport::Space(free));
            }
            self.lock.iter().for_each(|lock| lock.check());
            self.waiting.extend(job.finished.drain(..));
            self.hand_over();
        }
        // The supervisor is gone only when the process is ending anyway.
        let _ = self.reports.send(ThreadReport::AllSynced).await;
    }

    /// A disk that has no room for what it took already may have dropped it. The sync is repeated until it succeeds, but
    /// its success proves nothing about earlier data: the supervisor puts that in doubt.
    async fn sync(&self, job: &SyncJob) -> Result<(), IoError> {
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
                Ok(()) => {
                    if was_full {
                        let _ = self.reports.send(ThreadReport::SyncOk).await;
                    }
                    return Ok(());
                }
            }
            clock::sleep_until(Some(self.clock.now() + RETRY)).await;
        }
    }

    /// An older mark is a true one as well, so one that cannot be written is no failure.
    fn mark(&self, job: &SyncJob) {
        let files = self.syncer.files();
        let certain = DurableMark { durable: job.up_to.stamp, epoch: job.up_to.epoch };
        let written = mark::write(files, certain);
        let marked = if job.is_last { written.and_then(|()| mark::sync(files)) } else { written };
        if let Err(error) = marked {
            tracing::warn!(%error, "the gap after a crash would begin earlier than it has to");
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
