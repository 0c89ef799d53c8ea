//! Disk health, by the reports of writer, syncer and sealer, and the events and gaps that follow from it. Pure.

use super::backlog::Backlog;
use super::epoch::Step;
use super::feeds::Feeds;
use super::sequence::Sequence;
use super::snapshot::Snapshots;
use crate::clock::{Instant, Position, Stamp};
use crate::daemon::supervisor::ending::Failure;
use crate::daemon::supervisor::interface::Unwritten;
use crate::files::Free;
use crate::ops::status::{DiskStatus, Room, Sealed};
use crate::recording::journal::JournalCommand;
use crate::recording::journal::displaced::{Displaced, Doubt, shown};
use crate::recording::report::ThreadReport;
use crate::recording::retention::run::Pruned;
use crate::tape::event::Event;
use crate::tape::gap::{Gap, GapKind};
use crate::tape::segment_name::date;
use crate::tape::state::Unsure;
use crate::tape::stream_key::StreamKey;
use crate::tape::words::RotationReason;
use std::collections::BTreeSet;

/// Fewer free inodes than this are a fault: a rotation of the whole exchange makes 2,565 files.
const MIN_FREE_INODES: u64 = 10_000;

/// Why lines written to a full disk may be lost.
const UNSURE: &str = "the disk was full when what was written was to be made durable";

/// See the module.
#[derive(Debug)]
pub(super) struct DiskHealth {
    /// The cause while the disk is full.
    pub(super) full: Option<String>,
    /// Free space; `None`: not measured yet.
    room: Option<Room>,
    /// What was sealed.
    sealed: Sealed,
    /// The durable mark: everything up to it survives a power cut.
    pub(super) durable: Option<Stamp>,
    /// Ended segments that are not sealed yet.
    backlog: Backlog,
    /// The names of all files were checked before the end.
    has_checked_names: bool,
    min_free_bytes: u64,
}

impl DiskHealth {
    /// Begins with a `backlog` of segments; less than `min_free_bytes` is a fault.
    pub(super) fn new(backlog: usize, min_free_bytes: u64, now: Instant) -> Self {
        Self {
            full: None,
            room: None,
            sealed: Sealed::default(),
            durable: None,
            backlog: Backlog::new(backlog, now),
            has_checked_names: false,
            min_free_bytes,
        }
    }

    /// Whether every segment that ended is sealed, and every name was checked.
    pub(super) fn is_sealed(&self) -> bool {
        self.backlog.waiting == 0 && self.has_checked_names
    }

    /// Handles a thread's report.
    ///
    /// # Errors
    ///
    /// Recording cannot continue.
    pub(super) fn handle_report(
        &mut self,
        sequence: &mut Sequence,
        feeds: &mut Feeds,
        snapshots: &mut Snapshots,
        report: ThreadReport,
    ) -> Result<(), Failure> {
        match report {
            ThreadReport::Rotated(ended) => {
                let mut reasons = BTreeSet::new();
                for ((reason, date), segments) in ended {
                    self.backlog.waiting += segments;
                    snapshots.handle_ended(date, segments);
                    reasons.insert(reason);
                }
                // Segments ended by a clock step are recorded with the step.
                reasons.remove(&RotationReason::Clock);
                reasons.into_iter().for_each(|reason| sequence.rotated(reason));
            }
            ThreadReport::Sealed(entry) => {
                self.backlog.waiting = self.backlog.waiting.saturating_sub(1);
                snapshots.handle_sealed(date(entry.first));
                self.sealed.segments += 1;
                self.sealed.bytes += entry.bytes;
                self.sealed.compressed_bytes += entry.zst_bytes;
                sequence.event(&Event::from(*entry));
            }
            ThreadReport::NotSealed { name, cause, retried } => {
                self.backlog.waiting = self.backlog.waiting.saturating_sub(usize::from(!retried));
                self.sealed.failures += 1;
                tracing::warn!(
                    segment = name,
                    cause,
                    retried,
                    "a segment could not be sealed; its plain file is intact"
                );
            }
            ThreadReport::Pruned(Pruned { files, bytes, until }) => {
                sequence.event(&Event::Pruned { files, bytes, until })
            }
            ThreadReport::Displaced(displaced) => record_displaced(sequence, feeds, &displaced),
            ThreadReport::NamesChecked => self.has_checked_names = true,
            ThreadReport::Gone(finished) => {
                self.backlog.waiting = self.backlog.waiting.saturating_sub(1);
                snapshots.handle_sealed(date(finished.name.first));
                let displaced = Displaced::of_unsealed(&finished);
                tracing::warn!(file = %displaced.file.display(), "a segment was taken away before it was sealed");
                record_displaced(sequence, feeds, &displaced);
            }
            ThreadReport::Quarantined(moved) => sequence.event(&Event::from(moved)),
            ThreadReport::Synced(up_to) => {
                feeds.gap_log.handle_synced(up_to);
                // A durable mark of an earlier epoch does not hold in this one.
                if up_to.epoch == sequence.time.epoch {
                    self.durable = Some(up_to.stamp);
                }
            }
            ThreadReport::Space(free) => self.handle_space(free),
            ThreadReport::DiskFull(cause) => self.handle_full(sequence, cause),
            ThreadReport::DiskOk => self.handle_room(sequence),
            ThreadReport::SyncFull(cause) => {
                tracing::error!(cause, "the disk has no room for what it took: the sync is tried again");
                self.handle_full(sequence, cause);
            }
            ThreadReport::SyncOk(Unsure { epoch, from, .. }) => {
                self.handle_room(sequence);
                // The kernel may have dropped pages it had no room for, and a later successful sync does not reveal it.
                let end = sequence.time.end_of(epoch).map(|end| end.before);
                let to = end.unwrap_or_else(|| sequence.time.stamp());
                feeds.gap_log.tell_again(sequence);
                feeds.record_unsure(sequence, from, Position { epoch, stamp: to }, UNSURE);
                // Dropped pages can be read until the machine stops; sealing reads them, and writes them to another file.
                sequence.commands.push_back(JournalCommand::Rotate(RotationReason::Unsynced));
                snapshots.handle_decided();
            }
            ThreadReport::SyncFailed(error) => {
                let cause = error.to_string();
                sequence.event(&Event::SyncFailed { durable: self.durable, cause: cause.clone() });
                return Err(Failure::Storage(cause));
            }
            ThreadReport::WriteFailed(error) => return Err(Failure::Storage(error.to_string())),
            ThreadReport::AllWritten | ThreadReport::AllSynced => {}
        }
        Ok(())
    }

