//! What became of a life, as the oracle needs to know it.

use super::disk::Crash;
use super::life::Life;
use super::machine::Frozen;
use super::timeline::{Forgotten, Moment, Span};
use upbit_recorder::clock::Instant;

/// How a life ended.
#[derive(Debug)]
pub(crate) enum Ended {
    Orderly,
    Crashed(Crash),
    /// The process ended itself because of an error, perhaps before it had begun to record.
    Failed,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Lived {
    pub(crate) life: Life,
    /// The clocks that made its stamps, one after the other.
    pub(crate) spans: Vec<Span>,
    /// Its start ended the epoch before, with this as the last moment on the disk.
    pub(crate) found: Option<Moment>,
    pub(crate) from: Instant,
    pub(crate) to: Instant,
    pub(crate) ended: Ended,
    /// What earlier lives had left was put in order.
    pub(crate) recovered: bool,
    /// The stamp of its start, where it is on disk.
    pub(crate) started: Option<u64>,
    pub(crate) sync_failed: bool,
    /// When it was not let run.
    pub(crate) frozen: Vec<Frozen>,
    /// What its start could not know any more.
    pub(crate) forgotten: Vec<Forgotten>,
    /// The last epoch that its start could know of, where there had been others.
    pub(crate) known_epoch: Option<u64>,
}
