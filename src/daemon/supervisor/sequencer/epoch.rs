//! The clock of the current epoch: it makes the stamps, follows suspensions of the machine, and is compared with the
//! wall clock. Pure.
//!
//! ```text
//! old epoch … line, gaps that end with it │ clock_step, gaps that go on, line … new epoch
//!                                         └ every stream is rotated before its next line
//! ```
//!
//! A suspension ends no epoch: later stamps are advanced by its length, and stay in order.

use crate::clock::step::StepWatch;
use crate::clock::{Clock, Instant, Moment, Position, Stamp, Stamper};
use crate::daemon::supervisor::interface::Reading;
use crate::tape::segment_name::date;
use jiff::civil::Date;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Shorter suspensions are noise of reading two clocks.
const SUSPENDED: Duration = Duration::from_millis(100);

/// Interval between two `clock` events.
const COMPARE: Duration = Duration::from_secs(3600);

/// Steps that a notice may lie behind: it comes some minutes late at the most.
const REMEMBERED: usize = 8;

/// The longest period of a segment.
const DAY: Duration = Duration::from_secs(86_400);

/// See the module.
#[derive(Debug)]
pub(super) struct EpochClock {
    /// Converts instants to stamps, before any is raised.
    pub(super) clock: Clock,
    /// Number of times that stamps went back in this directory.
    pub(super) epoch: u64,
    /// The last step of this process.
    pub(super) last_step: Option<Step>,
    /// The epochs that ended in this process, with stamps that no line of them has.
    past: BTreeMap<u64, Past>,
    /// The clocks of this epoch before steps forward, each with the instant of its end.
    earlier: VecDeque<(Instant, Clock)>,
    /// Number of steps in this process.
    pub(super) steps: u64,
    /// The clocks at the input in hand.
    reading: Reading,
    watch: StepWatch,
    stamper: Stamper,
    /// The first stamp of this process, which may be ahead of the clock.
    begun: Stamp,
    next_comparison: Instant,
}

/// An epoch of this process that has ended.
#[derive(Debug)]
struct Past {
    before: Stamp,
    clock: Clock,
    until: Instant,
    ids: Stamper,
}

/// See [`EpochClock::end_of`].
#[derive(Clone, Copy, Debug)]
pub(super) struct EpochEnd {
    /// The last stamp.
    pub(super) before: Stamp,
    /// The clock that made the stamps.
    pub(super) clock: Clock,
    /// When it ended.
    pub(super) until: Instant,
    /// Of a gap.
    pub(super) id: Stamp,
}

/// The time before a step, and that behind it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// The last stamp before it.
    pub(super) before: Position,
    /// The first stamp behind it.
    pub(super) after: Position,
}

/// The result of a comparison with the wall clock.
#[derive(Debug)]
pub(super) enum Comparison {
    /// The wall clock was set to this time.
    Set(Stamp),
    /// A `clock` event is due, in µs.
    Due {
        /// Wall clock minus this clock.
        offset: i64,
        /// Last stamp minus this clock.
        ahead: u64,
    },
}

impl EpochClock {
    /// Continues from the last stamp of `stamper`, the first of this process.
    pub(super) fn new(clock: Clock, reading: Reading, stamper: Stamper, epoch: u64) -> Self {
        Self {
            clock,
            epoch,
            last_step: None,
            past: BTreeMap::new(),
            earlier: VecDeque::new(),
            steps: 0,
            reading,
            watch: StepWatch::default(),
            begun: stamper.last(),
            stamper,
            next_comparison: reading.now + COMPARE,
        }
    }

    /// The instant of the input in hand.
    pub(super) fn now(&self) -> Instant {
        self.reading.now
    }

    /// The stamp of now.
    pub(super) fn stamp(&mut self) -> Stamp {
        self.stamp_at(self.reading.now)
    }

    /// The stamp of an instant.
    pub(super) fn stamp_at(&mut self, instant: Instant) -> Stamp {
        self.raise(self.clock.stamp_at(instant))
    }

    /// The stamp `wanted`, or the next one after the last.
    pub(super) fn raise(&mut self, wanted: Stamp) -> Stamp {
        self.stamper.raise(wanted)
    }

    /// A stamp, with the epoch that it is of.
    pub(super) fn position(&self, stamp: Stamp) -> Position {
        Position { epoch: self.epoch, stamp }
    }

