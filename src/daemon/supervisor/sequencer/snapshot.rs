//! The state for the next start, as of now: it goes into each sync, where it has changed. Pure.
//!
//! ```text
//! epoch, feeds, requests, dates, redo ──snapshot──▶ State ──SyncPoint──▶ writer ──▶ syncer ──▶ .state
//! ```

use super::epoch::EpochClock;
use super::feeds::Feeds;
use crate::clock::{Position, Stamp};
use crate::recording::sync::SyncPoint;
use crate::tape::gap::Gap;
use crate::tape::manifest::Origins;
use crate::tape::state::{Ended, FeedState, Redo, Standing, State, Stepping};
use crate::upbit::feed::{Feed, PerFeed};
use crate::upbit::subscription::Request;
use jiff::civil::Date;
use std::collections::{BTreeMap, BTreeSet};

/// See the module.
#[derive(Debug)]
pub(super) struct Snapshots {
    /// The last snapshot that was sent, or the state of the start.
    sent: State,
    /// The first stamp of the epoch.
    began: Stamp,
    /// The number of segments of each date that wait for the sealer.
    waiting: BTreeMap<Date, usize>,
    /// Dates with files that could not be read.
    unreadable: BTreeSet<Date>,
    /// Gaps of syncs without room that were decided.
    decided: u64,
}

impl Snapshots {
    /// Continues from the state of the start; `waiting`: the dates of the segments that are to be sealed.
    pub(super) fn new(state: State, waiting: &[Date]) -> Self {
        let mut snapshots = Self {
            began: state.began,
            waiting: BTreeMap::new(),
            unreadable: state.dates.iter().filter(|date| !waiting.contains(date)).copied().collect(),
            decided: 0,
            sent: state,
        };
        waiting.iter().for_each(|date| snapshots.handle_ended(*date, 1));
        snapshots
    }

    /// The streams of a feed's last request, or else those on the tape.
    pub(super) fn streams(&self, feed: Feed) -> Vec<String> {
        let FeedState { requests, streams, .. } = &self.sent.feeds[feed];
        let request = requests.last().and_then(|standing| Request::from_frame(&standing.request));
        request.map_or_else(|| streams.clone(), |request| Origins::of(&request).names())
    }

    /// The gaps that the start has decided.
    pub(super) fn to_tell(&self) -> Vec<Redo> {
        self.sent.redo.clone()
    }

    /// The requests of a feed by earlier processes.
    pub(super) fn requests(&self, feed: Feed) -> Vec<Standing> {
        self.sent.feeds[feed].requests.clone()
    }

    /// Segments of a date have ended.
    pub(super) fn handle_ended(&mut self, date: Date, segments: usize) {
        *self.waiting.entry(date).or_default() += segments;
    }

    /// A segment of a date waits no longer.
    pub(super) fn handle_sealed(&mut self, date: Date) {
        if let Some(waiting) = self.waiting.get_mut(&date) {
            *waiting = waiting.saturating_sub(1);
        }
        self.waiting.retain(|_, waiting| *waiting > 0);
    }

    /// The gap of a sync without room is in the sequence.
    pub(super) fn handle_decided(&mut self) {
        self.decided += 1;
    }

    /// What is certain once everything up to `stamp` is durable, with the state where it has changed.
    pub(super) fn point(&mut self, time: &EpochClock, feeds: &Feeds, stamp: Stamp) -> SyncPoint {
        let state = self.state(time, feeds);
        let has_changed = state != self.sent;
        if has_changed {
            self.sent.clone_from(&state);
        }
        SyncPoint {
            up_to: time.position(stamp),
            heard: feeds.heard(),
            decided: self.decided,
            state: has_changed.then(|| Box::new(state)),
        }
    }

    /// The step into the next epoch: what is in doubt of this one if the process dies before it is complete is in the
    /// redo list of the feeds.
    pub(super) fn stepping(&mut self, time: &EpochClock, feeds: &Feeds, after: Position) -> SyncPoint {
        let before = time.last();
        let mut point = self.point(time, feeds, before);
        let stepping = Some(Stepping { epoch: after.epoch, before, after: after.stamp });
        point.state = Some(Box::new(State { stepping, ..self.sent.clone() }));
        point
    }

    /// The epoch that has begun at `first`: its state, and what is certain of the one before once all that is durable
    /// which was `stepping`.
    pub(super) fn begun(&mut self, time: &EpochClock, feeds: &Feeds, first: Stamp, stepping: &SyncPoint) -> SyncPoint {
        self.began = first;
        let SyncPoint { up_to, heard, .. } = *stepping;
        SyncPoint { up_to, heard, ..self.point(time, feeds, first) }
    }

    /// The open gaps of feeds that are not recorded, which end with the epoch and go on at `after`.
    pub(super) fn end_epoch(&mut self, before: Position, after: Stamp) -> Vec<Gap> {
        let mut ended = Vec::new();
        for feed in Feed::ALL {
            let only = Some(self.streams(feed));
            let FeedState { wanted: false, open: Some(open), .. } = &mut self.sent.feeds[feed] else { continue };
            let from = std::mem::replace(&mut open.from, after);
            let (Position { epoch, stamp: to }, kind, cause) = (before, open.kind, open.cause.clone());
            ended.extend((from < to).then_some(Gap { connection: feed, epoch, from, to, kind, cause, only }));
        }
        ended
    }

    /// The state that holds once everything is durable, behind the last event, stamped `last`.
    pub(super) fn stopped(&self, time: &EpochClock, feeds: &Feeds, last: Stamp) -> State {
        let ended = Ended::Stopped { last, heard: feeds.heard() };
        // The events of all others are durable by then.
        let redo = feeds.gap_log.unproved().cloned().collect();
        State { ended, redo, ..self.state(time, feeds) }
    }

    fn state(&self, time: &EpochClock, feeds: &Feeds) -> State {
        let mut dates: BTreeSet<Date> = self.unreadable.iter().chain(self.waiting.keys()).copied().collect();
        // Segments of today and of yesterday may be active, or have ended without a report yet.
        dates.extend(time.dates());
        State {
            epoch: time.epoch,
            began: self.began,
            ended: Ended::Running,
            stepping: None,
            unsure: Vec::new(),
            dates,
            feeds: PerFeed::from_fn(|feed| feeds.state(feed, &self.sent.feeds[feed])),
            redo: feeds.gap_log.redo().cloned().collect(),
            ..self.sent.clone()
        }
    }
}
