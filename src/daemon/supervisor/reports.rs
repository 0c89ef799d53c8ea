//! What writer, syncer and sealer tell, put on record and into the status.

use super::{Failure, Supervisor};
use crate::files::Free;
use crate::ops::status::Space;
use crate::recording::journal::EventObject;
use crate::recording::journal::displaced::{Displaced, Doubt, shown};
use crate::recording::report::ThreadReport;
use crate::tape::event::Event;
use crate::tape::gap::{Gap, GapKind};
use crate::tape::stream_key::StreamKey;
use crate::tape::words::RotationReason;
use tokio_util::sync::CancellationToken;

/// Fewer files than this that can still be made are shown as a fault: a rotation of the whole exchange makes 2,565.
const MIN_FREE_INODES: u64 = 10_000;

/// Why what was written on a full disk may be lost.
pub(super) const UNSURE: &str = "the disk was full when what was written was to be made durable";

impl Supervisor {
    pub(super) fn handle_report(&mut self, report: ThreadReport, shutdown: &CancellationToken) {
        self.follow_boot();
        match report {
            ThreadReport::Rotated(ended) => {
                for (reason, segments) in ended {
                    self.backlog.waiting += segments;
                    // Those that a step has ended are on record with the step itself.
                    if reason != RotationReason::Clock {
                        let stamp = self.stamper.raise(self.clock.stamp());
                        self.event_of(stamp, EventObject::Ended(reason, rotated));
                    }
                }
            }
            ThreadReport::Sealed(entry) => {
                self.backlog.waiting = self.backlog.waiting.saturating_sub(1);
                self.event(&Event::from(*entry));
            }
            ThreadReport::NotSealed { name, cause, retried } => {
                self.backlog.waiting = self.backlog.waiting.saturating_sub(usize::from(!retried));
                tracing::warn!(
                    segment = name,
                    cause,
                    retried,
                    "a segment could not be sealed; its plain file is intact"
                );
            }
            ThreadReport::Displaced(displaced) => self.handle_displaced(&displaced),
            ThreadReport::NamesChecked => self.has_looked = true,
            ThreadReport::Gone(finished) => {
                self.backlog.waiting = self.backlog.waiting.saturating_sub(1);
                let displaced = Displaced::of_unsealed(&finished);
                tracing::warn!(file = %displaced.file.display(), "a segment was taken away before it was sealed");
                self.handle_displaced(&displaced);
            }
            ThreadReport::Quarantined(moved) => self.event(&Event::from(moved)),
            ThreadReport::Synced(up_to) if up_to.epoch == self.epoch => self.durable = Some(up_to.stamp),
            // Of an earlier time line: it says nothing of this one.
            ThreadReport::Synced(_) => {}
            ThreadReport::Space(free) => self.handle_space(free),
            ThreadReport::DiskFull(cause) => {
                self.shown.disk_full = Some(cause.clone());
                self.event(&Event::DiskFull { cause });
            }
            ThreadReport::DiskOk => {
                self.shown.disk_full = None;
                self.event(&Event::DiskOk);
            }
            ThreadReport::SyncFull(cause) => {
                tracing::error!(cause, "the disk has no room for what it took: the sync is tried again");
                self.unsure_since = Some(self.durable.unwrap_or_default());
                self.shown.disk_full = Some(cause.clone());
                self.event(&Event::DiskFull { cause });
            }
            ThreadReport::SyncOk => self.handle_sync_ok(),
            ThreadReport::SyncFailed(error) => {
                self.event(&Event::SyncFailed { durable: self.durable, cause: error.to_string() });
                self.fail(Failure::Storage(error.to_string()), shutdown);
            }
            ThreadReport::WriteFailed(error) => self.fail(Failure::Storage(error.to_string()), shutdown),
            ThreadReport::AllWritten | ThreadReport::AllSynced => {}
        }
    }

    fn handle_displaced(&mut self, displaced: &Displaced) {
        self.event(&Event::from(displaced));
        let Some(((feed, stream), doubt)) = displaced.stream.as_ref().zip(displaced.doubt) else { return };
        let (file, Doubt { from, to, is_lost }) = (displaced.file.display(), doubt);
        let happened = shown(displaced.what);
        if *stream == StreamKey::recorder() {
            // Gaps may have been told there, of any stream; nothing else is missing with it.
            if is_lost {
                self.record_unsure(from, to, &format!("{file} was {happened}, and what it told is lost"));
            }
            return;
        }
        let cause = if is_lost {
            format!("{file} was {happened}, and a part of it is lost")
        } else {
            format!("{file} was {happened}; it is saved, and others had it in hand")
        };
        let (connection, only) = (*feed, Some(vec![stream.to_string()]));
        self.record_gaps([Gap { connection, from, to, kind: GapKind::Unsure, cause, only }]);
    }

    /// The kernel may have dropped what it found no room for, and a sync that succeeds later says nothing of it.
    fn handle_sync_ok(&mut self) {
        self.shown.disk_full = None;
        self.event(&Event::DiskOk);
        if let Some(since) = self.unsure_since.take() {
            let to = self.stamper.raise(self.clock.stamp());
            self.record_unsure(since, to, UNSURE);
        }
    }

    fn handle_space(&mut self, free: Free) {
        let is_low = free.bytes < self.min_free_bytes || free.inodes < MIN_FREE_INODES;
        let was_low = matches!(self.shown.space, Space::Low { .. });
        if is_low && !was_low {
            tracing::warn!(free.bytes, free.inodes, self.min_free_bytes, "the disk is nearly full: make room");
        }
        let low = Space::Low { bytes: free.bytes, inodes: free.inodes };
        self.shown.space = if is_low { low } else { Space::Enough };
    }
}

/// The event of segments that ended while the recorder ran.
pub(super) fn rotated(reason: RotationReason, segments: Vec<String>) -> String {
    Event::Rotated { reason: reason.into(), segments, epoch: None }.to_json()
}