    /// The position of what is stamped next if the wall clock is set to `wall` now.
    pub(super) fn beyond(&self, wall: Stamp) -> Position {
        Position { epoch: self.epoch + u64::from(wall <= self.last()), stamp: wall }
    }

    /// The last stamp made.
    pub(super) fn last(&self) -> Stamp {
        self.stamper.last()
    }

    /// The stamp that an instant had: by the clock that ran then.
    pub(super) fn past_stamp(&self, at: Instant) -> Stamp {
        self.clock_at(at).stamp_at(at)
    }

    /// The same of a moment.
    pub(super) fn past_stamp_of(&self, moment: Moment) -> Stamp {
        self.clock_at(moment.at).stamp_of(moment)
    }

    fn clock_at(&self, at: Instant) -> Clock {
        self.earlier.iter().find(|(until, _)| at < *until).map_or(self.clock, |(_, clock)| *clock)
    }

    /// The end of an epoch of this process, and an id for a gap in it, which no line of it has as its stamp; `None`: it
    /// has not ended, or long ago.
    pub(super) fn end_of(&mut self, epoch: u64) -> Option<EpochEnd> {
        let Past { before, clock, until, ids } = self.past.get_mut(&epoch)?;
        Some(EpochEnd { before: *before, clock: *clock, until: *until, id: ids.raise(*before) })
    }

    /// The dates, UTC, of which segments may be active.
    pub(super) fn dates(&self) -> [Date; 2] {
        [self.last(), self.last().before(DAY)].map(date)
    }

    /// The first stamp of this process in the current epoch.
    pub(super) fn floor(&self) -> Stamp {
        self.last_step.map_or(self.begun, |step| step.after.stamp)
    }

    /// The first stamp of this process.
    pub(super) fn begun(&self) -> Stamp {
        self.begun
    }

    /// Goes on to the reading of the next input, and advances the stamps by the length of a suspension, which it returns.
    /// Call it before anything is stamped: data read after the suspension must not get a stamp from before it.
    pub(super) fn follow(&mut self, reading: Reading) -> Option<Duration> {
        self.reading = reading;
        let length = reading.suspended.saturating_sub(self.clock.suspended());
        if length >= SUSPENDED {
            self.clock = self.clock.resumed(reading.suspended);
            self.watch = StepWatch::default();
            return Some(length);
        }
        None
    }

    /// The wall clock minus the clock of the stamps, µs.
    pub(super) fn offset(&self) -> i64 {
        let micros = |stamp: Stamp| i64::try_from(stamp.as_micros()).expect("a stamp is below 2^53");
        micros(self.reading.wall) - micros(self.clock.stamp_at(self.reading.now))
    }

    /// Compares the clocks.
    pub(super) fn compare(&mut self) -> Option<Comparison> {
        let Reading { now, wall, .. } = self.reading;
        let ours = self.clock.stamp_at(now);
        if self.watch.handle(now, ours, wall) {
            return Some(Comparison::Set(wall));
        }
        if now < self.next_comparison {
            return None;
        }
        self.next_comparison = now + COMPARE;
        let ahead = self.last().as_micros().saturating_sub(ours.as_micros());
        Some(Comparison::Due { offset: self.offset(), ahead })
    }

    /// Goes on at `wall`, in another epoch if that is not behind the last stamp.
    pub(super) fn step(&mut self, wall: Stamp) -> Step {
        let (before, after) = (self.position(self.last()), self.beyond(wall));
        let until = self.reading.now;
        if after.epoch == before.epoch {
            self.earlier.push_back((until, self.clock));
        } else {
            let (before, clock, ids) = (before.stamp, self.clock, Stamper::after(before.stamp));
            self.past.insert(self.epoch, Past { before, clock, until, ids });
            self.earlier.clear();
        }
        while self.earlier.len() > REMEMBERED {
            self.earlier.pop_front();
        }
        while self.past.len() > REMEMBERED {
            self.past.pop_first();
        }
        self.epoch = after.epoch;
        self.clock = self.clock.moved(self.reading.now, wall);
        self.stamper = Stamper::after(wall.previous());
        let step = Step { before, after: Position { stamp: self.stamper.raise(wall), ..after } };
        self.last_step = Some(step);
        self.steps += 1;
        tracing::warn!(
            before = %step.before.stamp,
            after = %step.after.stamp,
            self.epoch,
            "the wall clock was set: stamps follow it, and every stream is rotated"
        );
        step
    }
}
