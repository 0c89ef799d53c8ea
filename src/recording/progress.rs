//! The positions of writer and syncer, readable at any time without waiting for them.

use crate::clock::{Position, Stamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Shared between the supervisor, the writer and the healer.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Figures>);

#[derive(Debug, Default)]
struct Figures {
    unwritten: AtomicU64,
    written: Mark,
    durable: Mark,
    steps: AtomicU64,
}

#[derive(Debug, Default)]
struct Mark {
    stamp: AtomicU64,
    epoch: AtomicU64,
}

impl Mark {
    fn load(&self) -> Position {
        // In this order, so that it is never ahead: a stamp of the next epoch says that all of this one is reached.
        let epoch = self.epoch.load(Ordering::Acquire);
        Position { epoch, stamp: Stamp::from_micros(self.stamp.load(Ordering::Relaxed)).unwrap_or_default() }
    }

    fn store(&self, reached: Position) {
        self.stamp.store(reached.stamp.as_micros(), Ordering::Relaxed);
        self.epoch.store(reached.epoch, Ordering::Release);
    }
}

impl Progress {
    /// Messages of `bytes` are handed to the writer.
    pub fn hand_over(&self, bytes: u64) {
        self.0.unwritten.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes of messages that were handed over and are not in their files.
    pub fn unwritten(&self) -> u64 {
        self.0.unwritten.load(Ordering::Relaxed)
    }

    /// Everything up to here is in its file.
    pub fn written(&self) -> Position {
        self.0.written.load()
    }

    /// Everything up to here survives a power cut.
    pub fn durable(&self) -> Position {
        self.0.durable.load()
    }

    /// Everything up to here survives a power cut.
    pub fn handle_synced(&self, up_to: Position) {
        self.0.durable.store(up_to);
    }

    /// The number of clock steps up to [`written`](Self::written): each begins an epoch.
    pub fn steps(&self) -> u64 {
        self.0.steps.load(Ordering::Relaxed)
    }

    /// Messages of `bytes` are in their files, and so is everything up to `up_to`, `steps` clock steps later.
    pub(super) fn advance(&self, bytes: u64, up_to: Position, steps: u64) {
        self.0.unwritten.fetch_sub(bytes, Ordering::Relaxed);
        self.0.written.store(up_to);
        self.0.steps.store(steps, Ordering::Relaxed);
    }
}
