//! The stamp up to which all data is recorded or in a gap on record: a sync makes it the durable mark. Pure.

use crate::clock::heartbeat::Heartbeat;
use crate::clock::{Instant, Moment, Stamp};
use std::time::Duration;

/// How long the certain stamp is held after a freeze: by then the connections have reported its losses, and if the
/// process dies earlier, the next one opens the gap.
const TOLD: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(super) struct Certainty {
    heartbeat: Heartbeat,
    /// Until then the losses of a freeze may not be on record.
    frozen_until: Instant,
    /// Everything up to this stamp is recorded or in a gap, in the commands given so far.
    up_to: Stamp,
}

impl Certainty {
    /// For a process whose first stamp is `begun`.
    pub(super) fn new(now: Moment, begun: Stamp) -> Self {
        Self { heartbeat: Heartbeat::new(now), frozen_until: now.at, up_to: begun }
    }

    /// Notes that the process runs at `now`, which detects a freeze.
    pub(super) fn handle_awake(&mut self, now: Moment) {
        if self.heartbeat.handle_awake(now).is_some() {
            self.frozen_until = now.at + TOLD;
        }
    }

    /// Everything up to `stamp` is in the commands given so far; returns the stamp up to which it is certain.
    pub(super) fn advance(&mut self, now: Instant, stamp: Stamp) -> Stamp {
        if now >= self.frozen_until {
            self.up_to = stamp;
        }
        self.up_to
    }

    /// An epoch begins with this stamp.
    pub(super) fn begin_epoch(&mut self, first: Stamp) {
        self.up_to = first;
    }
}
