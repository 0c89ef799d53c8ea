//! The way from the stop to the exit, with a deadline for each part, ten seconds in all.
//!
//! ```text
//!          0 s                 3 s                         6 s                                   10 s
//! Running ──▶ Stopping ──────────▶ Sealing ──────────────────▶ Closing ─────────────────────────────▶ ended
//!             connections deliver  ended segments are sealed   `stopped`, last write, last sync
//! ```
//!
//! Each part ends early when there is nothing left to do. A line that is in its file survives the process, so a sync that
//! does not end in time is told and is no failure; a line that is in no file is one.

use super::Supervisor;
use super::connections::Connection;
use crate::clock::{self, Instant, Stamp};
use crate::quantity::rounded_size;
use crate::recording::journal::JournalCommand;
use crate::recording::report::ThreadReport;
use crate::recording::threads::Threads;
use crate::tape::event::Event;
use crate::tape::gap::{Gap, GapKind};
use crate::tape::words::StopReason;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often the end is looked after, so that it does not wait for the next second.
pub(super) const CLOSING_TICK: Duration = Duration::from_millis(100);

/// When the connections must have ended, counted from the stop.
const STOPPED: Duration = Duration::from_secs(3);

/// When sealing is given up, counted from the stop.
const SEALED: Duration = Duration::from_secs(6);

/// When the process ends, counted from the stop, whatever the disk does.
const ENDED: Duration = Duration::from_secs(10);

/// How long a sealer that was told to give up may take to remove what it had begun; the next start would do it, too.
const SEALER_GRACE: Duration = Duration::from_millis(500);

/// How the recorder ended.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Writing or syncing failed in a way that a retry cannot mend.
    #[error("{0}")]
    Storage(String),
    /// Every connection has given up.
    #[error("every connection has given up: {0}")]
    Unavailable(String),
    /// A part of the program failed in a way that is a mistake of ours.
    #[error("a connection ended unexpectedly: {0}")]
    Crashed(String),
    /// The disk did not take the last lines in time.
    #[error("within {} s the disk did not take the last {} of messages ({cause}); the next start puts the gap on record", ENDED.as_secs(), rounded_size(*bytes))]
    Unwritten {
        /// Bytes of messages that are in no file.
        bytes: u64,
        /// What is known of the disk.
        cause: String,
    },
}

/// Where the process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    Stopping,
    Sealing,
}

/// What the disk has said about the end.
#[derive(Debug, Default)]
struct Finished {
    written: bool,
    synced: bool,
    failure: Option<Failure>,
}

impl Finished {
    fn handle(&mut self, report: ThreadReport) {
        match report {
            ThreadReport::AllWritten => self.written = true,
            ThreadReport::AllSynced => self.synced = true,
            ThreadReport::WriteFailed(error) | ThreadReport::SyncFailed(error) => {
                self.failure = Some(Failure::Storage(error.to_string()));
            }
            _ => {}
        }
    }

    /// Whether nothing more is to be waited for.
    fn is_over(&self) -> bool {
        self.written && (self.synced || self.failure.is_some())
    }
}

impl Supervisor {
    pub(super) fn is_done(&self) -> bool {
        let is_sealed =
            (self.backlog.waiting == 0 && self.has_looked) || self.has_passed(SEALED) || self.failure.is_some();
        self.threads.commands.is_closed() || (self.phase == Phase::Sealing && is_sealed)
    }

    pub(super) fn stop(&mut self, reason: StopReason, shutdown: &CancellationToken) {
        tracing::info!(reason = reason.as_str(), "stopping");
        self.stop_reason = reason;
        let now = self.clock.now();
        (self.phase, self.stopped_at, self.next_tick) = (Phase::Stopping, Some(now), now);
        self.shown.is_stopping = true;
        shutdown.cancel();
    }

    pub(super) fn fail(&mut self, failure: Failure, shutdown: &CancellationToken) {
        tracing::error!(error = %failure, "cannot go on");
        self.failure.get_or_insert(failure);
        if self.phase == Phase::Running {
            self.stop(StopReason::Failure, shutdown);
        }
    }

