//! Makes written lines durable: once an interval, on a thread of its own, for all files together.
//!
//! ```text
//! journal ──SyncJob──▶ Syncer::step: file contents, then directories ──Finished──▶ sealer
//! ```
//!
//! A few files are synced one by one, many with one `syncfs`: 2,000 files take about 550 ms the first way and 60 ms the
//! second. A segment is handed to the sealer only after this.

use super::segment::{Finished, Unsynced};
use crate::clock::{Position, Stamp};
use crate::files::{Files, IoError};
use crate::tape::state::State;
use crate::upbit::feed::PerFeed;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::oneshot;

/// Up to this many files are synced one by one. Bounded, since the job keeps them open.
const FEW_FILES: usize = 32;

/// Changes since the last job.
#[derive(Debug, Default)]
pub struct SyncJob {
    files: Vec<Unsynced>,
    everything: bool,
    directories: BTreeSet<PathBuf>,
    /// Segments that wait for their compression.
    pub finished: Vec<Finished>,
    /// What is certain once the job is done.
    pub point: SyncPoint,
    /// No other follows: the process ends in order.
    pub is_last: bool,
    /// Told once the job is done, its state and mark included.
    pub done: Option<oneshot::Sender<()>>,
}

/// What is certain once everything written before it is durable.
#[derive(Clone, Debug, Default)]
pub struct SyncPoint {
    /// Everything stamped up to here is recorded, or in a gap that is on record or in the state.
    pub up_to: Position,
    /// What was heard last of each feed by then, as in the durable mark.
    pub heard: PerFeed<Option<Stamp>>,
    /// Gaps of syncs without room that are decided, counted by their [`SyncOk`](super::report::ThreadReport::SyncOk).
    pub decided: u64,
    /// The state by then, where it has changed.
    pub state: Option<Box<State>>,
}

impl SyncPoint {
    /// This point, with the state of the one before where it has none of its own.
    #[must_use]
    pub fn after(self, earlier: Option<Self>) -> Self {
        Self { state: self.state.or(earlier.and_then(|earlier| earlier.state)), ..self }
    }
}

impl SyncJob {
    /// The job, with what is certain once it is done.
    #[must_use]
    pub fn up_to(self, point: SyncPoint) -> Self {
        Self { point, ..self }
    }

    /// Adds a file with new content.
    pub fn add_file(&mut self, file: Unsynced) {
        if self.everything || file.file.is_none() || self.files.len() == FEW_FILES {
            self.everything = true;
            self.files.clear();
        } else {
            self.files.push(file);
        }
    }

    /// Adds a directory with new names.
    pub fn add_directory(&mut self, path: PathBuf) {
        self.directories.insert(path);
    }
}

/// Why a job was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// Written data may be lost: the kernel drops dirty pages after a failed sync, so that a second one proves nothing.
    #[error(transparent)]
    Failed(IoError),
    /// The disk has no room for data that it took. Another try may find some; earlier data may be lost.
    #[error(transparent)]
    Full(IoError),
    /// A directory could not be opened for lack of descriptors or memory. Nothing is lost, and a retry is safe.
    #[error(transparent)]
    Unopened(IoError),
}

impl SyncError {
    /// The disk's error, where the sync is not retried.
    pub fn into_storage(self) -> IoError {
        let (Self::Failed(error) | Self::Full(error) | Self::Unopened(error)) = self;
        error
    }
}

/// See the module.
#[derive(Debug)]
pub struct Syncer {
    files: Arc<dyn Files>,
}

impl Syncer {
    /// A syncer for one data directory.
    pub fn new(files: Arc<dyn Files>) -> Self {
        Self { files }
    }

    /// The disk.
    pub fn files(&self) -> &dyn Files {
        &*self.files
    }

    /// Carries out a job.
    pub fn step(&self, job: &SyncJob) -> Result<(), SyncError> {
        for unsynced in &job.files {
            if let Some(file) = &unsynced.file {
                file.sync().map_err(IoError::at("sync", &unsynced.path))?;
            }
        }
        if job.everything {
            self.files.sync_all().map_err(IoError::at("sync the file system of", Path::new(".")))?;
        }
        for directory in &job.directories {
            match self.files.sync_directory(directory) {
                // It was removed, and with it every name to make durable.
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                synced => synced,
            }
            .map_err(IoError::at("sync the directory", directory))
            .map_err(|error| if is_unopened(&error) { SyncError::Unopened(error) } else { error.into() })?;
        }
        Ok(())
    }
}

/// The file system's own journal keeps unsynced names until they are durable: an error that is not the disk's leaves no
/// doubt.
fn is_unopened(error: &IoError) -> bool {
    error.is_out_of_descriptors() || error.source.kind() == ErrorKind::OutOfMemory
}

impl From<IoError> for SyncError {
    fn from(error: IoError) -> Self {
        if error.is_full() { Self::Full(error) } else { Self::Failed(error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::disk::Disk;

    #[test]
    fn a_directory_that_was_taken_away_fails_no_sync() {
        let directory = tempfile::tempdir().unwrap();
        let syncer = Syncer::new(Arc::new(Disk::open(directory.path()).unwrap()));
        let mut job = SyncJob::default();
        job.add_directory("archive/date=2026-11-22".into());
        syncer.step(&job).unwrap();
    }
}
