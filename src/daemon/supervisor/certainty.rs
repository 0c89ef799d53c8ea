//! Up to where nothing is missing that is not on record: the stamp that a sync makes the durable mark. Pure.

use crate::clock::heartbeat::Heartbeat;
use crate::clock::{Instant, Moment, Stamp};
use std::time::Duration;

/// How long after a freeze nothing behind it counts as certain: by then the connections have reported what it may have
/// cost, and a process that dies before leaves its gap to the next one.
const TOLD: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(super) struct Certainty {
    heartbeat: Heartbeat,
    /// Until then a freeze may not be on record.
    frozen_until: Instant,
    /// Up to here everything is recorded or a gap, in the commands given so far.
    up_to: Stamp,
}

impl Certainty {
    /// Of a process whose first stamp is `begun`.
    pub(super) fn new(now: Moment, begun: Stamp) -> Self {
        Self { heartbeat: Heartbeat::new(now), frozen_until: now.at, up_to: begun }
    }

    /// The process runs at `now`.
    pub(super) fn handle_awake(&mut self, now: Moment) {
        if self.heartbeat.handle_awake(now).is_some() {
            self.frozen_until = now.at + TOLD;
        }
    }

    /// Everything up to `stamp` is in the commands given so far; returns what of it is certain.
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
