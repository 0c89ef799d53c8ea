//! The single sequence: everything recorded gets its stamp and its stream here, and becomes a command to the journal. Pure.

use super::epoch::EpochClock;
use crate::batch::{Batch, Entry};
use crate::clock::{Position, Stamp};
use crate::daemon::supervisor::interface::{Action, Reading};
use crate::history::healing::HealerInput;
use crate::ops::status::feeds::StreamStatus;
use crate::quantity::rounded_duration;
use crate::recording::journal::{ClockStep, EventObject, JournalCommand};
use crate::recording::router::{Router, StreamId};
use crate::tape::event::Event;
use crate::tape::healed::MissedObject;
use crate::tape::rest_objects::RestObjects;
use crate::tape::stream_key::StreamKey;
use crate::tape::words::RotationReason;
use crate::upbit::feed::Feed;
use crate::upbit::listing::stream_name;
use crate::upbit::subscription::Subscription;
use std::collections::VecDeque;

/// Commands waiting for the writer's queue before reports and ticks are left unhandled: a delivery and a report make a
/// handful each.
const WAITING: usize = 64;

/// See the module.
#[derive(Debug)]
pub(super) struct Sequence {
    /// Makes the stamps.
    pub(super) time: EpochClock,
    /// Commands that wait for room in the writer's queue.
    pub(super) commands: VecDeque<JournalCommand>,
    /// What the driver has to do.
    pub(super) actions: VecDeque<Action>,
    /// Messages since the start.
    pub(super) messages: u64,
    /// Bytes of these messages.
    pub(super) bytes: u64,
    /// What came of each stream, by its number.
    pub(super) counts: Vec<StreamStatus>,
    router: Router,
    /// What a healer was told last.
    healer: HealerInput,
}

impl Sequence {
    /// An empty sequence.
    pub(super) fn new(time: EpochClock, router: Router) -> Self {
        let healer = HealerInput { clock: time.clock, last: Position::default(), entries: None };
        let (commands, actions) = (VecDeque::new(), VecDeque::new());
        Self { time, commands, actions, messages: 0, bytes: 0, counts: Vec::new(), router, healer }
    }

    /// Whether it takes more than deliveries: reports, ticks, lists.
    pub(super) fn has_room(&self) -> bool {
        self.commands.len() < WAITING
    }

    /// Number of the exchange's streams so far.
    pub(super) fn streams(&self) -> usize {
        self.router.streams()
    }

    /// Records an event, stamped now.
    pub(super) fn event(&mut self, event: &Event) {
        let stamp = self.time.stamp();
        self.event_at(stamp, event);
    }

    /// Records an event stamped `stamp`.
    pub(super) fn event_at(&mut self, stamp: Stamp, event: &Event) {
        self.object_at(stamp, event.to_json().into());
    }

    /// Records that segments have ended; the journal fills in their names.
    pub(super) fn rotated(&mut self, reason: RotationReason) {
        let stamp = self.time.stamp();
        self.object_at(stamp, EventObject::Ended(reason, rotated));
    }

    /// Stamps and routes the entries of a batch, in order.
    pub(super) fn route(&mut self, feed: Feed, batch: &Batch) -> Vec<(Stamp, StreamId)> {
        let mut lines = Vec::with_capacity(batch.entries().len());
        for (received, entry) in batch.entries() {
            let stamp = self.time.stamp_at(received);
            let id = self.router.route(feed, &entry);
            self.open_fresh();
            self.bytes += entry.bytes() as u64;
            self.note(id, entry.bytes(), stamp);
            lines.push((stamp, id));
        }
        self.messages += lines.len() as u64;
        lines
    }

