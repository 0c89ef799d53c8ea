//! Hosts writer, syncer and sealer on threads of their own, so that no disk can hold up the network.
//!
//! ```text
//! Order ──▶ writer ──SyncJob──▶ syncer ──Finished──▶ sealer
//!              └───────────────────┴──────────────────┴──▶ Report ──▶ supervisor
//! ```
//!
//! Every queue is bounded. The writer waits for nobody but the disk. What is hosted waits by `async` alone, so that a
//! simulated world can run [`Hosts`] as tasks in virtual time, where a thread would not know what time it is.

mod sealer;
mod syncer;

pub use sealer::SealerHost;
pub use syncer::SyncerHost;

use super::journal::displaced::Displaced;
use super::journal::segment::{Finished, Segment};
use super::journal::{Journal, Order};
use super::recovery::quarantine::Quarantined;
use super::rotation::{Reason, Rotation};
use super::seal::Sealer;
use super::sync::Syncer;
use super::writer::{self, Progress, Writer};
use crate::clock::{Clock, Stamp};
use crate::files::{Files, Free, StorageError};
use crate::tape::manifest::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use tokio::sync::mpsc;

/// Orders that may wait for the writer while a write does not return. The connections' budgets bound what can be in them
/// long before this does: so many of the smallest batches take 64 MiB. The queue takes memory for what is in it alone.
const ORDERS: usize = 1 << 17;

/// Reports that may wait for the supervisor; it takes them as they come.
const REPORTS: usize = 256;

/// Segments on their way to the sealer: more than one rotation of the whole exchange. Beyond it they wait with the
/// syncer.
const FINISHED: usize = 4096;

/// The niceness of the sealer: it compresses when nothing else wants the processor.
const SEALER_NICENESS: i32 = 19;

/// What the threads tell the supervisor.
#[derive(Debug)]
pub enum Report {
    /// Segments ended: how many, by reason.
    Rotated(BTreeMap<Reason, usize>),
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
    /// A file was taken away or changed while it was written.
    Displaced(Box<Displaced>),
    /// All names were looked at, and what was displaced was reported before.
    Looked,
    /// A segment was taken away before it was sealed: it is gone.
    Gone(Box<Finished>),
    /// A file that bore the name of a segment and was none was moved away.
    Quarantined(Quarantined),
    /// Everything up to here survives a power cut.
    Synced {
        /// The last stamp.
        up_to: Stamp,
        /// How often stamps had gone back by then.
        epoch: u64,
    },
    /// What is left of the disk.
    Space(Free),
    /// The disk has no room for what it took; the sync is tried again.
    SyncFull(String),
    /// That sync succeeded; what was written before it may be lost all the same.
    SyncOk,
    /// Writing waits for room.
    DiskFull(String),
    /// Writing goes on.
    DiskOk,
    /// A sync failed: what was written since the last one may be lost.
    SyncFailed(StorageError),
    /// Writing failed for good.
    WriteFailed(StorageError),
    /// No more orders came, and everything is in its file.
    AllWritten,
    /// No more jobs came, and everything survives a power cut.
    AllSynced,
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
    /// How often stamps have gone back in this directory.
    pub epoch: u64,
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
    /// Give up sealing.
    pub stop_sealing: Stop,
    /// Give up waiting for a full disk.
    pub stop_waiting: Stop,
    /// How far the writer has come.
    pub progress: Progress,
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
    // Left out of a sealed file is what an event names: that has to be durable first.
    let (torn, backlog): (Vec<_>, Vec<_>) = backlog.into_iter().partition(|finished| !finished.torn.is_empty());
    let (orders, order_queue) = mpsc::channel(ORDERS);
    let (reports, report_queue) = mpsc::channel(REPORTS);
    let (sync_jobs, sync_queue) = mpsc::channel(1);
    let (finished, finished_queue) = mpsc::channel(FINISHED);
    let (hurry, stop_sealing, stop_waiting) = (Stop::default(), Stop::default(), Stop::default());
    let progress = Progress::default();
    let sealer = SealerHost {
        sealer: Sealer::new(files.clone(), settings.zstd_level, settings.run, stop_sealing.0.clone()),
        waiting: backlog.into(),
        finished: finished_queue,
        reports: reports.clone(),
        clock: settings.clock,
        hurry: hurry.clone(),
        stop: stop_sealing.clone(),
    };
    let syncer = SyncerHost {
        syncer: Syncer::new(files.clone()),
        jobs: sync_queue,
        finished,
        waiting: VecDeque::new(),
        reports: reports.clone(),
        clock: settings.clock,
        stop: stop_waiting.clone(),
        lock: None,
    };
    let mut journal = Journal::new(files.clone(), settings.rotation, resumable, settings.epoch);
    journal.seal_after_sync(torn);
    let channels = writer::Channels { orders: order_queue, sync_jobs, reports };
    let writer = Writer::new((journal, files), channels, (stop_waiting.clone(), progress.clone()), settings.clock);
    let threads = Threads { orders, reports: report_queue, hurry, stop_sealing, stop_waiting, progress };
    (threads, Hosts { writer, syncer, sealer })
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
