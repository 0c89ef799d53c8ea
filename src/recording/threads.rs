//! Hosts writer, syncer and sealer on threads of their own, so that no disk can hold up the network.
//!
//! ```text
//! Order ──▶ writer ──SyncJob──▶ syncer ──Finished──▶ sealer
//!              └───────────────────┴──────────────────┴──▶ Report ──▶ supervisor
//! ```
//!
//! Every queue is bounded. The writer waits for nobody but the disk. What is hosted waits by `async` alone, so that a
//! simulated world can run [`Hosts`] as tasks in virtual time, where a thread would not know what time it is.

use super::files::{Files, StorageError};
use super::journal::segment::{Finished, Segment};
use super::journal::{Journal, Order};
use super::naming::manifest::Entry;
use super::rotation::{Reason, Rotation};
use super::seal::{SealError, Sealer};
use super::sync::{SyncJob, Syncer};
use super::writer::Writer;
use crate::clock::{self, Clock, Stamp};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::{TryRecvError, TrySendError};

/// Orders that may wait for the writer. Their bytes are bounded by the connections' budgets, not by this.
const ORDERS: usize = 64;

/// Reports that may wait for the supervisor; it takes them as they come.
const REPORTS: usize = 256;

/// Segments on their way to the sealer: more than one rotation of the whole exchange. Beyond it they wait with the
/// syncer.
const FINISHED: usize = 4096;

/// How long a segment that could not be sealed waits for its next try.
const SEAL_RETRY: Duration = Duration::from_secs(10);

/// The longest pause between two segments.
const SEAL_PAUSE_MAX: Duration = Duration::from_secs(1);

/// The niceness of the sealer: it compresses when nothing else wants the processor.
const SEALER_NICENESS: i32 = 19;

/// What the threads tell the supervisor.
#[derive(Debug)]
pub enum Report {
    /// Segments ended: names by reason.
    Rotated(BTreeMap<Reason, Vec<String>>),
    /// A segment is sealed.
    Sealed(Box<Entry>),
    /// A segment could not be sealed; `retried`: it will be tried again by this process.
    NotSealed {
        /// Its plain name.
        name: String,
        /// What went wrong.
        cause: String,
        /// Whether this process tries again.
        retried: bool,
    },
    /// Everything stamped up to here survives a power cut.
    Synced(Stamp),
    /// The queue of orders was closed, and every line is in its file.
    Written,
    /// Writing waits for room.
    DiskFull(String),
    /// Writing goes on.
    DiskOk,
    /// A sync failed: what was written since the last one may be lost.
    SyncFailed(StorageError),
    /// Writing failed for good.
    WriteFailed(StorageError),
}

/// A request to come to an end without delay.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Makes the request.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was made.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What the threads need to know.
#[derive(Debug)]
pub struct Settings {
    /// When segments end.
    pub rotation: Rotation,
    /// The zstd level of sealed files.
    pub zstd_level: i32,
    /// The stamp of this process's `started` event.
    pub run: Stamp,
    /// For waiting and pacing.
    pub clock: Clock,
}

/// The running threads, as the supervisor holds them.
#[derive(Debug)]
pub struct Threads {
    /// To the writer; dropping it ends all threads, once they are done.
    pub orders: mpsc::Sender<Order>,
    /// From all threads; it ends when the last of them does.
    pub reports: mpsc::Receiver<Report>,
    /// Seal without pauses from now on.
    pub hurry: Stop,
    /// Give up sealing, and waiting for a full disk.
    pub stop: Stop,
}

/// What does the writing: each is run by a thread, or by a task of the simulated world.
#[derive(Debug)]
pub struct Hosts {
    /// Hosts the journal.
    pub writer: Writer,
    /// Makes durable what was written.
    pub syncer: SyncerHost,
    /// Seals what has ended.
    pub sealer: SealerHost,
}

/// What is to be written to, and what earlier processes left there.
#[derive(Debug)]
pub struct Ground {
    /// The disk.
    pub files: Arc<dyn Files>,
    /// Segments to be continued.
    pub resumable: Vec<Segment>,
    /// Segments to be sealed first.
    pub backlog: Vec<Finished>,
}

/// Connects the hosts with each other and with the supervisor; nothing runs yet.
pub fn prepare(settings: &Settings, ground: Ground) -> (Threads, Hosts) {
    let Ground { files, resumable, backlog } = ground;
    let (orders, order_queue) = mpsc::channel(ORDERS);
    let (reports, report_queue) = mpsc::channel(REPORTS);
    let (sync_jobs, sync_queue) = mpsc::channel(1);
    let (finished, finished_queue) = mpsc::channel(FINISHED);
    let (hurry, stop) = (Stop::default(), Stop::default());
    let sealer = SealerHost {
        sealer: Sealer::new(files.clone(), settings.zstd_level, settings.run, stop.0.clone()),
        waiting: backlog.into(),
        finished: finished_queue,
        reports: reports.clone(),
        clock: settings.clock,
        hurry: hurry.clone(),
        stop: stop.clone(),
    };
    let syncer = SyncerHost {
        syncer: Syncer::new(files.clone()),
        jobs: sync_queue,
        finished,
        waiting: VecDeque::new(),
        reports: reports.clone(),
    };
    let writer = Writer {
        journal: Journal::new(files, settings.rotation, resumable),
        orders: order_queue,
        sync_jobs,
        reports,
        stop: stop.clone(),
        clock: settings.clock,
    };
    (Threads { orders, reports: report_queue, hurry, stop }, Hosts { writer, syncer, sealer })
}

