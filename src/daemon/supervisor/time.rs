//! The tick: time is told to the journal and to the status, and the clocks are compared.
//!
//! ```text
//! old time line … line, gaps that end with it │ clock_step, gaps that go on, line … new time line
//!                                             └ every stream is rotated before its next line
//! ```
//!
//! A machine that was suspended ends no time line: what is stamped after it is later by as long, and in the right order.

use super::ending::{CLOSING_TICK, Phase};
use super::reports::{UNSURE, rotated};
use super::{OUTBOX, Supervisor};
use crate::clock::step::StepWatch;
use crate::clock::{Instant, Moment, Stamp, Stamper};
use crate::quantity::rounded_duration;
use crate::recording::journal::{ClockStep, JournalCommand};
use crate::tape::event::Event;
use std::collections::BTreeMap;
use std::time::Duration;

/// What the machine was suspended for; less is the noise of reading two clocks.
const SUSPENDED: Duration = Duration::from_millis(100);

/// How often time is told to the journal, and the status published.
const TICK: Duration = Duration::from_secs(1);

/// How long after a freeze nothing behind it counts as certain: by then the connections have told what it may have cost,
/// and a process that dies before leaves its gap to the next one.
const TOLD: Duration = Duration::from_secs(1);

/// How often the agreement of the clocks is put on record.
pub(super) const COMPARE: Duration = Duration::from_secs(3600);

impl Supervisor {
    /// Has the stamps go on by as long as the machine was suspended. It comes before anything is stamped: what was read
    /// since it runs again must not get a stamp of the time before.
    pub(super) fn follow_boot(&mut self) {
        let suspended = self.boot.suspended();
        let length = suspended.saturating_sub(self.clock.suspended());
        if length >= SUSPENDED {
            self.clock = self.clock.resumed(suspended);
            self.steps = StepWatch::default();
            tracing::warn!(length = rounded_duration(length), "the machine was suspended: stamps go on behind it");
            self.tell_healer_of_resume();
        }
    }

    pub(super) fn tick(&mut self) {
        self.follow_boot();
        let now = self.clock.now();
        let is_running = self.phase == Phase::Running;
        if self.heartbeat.handle_awake(Moment { at: now, suspended: self.clock.suspended() }).is_some() {
            self.frozen_until = now + TOLD;
        }
        self.next_tick = now + if is_running { TICK.min(self.sync_interval) } else { CLOSING_TICK };
        if is_running {
            self.compare_clocks(now);
        }
        if self.outbox.len() < OUTBOX {
            let is_due = now >= self.next_sync || !is_running;
            if is_due {
                self.next_sync = now + self.sync_interval;
            }
            let stamp = self.stamper.raise(self.clock.stamp_at(now));
            if now >= self.frozen_until {
                self.certain = stamp;
            }
            self.outbox.push_back(JournalCommand::Tick { stamp, sync: is_due.then_some(self.certain) });
        }
        self.end_overdue_joining(now);
        if let Some(waiting) = self.backlog.look(now) {
            let question =
                "segments wait to be sealed and get no fewer: is storage.zstd_level too high, or the disk too slow?";
            tracing::warn!(waiting, "{question}");
        }
        self.look_after_the_end(now);
        self.shown.streams = self.router.streams();
        self.shown.at = self.clock.stamp_at(now);
        self.shown.connections =
            self.connections.iter().map(|(id, connection)| (*id, connection.link.clone())).collect();
        self.status.send_replace(self.shown.clone());
    }

    fn compare_clocks(&mut self, now: Instant) {
        let (ours, wall) = (self.clock.stamp_at(now), self.wall.read());
        if self.steps.handle(now, ours, wall) {
            self.step(now, wall);
        } else if now >= self.next_comparison {
            self.next_comparison = now + COMPARE;
            let micros = |stamp: Stamp| i64::try_from(stamp.as_micros()).expect("a stamp is below 2^53");
            let ahead = self.stamper.last().as_micros().saturating_sub(ours.as_micros());
            self.event(&Event::Clock { offset: micros(wall) - micros(ours), ahead });
        }
    }

    /// Moves the anchor: the time line of the stamps ends here and goes on at `wall`.
    fn step(&mut self, now: Instant, wall: Stamp) {
        let before = self.stamper.raise(self.clock.stamp_at(now));
        if let Some(since) = self.unsure_since {
            self.record_unsure(since, before, UNSURE);
        }
        let ended = self.gaps.step(before, wall);
        self.record_gaps(ended);
        // What the gaps were stamped with belongs to the old time line, too.
        let before = self.stamper.last();
        self.epoch += u64::from(wall <= before);
        self.clock = self.clock.moved(now, wall);
        self.stamper = Stamper::after(wall.previous());
        let after = self.stamper.raise(wall);
        (self.last_step, self.steps_made) = (Some((before, after)), self.steps_made + 1);
        tracing::warn!(%before, %after, self.epoch, "the wall clock was set: stamps follow it, and every stream is rotated");
        let epoch = self.epoch;
        let event = Event::ClockStep { before, after, epoch, missing_since: BTreeMap::new() }.to_json();
        self.outbox.extend(self.router.take_fresh().into_iter().map(JournalCommand::Open));
        let (recorder, second) = (self.router.recorder(), self.stamper.raise(wall));
        let step = ClockStep { epoch, recorder, first: after, event, second, rotated };
        self.outbox.push_back(JournalCommand::Step(step));
        self.tell_healer_of_step(after);
        for connection in self.connections.values_mut() {
            (connection.last_line, connection.last) = (Some(after), Some(after));
            connection.live_since = connection.live_since.map(|_| after);
        }
        self.certain = after;
        self.durable = self.durable.map(|_| after);
        self.unsure_since = self.unsure_since.map(|_| after);
    }
}