    pub(super) fn seal_the_rest(&mut self) {
        (self.phase, self.next_tick) = (Phase::Sealing, self.clock.now());
        self.tasks.abort_all();
        // What was displaced has to be on record before the last event.
        self.outbox.push_back(JournalCommand::CheckNames);
        self.threads.hurry.set();
    }

    pub(super) fn look_after_the_end(&mut self, now: Instant) {
        if self.phase == Phase::Stopping && self.stopped_at.is_some_and(|at| now >= at + STOPPED) {
            tracing::warn!("the connections did not end in time");
            self.seal_the_rest();
        }
    }

    fn has_passed(&self, since_stop: Duration) -> bool {
        self.stopped_at.is_some_and(|at| self.clock.now() >= at + since_stop)
    }

    /// Writes the last events, and waits until everything is on disk.
    pub(super) async fn close(mut self) -> Result<(), Failure> {
        self.threads.stop_sealing.set();
        self.record_the_end();
        let deadline = self.stopped_at.unwrap_or_else(|| self.clock.now()) + ENDED;
        let Threads { commands, mut reports, stop_waiting, progress, .. } = self.threads;
        let mut finished = Finished { failure: self.failure, ..Finished::default() };
        let rest = std::mem::take(&mut self.outbox);
        let hand_over = async move {
            for order in rest {
                if commands.send(order).await.is_err() {
                    break;
                }
            }
        };
        let listen = async {
            while !finished.is_over()
                && let Some(report) = reports.recv().await
            {
                finished.handle(report);
            }
        };
        tokio::select! {
            biased;
            _ = async { tokio::join!(hand_over, listen) } => {}
            () = clock::sleep_until(Some(deadline)) => stop_waiting.set(),
        }
        let grace = deadline.min(self.clock.now() + SEALER_GRACE);
        tokio::select! {
            biased;
            () = async { while reports.recv().await.is_some() {} } => {}
            () = clock::sleep_until(Some(grace)) => {}
        }
        let unwritten = if finished.written { 0 } else { progress.unwritten() };
        match finished.failure {
            Some(failure) => Err(failure),
            None if finished.synced => Ok(()),
            None if finished.written || unwritten == 0 => {
                let durable = self.durable.map_or(0, Stamp::as_micros);
                tracing::warn!(
                    durable,
                    "written; the last sync did not end in time: a power cut now could lose what came after"
                );
                Ok(())
            }
            None => {
                let cause = self.shown.disk_full.unwrap_or_else(|| "a write or a sync does not return".to_owned());
                Err(Failure::Unwritten { bytes: unwritten, cause })
            }
        }
    }

    /// Ends all gaps that are open, and says what ended.
    fn record_the_end(&mut self) {
        self.follow_boot();
        let end = self.stamper.raise(self.clock.stamp());
        let last = |connection: &Connection| connection.last.max(connection.live_since).unwrap_or(end);
        let ends: Vec<_> = self.connections.iter().map(|(id, connection)| (*id, last(connection))).collect();
        for (id, last) in ends {
            let open = self.gaps.finish(id, last, end);
            self.record_gaps(open);
        }
        if let Some(disk_full) = self.shown.disk_full.clone()
            && self.threads.progress.unwritten() > 0
        {
            let (written, cause) = (self.threads.progress.written(), format!("not written at the end: {disk_full}"));
            match self.last_step {
                // What is not written begins in the time line before.
                Some((before, after)) if self.threads.progress.steps() < self.steps_made => {
                    self.record_unsure(written, before, &cause);
                    self.record_unsure(after, end, &cause);
                }
                _ => self.record_unsure(written, end, &cause),
            }
        }
        let requests = self.connections.iter().map(|(id, connection)| (*id, connection.sent.clone())).collect();
        self.event(&Event::Stopped { reason: self.stop_reason.into(), requests });
    }

    /// Puts on record that what was received in an interval may not be on disk.
    pub(super) fn record_unsure(&mut self, from: Stamp, to: Stamp, cause: &str) {
        let connections: Vec<_> = self.connections.keys().copied().collect();
        let gap = |connection| Gap { connection, from, to, kind: GapKind::Unsure, cause: cause.to_owned(), only: None };
        self.record_gaps(connections.into_iter().map(gap));
    }
}
