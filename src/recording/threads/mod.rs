//! Hosts writer, syncer and sealer on threads of their own, so that no disk can hold up the network.
//!
//! ```text
//! JournalCommand ──▶ writer ──SyncJob──▶ syncer ──Finished──▶ sealer
//!              └───────────────────┴──────────────────┴──▶ Report ──▶ supervisor
//! ```
//!
//! Every queue is bounded. The writer waits for the disk alone. Hosts wait by `async` alone, so that a simulated world
//! can run [`Hosts`] as tasks in virtual time, which a thread could not follow.

mod pruner;
mod sealer;
mod summaries;
mod syncer;

pub use pruner::{PRUNE_INTERVAL, RetentionSettings};
pub use sealer::SealerHost;
pub use syncer::SyncerHost;

use super::checkpoint::Checkpoint;
use super::journal::{Journal, JournalCommand};
use super::progress::Progress;
use super::report::{Stop, ThreadReport};
use super::retention::plan::KeepLimits;
use super::rotation::Rotation;
use super::seal::{Provenance, Sealer};
use super::segment::{Finished, Segment};
use super::sync::Syncer;
use super::vitals::Vitals;
use super::writer::{self, Writer, WriterSignals};
use crate::clock::Clock;
use crate::files::Files;
use pruner::Pruner;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use summaries::Summaries;
use tokio::sync::{mpsc, watch};

/// Commands that may wait for the writer while a write blocks. The connections' budgets bound their content much
/// earlier: as many of the smallest batches take 64 MiB. An empty queue takes no memory.
const COMMANDS: usize = 1 << 17;

/// Reports that may wait for the supervisor, which takes them at once.
const REPORTS: usize = 256;

/// Segments queued for the sealer: more than one rotation of the whole exchange. Further ones wait with the syncer.
const FINISHED: usize = 4096;

/// The niceness of the sealer: it compresses when nothing else wants the processor.
const SEALER_NICENESS: i32 = 19;

/// The settings of the threads.
#[derive(Debug)]
pub struct Settings {
    /// When segments end.
    pub rotation: Rotation,
    /// The zstd level of sealed files.
    pub zstd_level: i32,
    /// Which sealed files are deleted.
    pub retention: RetentionSettings,
    /// This process, for the manifest.
    pub provenance: Provenance,
    /// The epoch: how often stamps have gone back in this directory.
    pub epoch: u64,
    /// For waiting and pacing.
    pub clock: Clock,
}

/// The running threads, as the supervisor holds them.
#[derive(Debug)]
pub struct Threads {
    /// To the writer; dropping it ends all threads, once their queues are empty.
    pub commands: mpsc::Sender<JournalCommand>,
    /// From all threads; it ends when the last of them does.
    pub reports: mpsc::Receiver<ThreadReport>,
    /// Seal without pauses from now on.
    pub hurry: Stop,
    /// Give up sealing.
    pub stop_sealing: Stop,
    /// Give up waiting for a full disk.
    pub stop_waiting: Stop,
    /// The limits of the retention: a change makes a run due.
    pub limits: watch::Sender<KeepLimits>,
    /// The writer's position.
    pub progress: Progress,
    /// How the hosts fare.
    pub vitals: Vitals,
}

/// The hosts: each is run by a thread, or by a task of the simulated world.
#[derive(Debug)]
pub struct Hosts {
    /// Hosts the journal.
    pub writer: Writer,
    /// Makes written lines durable.
    pub syncer: SyncerHost,
    /// Seals ended segments.
    pub sealer: SealerHost,
}

/// The disk, and the segments that earlier processes left on it.
#[derive(Debug)]
pub struct Storage {
    /// The disk.
    pub files: Arc<dyn Files>,
    /// Segments to be continued.
    pub resumable: Vec<Segment>,
    /// Segments to be sealed first.
    pub backlog: Vec<Finished>,
    /// The state on it.
    pub checkpoint: Checkpoint,
}

/// Connects the hosts with each other and with the supervisor; nothing runs yet.
pub fn prepare(settings: &Settings, storage: Storage) -> (Threads, Hosts) {
    let Storage { files, resumable, backlog, checkpoint } = storage;
    // A torn line is left out of the sealed file only if an event names it, and that event must be durable first.
    let (torn, backlog): (Vec<_>, Vec<_>) = backlog.into_iter().partition(|finished| !finished.torn.is_empty());
    let (commands, command_queue) = mpsc::channel(COMMANDS);
    let (reports, report_queue) = mpsc::channel(REPORTS);
    let (sync_jobs, sync_queue) = mpsc::channel(1);
    let (finished, finished_queue) = mpsc::channel(FINISHED);
    let (hurry, stop_sealing) = (Stop::default(), Stop::default());
    let vitals = Vitals::default();
    let signals = WriterSignals { turn: vitals.writer.clone(), ..WriterSignals::default() };
    let (limits, limits_in_force) = watch::channel(settings.retention.limits);
    let (retention, progress) = (settings.retention.clone(), signals.progress.clone());
    let sealer = SealerHost {
        summaries: Summaries::new(files.clone(), progress.clone(), settings.clock),
        pruner: Pruner::new(files.clone(), retention, limits_in_force, progress, settings.clock),
        sealer: Sealer::new(files.clone(), settings.zstd_level, settings.provenance.clone(), stop_sealing.0.clone()),
        waiting: backlog.into(),
        finished: finished_queue,
        reports: reports.clone(),
        clock: settings.clock,
        hurry: hurry.clone(),
        stop: stop_sealing.clone(),
        vitals: vitals.clone(),
    };
    let syncer = SyncerHost {
        syncer: Syncer::new(files.clone()),
        jobs: sync_queue,
        finished,
        waiting: VecDeque::new(),
        reports: reports.clone(),
        clock: settings.clock,
        stop: signals.stop.clone(),
        lock: None,
        checkpoint,
        vitals: vitals.clone(),
    };
    let mut journal = Journal::new(files.clone(), settings.rotation, resumable, settings.epoch);
    journal.seal_after_sync(torn);
    let channels = writer::Channels { commands: command_queue, sync_jobs, reports };
    let writer = Writer::new(journal, files, channels, signals.clone(), settings.clock);
    let WriterSignals { stop: stop_waiting, progress, turn: _ } = signals;
    let threads =
        Threads { commands, reports: report_queue, hurry, stop_sealing, stop_waiting, limits, progress, vitals };
    (threads, Hosts { writer, syncer, sealer })
}

/// Gives each host a thread; all end after the supervisor drops its sender.
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
