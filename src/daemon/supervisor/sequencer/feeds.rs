//! Both connections and the gaps of their streams: handles their deliveries, and decides which gaps go on record. Pure.
//!
//! ```text
//! listed, reload ──▶ request of each connection ──▶ session: sends it ──▶ `subscribed`: origins to the journal
//!                                    first data behind it ──▶ gaps: added streams since they were wanted, others since
//!                                                             their feed was last heard
//! ```
//!
//! Streams that a request adds were wanted before it was sent, and nothing of them was recorded until then: a gap of
//! these streams covers that time. Streams that stay may lose something while the exchange replaces one request by the
//! other, which nobody has settled: a gap covers that time, too. Until the list of pairs is known, patterns stand for
//! their streams.

use super::connection::{Change, Connection};
use super::epoch::{EpochClock, EpochEnd};
use super::gap_log::GapLog;
use super::joining::Joining;
use super::sequence::Sequence;
use crate::batch::Batch;
use crate::clock::{Instant, Position, Stamp};
use crate::connection::{Notice, Suspect};
use crate::daemon::gaps::GapTracker;
use crate::daemon::supervisor::interface::Action;
use crate::desired::{Listed, Wanted};
use crate::ops::status::feeds::{ConnectionStatus, Link};
use crate::recording::journal::{JournalCommand, Routed};
use crate::tape::event::Event;
use crate::tape::gap::{Gap, GapKind, suspicions};
use crate::tape::state::{FeedState, Redo};
use crate::upbit::feed::{Feed, PerFeed};
use crate::upbit::subscription::Request;
use std::collections::BTreeMap;
use std::sync::Arc;

/// See the module.
#[derive(Debug)]
pub(super) struct Feeds {
    /// Connections that end from here on end because of the stop.
    pub(super) is_stopping: bool,
    /// Puts gaps on record.
    pub(super) gap_log: GapLog,
    connections: BTreeMap<Feed, Connection>,
    /// The newest list of pairs.
    listed: Listed,
    gaps: GapTracker,
}

impl Feeds {
    /// Begins without connections, with a list of pairs, and with the gaps since the previous process open.
    pub(super) fn new(gaps: GapTracker, listed: Listed) -> Self {
        let (gap_log, connections) = Default::default();
        Self { is_stopping: false, gap_log, connections, listed, gaps }
    }

    /// Adds a connection, and describes its first request to the journal.
    pub(super) fn add(&mut self, sequence: &mut Sequence, feed: Feed, connection: Connection) {
        sequence.commands.push_back(JournalCommand::Describe(feed, Arc::new(connection.origins())));
        self.connections.insert(feed, connection);
    }

    /// The state of each connection.
    pub(super) fn links(&self) -> BTreeMap<Feed, Link> {
        self.connections.iter().map(|(feed, connection)| (*feed, connection.link.clone())).collect()
    }

    /// Each connection for the status.
    pub(super) fn statuses(&self) -> BTreeMap<Feed, ConnectionStatus> {
        let status = |feed: Feed, connection: &Connection| ConnectionStatus {
            link: connection.link.clone(),
            asked: connection.asked.clone(),
            mute: self.gaps.suspected(feed).into_keys().collect(),
            gap: self.gaps.open_gap(feed).cloned(),
            count: connection.count.clone(),
        };
        self.connections.iter().map(|(feed, connection)| (*feed, status(*feed, connection))).collect()
    }

    /// The last request of each connection.
    pub(super) fn requests(&self) -> BTreeMap<Feed, String> {
        self.connections.iter().map(|(feed, connection)| (*feed, connection.sent.clone())).collect()
    }

    /// The state of a feed; `kept`, where it is not recorded.
    pub(super) fn state(&self, feed: Feed, kept: &FeedState) -> FeedState {
        let Some(connection) = self.connections.get(&feed) else { return kept.clone() };
        let (open, suspected) = (self.gaps.open_gap(feed).cloned(), self.gaps.suspected(feed));
        FeedState { wanted: true, open, suspected, requests: connection.requests.clone(), streams: Vec::new() }
    }

    /// What was heard last of each feed: up to there it was listened to, or a gap is on record.
    pub(super) fn heard(&self) -> PerFeed<Option<Stamp>> {
        PerFeed::from_fn(|feed| {
            let heard = self.connections.get(&feed)?.heard();
            heard.max(Some(self.gaps.until(feed)).filter(|until| *until > Stamp::default()))
        })
    }

    /// The pause that the next delivery leaves untold began at this stamp.
    pub(super) fn handle_unsettled(&mut self, feed: Feed, from: Option<Stamp>) {
        if let Some(connection) = self.connections.get_mut(&feed) {
            connection.unsettled = from;
        }
    }

