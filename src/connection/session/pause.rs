//! A pause in reading, which ends once all data that waited meanwhile is read.
//!
//! ```text
//! no room ──────▶ paused ──room──▶ draining ──all that waited is read──▶ over
//! not running ──▶ paused ──SETTLE──▶ draining
//! ```

use crate::clock::{Instant, Moment};
use crate::tape::words::PauseCause;
use std::time::Duration;

/// Pauses shorter than this are not on record: they cannot be distinguished from a busy machine.
const NOTED: Duration = Duration::from_millis(100);

/// How long after a freeze a read that brings nothing does not show that nothing waits: a freeze interrupts the call that
/// waits for events, which then returns without them, and only a timer proves that the kernel was asked once more.
const SETTLE: Duration = Duration::from_millis(10);

/// A pause in reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pause {
    /// When reading stopped, or was last sure to go on.
    pub(super) from: Moment,
    /// Why.
    pub(super) cause: PauseCause,
    /// Reading again, but data that had waited in the kernel is not all read.
    pub(super) draining: bool,
    /// Until then a read that brings nothing does not show that nothing waits.
    pub(super) settles_at: Option<Instant>,
}

impl Pause {
    /// A pause that begins because there is no room.
    pub(super) fn without_room(from: Moment) -> Self {
        Self { from, cause: PauseCause::Disk, draining: false, settles_at: None }
    }

    /// The process was not scheduled until `now`, in this pause too.
    pub(super) fn handle_frozen(&mut self, now: Moment, cause: PauseCause) {
        (self.cause, self.draining) = (self.cause.max(cause), false);
        self.settles_at = Some(now.at + SETTLE);
    }

    /// Whether a pause that ends `now` goes on record.
    pub(super) fn is_noted(&self, now: Moment) -> bool {
        now.since(self.from) >= NOTED
    }
}
