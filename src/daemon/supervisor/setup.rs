//! The parts of a supervisor.

use super::interface::Reading;
use crate::clock::discipline::Discipline;
use crate::clock::{Boot, Clock, Instant, Stamp, Stamper, Wall};
use crate::counters::requests::SharedRequests;
use crate::counters::uploads::SharedUploads;
use crate::daemon::gaps::GapTracker;
use crate::desired::Listed;
use crate::ops::status::{About, Status};
use crate::recording::rotation::Rotation;
use crate::recording::router::Router;
use crate::recording::threads::Threads;
use crate::tape::state::State;
use jiff::civil::Date;
use std::time::Duration;
use tokio::sync::watch;

/// The parts of a supervisor.
#[derive(Debug)]
pub struct Setup {
    /// Read once for each input.
    pub clocks: Clocks,
    /// The list of pairs, by which patterns are resolved.
    pub listed: watch::Receiver<Listed>,
    /// Writer, syncer and sealer.
    pub threads: Threads,
    /// The channel of the status.
    pub status: watch::Sender<Status>,
    /// What others have to show.
    pub others: Others,
    /// The parts of its sequencer.
    pub sequencer: SequencerSetup,
}

/// What is shown with the status, and found out by others.
#[derive(Clone, Debug)]
pub struct Others {
    /// What REST clients count.
    pub requests: SharedRequests,
    /// When the account's key expires.
    pub key_expires: watch::Receiver<Option<Stamp>>,
    /// What the uploader counts.
    pub uploads: SharedUploads,
}

impl Others {
    /// Nobody counts, and there is no key.
    pub fn none() -> Self {
        let key_expires = watch::channel(None).1;
        Self { requests: SharedRequests::default(), key_expires, uploads: SharedUploads::default() }
    }
}

/// The parts of a sequencer.
#[derive(Debug)]
pub struct SequencerSetup {
    /// What does not change in this process.
    pub about: About,
    /// The state that is durable.
    pub state: State,
    /// The dates of the segments that earlier processes left to be sealed.
    pub waiting: Vec<Date>,
    /// The list of pairs that is known already.
    pub listed: Listed,
    /// Makes the stamps; the first one is that of the `started` event.
    pub stamper: Stamper,
    /// Knows the streams that are continued.
    pub router: Router,
    /// Holds the open gap since the previous process.
    pub gaps: GapTracker,
    /// When segments end, until a reload.
    pub rotation: Rotation,
    /// The interval of syncs.
    pub sync_interval: Duration,
    /// When to stop without a signal.
    pub run_until: Option<Instant>,
}

/// The clocks of the machine.
#[derive(Debug)]
pub struct Clocks {
    /// The clock that makes the first stamps.
    pub clock: Clock,
    /// The wall clock that the clock is compared with.
    pub wall: Wall,
    /// Reads the total length of the machine's suspensions.
    pub boot: Boot,
    /// Tells whether the wall clock is synchronised.
    pub discipline: Discipline,
}

impl Clocks {
    /// Reads them. Boot time comes first, so that no instant of a reading lies behind a suspension that it does not know.
    pub(super) fn read(&self) -> Reading {
        let suspended = self.boot.suspended();
        Reading { suspended, now: self.clock.now(), wall: self.wall.read() }
    }
}
