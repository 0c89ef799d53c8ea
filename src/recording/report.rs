//! What writer, syncer and sealer report to the supervisor, and how they are stopped.

use super::journal::displaced::Displaced;
use super::segment::Finished;
use crate::clock::Position;
use crate::files::{Free, IoError};
use crate::tape::manifest::ManifestEntry;
use crate::tape::quarantine::Quarantined;
use crate::tape::words::RotationReason;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a thread reports to the supervisor.
#[derive(Debug)]
pub enum ThreadReport {
    /// Segments ended: how many, by reason.
    Rotated(BTreeMap<RotationReason, usize>),
    /// A segment is sealed.
    Sealed(Box<ManifestEntry>),
    /// A segment could not be sealed; `retried`: it will be tried again by this process.
    NotSealed {
        /// Its plain name.
        name: String,
        /// What went wrong.
        cause: String,
        /// Whether this process tries again.
        retried: bool,
    },
    /// A file was taken away or changed while it was written.
    Displaced(Box<Displaced>),
    /// All names were compared; displaced files were reported before.
    NamesChecked,
    /// A segment was taken away before it was sealed: it is gone.
    Gone(Box<Finished>),
    /// A file that bore the name of a segment and was none was moved away.
    Quarantined(Quarantined),
    /// Everything up to here survives a power cut.
    Synced(Position),
    /// The free space of the disk.
    Space(Free),
    /// The disk has no room for data that it took; the sync is tried again.
    SyncFull(String),
    /// That sync succeeded; data written before it may be lost all the same.
    SyncOk,
    /// Writing waits for room.
    DiskFull(String),
    /// Writing goes on.
    DiskOk,
    /// A sync failed: data written since the last one may be lost.
    SyncFailed(IoError),
    /// Writing failed for good.
    WriteFailed(IoError),
    /// No more commands came, and everything is in its file.
    AllWritten,
    /// No more jobs came, and everything survives a power cut.
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
