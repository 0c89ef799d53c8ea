//! The wall clock was set: stamps go on at its time, and in another epoch where they go back with it. Pure.
//!
//! ```text
//! ahead ──▶ Step
//! back  ──▶ gaps end ──▶ the state steps ──▶ the first stamp ──▶ gaps and what is measured go on ──▶ BeginEpoch
//! ```

use super::disk::DiskHealth;
use super::feeds::Feeds;
use super::listings::Listings;
use super::sequence::Sequence;
use super::snapshot::Snapshots;
use crate::clock::Stamp;
use crate::recording::journal::{BeginEpoch, JournalCommand};

/// Everything that holds stamps.
pub(super) struct ClockSet<'a> {
    pub(super) sequence: &'a mut Sequence,
    pub(super) feeds: &'a mut Feeds,
    pub(super) listings: &'a mut Listings,
    pub(super) snapshots: &'a mut Snapshots,
    pub(super) disk: &'a mut DiskHealth,
}

impl ClockSet<'_> {
    /// Goes on at `wall`: in another epoch where stamps go back with it.
    pub(super) fn go_on(self, wall: Stamp) {
        let before = self.sequence.time.stamp();
        if self.sequence.time.beyond(wall).epoch > self.sequence.time.epoch {
            return self.begin_epoch(before, wall);
        }
        let step = self.sequence.step(wall);
        self.sequence.commands.push_back(JournalCommand::Step(step));
    }

    /// Ends the epoch, and begins the next one at `wall`. Gaps are ended first: their stamps belong to the old epoch,
    /// too.
    fn begin_epoch(self, before: Stamp, wall: Stamp) {
        let Self { sequence, feeds, listings, snapshots, disk } = self;
        let before = sequence.time.position(before);
        let after = sequence.time.beyond(wall);
        let dormant = snapshots.end_epoch(before, after.stamp);
        feeds.record_gaps(sequence, dormant);
        feeds.end_epoch(sequence, before.stamp, after);
        let stepping = snapshots.stepping(&sequence.time, feeds, after);
        let step = sequence.step(wall);
        feeds.begin_epoch(step.first);
        listings.begin_epoch(step.first);
        let begun = snapshots.begun(&sequence.time, feeds, step.first, &stepping);
        disk.begin_epoch(step.first);
        let begin = BeginEpoch { stepping, begun, step };
        sequence.commands.push_back(JournalCommand::BeginEpoch(Box::new(begin)));
    }
}
