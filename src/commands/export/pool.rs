//! Threads that write files of the lake, and what became of each.

use super::error::ExportError;
use crate::clock::Stamp;
use crate::files::disk::Disk;
use crate::files::{Files, IoError};
use crate::lake::job::{Job, LakeError, Outcome, Stop};
use crate::lake::leftovers::remove_leftovers;
use crate::recording::lock::{Lock, LockError};
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
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
    /// Opens it, keeps others out, and removes what one that was killed has left.
    pub(super) fn open(directory: &Path, min_free_bytes: u64, now: Stamp) -> Result<Self, ExportError> {
        let disk = Disk::open(directory).map_err(IoError::at("open the directory", directory))?;
        let lock = Lock::take(&disk, now).map_err(|error| match error {
            LockError::Held { directory, holder } => ExportError::Held { directory, holder },
            LockError::Io(_) => ExportError::Lock(error),
        })?;
        remove_leftovers(&disk)?;
        Ok(Self { disk, min_free_bytes, _lock: lock })
    }

    /// Whether there is room for more: the disk is the recorder's first.
    fn has_room(&self) -> bool {
        self.disk.free().is_ok_and(|free| free.bytes >= self.min_free_bytes)
    }

    /// Writes files of a day on so many threads until they are done, there is no more room, or they are told to stop. The largest come first, so that no thread is
    /// left with one while the others have nothing.
    ///
    /// # Errors
    /// A thread cannot be spawned, there was no more room, or it was told to stop: files are left.
    pub(super) fn run(
        &self,
        jobs: Vec<Job>,
        threads: usize,
        stop: Stop<'_>,
        each: &mut dyn FnMut(Done),
    ) -> Result<(), ExportError> {
        self.run_within(jobs, threads, Bounds::new(stop, &|| self.has_room()), each)
    }

    pub(super) fn run_within(
        &self,
        mut jobs: Vec<Job>,
        threads: usize,
        bounds: Bounds<'_>,
        each: &mut dyn FnMut(Done),
    ) -> Result<(), ExportError> {
        jobs.sort_by_key(|job| std::cmp::Reverse(job.bytes()));
        let queue = Mutex::new(VecDeque::from(jobs));
        let is_over = || bounds.is_over();
        let stop: Stop<'_> = &is_over;
        let (done, reports) = sync_channel(WINDOW);
        let spawned: io::Result<()> = scope(|scope| {
            // Gone with this closure: a thread whose report nobody reads would never end.
            let reports = reports;
            for number in 0..threads {
                let (queue, done) = (&queue, done.clone());
                let thread = Builder::new().name(format!("export-{number}"));
                thread.spawn_scoped(scope, move || self.work(queue, &done, stop))?;
            }
            drop(done);
            reports.iter().for_each(each);
            Ok(())
        });
        spawned.map_err(ExportError::Threads)?;
        bounds.check()
    }

    fn work(&self, queue: &Mutex<VecDeque<Job>>, done: &SyncSender<Done>, stop: Stop<'_>) {
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(job) = next else { return };
            if stop() {
                return;
            }
            let outcome = job.run(&self.disk, stop);
            if done.send(Done { path: job.place.path(), outcome }).is_err() {
                return;
            }
        }
    }
}

/// What ends a run before its files do.
pub(super) struct Bounds<'a> {
    pub(super) stop: Stop<'a>,
    pub(super) has_room: &'a (dyn Fn() -> bool + Sync),
    /// It stays: a file that is given up leaves room again, and is missing all the same.
    was_full: AtomicBool,
}

impl<'a> Bounds<'a> {
    pub(super) fn new(stop: Stop<'a>, has_room: &'a (dyn Fn() -> bool + Sync)) -> Self {
        Self { stop, has_room, was_full: AtomicBool::new(false) }
    }

    fn is_over(&self) -> bool {
        if !(self.has_room)() {
            self.was_full.store(true, Ordering::Relaxed);
        }
        self.was_full.load(Ordering::Relaxed) || (self.stop)()
    }

    fn check(&self) -> Result<(), ExportError> {
        match (self.was_full.load(Ordering::Relaxed), (self.stop)()) {
            (true, _) => Err(ExportError::Full),
            (false, true) => Err(ExportError::Stopped),
            (false, false) => Ok(()),
        }
    }
}
