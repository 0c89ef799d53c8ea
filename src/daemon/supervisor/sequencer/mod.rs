//! The sequencer: data, events, ticks and the shutdown get one sequence here, and one stamp each. Pure.
//!
//! ```text
//! Reading + delivery, report, list of pairs, …  ──handle_*──▶ Sequencer ──poll_command──▶ JournalCommand
//!                                                                  └─────poll_action───▶ Action
//! ```
//!
//! | part | owns |
//! |---|---|
//! | `sequence` | the sequence: stamps, streams, commands to the journal; `epoch`: the clock that makes the stamps; `clock_set`: how they go on when it is set |
//! | `feeds` | both connections, and the gaps of their streams; `connection`: one of them; `joining`: its added streams |
//! | `gap_log` | gaps on record, and what the next start has to tell if the process dies |
//! | `reloads` | what a configuration that was read again brings into force |
//! | `discipline` | whether the wall clock is synchronised |
//! | `listings` | pairs that come and go, and their first messages |
//! | `disk` | the reports of writer, syncer and sealer; `backlog`: segments that wait for the sealer |
//! | `snapshot` | the state for the next start |
//! | `lifecycle` | the phases from the stop to the exit; `timetable`: its ticks and syncs |

mod backlog;
mod clock_set;
mod connection;
mod discipline;
mod disk;
mod epoch;
mod feeds;
mod gap_log;
mod joining;
mod lifecycle;
mod listings;
mod reloads;
mod sequence;
mod snapshot;
mod timetable;

use super::ending::{Ended, Failure};
use super::interface::{Action, OperatorRequest, Reading, Unwritten};
use super::setup::SequencerSetup;
use crate::clock::discipline::ClockState;
use crate::clock::{Clock, Instant, Position, Stamp};
use crate::connection::{Delivery, Payload};
use crate::desired::{Listed, Wanted};
use crate::ops::status::feeds::Link;
use crate::ops::status::{About, Status};
use crate::recording::journal::JournalCommand;
use crate::recording::report::ThreadReport;
use crate::tape::event::{ClockHealth, Event};
use crate::tape::healed::{HealReport, MissedObject};
use crate::tape::rest_objects::RestObjects;
use crate::tape::stream_key::StreamKey;
use crate::tape::words::{RotationReason, StopReason};
use crate::upbit::feed::Feed;
use crate::upbit::subscription::Request;
use clock_set::ClockSet;
use connection::Connection;
use discipline::DisciplineWatch;
use disk::DiskHealth;
use epoch::{Comparison, EpochClock};
use feeds::Feeds;
use lifecycle::{Lifecycle, Phase};
use listings::{Listings, announces};
use reloads::Reloads;
use sequence::Sequence;
use snapshot::Snapshots;
use timetable::Timetable;

/// See the module.
#[derive(Debug)]
pub struct Sequencer {
    sequence: Sequence,
    feeds: Feeds,
    listings: Listings,
    disk: DiskHealth,
    discipline: DisciplineWatch,
    snapshots: Snapshots,
    lifecycle: Lifecycle,
    reloads: Reloads,
    timetable: Timetable,
    about: About,
}

impl Sequencer {
    /// A sequencer without connections, at the first reading; `clock` makes the first stamps.
    pub(super) fn new(setup: SequencerSetup, clock: Clock, reading: Reading) -> Self {
        let time = EpochClock::new(clock, reading, setup.stamper, setup.state.epoch);
        Self {
            sequence: Sequence::new(time, setup.router),
            listings: Listings::new(&setup.listed),
            feeds: Feeds::new(setup.gaps, setup.listed),
            disk: DiskHealth::new(setup.waiting.len(), setup.about.min_free_bytes, reading.now),
            discipline: DisciplineWatch::default(),
            snapshots: Snapshots::new(setup.state, &setup.waiting),
            lifecycle: Lifecycle::new(),
            reloads: Reloads::new(setup.rotation, clock.stamp_at(reading.now)),
            timetable: Timetable::new(setup.run_until, setup.sync_interval, reading.now),
            about: setup.about,
        }
    }

