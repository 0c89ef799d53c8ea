//! Room on the disk that is set aside at the start, so that the last events can be written when nothing else can.
//!
//! ```text
//! renew ──▶ held ──an event finds no room──▶ released ──there is room again──▶ held
//! ```

use crate::files::Files;
use crate::tape::paths::RESERVE;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// A few thousand events, and the blocks of directories that they may need.
const BYTES: usize = 1024 * 1024;

/// Files that must be left to be made: the active files of a handful of streams.
const INODES: u64 = 8;

#[derive(Debug)]
pub(super) struct Reserve {
    files: Arc<dyn Files>,
    is_held: bool,
}

impl Reserve {
    pub(super) fn new(files: Arc<dyn Files>) -> Self {
        Self { files, is_held: false }
    }

    /// Sets the room aside anew, in place of what an earlier process may have left half done.
    pub(super) fn renew(&mut self) {
        self.is_held = true;
        self.release();
        if !self.hold() {
            tracing::warn!(bytes = BYTES, "no room to set aside for the events of a full disk");
        }
    }

    /// Sets the room aside, where it is not; whether it now is.
    pub(super) fn hold(&mut self) -> bool {
        self.is_held = self.is_held
            || match self.files.reserve(Path::new(RESERVE), BYTES) {
                Ok(()) => true,
                Err(error) => error.kind() == io::ErrorKind::AlreadyExists,
            };
        self.is_held
    }

    /// Gives the room back; whether there was any to give.
    pub(super) fn release(&mut self) -> bool {
        std::mem::take(&mut self.is_held) && self.files.remove(Path::new(RESERVE)).is_ok()
    }

    /// Whether the disk has room for lines, beside what is set aside. Where the file system does not say, there may be.
    pub(super) fn has_room_beside(&self) -> bool {
        let needed = if self.is_held { BYTES } else { 2 * BYTES } as u64;
        self.files.free().map_or(true, |free| free.bytes >= needed && free.inodes >= INODES)
    }
}
