//! The end: the last commands are handed over, and the threads write and sync them until a deadline.
//!
//! A line that is in its file survives the process, so a sync that does not end in time is a warning; a line that is in no
//! file is a failure.

use super::lifecycle::Failure;
use crate::clock::{self, Clock, Instant, Stamp};
use crate::recording::journal::JournalCommand;
use crate::recording::report::ThreadReport;
use crate::recording::threads::Threads;
use std::collections::VecDeque;
use std::time::Duration;

/// How long a sealer that gives up may take to remove its unfinished file; the next start would remove it, too.
const SEALER_GRACE: Duration = Duration::from_millis(500);

/// What the threads have brought to an end.
#[derive(Debug)]
pub(super) struct Closing {
    /// What has failed, before the end or in it.
    failure: Option<Failure>,
    written: bool,
    synced: bool,
    /// Bytes of messages that are in no file.
    unwritten: u64,
}

impl Closing {
    /// Of a recorder that ends, or has failed already.
    pub(super) fn new(failure: Option<Failure>) -> Self {
        Self { failure, written: false, synced: false, unwritten: 0 }
    }

    /// Hands over the last commands, and waits for the threads until `deadline`.
    pub(super) async fn run(
        mut self,
        threads: Threads,
        rest: VecDeque<JournalCommand>,
        clock: Clock,
        deadline: Instant,
    ) -> Self {
        let Threads { commands, mut reports, stop_waiting, progress, .. } = threads;
        let hand_over = async move {
            for command in rest {
                if commands.send(command).await.is_err() {
                    break;
                }
            }
        };
        let listen = async {
            while !self.is_over()
                && let Some(report) = reports.recv().await
            {
                self.handle(report);
            }
        };
        tokio::select! {
            biased;
            _ = async { tokio::join!(hand_over, listen) } => {}
            () = clock::sleep_until(Some(deadline)) => stop_waiting.set(),
        }
        let grace = deadline.min(clock.now() + SEALER_GRACE);
        tokio::select! {
            biased;
            () = async { while reports.recv().await.is_some() {} } => {}
            () = clock::sleep_until(Some(grace)) => {}
        }
        self.unwritten = if self.written { 0 } else { progress.unwritten() };
        self
    }

    /// How the recorder ended; `durable` and `disk_full` are what was last reported.
    pub(super) fn verdict(self, durable: Option<Stamp>, disk_full: Option<String>) -> Result<(), Failure> {
        match self.failure {
            Some(failure) => Err(failure),
            None if self.synced => Ok(()),
            None if self.written || self.unwritten == 0 => {
                let durable = durable.map_or(0, Stamp::as_micros);
                tracing::warn!(
                    durable,
                    "written; the last sync did not end in time: a power cut now could lose what came after"
                );
                Ok(())
            }
            None => {
                let cause = disk_full.unwrap_or_else(|| "a write or a sync does not return".to_owned());
                Err(Failure::Unwritten { bytes: self.unwritten, cause })
            }
        }
    }

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