    /// Adds a connection; returns its first request.
    pub(super) fn add(&mut self, feed: Feed, wanted: Wanted, listed: &Listed) -> Request {
        let mut connection = Connection::new(feed, wanted, listed);
        connection.requests = self.snapshots.requests(feed);
        let request = connection.next().clone();
        // A gap names its streams although none was ever asked for.
        connection.note_request(&request, self.sequence.time.position(self.sequence.time.last()));
        self.feeds.add(&mut self.sequence, feed, connection);
        request
    }

    /// Tells the healer of all gaps so far: those that ended with the previous process may be on record already.
    pub(super) fn tell_healer(&mut self) {
        self.sequence.tell_healer_of_gap(self.sequence.time.last());
    }

    /// Records an event, stamped now.
    pub fn event(&mut self, event: &Event) {
        self.sequence.event(event);
    }

    /// Records an event stamped `stamp`.
    pub fn event_at(&mut self, stamp: Stamp, event: &Event) {
        self.sequence.event_at(stamp, event);
    }

    /// Records the gaps that the start has decided.
    pub fn tell_decided(&mut self) {
        for redo in self.snapshots.to_tell() {
            let all = self.snapshots.streams(redo.gap.connection);
            self.feeds.tell(&mut self.sequence, redo, all);
        }
    }

    /// The next command to the journal.
    pub(super) fn poll_command(&mut self) -> Option<JournalCommand> {
        self.sequence.commands.pop_front()
    }

    /// What the driver has to do next.
    pub(super) fn poll_action(&mut self) -> Option<Action> {
        self.sequence.actions.pop_front()
    }

    /// When [`Self::handle_tick`] is due.
    pub(super) fn next_tick(&self) -> Instant {
        self.timetable.next_tick(self.is_running())
    }

    /// Whether nothing has stopped it.
    pub(super) fn is_running(&self) -> bool {
        self.lifecycle.phase == Phase::Running
    }

    /// Commands that wait for room in the writer's queue.
    pub(super) fn waiting_commands(&self) -> usize {
        self.sequence.commands.len()
    }

    /// Whether commands wait for the writer.
    pub(super) fn has_commands(&self) -> bool {
        !self.sequence.commands.is_empty()
    }

    /// Whether it takes reports, lists and requests.
    pub(super) fn takes_reports(&self) -> bool {
        self.sequence.has_room()
    }

    /// Whether it takes deliveries of the connections.
    pub(super) fn takes_deliveries(&self) -> bool {
        !self.has_commands() && self.lifecycle.phase != Phase::Sealing
    }

    /// Whether it takes what healing fetched: only when nothing else waits and the disk has room. It never delays the
    /// end of the process: the next one fetches again what was not taken.
    pub(super) fn takes_healing(&self) -> bool {
        self.takes_deliveries() && self.is_running() && self.disk.full.is_none()
    }

    /// Whether only the last commands are left.
    pub(super) fn is_done(&self) -> bool {
        self.lifecycle.is_done(self.sequence.time.now(), self.disk.is_sealed())
    }

    /// The state for operators.
    pub(super) fn status(&self) -> Status {
        let sequence = &self.sequence;
        Status {
            about: Some(self.about.clone()),
            turned: Some(sequence.time.now()),
            at: sequence.time.clock.stamp_at(sequence.time.now()),
            epoch: sequence.time.epoch,
            connections: self.feeds.statuses(),
            streams: sequence.counts.clone(),
            stream_count: sequence.streams(),
            messages: sequence.messages,
            bytes: sequence.bytes,
            gaps: self.feeds.gap_log.status.clone(),
            disk: self.disk.status(),
            clock_offset: sequence.time.offset(),
            reload: self.reloads.last,
            clock: self.discipline.state().cloned(),
            listings: self.listings.counts,
            is_stopping: !self.is_running(),
            ..Status::default()
        }
    }