    /// Records a batch, and the gap closed by its first data.
    pub(super) fn handle_batch(&mut self, sequence: &mut Sequence, feed: Feed, batch: Batch) {
        let lines = sequence.route(feed, &batch);
        let stamp_of = |entry: usize| lines.get(entry).map(|(stamp, _)| *stamp);
        let first_data = batch.data().and_then(|data| stamp_of(data.first));
        let last_data = batch.data().and_then(|data| stamp_of(data.last));
        let mut joined = None;
        if let Some(connection) = self.connections.get_mut(&feed) {
            let before = connection.heard();
            let asked = if self.is_stopping { connection.last_asked(&batch, &lines) } else { None };
            joined = connection.joining.as_ref().and_then(|joining| joining.proved_at(&batch, &lines));
            connection.handle_lines(lines.last().map(|(stamp, _)| *stamp), last_data.max(asked));
            if connection.heard() > before {
                self.gap_log.prove(feed);
            }
        }
        if let Some(stamp) = joined {
            self.end_joining(sequence, feed, stamp);
        }
        sequence.commands.push_back(JournalCommand::Lines(Routed { batch, lines }));
        if let Some(to) = first_data {
            self.close_gap(sequence, feed, to);
        }
    }

    /// Handles a notice of the instant `at`: records its event, and the gaps it ends.
    pub(super) fn handle_notice(&mut self, sequence: &mut Sequence, feed: Feed, at: Instant, notice: Notice) {
        let clock = sequence.time.clock;
        let Some(connection) = self.connections.get_mut(&feed) else { return };
        if notice == Notice::Alive {
            // It becomes no line, so it takes no stamp.
            connection.handle(notice, at, &clock);
            self.gap_log.prove(feed);
            return;
        }
        let stamp = sequence.time.stamp_at(at);
        let heard = connection.heard().unwrap_or(stamp);
        // Stamps may run ahead of the clock, so that of the last line is the lower bound.
        let since = clock.stamp_at(at).max(connection.last.unwrap_or(sequence.time.begun()));
        let is_live = matches!(notice, Notice::Live { .. });
        if is_live {
            connection.alive_at = Some(since);
        }
        let ended = match &notice {
            // A connection that ends because of a stop has recorded up to its end; the next start opens the gap.
            Notice::Lost { .. } if self.is_stopping => Vec::new(),
            Notice::Lost { cause, .. } => {
                let ended = self.gaps.open(feed, heard, GapKind::Disconnected, cause);
                self.tell_unproved(sequence, feed, GapKind::Disconnected, cause);
                ended
            }
            Notice::Paused { from, to, cause } => {
                // A connection that is lost in the pause may have been dead when the pause began.
                let last = connection.last_line.max(connection.alive_at).unwrap_or(stamp);
                let ends = [sequence.time.past_stamp_of(*from).min(last), clock.stamp_of(*to)];
                let ended = self.gaps.record(feed, ends, GapKind::Paused, cause.as_str());
                self.tell_unproved(sequence, feed, GapKind::Paused, cause.as_str());
                ended
            }
            Notice::Stale { streams } => {
                for suspect in streams {
                    // The watchdog tells when they bring data again.
                    if let Some(joining) = &mut connection.joining {
                        joining.streams.remove(&suspect.stream);
                    }
                    self.gaps.suspect(feed, suspect.stream.clone(), sequence.time.past_stamp(suspect.since));
                }
                suspected_before(&mut sequence.time, feed, streams)
            }
            Notice::Fresh { streams } => self.gaps.clear(feed, streams, stamp),
            Notice::Subscribed { standing, .. } => {
                connection.note_request(standing, sequence.time.position(stamp));
                self.handle_standing(sequence, feed, standing, stamp)
            }
            _ => Vec::new(),
        };
        let connection = self.connections.get_mut(&feed);
        if let Some(event) = connection.and_then(|connection| connection.handle(notice, at, &clock)) {
            sequence.event_at(stamp, &event);
        }
        self.record_gaps(sequence, ended);
        // The account may be quiet for days, so its gap ends with the subscription.
        if is_live && feed == Feed::Private {
            self.close_gap(sequence, feed, since);
        }
    }

    /// Rebuilds the requests from the list; the gaps of waiting streams that are not in it end.
    pub(super) fn handle_listed(&mut self, sequence: &mut Sequence, listed: &Listed) {
        // What is new was listed since then, and is missed.
        let since = std::mem::replace(&mut self.listed, listed.clone()).complete_at;
        let stamp = sequence.time.stamp();
        let mut ended = Vec::new();
        for (feed, connection) in &mut self.connections {
            let request = connection.resolve(listed, since);
            sequence.actions.extend(request.map(|request| Action::Request(*feed, request)));
            ended.extend(self.gaps.clear(*feed, &connection.take_unlisted(listed), stamp));
        }
        self.record_gaps(sequence, ended);
    }

