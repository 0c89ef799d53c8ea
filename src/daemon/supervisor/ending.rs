//! How the recorder ends: what is left to be written, by when, and what failed.

use crate::clock::{Instant, Stamp};
use crate::quantity::rounded_size;
use crate::recording::journal::JournalCommand;
use std::collections::VecDeque;
use std::time::Duration;

/// The exit, counted from the stop, even if the disk hangs.
pub(super) const ENDED: Duration = Duration::from_secs(10);

/// Why the recorder failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Writing or syncing failed in a way that a retry cannot fix.
    #[error("{0}")]
    Storage(String),
    /// Every connection was given up.
    #[error("every connection has given up: {0}")]
    Unavailable(String),
    /// A task panicked: a bug.
    #[error("a connection ended unexpectedly: {0}")]
    Crashed(String),
    /// The disk did not take the last lines in time.
    #[error("within {} s the disk did not take the last {} of messages ({cause}); the next start puts the gap on record", ENDED.as_secs(), rounded_size(*bytes))]
    Unwritten {
        /// Bytes of messages that are in no file.
        bytes: u64,
        /// The known state of the disk.
        cause: String,
    },
}

/// The end of a sequencer: what its driver has to do, and to tell.
#[derive(Debug)]
pub(super) struct Ended {
    /// The last commands.
    pub(super) commands: VecDeque<JournalCommand>,
    /// By when they have to be written and synced.
    pub(super) deadline: Instant,
    /// The first failure.
    pub(super) failure: Option<Failure>,
    /// The durable mark.
    pub(super) durable: Option<Stamp>,
    /// The cause while the disk is full.
    pub(super) disk_full: Option<String>,
}
