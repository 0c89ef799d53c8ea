//! A thread for each core, and their reports in the order of the jobs.

use crate::verify::directory::Walk;
use crate::verify::{Job, Meter, Report};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, Scope};
use std::time::Duration;

/// Jobs and reports under way: enough that no thread waits behind one large file, and a report has a few hundred bytes, or
/// the events of one file.
const WINDOW: usize = 256;

/// How often whoever watches is shown something.
const REFRESH: Duration = Duration::from_millis(100);

/// A job or a report, with its place.
struct Placed<T> {
    place: usize,
    what: T,
}

/// What a thread hands back.
struct Checked {
    below: PathBuf,
    report: Box<Report>,
}

/// See the module.
pub(super) struct Pool {
    walk: Walk,
    jobs: SyncSender<Placed<Job>>,
    reports: Receiver<Placed<Checked>>,
    /// Reports that came before their turn.
    early: BTreeMap<usize, Checked>,
    issued: usize,
    taken: usize,
}

/// What one turn brought.
pub(super) enum Turn {
    /// The next report, and the tree of its file.
    Report { below: PathBuf, report: Box<Report> },
    /// None came for a while.
    Idle,
    /// There is no other.
    Over,
}

impl Pool {
    /// Threads that read until `meter` is stopped, or the pool is gone.
    pub(super) fn new<'scope, 'env>(
        scope: &'scope Scope<'scope, 'env>,
        meter: &'env Meter,
        walk: Walk,
    ) -> io::Result<Self> {
        let (jobs, queue) = sync_channel(WINDOW);
        let (done, reports) = sync_channel(WINDOW);
        let queue = Arc::new(Mutex::new(queue));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        for number in 0..cores {
            let (queue, done) = (Arc::clone(&queue), done.clone());
            let work = move || read(&queue, &done, meter);
            Builder::new().name(format!("verify-{number}")).spawn_scoped(scope, work)?;
        }
        Ok(Self { walk, jobs, reports, early: BTreeMap::new(), issued: 0, taken: 0 })
    }

    /// Hands out jobs, and waits for the next report.
    pub(super) fn turn(&mut self) -> Turn {
        while self.issued < self.taken + WINDOW {
            let Some(what) = self.walk.next() else { break };
            // Ignored: the threads have ended, and so does this.
            let _ = self.jobs.send(Placed { place: self.issued, what });
            self.issued += 1;
        }
        if let Some(Checked { below, report }) = self.early.remove(&self.taken) {
            self.taken += 1;
            return Turn::Report { below, report };
        }
        if self.taken == self.issued {
            return Turn::Over;
        }
        match self.reports.recv_timeout(REFRESH) {
            Ok(Placed { place, what }) => {
                self.early.insert(place, what);
                Turn::Idle
            }
            Err(RecvTimeoutError::Timeout) => Turn::Idle,
            Err(RecvTimeoutError::Disconnected) => Turn::Over,
        }
    }
}

fn read(queue: &Mutex<Receiver<Placed<Job>>>, done: &SyncSender<Placed<Checked>>, meter: &Meter) {
    while !meter.stop.load(Ordering::Relaxed) {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Placed { place, what }) = next else { return };
        let below = what.root.below.clone();
        let report = Box::new(what.check(meter));
        if done.send(Placed { place, what: Checked { below, report } }).is_err() {
            return;
        }
    }
}
