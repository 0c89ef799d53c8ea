//! The writer's position, readable at any time without waiting for it.

use crate::clock::{Position, Stamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Shared between the supervisor, the writer and the healer.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Figures>);

#[derive(Debug, Default)]
struct Figures {
    unwritten: AtomicU64,
    written: AtomicU64,
    epoch: AtomicU64,
    steps: AtomicU64,
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
        // In this order, so that it is never ahead: a stamp of the next epoch says that all of this one is written.
        let epoch = self.0.epoch.load(Ordering::Acquire);
        Position { epoch, stamp: Stamp::from_micros(self.0.written.load(Ordering::Relaxed)).unwrap_or_default() }
    }

    /// The number of clock steps up to [`written`](Self::written): each begins an epoch.
    pub fn steps(&self) -> u64 {
        self.0.steps.load(Ordering::Relaxed)
    }

    /// Messages of `bytes` are in their files, and so is everything up to `up_to`, `steps` clock steps later.
    pub(super) fn advance(&self, bytes: u64, up_to: Position, steps: u64) {
        self.0.unwritten.fetch_sub(bytes, Ordering::Relaxed);
        self.0.written.store(up_to.stamp.as_micros(), Ordering::Relaxed);
        self.0.epoch.store(up_to.epoch, Ordering::Release);
        self.0.steps.store(steps, Ordering::Relaxed);
    }
}
