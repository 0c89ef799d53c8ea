//! Reports of writer, syncer and sealer to the supervisor, and the request to stop them.

use super::journal::displaced::Displaced;
use super::retention::run::Pruned;
use super::segment::Finished;
use crate::clock::Position;
use crate::files::{Free, IoError};
use crate::tape::manifest::ManifestEntry;
use crate::tape::quarantine::Quarantined;
use crate::tape::state::Unsure;
use crate::tape::words::RotationReason;
use jiff::civil::Date;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A report of a thread to the supervisor.
#[derive(Debug)]
pub enum ThreadReport {
    /// Segments ended: how many, by reason and date.
    Rotated(BTreeMap<(RotationReason, Date), usize>),
    /// A segment is sealed.
    Sealed(Box<ManifestEntry>),
    /// A segment could not be sealed; `retried`: this process tries again.
    NotSealed {
        /// Its plain name.
        name: String,
        /// The error.
        cause: String,
        /// Whether this process tries again.
        retried: bool,
    },
    /// A file was displaced or changed while it was written.
    Displaced(Box<Displaced>),
    /// A run of the retention has deleted files.
    Pruned(Pruned),
    /// All names were compared; displaced files were reported before.
    NamesChecked,
    /// A segment was removed before it was sealed: its lines are lost.
    Gone(Box<Finished>),
    /// A foreign file at the name of a segment was moved away.
    Quarantined(Quarantined),
    /// Everything up to here survives a power cut.
    Synced(Position),
    /// The free space of the disk.
    Space(Free),
    /// The disk is full for data it had accepted; the sync is retried.
    SyncFull(String),
    /// The retried sync succeeded; data of this interval may still be lost.
    SyncOk(Unsure),
    /// Writing waits for a full disk.
    DiskFull(String),
    /// Writing resumes.
    DiskOk,
    /// A sync failed: data written since the last one may be lost.
    SyncFailed(IoError),
    /// Writing failed for good.
    WriteFailed(IoError),
    /// The command queue is closed, and everything is in its file.
    AllWritten,
    /// The job queue is closed, and everything is durable.
    AllSynced,
}

/// A request to end without delay, shared between threads.
#[derive(Clone, Debug, Default)]
pub struct Stop(pub(super) Arc<AtomicBool>);

impl Stop {
    /// Makes the request.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was made.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
