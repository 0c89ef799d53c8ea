//! The lives so far, and time as the disk tells it: what every check is made against.

use crate::sim::lived::Lived;
use crate::sim::machine;
use crate::sim::tape::Tape;
use crate::sim::timeline::{Gap, Moment, Timeline};
use std::time::Duration;
use upbit_recorder::clock::Instant;
use upbit_recorder::upbit::feed::Feed;

/// Everything that happened up to now.
#[derive(Debug)]
pub(super) struct History {
    /// At least one as soon as anything is checked.
    pub(super) lives: Vec<Lived>,
    pub(super) time: Timeline,
    pub(super) sync_interval: Duration,
}

/// A `gap` event.
pub(super) struct GapEvent<'a> {
    pub(super) event: &'a serde_json::Value,
}

impl History {
    pub(super) fn new(sync_interval: Duration) -> Self {
        Self { lives: Vec::new(), time: Timeline::default(), sync_interval }
    }

    /// A life is over.
    pub(super) fn push(&mut self, lived: Lived) {
        lived.known_epoch.into_iter().for_each(|epoch| self.time.lose_behind(epoch));
        lived.found.into_iter().for_each(|found| self.time.end_at_start(found));
        // A start that was not complete has begun nothing.
        if lived.recovered {
            self.time.add_life(&lived.spans);
        }
        self.lives.push(lived);
    }

    /// The life of an instant, or the first one.
    pub(super) fn life_at(&self, at: Instant) -> &Lived {
        self.lives.iter().rev().find(|lived| lived.from <= at).unwrap_or(&self.lives[0])
    }

    /// How long the process was let run between two instants.
    pub(super) fn ran(&self, from: Instant, to: Instant) -> Duration {
        machine::ran(self.lives.iter().flat_map(|lived| &lived.frozen), from, to)
    }

    /// The moment of an instant, as far as the disk alone shows it.
    pub(super) fn recorded_moment(&self, at: Instant) -> Moment {
        self.as_recorded(self.time.at(at), at)
    }

    /// Where a moment lies for those who only know what is on disk; `at`: when it was.
    pub(super) fn as_recorded(&self, moment: Moment, at: Instant) -> Moment {
        let life = self.lives.iter().rposition(|lived| lived.from <= at).unwrap_or_default();
        // Where a start found stamps ahead of the clock by less than a step, those of its life are ahead as well.
        let own = self.lives.get(life).and_then(|lived| Some((lived.from, lived.started?)));
        let first = own.map(|(from, stamp)| Moment { stamp, ..self.time.at(from) });
        let moment = first.filter(|first| first.epoch == moment.epoch).map_or(moment, |first| first.max(moment));
        let next = self.lives[life + 1..].iter().find_map(|next| Some((next.from, next.started?)));
        self.time.missed(moment, next.map(|(from, stamp)| Moment { stamp, ..self.time.at(from) }))
    }

    /// The first sign of a life that records a feed: its time begins with it.
    pub(super) fn beginning(&self, tape: &Tape, feed: Feed) -> Moment {
        let feed = serde_json::Value::from(feed.to_string());
        let is_own =
            |event: &&serde_json::Value| event["connections"].as_array().is_some_and(|all| all.contains(&feed));
        let first = tape.events.iter().find(is_own);
        let number = |key: &str| first.map_or(0, |event| event[key].as_u64().unwrap());
        Moment { epoch: number("of_epoch"), stamp: number("ts_recv") }
    }

    /// The `gap` events of a connection, in the order of the tape.
    pub(super) fn gap_events<'a>(&self, tape: &'a Tape, feed: Feed) -> impl Iterator<Item = GapEvent<'a>> {
        let is_own =
            move |event: &&serde_json::Value| event["event"] == "gap" && event["connection"] == feed.to_string();
        tape.events.iter().filter(is_own).map(|event| GapEvent { event })
    }

    /// The gaps of a connection, or of a stream of it, in order; those that touch or overlap are one.
    pub(super) fn gaps(&self, tape: &Tape, feed: Feed, stream: Option<&str>) -> Vec<Gap> {
        let events = self.gap_events(tape, feed).filter(|found| stream.is_none_or(|stream| found.names(stream)));
        let known = events.map(|found| found.gap());
        // What no start could know any more cannot be on record.
        let forgotten = self.lives.iter().flat_map(|lived| &lived.forgotten).filter(|forgotten| forgotten.feed == feed);
        let mut own: Vec<Gap> = known.chain(forgotten.map(|forgotten| forgotten.gap)).collect();
        own.sort_unstable();
        let mut gaps: Vec<Gap> = Vec::new();
        for gap in own {
            match gaps.last_mut() {
                Some(last) if last.epoch == gap.epoch && gap.from <= last.to => last.to = last.to.max(gap.to),
                _ => gaps.push(gap),
            }
        }
        gaps
    }
}

impl GapEvent<'_> {
    /// The time it covers.
    pub(super) fn gap(&self) -> Gap {
        let [epoch, from, to] = ["epoch", "from", "to"].map(|key| self.event[key].as_u64().unwrap());
        Gap { epoch, from, to }
    }

    /// Whether it is of one of these kinds.
    pub(super) fn is_of(&self, kinds: &[&str]) -> bool {
        kinds.iter().any(|kind| self.event["kind"] == *kind)
    }

    /// Whether it names a stream.
    pub(super) fn names(&self, stream: &str) -> bool {
        self.event["streams"].as_array().is_some_and(|all| all.iter().any(|one| one == stream))
    }
}