    /// Rebuilds the requests from other subscriptions. Of streams that wait for a list of pairs everything is missed from
    /// now on.
    pub(super) fn handle_reload(&mut self, sequence: &mut Sequence, mut wanted: PerFeed<Wanted>) {
        let (stamp, now) = (sequence.time.stamp(), sequence.time.now());
        sequence.tell_healer_of_entries(wanted.public.entries());
        for feed in Feed::ALL {
            let Some(connection) = self.connections.get_mut(&feed) else { continue };
            let before = connection.unresolved.clone();
            let request = connection.want(std::mem::take(&mut wanted[feed]), &self.listed, now);
            sequence.actions.extend(request.map(|request| Action::Request(feed, request)));
            let is_in = |streams: &[String], stream: &String| streams.contains(stream);
            let waiting = &connection.unresolved;
            let fresh = waiting.iter().filter(|stream| !is_in(&before, stream)).cloned().collect();
            let gone: Vec<String> = before.iter().filter(|stream| !is_in(waiting, stream)).cloned().collect();
            if self.gaps.open_gap(feed).is_none() {
                self.suspect_waiting(sequence, feed, fresh, stamp);
            }
            let ended = self.gaps.clear(feed, &gone, stamp);
            self.record_gaps(sequence, ended);
        }
    }

    /// Ends joining for added streams that have brought no data in time.
    pub(super) fn end_overdue_joining(&mut self, sequence: &mut Sequence) {
        let now = sequence.time.now();
        let is_overdue =
            |connection: &Connection| connection.joining.as_ref().is_some_and(|joining| joining.is_overdue(now));
        let overdue = self.connections.iter().filter(|(_, connection)| is_overdue(connection));
        let overdue: Vec<Feed> = overdue.map(|(feed, _)| *feed).collect();
        for feed in overdue {
            let stamp = sequence.time.stamp();
            self.end_joining(sequence, feed, stamp);
        }
    }

    /// Records closed gaps.
    pub(super) fn record_gaps(&mut self, sequence: &mut Sequence, gaps: impl IntoIterator<Item = Gap>) {
        for gap in gaps {
            let connection = self.connections.get(&gap.connection);
            let all = connection.map(Connection::streams).unwrap_or_default();
            let stamp = sequence.time.stamp();
            // A stamp of another epoch would be no id in the gap's.
            let end = if gap.epoch == sequence.time.epoch { None } else { sequence.time.end_of(gap.epoch) };
            self.gap_log.record(sequence, stamp, Redo { id: end.map_or(stamp, |end| end.id), gap }, all);
        }
    }

    /// Records a gap that was decided earlier; `asked`: the streams of its feed by then.
    pub(super) fn tell(&mut self, sequence: &mut Sequence, redo: Redo, asked: Vec<String>) {
        let connection = self.connections.get(&redo.gap.connection);
        let all = connection.map(Connection::streams).unwrap_or(asked);
        let stamp = sequence.time.stamp();
        self.gap_log.record(sequence, stamp, redo, all);
    }

    /// What a feed was not proved to have brought at the end of an epoch was missed.
    fn tell_unproved(&mut self, sequence: &mut Sequence, feed: Feed, kind: GapKind, cause: &str) {
        for Redo { id, gap } in self.gap_log.take_unproved(feed) {
            self.tell(sequence, Redo { id, gap: Gap { kind, cause: cause.to_owned(), ..gap } }, Vec::new());
        }
    }

    /// Records a gap in doubt on every connection: its data in the interval may not be on disk.
    pub(super) fn record_unsure(&mut self, sequence: &mut Sequence, from: Stamp, to: Position, cause: &str) {
        let Position { epoch, stamp: to } = to;
        let gap = |&connection| {
            let (kind, cause) = (GapKind::Unsure, cause.to_owned());
            Gap { connection, epoch, from, to, kind, cause, only: None }
        };
        let gaps: Vec<Gap> = self.connections.keys().map(gap).collect();
        self.record_gaps(sequence, gaps);
    }

    /// Ends all open gaps, in the last epoch of the process.
    pub(super) fn finish(&mut self, sequence: &mut Sequence, end: Stamp) {
        let heard = |connection: &Connection| connection.heard().unwrap_or(end);
        let ends: Vec<_> = self.connections.iter().map(|(feed, connection)| (*feed, heard(connection))).collect();
        for (feed, last) in ends {
            let open = self.gaps.finish(feed, last, end);
            self.record_gaps(sequence, open);
        }
    }

