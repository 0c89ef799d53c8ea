//! The parts of a supervisor.

use crate::clock::{Boot, Clock, Instant, Stamper, Wall};
use crate::daemon::gaps::GapTracker;
use crate::desired::Listed;
use crate::ops::status::Status;
use crate::recording::router::Router;
use crate::recording::threads::Threads;
use std::time::Duration;
use tokio::sync::watch;

/// The parts of a supervisor.
#[derive(Debug)]
pub struct Setup {
    /// The clock that makes the stamps.
    pub clock: Clock,
    /// The wall clock that the clock is compared with.
    pub wall: Wall,
    /// Reads the total length of the machine's suspensions.
    pub boot: Boot,
    /// Number of times that stamps went back in this directory.
    pub epoch: u64,
    /// Makes the stamps; the first one is that of the `started` event.
    pub stamper: Stamper,
    /// Knows the streams that are continued.
    pub router: Router,
    /// Holds the open gap since the previous process.
    pub gaps: GapTracker,
    /// The list of pairs, by which patterns are resolved.
    pub listed: watch::Receiver<Listed>,
    /// Writer, syncer and sealer.
    pub threads: Threads,
    /// Number of segments that earlier processes left to be sealed.
    pub backlog: usize,
    /// The interval of syncs.
    pub sync_interval: Duration,
    /// Less free space than this is a fault.
    pub min_free_bytes: u64,
    /// When to stop without a signal.
    pub run_until: Option<Instant>,
    /// The channel of the status.
    pub status: watch::Sender<Status>,
}
