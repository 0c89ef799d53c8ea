//! The gap log: puts gaps on record, and holds what the next start has to tell if the process dies. Pure.
//!
//! ```text
//! end of an epoch ──▶ unproved ──the feed lives──▶ nothing was missed
//!                        └──────the feed is lost──▶ a gap
//! gap ──record──▶ `gap` event, status, healer; unsynced ──synced──▶ done
//!                                                 └──a sync without room──▶ recorded again
//! ```

use super::sequence::Sequence;
use crate::clock::{Position, Stamp};
use crate::ops::status::gaps::GapStatus;
use crate::quantity::rounded_duration;
use crate::tape::event::Event;
use crate::tape::healed::{self, HealReport};
use crate::tape::state::Redo;
use crate::upbit::feed::Feed;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct GapLog {
    /// The gaps on record, for the status.
    pub(super) status: GapStatus,
    /// The time from the last data to the end of an epoch, until a feed is proved to live in the next one: a loss is
    /// noticed late.
    unproved: Vec<Redo>,
    /// Gaps on record whose events are not durable yet. A sync that hangs for an hour holds some thousand.
    unsynced: Vec<Unsynced>,
}

/// A gap on record.
#[derive(Debug)]
struct Unsynced {
    redo: Redo,
    /// All streams of its feed.
    streams: Vec<String>,
    /// The position of its event.
    at: Position,
}

impl GapLog {
    /// Gaps that are to be told if the process dies: before their events are durable, or their feed is proved to live.
    pub(super) fn redo(&self) -> impl Iterator<Item = &Redo> {
        self.unsynced.iter().map(|gap| &gap.redo).chain(self.unproved())
    }

    /// Those of feeds that are not proved to live.
    pub(super) fn unproved(&self) -> impl Iterator<Item = &Redo> {
        self.unproved.iter()
    }

    /// A feed may have died before the end of its epoch.
    pub(super) fn doubt(&mut self, redo: Redo) {
        self.unproved.push(redo);
    }

    /// A feed is proved to live: it has missed nothing at the end of an epoch.
    pub(super) fn prove(&mut self, feed: Feed) {
        self.unproved.retain(|redo| redo.gap.connection != feed);
    }

    /// A feed is not proved to live, and never will be: what it has missed.
    pub(super) fn take_unproved(&mut self, feed: Feed) -> Vec<Redo> {
        self.unproved.extract_if(.., |redo| redo.gap.connection == feed).collect()
    }

    /// Everything up to this position is durable.
    pub(super) fn handle_synced(&mut self, up_to: Position) {
        self.unsynced.retain(|gap| gap.at > up_to);
    }

    /// Records again what a sync may have lost.
    pub(super) fn tell_again(&mut self, sequence: &mut Sequence) {
        for Unsynced { redo, streams, .. } in std::mem::take(&mut self.unsynced) {
            let stamp = sequence.time.stamp();
            self.record(sequence, stamp, redo, streams);
        }
    }

    /// Records a gap at `stamp`; `all`: the streams of its feed.
    pub(super) fn record(&mut self, sequence: &mut Sequence, stamp: Stamp, redo: Redo, all: Vec<String>) {
        let at = sequence.time.position(stamp);
        self.unsynced.push(Unsynced { redo: redo.clone(), streams: all.clone(), at });
        let Redo { id, gap } = redo;
        let (connection, length) = (gap.connection, rounded_duration(gap.length()));
        tracing::info!(%connection, length, cause = gap.cause, "a gap is on record");
        self.status.note(Position { epoch: gap.epoch, stamp: id }, gap.clone(), stamp);
        sequence.event_at(stamp, &Event::gap(gap, id, all));
        sequence.tell_healer_of_gap(stamp);
    }

    /// Records that a gap is healed.
    pub(super) fn record_healed(&mut self, sequence: &mut Sequence, gap: Position, report: HealReport) {
        self.status.note_healed(gap, &report);
        let (gap, gap_epoch) = healed::name(gap, sequence.time.epoch);
        log_healed(gap, &report);
        sequence.event(&Event::Healed { gap, gap_epoch, report });
    }
}

/// Logs what healing a gap came to.
fn log_healed(gap: u64, report: &HealReport) {
    let (requests, unaffected) = (report.requests, report.unaffected);
    let written: u64 = report.complete.values().chain(report.partial.values()).sum();
    if !report.partial.is_empty() {
        let partial: Vec<_> = report.partial.keys().collect();
        tracing::warn!(gap, written, requests, ?partial, "a gap could not be healed whole");
    } else if written > 0 {
        tracing::info!(gap, written, requests, "what was missed in a gap is on disk");
    } else {
        tracing::debug!(gap, requests, unaffected, "nothing that can be fetched was missed in a gap");
    }
}