    /// Handles a delivery; `None`: every connection has ended.
    pub(super) fn handle_delivery(&mut self, reading: Reading, delivery: Option<Delivery>) {
        self.sequence.follow(reading);
        let Some(Delivery { connection, at, unsettled, payload }) = delivery else {
            if self.is_running() {
                let links = self.feeds.links();
                let causes: Vec<&str> = links.values().filter_map(Link::cause).collect();
                self.fail(Failure::Unavailable(causes.join("; ")));
            }
            return self.seal_the_rest();
        };
        self.feeds.handle_unsettled(connection, unsettled.map(|from| self.sequence.time.clock.stamp_of(from)));
        match payload {
            Payload::Batch(batch) => {
                if announces(connection, &batch) {
                    self.sequence.actions.push_back(Action::LookAtPairs);
                }
                let first = self.listings.take_first(connection, &batch);
                self.feeds.handle_batch(&mut self.sequence, connection, batch);
                self.listings.record_first(&mut self.sequence, first);
            }
            Payload::Notice(notice) => self.feeds.handle_notice(&mut self.sequence, connection, at, notice),
        }
    }

    /// Handles a connection's panic.
    pub(super) fn handle_panic(&mut self, reading: Reading, cause: String) {
        self.sequence.follow(reading);
        if self.is_running() {
            self.fail(Failure::Crashed(cause));
        }
    }

    /// Handles a report of writer, syncer or sealer.
    pub(super) fn handle_report(&mut self, reading: Reading, report: ThreadReport) {
        self.sequence.follow(reading);
        let handled = self.disk.handle_report(&mut self.sequence, &mut self.feeds, &mut self.snapshots, report);
        handled.unwrap_or_else(|failure| self.fail(failure));
    }

    /// Handles that the writer takes no more commands. The cause is in its last report.
    pub(super) fn handle_writer_ended(&mut self) {
        self.sequence.commands.clear();
        let unexpected = || Failure::Storage("the writer ended unexpectedly".into());
        self.lifecycle.failure.get_or_insert_with(unexpected);
    }

    /// Handles a list of pairs.
    pub(super) fn handle_listed(&mut self, reading: Reading, listed: &Listed) {
        self.sequence.follow(reading);
        self.listings.handle_listed(&mut self.sequence, listed);
        self.feeds.handle_listed(&mut self.sequence, listed);
    }

    /// Handles a request of the operator.
    pub(super) fn handle_request(&mut self, reading: Reading, request: OperatorRequest) {
        self.sequence.follow(reading);
        match request {
            OperatorRequest::Rotate => {
                self.sequence.commands.push_back(JournalCommand::Rotate(RotationReason::Requested))
            }
            OperatorRequest::Reloading => self.reloads.handle_begun(&mut self.sequence),
            OperatorRequest::Reload(outcome) => self.reloads.handle_ended(&mut self.sequence, &mut self.feeds, outcome),
        }
    }

    /// Records missed objects that were fetched later; returns the position of the last of them.
    pub(super) fn handle_missing(
        &mut self,
        reading: Reading,
        stream: StreamKey,
        objects: Vec<MissedObject>,
    ) -> Position {
        self.sequence.follow(reading);
        self.sequence.missed(stream, objects)
    }

    /// Records objects of the REST interface.
    pub(super) fn handle_fetched(&mut self, reading: Reading, objects: RestObjects) {
        self.sequence.follow(reading);
        self.sequence.fetched(objects);
    }

    /// Records that a gap is healed.
    pub(super) fn handle_healed(&mut self, reading: Reading, gap: Position, report: HealReport) {
        self.sequence.follow(reading);
        self.feeds.gap_log.record_healed(&mut self.sequence, gap, report);
    }

