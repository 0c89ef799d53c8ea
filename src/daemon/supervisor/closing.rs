//! The end of the process: hands over the last commands, and waits until a deadline for the threads to write and sync
//! them.
//!
//! A line in its file survives the process, so a sync that misses the deadline is a warning; a line in no file is a
//! failure.

use super::ending::{Ended, Failure};
use crate::clock::{self, Clock, Stamp};
use crate::recording::report::ThreadReport;
use crate::recording::threads::Threads;
use std::time::Duration;

/// How long a sealer may take to give up and remove its unfinished file; otherwise the next start removes it.
const SEALER_GRACE: Duration = Duration::from_millis(500);

/// The results of the threads.
#[derive(Debug)]
pub(super) struct Closing {
    /// Its failure becomes the last one in the end.
    ended: Ended,
    written: bool,
    synced: bool,
    /// Bytes of messages that are in no file.
    unwritten: u64,
}

impl Closing {
    /// For a recorder that stops, or has failed already.
    pub(super) fn new(ended: Ended) -> Self {
        Self { ended, written: false, synced: false, unwritten: 0 }
    }

    /// Hands over the last commands, and waits for the threads until the deadline.
    pub(super) async fn run(mut self, threads: Threads, clock: Clock) -> Self {
        let (rest, deadline) = (std::mem::take(&mut self.ended.commands), self.ended.deadline);
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

    /// The outcome of the recorder.
    pub(super) fn verdict(self) -> Result<(), Failure> {
        match self.ended.failure {
            Some(failure) => Err(failure),
            None if self.synced => Ok(()),
            None if self.written || self.unwritten == 0 => {
                let durable = self.ended.durable.map_or(0, Stamp::as_micros);
                tracing::warn!(
                    durable,
                    "written; the last sync did not end in time: a power cut now could lose what came after"
                );
                Ok(())
            }
            None => {
                let cause = self.ended.disk_full.unwrap_or_else(|| "a write or a sync does not return".to_owned());
                Err(Failure::Unwritten { bytes: self.unwritten, cause })
            }
        }
    }

    fn handle(&mut self, report: ThreadReport) {
        match report {
            ThreadReport::AllWritten => self.written = true,
            ThreadReport::AllSynced => self.synced = true,
            ThreadReport::WriteFailed(error) | ThreadReport::SyncFailed(error) => {
                self.ended.failure = Some(Failure::Storage(error.to_string()));
            }
            _ => {}
        }
    }

    /// Whether all expected reports have come.
    fn is_over(&self) -> bool {
        self.written && (self.synced || self.ended.failure.is_some())
    }
}