    /// The disk for the status.
    pub(super) fn status(&self) -> DiskStatus {
        let (full, backlog) = (self.full.clone(), self.backlog.waiting);
        DiskStatus { full, room: self.room, durable: self.durable, backlog, sealed: self.sealed }
    }

    /// Warns of a backlog that does not fall.
    pub(super) fn check_backlog(&mut self, now: Instant) {
        if let Some(waiting) = self.backlog.look(now) {
            let question =
                "segments wait to be sealed and get no fewer: is storage.zstd_level too high, or the disk too slow?";
            tracing::warn!(waiting, "{question}");
        }
    }

    /// Records a gap for the lines that a full disk had not taken by `end`.
    pub(super) fn record_unwritten(
        &self,
        sequence: &mut Sequence,
        feeds: &mut Feeds,
        unwritten: Unwritten,
        end: Stamp,
    ) {
        let Some(full) = &self.full else { return };
        let Unwritten { written, steps } = unwritten;
        let end = sequence.time.position(end);
        let cause = format!("not written at the end: {full}");
        match sequence.time.last_step {
            // The unwritten lines begin in the previous epoch.
            Some(Step { before, after }) if steps < sequence.time.steps => {
                feeds.record_unsure(sequence, written, before, &cause);
                feeds.record_unsure(sequence, after.stamp, end, &cause);
            }
            _ => feeds.record_unsure(sequence, written, end, &cause),
        }
    }

    /// An epoch begins with this stamp.
    pub(super) fn begin_epoch(&mut self, first: Stamp) {
        self.durable = self.durable.map(|_| first);
    }

    fn handle_full(&mut self, sequence: &mut Sequence, cause: String) {
        self.full = Some(cause.clone());
        sequence.event(&Event::DiskFull { cause });
    }

    fn handle_room(&mut self, sequence: &mut Sequence) {
        self.full = None;
        sequence.event(&Event::DiskOk);
    }

    fn handle_space(&mut self, free: Free) {
        let is_low = free.bytes < self.min_free_bytes || free.inodes < MIN_FREE_INODES;
        let was_low = self.room.is_some_and(|room| room.is_low);
        if is_low && !was_low {
            tracing::warn!(free.bytes, free.inodes, self.min_free_bytes, "the disk is nearly full: make room");
        }
        self.room = Some(Room { bytes: free.bytes, inodes: free.inodes, is_low });
    }
}

/// Records a displaced file, and the gap of the lines in doubt.
fn record_displaced(sequence: &mut Sequence, feeds: &mut Feeds, displaced: &Displaced) {
    sequence.event(&Event::from(displaced));
    let Some(((feed, stream), doubt)) = displaced.stream.as_ref().zip(displaced.doubt) else { return };
    let Doubt { from, to, is_lost } = doubt;
    let file = displaced.file.display();
    let happened = shown(displaced.what);
    if *stream == StreamKey::recorder() {
        // The file may have held gap events of any stream; no other loss follows from it.
        if is_lost {
            let cause = format!("{file} was {happened}, and what it told is lost");
            feeds.record_unsure(sequence, from, sequence.time.position(to), &cause);
        }
        return;
    }
    let cause = if is_lost {
        format!("{file} was {happened}, and a part of it is lost")
    } else {
        format!("{file} was {happened}; it is saved, and others had it in hand")
    };
    let only = Some(vec![stream.to_string()]);
    let (epoch, kind) = (sequence.time.epoch, GapKind::Unsure);
    feeds.record_gaps(sequence, [Gap { connection: *feed, epoch, from, to, kind, cause, only }]);
}
