//! When the sequencer ticks, when it asks for a sync, and for how long it runs. Pure.

use crate::clock::Instant;
use std::time::Duration;

/// Interval of the journal's ticks and of the status.
const TICK: Duration = Duration::from_secs(1);

/// The interval after a stop, so that the exit does not wait for the next second.
const CLOSING_TICK: Duration = Duration::from_millis(100);

/// See the module.
#[derive(Debug)]
pub(super) struct Timetable {
    run_until: Option<Instant>,
    sync_interval: Duration,
    next_tick: Instant,
    next_sync: Instant,
}

impl Timetable {
    /// A tick and a sync at once; it runs until it is stopped, or until `run_until`.
    pub(super) fn new(run_until: Option<Instant>, sync_interval: Duration, now: Instant) -> Self {
        Self { run_until, sync_interval, next_tick: now, next_sync: now }
    }

    /// When the next tick is due.
    pub(super) fn next_tick(&self, is_running: bool) -> Instant {
        let elapsed = self.run_until.filter(|_| is_running);
        elapsed.map_or(self.next_tick, |elapsed| elapsed.min(self.next_tick))
    }

    /// Whether it has run for as long as it was to.
    pub(super) fn has_elapsed(&self, now: Instant) -> bool {
        self.run_until.is_some_and(|elapsed| now >= elapsed)
    }

    /// A tick is due now, whenever the next one was to be.
    pub(super) fn hasten(&mut self, now: Instant) {
        self.next_tick = now;
    }

    /// It ticks.
    pub(super) fn note_tick(&mut self, now: Instant, is_running: bool) {
        self.next_tick = now + if is_running { TICK.min(self.sync_interval) } else { CLOSING_TICK };
    }

    /// Whether a tick asks for a sync: each one does after a stop.
    pub(super) fn take_sync(&mut self, now: Instant, is_running: bool) -> bool {
        let is_due = now >= self.next_sync || !is_running;
        if is_due {
            self.next_sync = now + self.sync_interval;
        }
        is_due
    }
}
