//! Hosts the retention, on the thread of the sealer: when a run is due, and the next batch of one that goes on.
//!
//! On that thread because nobody else writes to manifests, it has the lowest priority, and a seal, which makes room too,
//! comes first.

use crate::clock::discipline::Discipline;
use crate::clock::{self, Clock, Instant, Stamp};
use crate::files::{Files, IoError};
use crate::recording::progress::Progress;
use crate::recording::report::ThreadReport;
use crate::recording::retention::circumstances::{Circumstances, Hindrance};
use crate::recording::retention::plan::KeepLimits;
use crate::recording::retention::run::{Pruned, Run};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// The interval of runs: what an hour brings is the most by which the archive is larger than its limits.
pub const PRUNE_INTERVAL: Duration = Duration::from_secs(3_600);

/// The interval in which the free space is looked at, one call each time.
const LOOK: Duration = Duration::from_secs(60);

/// The interval of runs while the disk is nearly full: such a run costs a listing of the archive.
const NEARLY_FULL: Duration = Duration::from_secs(600);

/// The settings of the retention.
#[derive(Clone, Debug)]
pub struct RetentionSettings {
    /// What may be kept.
    pub limits: KeepLimits,
    /// Only what is in this store goes; `None`: whatever is beyond the limits.
    pub uploaded_to: Option<String>,
    /// Below so much free space a run does not wait for its time.
    pub min_free_bytes: u64,
    /// The interval of runs.
    pub interval: Duration,
    /// The state of the wall clock.
    pub discipline: Discipline,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Pruner {
    files: Arc<dyn Files>,
    settings: RetentionSettings,
    limits: watch::Receiver<KeepLimits>,
    progress: Progress,
    clock: Clock,
    /// When the free space is looked at, and when a run begins at the latest.
    next_look: Instant,
    next_run: Instant,
    /// When the last run began.
    began: Option<Instant>,
    run: Option<Run>,
    /// Told once, until it changes.
    hindrance: Option<Hindrance>,
}

impl Pruner {
    /// The first run comes after one look's time: a start has more urgent things to do.
    pub(super) fn new(
        files: Arc<dyn Files>,
        settings: RetentionSettings,
        limits: watch::Receiver<KeepLimits>,
        progress: Progress,
        clock: Clock,
    ) -> Self {
        let next = clock.now() + LOOK.min(settings.interval);
        let (next_look, next_run) = (next, next);
        Self { files, settings, limits, progress, clock, next_look, next_run, began: None, run: None, hindrance: None }
    }

    /// When there is something to do; `None`: never, unless the limits change.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.run.is_some() {
            return Some(self.clock.now());
        }
        self.limits.borrow().is_any().then(|| self.next_look.min(self.next_run))
    }

    /// Waits until there is something to do.
    pub(super) async fn wait(&mut self) {
        loop {
            let due = self.due();
            tokio::select! {
                biased;
                () = clock::sleep_until(due) => return,
                // The sender is gone only while the process stops.
                changed = self.limits.changed() => match changed {
                    Ok(()) => self.next_run = self.clock.now(),
                    Err(_) => return clock::sleep_until(due).await,
                },
            }
        }
    }

    /// Does what is due: deletes one batch at the most. Returns what a run that is over has come to.
    pub(super) fn step(&mut self) -> Option<ThreadReport> {
        if self.due().is_none_or(|due| due > self.clock.now()) {
            return None;
        }
        match self.advance() {
            Ok(true) => None,
            Ok(false) => self.finish(),
            Err(error) => {
                tracing::warn!(%error, "old files are not deleted; the next run tries again");
                self.finish()
            }
        }
    }

    /// Ends the run that goes on, if one does.
    pub(super) fn finish(&mut self) -> Option<ThreadReport> {
        let pruned @ Pruned { files, bytes, .. } = self.run.take()?.pruned();
        if files == 0 {
            return None;
        }
        tracing::info!(files, bytes, "deleted old files, as storage.keep_for and .keep_bytes say");
        Some(ThreadReport::Pruned(pruned))
    }

    /// Whether the run goes on.
    fn advance(&mut self) -> Result<bool, IoError> {
        if self.run.is_none() && !self.is_run_due() {
            return Ok(false);
        }
        // The recorder's own time, which follows the wall clock only by a step that is on record by then.
        let now = self.progress.written().stamp;
        if now == Stamp::default() {
            return Ok(false);
        }
        let circumstances = Circumstances::read(&self.files, now, self.settings.discipline.read());
        if self.is_hindered(&circumstances) {
            return Ok(false);
        }
        let mut run = match self.run.take() {
            Some(run) => run,
            None => {
                let run = Run::begin(self.files.clone(), *self.limits.borrow(), now)?;
                run.once_uploaded_to(self.settings.uploaded_to.clone())
            }
        };
        let deleted = run.next_batch().and_then(|batch| run.execute(&batch).map(|()| !batch.is_empty()));
        self.run = Some(run);
        deleted
    }

    /// Whether a run begins now, by its time or because the disk is nearly full.
    fn is_run_due(&mut self) -> bool {
        let now = self.clock.now();
        let is_low = self.files.free().is_ok_and(|free| free.bytes < self.settings.min_free_bytes);
        let is_urgent = is_low && self.began.is_none_or(|began| now >= began + NEARLY_FULL);
        self.next_look = now + LOOK;
        let is_due = now >= self.next_run || is_urgent;
        if is_due {
            self.began = Some(now);
            self.next_run = now + self.settings.interval;
        }
        is_due
    }

    fn is_hindered(&mut self, circumstances: &Circumstances) -> bool {
        let hindrance = circumstances.hindrance();
        if let Some(cause) = hindrance.filter(|_| hindrance != self.hindrance) {
            tracing::warn!(%cause, "old files are not deleted until that has changed");
        }
        self.hindrance = hindrance;
        hindrance.is_some()
    }
}
