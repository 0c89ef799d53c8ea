//! When a loop last took up work or put it down, from which others judge whether it hangs.

use crate::clock::Instant;
use std::sync::{Arc, Mutex, PoisonError};

/// The last turn of a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// When it was.
    pub at: Instant,
    /// Whether it took up work then; else it waits for some.
    pub is_busy: bool,
}

/// The last turn of a loop that one thread notes and others read; `None`: there was none.
#[derive(Clone, Debug, Default)]
pub struct SharedTurn(Arc<Mutex<Option<Turn>>>);

impl SharedTurn {
    /// Work is taken up.
    pub fn begin(&self, at: Instant) {
        self.note(Turn { at, is_busy: true });
    }

    /// Work is put down.
    pub fn end(&self, at: Instant) {
        self.note(Turn { at, is_busy: false });
    }

    /// The last turn.
    pub fn read(&self) -> Option<Turn> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, turn: Turn) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(turn);
    }
}
