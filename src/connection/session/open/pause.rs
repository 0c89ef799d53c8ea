//! A time in which nothing was read, and what had waited is not read yet.
//!
//! ```text
//! no room ──────▶ paused ──room──▶ draining ──all that waited is read──▶ over
//! not let run ──▶ paused ──SETTLE──▶ draining
//! ```

use crate::clock::{Instant, Moment};
use crate::tape::words::PauseCause;
use std::time::Duration;

/// Pauses shorter than this are not noted: they cannot be told from the machine being busy.
const NOTED: Duration = Duration::from_millis(100);

/// How long after a freeze a socket that brings nothing is not believed: the call that waits for events is interrupted by
/// it and returns without them, and a timer alone shows that the kernel was asked once more.
const SETTLE: Duration = Duration::from_millis(10);

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::connection::session) struct Pause {
    pub(in crate::connection::session) from: Moment,
    pub(in crate::connection::session) cause: PauseCause,
    /// Reading again, but not yet through with what had waited.
    pub(super) draining: bool,
    /// Until then what is read does not tell that nothing waits.
    pub(super) settles_at: Option<Instant>,
}

impl Pause {
    /// A pause that begins because there is no room.
    pub(super) fn without_room(from: Moment) -> Self {
        Self { from, cause: PauseCause::Disk, draining: false, settles_at: None }
    }

    /// The process was not let run until `now`, in this pause too.
    pub(super) fn handle_frozen(&mut self, now: Moment, cause: PauseCause) {
        (self.cause, self.draining) = (self.cause.max(cause), false);
        self.settles_at = Some(now.at + SETTLE);
    }

    /// Whether a pause that ends `now` is worth noting.
    pub(in crate::connection::session) fn is_noted(&self, now: Moment) -> bool {
        now.since(self.from) >= NOTED
    }
}
