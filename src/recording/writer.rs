//! Hosts the journal: takes orders from the supervisor's queue and sees them onto the disk.
//!
//! Lines are written when the queue is empty, when `FLUSH_BYTES` of them wait, or after a queue's length of orders,
//! whichever comes first: a line is in the kernel's hands a few milliseconds after its frame was read, and a `kill -9`
//! loses no more than that.
//!
//! A full disk is waited out. Meanwhile nothing more is taken from the queue, so that the connections stop reading.

use super::files::StorageError;
use super::journal::{Journal, Order};
use super::sync::SyncJob;
use super::threads::{Report, Stop};
use crate::clock::{self, Clock, Stamp};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;

/// Orders taken from the queue at a time.
const ORDERS: usize = 64;

/// Lines are written when this many bytes of them wait: a few large writes cost as little as one.
const FLUSH_BYTES: usize = 256 * 1024;

/// How often a full disk is tried again.
const FULL_RETRY: Duration = Duration::from_millis(200);

/// See the module.
#[derive(Debug)]
pub struct Writer {
    /// What is written.
    pub journal: Journal,
    /// From the supervisor.
    pub orders: mpsc::Receiver<Order>,
    /// To the syncer; a queue of one, so that a slow disk has at most one job waiting.
    pub sync_jobs: mpsc::Sender<SyncJob>,
    /// To the supervisor.
    pub reports: mpsc::Sender<Report>,
    /// Set when there is no time left to wait for a full disk.
    pub stop: Stop,
    /// For waiting.
    pub clock: Clock,
}

impl Writer {
    /// Writes until the supervisor closes the queue, or until something fails that a retry cannot mend.
    pub async fn run(self) {
        let reports = self.reports.clone();
        if let Err(error) = self.write().await {
            // The supervisor is gone only when the process is ending anyway.
            let _ = reports.send(Report::WriteFailed(error)).await;
        }
    }

    async fn write(mut self) -> Result<(), StorageError> {
        let mut orders = Vec::with_capacity(ORDERS);
        let mut sync_up_to = None;
        loop {
            let is_rotating = self.persist(Journal::rotate_one).await?;
            if !self.take(&mut orders, is_rotating).await {
                break;
            }
            for order in orders.drain(..) {
                if let Order::Tick { stamp, sync: true } = order {
                    sync_up_to = Some(stamp);
                }
                self.journal.accept(order);
                self.persist(Journal::work).await?;
                if self.journal.pending_bytes() >= FLUSH_BYTES {
                    self.persist(Journal::write_out).await?;
                }
            }
            self.persist(Journal::write_out).await?;
            self.report_rotated();
            if sync_up_to.is_some_and(|stamp| self.offer_sync_job(stamp)) {
                sync_up_to = None;
            }
        }
        self.finish().await
    }

    /// Waits for orders, unless there is something else to do; `false`: there will be no more.
    async fn take(&mut self, orders: &mut Vec<Order>, is_busy: bool) -> bool {
        if !is_busy {
            return self.orders.recv_many(orders, ORDERS).await > 0;
        }
        match self.orders.try_recv() {
            Ok(order) => orders.push(order),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return false,
        }
        true
    }

    /// Carries out a step of the journal, waiting where the disk is full.
    async fn persist<T>(&mut self, step: impl Fn(&mut Journal) -> Result<T, StorageError>) -> Result<T, StorageError> {
        let mut is_full = false;
        loop {
            match step(&mut self.journal) {
                Err(error) if error.is_full() && !self.stop.is_set() => {
                    if !std::mem::replace(&mut is_full, true) {
                        tracing::error!(%error, "the disk is full: recording pauses until there is room");
                        self.report(Report::DiskFull(error.to_string()));
                    }
                    clock::sleep_until(Some(self.clock.now() + FULL_RETRY)).await;
                }
                result => {
                    if is_full && result.is_ok() {
                        tracing::info!("the disk takes writes again");
                        self.report(Report::DiskOk);
                    }
                    return result;
                }
            }
        }
    }

    /// Hands the syncer its next job; `false`: it still has one waiting.
    fn offer_sync_job(&mut self, up_to: Stamp) -> bool {
        let Ok(slot) = self.sync_jobs.try_reserve() else { return false };
        if let Some(mut job) = self.journal.take_sync_job() {
            job.up_to = up_to;
            slot.send(job);
        }
        true
    }

    fn report_rotated(&mut self) {
        if let Ok(slot) = self.reports.try_reserve() {
            let rotated = self.journal.take_rotated();
            if !rotated.is_empty() {
                slot.send(Report::Rotated(rotated));
            }
        }
    }

    /// Reports that cannot be delivered are dropped: the log has them, and the supervisor must never be waited for.
    fn report(&self, report: Report) {
        let _ = self.reports.try_send(report);
    }

    /// Writes and syncs all that is left, when no more orders come.
    async fn finish(mut self) -> Result<(), StorageError> {
        self.persist(Journal::write_out).await?;
        while self.persist(Journal::rotate_one).await? {}
        // The supervisor is gone only when the process is ending anyway.
        let _ = self.reports.send(Report::Written).await;
        if let Some(job) = self.journal.take_sync_job() {
            // The syncer is gone only after an error of its own, which it has reported.
            let _ = self.sync_jobs.send(job).await;
        }
        Ok(())
    }
}