/// Gives each host a thread; they end by themselves when the supervisor drops its end.
pub fn spawn(hosts: Hosts) -> io::Result<()> {
    let Hosts { writer, syncer, sealer } = hosts;
    spawn_thread("sealer", || {
        // Without the permission for it, sealing competes a little more.
        let _ = rustix::process::setpriority_process(None, SEALER_NICENESS);
        sealer.run()
    })?;
    spawn_thread("syncer", || syncer.run())?;
    spawn_thread("writer", || writer.run())?;
    Ok(())
}

fn spawn_thread<F: Future<Output = ()>>(
    name: &str,
    host: impl FnOnce() -> F + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    std::thread::Builder::new().name(name.to_owned()).spawn(move || runtime.block_on(host()))
}

/// Hosts the syncer.
#[derive(Debug)]
pub struct SyncerHost {
    syncer: Syncer,
    jobs: mpsc::Receiver<SyncJob>,
    finished: mpsc::Sender<Finished>,
    /// Segments that the sealer's queue had no room for: one small entry per file on the disk.
    waiting: VecDeque<Finished>,
    reports: mpsc::Sender<Report>,
}

impl SyncerHost {
    /// Syncs until there are no more jobs, or a sync has failed.
    pub async fn run(mut self) {
        while let Some(mut job) = self.jobs.recv().await {
            let report = match self.syncer.step(&job) {
                Ok(()) => Report::Synced(job.up_to),
                Err(error) => {
                    let _ = self.reports.send(Report::SyncFailed(error)).await;
                    return;
                }
            };
            // A lost figure of progress is followed by the next one.
            let _ = self.reports.try_send(report);
            self.waiting.extend(job.finished.drain(..));
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        while let Some(finished) = self.waiting.pop_front() {
            match self.finished.try_send(finished) {
                Ok(()) => {}
                Err(TrySendError::Full(finished)) => return self.waiting.push_front(finished),
                Err(TrySendError::Closed(_)) => return self.waiting.clear(),
            }
        }
    }
}

/// Hosts the sealer: one segment after the other, each followed by a pause as long as it took, so that it keeps the disk
/// and the processor busy for at most half of the time.
#[derive(Debug)]
pub struct SealerHost {
    sealer: Sealer,
    waiting: VecDeque<Finished>,
    finished: mpsc::Receiver<Finished>,
    reports: mpsc::Sender<Report>,
    clock: Clock,
    hurry: Stop,
    stop: Stop,
}

impl SealerHost {
    /// Seals until there will be no more segments.
    pub async fn run(mut self) {
        while let Some(finished) = self.next().await {
            let start = self.clock.now();
            if self.seal(&finished).await {
                self.pause((self.clock.now() - start).min(SEAL_PAUSE_MAX)).await;
            } else {
                self.waiting.push_back(finished);
                self.pause(SEAL_RETRY).await;
            }
        }
    }

    /// The segment that has waited longest; `None`: there will be no more.
    async fn next(&mut self) -> Option<Finished> {
        while let Ok(finished) = self.finished.try_recv() {
            self.waiting.push_back(finished);
        }
        if self.waiting.is_empty() {
            self.waiting.extend(self.finished.recv().await);
        }
        self.waiting.pop_front().filter(|_| !self.stop.is_set())
    }

    async fn pause(&mut self, length: Duration) {
        /// How often a request to hurry is noticed.
        const STEP: Duration = Duration::from_millis(100);
        let end = self.clock.now() + length;
        while !self.hurry.is_set() && !self.stop.is_set() {
            let now = self.clock.now();
            if now >= end {
                return;
            }
            match self.finished.try_recv() {
                Ok(finished) => self.waiting.push_back(finished),
                Err(TryRecvError::Empty) => clock::sleep_until(Some(end.min(now + STEP))).await,
                Err(TryRecvError::Disconnected) => return,
            }
        }
    }

    /// Seals a segment; `false`: it has to be tried again.
    async fn seal(&self, finished: &Finished) -> bool {
        let name = || finished.name.plain().display().to_string();
        let is_last_try = self.hurry.is_set();
        let (report, is_done) = match self.sealer.step(finished) {
            Ok(entry) => (Report::Sealed(Box::new(entry)), true),
            Err(SealError::Stopped) => return true,
            Err(SealError::Storage(error)) if error.is_full() && !is_last_try => {
                (Report::NotSealed { name: name(), cause: error.to_string(), retried: true }, false)
            }
            Err(error) => (Report::NotSealed { name: name(), cause: error.to_string(), retried: false }, true),
        };
        // The supervisor is gone only when the process is ending anyway.
        let _ = self.reports.send(report).await;
        is_done
    }
}
