//! What waits to be uploaded, and what was.

use crate::clock::Stamp;
use std::sync::{Arc, Mutex, PoisonError};

/// How uploading fares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uploads {
    /// Sealed files that are not in the store; `None`: nobody has looked yet, or nothing is uploaded.
    pub backlog_files: Option<u64>,
    /// Their bytes.
    pub backlog_bytes: u64,
    /// The stamp of the last line of the oldest of them.
    pub oldest: Option<Stamp>,
    /// Those of them that the store has with other content, or that are not what their manifest says.
    pub refused_files: u64,
    /// Files that this process has brought there.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// Why the last one did; `None`: it did not.
    pub cause: Option<String>,
}

/// The numbers of one uploader, for others to read.
#[derive(Clone, Debug, Default)]
pub struct SharedUploads(Arc<Mutex<Uploads>>);

impl SharedUploads {
    /// Changes them.
    pub fn note(&self, change: impl FnOnce(&mut Uploads)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The numbers now.
    pub fn read(&self) -> Uploads {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
