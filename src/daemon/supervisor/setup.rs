//! What a supervisor is made of.

use crate::clock::{Boot, Clock, Instant, Stamper, Wall};
use crate::daemon::gaps::GapTracker;
use crate::desired::Listed;
use crate::ops::status::Status;
use crate::recording::router::Router;
use crate::recording::threads::Threads;
use std::time::Duration;
use tokio::sync::watch;

/// What a supervisor needs to begin.
#[derive(Debug)]
pub struct Setup {
    /// Reads time.
    pub clock: Clock,
    /// What the anchor of the clock is compared with.
    pub wall: Wall,
    /// Reads how long the machine was suspended.
    pub boot: Boot,
    /// How often stamps have gone back in this directory.
    pub epoch: u64,
    /// Makes the stamps; the first one is the `started` event's.
    pub stamper: Stamper,
    /// Knows the streams that are continued.
    pub router: Router,
    /// Holds the gap since the last process.
    pub gaps: GapTracker,
    /// The pairs that patterns are resolved by.
    pub listed: watch::Receiver<Listed>,
    /// Writer, syncer and sealer.
    pub threads: Threads,
    /// Segments that earlier processes left to be sealed.
    pub backlog: usize,
    /// How often files are synced.
    pub sync_interval: Duration,
    /// Less than this on the disk is shown as a fault.
    pub min_free_bytes: u64,
    /// When to stop without being asked to.
    pub run_until: Option<Instant>,
    /// Where the status is published.
    pub status: watch::Sender<Status>,
}
