//! Disk space reserved at the start, so that the last events can be written to a full disk.
//!
//! ```text
//! renew ──▶ held ──an event finds no room──▶ released ──there is room again──▶ held
//! ```

use crate::files::Files;
use crate::tape::paths::RESERVE;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// A few thousand events, and the directory blocks they may need.
const BYTES: usize = 1024 * 1024;

/// The minimum of files that can still be created: the active files of a handful of streams.
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

    /// Allocates the reserve anew, replacing an earlier process's partial one.
    pub(super) fn renew(&mut self) {
        self.is_held = true;
        self.release();
        if !self.hold() {
            tracing::warn!(bytes = BYTES, "no room to set aside for the events of a full disk");
        }
    }

    /// Allocates the reserve if needed; whether it now is allocated.
    pub(super) fn hold(&mut self) -> bool {
        self.is_held = self.is_held
            || match self.files.reserve(Path::new(RESERVE), BYTES) {
                Ok(()) => true,
                Err(error) => error.kind() == io::ErrorKind::AlreadyExists,
            };
        self.is_held
    }

    /// Releases the reserve; whether there was one.
    pub(super) fn release(&mut self) -> bool {
        std::mem::take(&mut self.is_held) && self.files.remove(Path::new(RESERVE)).is_ok()
    }

    /// Whether the disk has room for lines, beside the reserve. An unknown answer counts as yes.
    pub(super) fn has_room_beside(&self) -> bool {
        let needed = if self.is_held { BYTES } else { 2 * BYTES } as u64;
        self.files.free().map_or(true, |free| free.bytes >= needed && free.inodes >= INODES)
    }
}