    /// Records missed objects that were fetched later; returns the position of the last of them.
    pub(super) fn missed(&mut self, stream: StreamKey, objects: Vec<MissedObject>) -> Position {
        let id = self.router.register(Feed::Public, stream);
        let epoch = self.time.epoch;
        let objects: Vec<_> = objects.into_iter().map(|object| (self.time.stamp(), object.to_json(epoch))).collect();
        self.open_fresh();
        objects.iter().for_each(|(stamp, object)| self.note(id, object.len(), *stamp));
        self.commands.push_back(JournalCommand::Missed(id, objects));
        self.time.position(self.time.last())
    }

    /// Records objects of the REST interface, verbatim.
    pub(super) fn fetched(&mut self, fetched: RestObjects) {
        let id = self.router.register(Feed::Public, fetched.stream);
        let objects = fetched.objects.into_iter().map(|object| (self.time.stamp(), object)).collect();
        self.open_fresh();
        self.commands.push_back(JournalCommand::Missed(id, objects));
    }

    /// Goes on to the reading of the next input; advances the stamps by the length of a suspension.
    pub(super) fn follow(&mut self, reading: Reading) {
        if let Some(length) = self.time.follow(reading) {
            tracing::warn!(length = rounded_duration(length), "the machine was suspended: stamps go on behind it");
            let clock = self.time.clock;
            self.tell_healer(|input| input.clock = clock);
        }
    }

    /// Goes on at `wall`; returns the first lines from there on.
    pub(super) fn step(&mut self, wall: Stamp) -> ClockStep {
        let step = self.time.step(wall);
        let (before, Position { epoch, stamp: after }) = (step.before.stamp, step.after);
        let event = Event::ClockStep { before, after, epoch }.to_json();
        self.open_fresh();
        let second = self.time.raise(wall);
        let clock = self.time.clock;
        self.tell_healer(|input| {
            input.clock = clock;
            input.last = step.after;
        });
        ClockStep { epoch, recorder: self.router.recorder(), first: after, event, second, rotated }
    }

    /// Tells the healer of a gap on record at `stamp`.
    pub(super) fn tell_healer_of_gap(&mut self, stamp: Stamp) {
        let last = self.time.position(stamp);
        self.tell_healer(|input| input.last = last);
    }

    /// Tells the healer which entries the public connection has.
    pub(super) fn tell_healer_of_entries(&mut self, entries: &[Subscription]) {
        let entries = Some(entries.into());
        self.tell_healer(|input| input.entries = entries);
    }

    fn tell_healer(&mut self, change: impl FnOnce(&mut HealerInput)) {
        change(&mut self.healer);
        self.actions.push_back(Action::TellHealer(self.healer.clone()));
    }

    fn object_at(&mut self, stamp: Stamp, object: EventObject) {
        self.open_fresh();
        self.commands.push_back(JournalCommand::Event(self.router.recorder(), stamp, object));
    }

    /// Opens streams that are new to the journal before the first command that names them.
    fn open_fresh(&mut self) {
        for stream in self.router.take_fresh() {
            self.counts.push(StreamStatus::new(stream.feed, stream.key.clone()));
            self.commands.push_back(JournalCommand::Open(stream));
        }
    }

    /// Counts a line of a stream that is open.
    fn note(&mut self, id: StreamId, bytes: usize, stamp: Stamp) {
        if let Some(count) = self.counts.get_mut(id.index()) {
            count.note(bytes, stamp);
        }
    }
}

/// The stamps of data of some streams, in a batch that was routed to `lines`.
pub(super) fn stamps_of(
    batch: &Batch,
    lines: &[(Stamp, StreamId)],
    is_meant: impl Fn(&String) -> bool,
) -> impl Iterator<Item = Stamp> {
    batch.entries().zip(lines).filter_map(move |((_, entry), (stamp, _))| match entry {
        Entry::Data { kind, code, .. } => is_meant(&stream_name(kind, code)).then_some(*stamp),
        _ => None,
    })
}

/// The event of segments that ended while the recorder ran.
fn rotated(reason: RotationReason, segments: Vec<String>) -> String {
    Event::Rotated { reason: reason.into(), segments }.to_json()
}