    /// Ends all open gaps with their epoch, at `before`; they are reopened in the next, from `after`.
    pub(super) fn end_epoch(&mut self, sequence: &mut Sequence, before: Stamp, after: Position) {
        let epoch = sequence.time.epoch;
        for connection in self.connections.keys().copied().filter(|feed| self.gaps.open_gap(*feed).is_none()) {
            let from = self.heard()[connection].unwrap_or(before);
            let (kind, cause) = (GapKind::Killed, "the recorder had died".to_owned());
            let gap = Gap { connection, epoch, from, to: before, kind, cause, only: None };
            if from < before {
                self.gap_log.doubt(Redo { id: sequence.time.stamp(), gap });
            }
        }
        let ended = self.gaps.step(before, after);
        self.record_gaps(sequence, ended);
    }

    /// An epoch begins with this stamp.
    pub(super) fn begin_epoch(&mut self, first: Stamp) {
        self.connections.values_mut().for_each(|connection| connection.begin_epoch(first));
    }

    /// Handles a newly standing request; returns the gaps that end with it.
    fn handle_standing(
        &mut self,
        sequence: &mut Sequence,
        feed: Feed,
        standing: &Arc<Request>,
        stamp: Stamp,
    ) -> Vec<Gap> {
        let Some(connection) = self.connections.get_mut(&feed) else { return Vec::new() };
        let heard = connection.heard();
        let Some(change) = connection.stand(standing, &self.listed) else { return Vec::new() };
        let Change { added, mut kept, removed, since } = change;
        sequence.commands.push_back(JournalCommand::Describe(feed, Arc::new(connection.origins())));
        let mut gaps = self.gaps.clear(feed, &removed, stamp);
        // What is suspected already has its own end, and before anything was heard a gap is open.
        let suspected = self.gaps.suspected(feed);
        kept.retain(|stream| !suspected.contains_key(stream));
        let heard = heard.filter(|_| self.gaps.open_gap(feed).is_none());
        if let Some(heard) = heard {
            kept.iter().for_each(|stream| self.gaps.suspect(feed, stream.clone(), heard));
        } else {
            kept.clear();
        }
        if !added.is_empty() || !kept.is_empty() {
            let proof = if added.is_empty() { &kept } else { &added }.iter().cloned().collect();
            let streams = added.iter().chain(&kept).cloned();
            connection.joining = Some(Joining::new(connection.joining.take(), streams, proof, sequence.time.now()));
        }
        if !added.is_empty() {
            // Time before a step is in another epoch, whose gap names the patterns.
            let floor = sequence.time.floor();
            let since = since.map_or(floor, |since| sequence.time.clock.stamp_at(since).max(floor));
            gaps.extend(self.gaps.join(feed, added, since));
        }
        gaps
    }

    fn end_joining(&mut self, sequence: &mut Sequence, feed: Feed, stamp: Stamp) {
        let joining = self.connections.get_mut(&feed).and_then(|connection| connection.joining.take());
        let streams: Vec<String> = joining.into_iter().flat_map(|joining| joining.streams).collect();
        let ended = self.gaps.clear(feed, &streams, stamp);
        self.record_gaps(sequence, ended);
    }

    /// Closes the gap of a connection. Unresolved patterns are still missed: the `stale` event records that, so that
    /// the next start knows it if this process dies.
    fn close_gap(&mut self, sequence: &mut Sequence, feed: Feed, to: Stamp) {
        let Some(gap) = self.gaps.close(feed, to) else { return };
        self.record_gaps(sequence, [gap]);
        let streams = self.connections.get(&feed).map(|connection| connection.unresolved.clone()).unwrap_or_default();
        self.suspect_waiting(sequence, feed, streams, to);
    }

    /// Suspects streams that wait for a list of pairs.
    fn suspect_waiting(&mut self, sequence: &mut Sequence, feed: Feed, streams: Vec<String>, since: Stamp) {
        if streams.is_empty() {
            return;
        }
        for stream in &streams {
            self.gaps.suspect(feed, stream.clone(), since);
        }
        let last_data = vec![since; streams.len()];
        sequence.event(&Event::Stale { connection: feed, streams, since, last_data });
    }
}

/// The part of new suspicions that lies in the epoch before.
fn suspected_before(time: &mut EpochClock, feed: Feed, streams: &[Suspect]) -> Vec<Gap> {
    let Some(epoch) = time.epoch.checked_sub(1) else { return Vec::new() };
    let Some(EpochEnd { before, clock, until, .. }) = time.end_of(epoch) else { return Vec::new() };
    let earlier = streams.iter().filter(|suspect| suspect.since < until);
    let earlier = earlier.map(|suspect| (suspect.stream.clone(), clock.stamp_at(suspect.since))).collect();
    suspicions(feed, earlier, Position { epoch, stamp: before })
}