    /// Handles the wish of the operator to stop.
    pub(super) fn handle_stop(&mut self, reading: Reading) {
        self.sequence.follow(reading);
        self.stop(StopReason::Signal);
    }

    /// Handles the state of the wall clock, as of every tick.
    pub(super) fn handle_clock_state(&mut self, state: ClockState) {
        self.discipline.handle(state);
    }

    /// Handles that time has passed, see [`Self::next_tick`].
    pub(super) fn handle_tick(&mut self, reading: Reading) {
        self.sequence.follow(reading);
        let now = reading.now;
        if self.is_running() && self.timetable.has_elapsed(now) {
            self.stop(StopReason::Elapsed);
        }
        let is_running = self.is_running();
        self.timetable.note_tick(now, is_running);
        if is_running {
            self.compare_clocks();
        }
        if self.sequence.has_room() {
            let is_sync_due = self.timetable.take_sync(now, is_running);
            let stamp = self.sequence.time.stamp();
            let point = is_sync_due.then(|| self.snapshots.point(&self.sequence.time, &self.feeds, stamp));
            self.sequence.commands.push_back(JournalCommand::Tick { stamp, sync: point.map(Box::new) });
        }
        self.feeds.end_overdue_joining(&mut self.sequence);
        self.disk.check_backlog(now);
        if self.lifecycle.is_overdue(now) {
            tracing::warn!("the connections did not end in time");
            self.seal_the_rest();
        }
    }

    /// Records the end.
    pub(super) fn end(mut self, reading: Reading, unwritten: Option<Unwritten>) -> Ended {
        self.sequence.follow(reading);
        let end = self.sequence.time.stamp();
        self.feeds.finish(&mut self.sequence, end);
        if let Some(unwritten) = unwritten {
            self.disk.record_unwritten(&mut self.sequence, &mut self.feeds, unwritten, end);
        }
        let reason = self.lifecycle.reason.into();
        self.sequence.event(&Event::Stopped { reason, requests: self.feeds.requests() });
        let last = self.sequence.time.last();
        let stopped = self.snapshots.stopped(&self.sequence.time, &self.feeds, last);
        self.sequence.commands.push_back(JournalCommand::Stop(Box::new(stopped)));
        Ended {
            commands: self.sequence.commands,
            deadline: self.lifecycle.deadline(reading.now),
            failure: self.lifecycle.failure,
            durable: self.disk.durable,
            disk_full: self.disk.full,
        }
    }

    fn compare_clocks(&mut self) {
        match self.sequence.time.compare() {
            None => {}
            Some(Comparison::Set(wall)) => {
                let Self { sequence, feeds, listings, snapshots, disk, .. } = self;
                ClockSet { sequence, feeds, listings, snapshots, disk }.go_on(wall);
            }
            Some(Comparison::Due { offset, ahead }) => {
                let clock = self.discipline.state().map(ClockHealth::from).unwrap_or_default();
                self.sequence.event(&Event::Clock { offset, ahead, clock });
            }
        }
    }

    fn stop(&mut self, reason: StopReason) {
        let now = self.sequence.time.now();
        self.timetable.hasten(now);
        self.lifecycle.stop(now, reason);
        self.feeds.is_stopping = true;
        self.sequence.actions.push_back(Action::CloseConnections);
    }

    fn fail(&mut self, failure: Failure) {
        tracing::error!(error = %failure, "cannot go on");
        self.lifecycle.failure.get_or_insert(failure);
        if self.is_running() {
            self.stop(StopReason::Failure);
        }
    }

    /// Ends the connections, and has every ended segment sealed. Displaced files have to be on record before the last
    /// event.
    fn seal_the_rest(&mut self) {
        self.lifecycle.phase = Phase::Sealing;
        self.timetable.hasten(self.sequence.time.now());
        self.sequence.commands.push_back(JournalCommand::CheckNames);
        self.sequence.actions.push_back(Action::SealTheRest);
    }
}

#[cfg(test)]
mod tests;
