//! Threads that write files of the lake, and what became of each.

use super::error::ExportError;
use crate::clock::Stamp;
use crate::files::disk::Disk;
use crate::files::{Files, IoError};
use crate::lake::job::{Job, LakeError, Outcome, Stop};
use crate::recording::lock::{Lock, LockError};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, scope};

/// What became of files, as it waits to be told: each has a hundred bytes.
const WINDOW: usize = 64;

/// A lake that nobody else writes to.
#[derive(Debug)]
pub(super) struct Lake {
    pub(super) disk: Disk,
    /// Less than so many bytes are never left free.
    min_free_bytes: u64,
    _lock: Lock,
}

/// A file, and what became of it.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) path: PathBuf,
    pub(super) outcome: Result<Outcome, LakeError>,
}

impl Lake {
    /// Opens it, and keeps others out.
    pub(super) fn open(directory: &Path, min_free_bytes: u64, now: Stamp) -> Result<Self, ExportError> {
        let disk = Disk::open(directory).map_err(IoError::at("open the directory", directory))?;
        let lock = Lock::take(&disk, now).map_err(|error| match error {
            LockError::Held { .. } => ExportError::Held(error),
            LockError::Io(_) => ExportError::Lock(error),
        })?;
        Ok(Self { disk, min_free_bytes, _lock: lock })
    }

    /// Whether there is room for more: the disk is the recorder's first.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn check_room(&self) -> Result<(), ExportError> {
        if self.has_room() { Ok(()) } else { Err(ExportError::Full) }
    }

    fn has_room(&self) -> bool {
        self.disk.free().is_ok_and(|free| free.bytes >= self.min_free_bytes)
    }

    /// Writes files on so many threads until they are done, there is no more room, or they are told to stop. The largest come first, so that no thread is
    /// left with one while the others have nothing.
    ///
    /// # Errors
    /// A thread cannot be spawned.
    pub(super) fn run(
        &self,
        mut jobs: Vec<Job>,
        threads: usize,
        stop: Stop<'_>,
        each: &mut dyn FnMut(Done),
    ) -> Result<(), ExportError> {
        jobs.sort_by_key(|job| std::cmp::Reverse(job.bytes()));
        let queue = Mutex::new(VecDeque::from(jobs));
        let is_over = || stop() || !self.has_room();
        let stop: Stop<'_> = &is_over;
        let (done, reports) = sync_channel(WINDOW);
        scope(|scope| {
            for number in 0..threads {
                let (queue, done) = (&queue, done.clone());
                let thread = Builder::new().name(format!("export-{number}"));
                thread.spawn_scoped(scope, move || self.work(queue, &done, stop))?;
            }
            drop(done);
            reports.iter().for_each(each);
            Ok(())
        })
        .map_err(ExportError::Threads)
    }

    fn work(&self, queue: &Mutex<VecDeque<Job>>, done: &SyncSender<Done>, stop: Stop<'_>) {
        while !stop() {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(job) = next else { return };
            let outcome = job.run(&self.disk, stop);
            if done.send(Done { path: job.place.path(), outcome }).is_err() {
                return;
            }
        }
    }
}
