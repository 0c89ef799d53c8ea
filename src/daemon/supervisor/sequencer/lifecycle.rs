//! The state machine from the stop to the exit, with a deadline for each phase, ten seconds in all.
//!
//! ```text
//!          0 s                 3 s                         6 s                                   10 s
//! Running ──▶ Stopping ──────────▶ Sealing ──────────────────▶ closing ─────────────────────────────▶ ended
//!             connections deliver  ended segments are sealed   `stopped`, last write, last sync
//! ```
//!
//! Each phase ends early when its work is done. Pure.

use crate::clock::Instant;
use crate::daemon::supervisor::ending::{ENDED, Failure};
use crate::tape::words::StopReason;
use std::time::Duration;

/// When the connections must have ended, counted from the stop.
const STOPPED: Duration = Duration::from_secs(3);

/// When sealing is given up, counted from the stop.
const SEALED: Duration = Duration::from_secs(6);

/// A phase of the process's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    Stopping,
    Sealing,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Lifecycle {
    pub(super) phase: Phase,
    /// Without a stop, the process ends only by a failure.
    pub(super) reason: StopReason,
    /// The first failure.
    pub(super) failure: Option<Failure>,
    stopped_at: Option<Instant>,
}

impl Lifecycle {
    /// It runs.
    pub(super) fn new() -> Self {
        Self { phase: Phase::Running, reason: StopReason::Failure, failure: None, stopped_at: None }
    }

    pub(super) fn stop(&mut self, now: Instant, reason: StopReason) {
        tracing::info!(reason = reason.as_str(), "stopping");
        self.reason = reason;
        self.phase = Phase::Stopping;
        self.stopped_at = Some(now);
    }

    /// Whether the connections should have ended by now.
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        self.phase == Phase::Stopping && self.has_passed(now, STOPPED)
    }

    /// Whether only the last write and the last sync are left.
    pub(super) fn is_done(&self, now: Instant, is_sealed: bool) -> bool {
        self.phase == Phase::Sealing && (is_sealed || self.has_passed(now, SEALED) || self.failure.is_some())
    }

    /// The deadline of the exit.
    pub(super) fn deadline(&self, now: Instant) -> Instant {
        self.stopped_at.unwrap_or(now) + ENDED
    }

    fn has_passed(&self, now: Instant, since_stop: Duration) -> bool {
        self.stopped_at.is_some_and(|at| now >= at + since_stop)
    }
}
