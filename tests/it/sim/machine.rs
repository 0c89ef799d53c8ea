//! The machine under the recorder, which does not always let it run.
//!
//! ```text
//! stopped     monotonic ───────▶ jumps        wall, boot ──▶ with it
//! suspended   monotonic stands still          wall, boot ──▶ jump
//! ```
//!
//! A freeze lets nothing else run before it: what was sent until then waits in the pipe.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use upbit_recorder::clock::Instant;

/// A time in which nothing of the recorder runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Freeze {
    /// Since the life began.
    pub(crate) after: Duration,
    pub(crate) length: Duration,
    /// The machine is suspended, and not just the process stopped.
    pub(crate) is_suspended: bool,
}

/// One that happened, on the monotonic clock; where that stood still, `suspended` is its length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frozen {
    pub(crate) from: Instant,
    pub(crate) to: Instant,
    pub(crate) suspended: Duration,
    /// For how long the machine had been suspended when it was over.
    pub(crate) suspended_in_all: Duration,
}

impl Frozen {
    /// How much of it lies between two instants.
    fn between(&self, from: Instant, to: Instant) -> Duration {
        self.to.min(to).saturating_duration_since(self.from.max(from))
    }
}

/// The time between two instants in which the process was let run.
pub(crate) fn ran<'a>(frozen: impl IntoIterator<Item = &'a Frozen>, from: Instant, to: Instant) -> Duration {
    let stood_still = frozen.into_iter().map(|frozen| frozen.between(from, to)).sum();
    to.saturating_duration_since(from).saturating_sub(stood_still)
}

/// Shared by the world, the exchange and the clocks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Machine(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    due: VecDeque<(Instant, Freeze)>,
    happened: Vec<Frozen>,
    suspended: Duration,
}

impl Machine {
    /// A life begins, and this is what will happen in it.
    pub(crate) fn begin_life(&self, now: Instant, freezes: &[Freeze]) {
        let mut state = self.lock();
        state.due = freezes.iter().map(|freeze| (now + freeze.after, *freeze)).collect();
        state.happened.clear();
    }

    /// A life is over; returns what happened in it.
    pub(crate) fn end_life(&self) -> Vec<Frozen> {
        let mut state = self.lock();
        state.due.clear();
        std::mem::take(&mut state.happened)
    }

    /// For how long it has been suspended.
    pub(crate) fn suspended(&self) -> Duration {
        self.lock().suspended
    }

    /// When it freezes next.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.lock().due.front().map(|(at, _)| *at)
    }

    /// How long the life has been going on beside what it did not run.
    pub(crate) fn ran(&self, from: Instant, to: Instant) -> Duration {
        ran(&self.lock().happened, from, to)
    }

    /// The freeze that is due, for the first who asks.
    pub(crate) fn take_due(&self, now: Instant) -> Option<Freeze> {
        let mut state = self.lock();
        let is_due = state.due.front().is_some_and(|(at, _)| *at <= now);
        if is_due { state.due.pop_front().map(|(_, freeze)| freeze) } else { None }
    }

    /// Lets it happen.
    pub(crate) async fn freeze(&self, now: Instant, freeze: Freeze) {
        let Freeze { length, is_suspended, .. } = freeze;
        let (stands_still, suspended) = if is_suspended { (Duration::ZERO, length) } else { (length, Duration::ZERO) };
        {
            let mut state = self.lock();
            state.suspended += suspended;
            let suspended_in_all = state.suspended;
            state.happened.push(Frozen { from: now, to: now + stands_still, suspended, suspended_in_all });
        }
        tokio::time::advance(stands_still).await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}
