//! Hosts the journal: takes commands from the supervisor's queue and has them executed.
//!
//! ```text
//! commands ──▶ backlog ──▶ Journal ──▶ files                           usually the backlog holds one batch of commands
//!               └─ events ──▶ recorder.jsonl, from the reserve       on a full disk, past everything that waits
//! ```
//!
//! Lines are written behind the commands that are there, or wait a moment for others of the same files (`pace`). A
//! `kill -9` loses no more than that.
//!
//! Before each sync the names of written files are compared with the open files: see
//! [`displaced`](super::journal::displaced).
//!
//! Stamps that go back begin an epoch, in `Writer::begin_epoch`: nothing passes it.
//!
//! A full disk is waited out, with backpressure: batches wait in the backlog and keep their share of the connections'
//! budgets, so that the connections stop reading when `buffer_bytes` are used up, and resume once the lines are
//! written.

mod backlog;
mod channels;
mod pace;
mod reached;
mod reserve;

pub use channels::{Channels, WriterSignals};

use super::journal::{BeginEpoch, Journal, JournalCommand};
use super::report::{Stop, ThreadReport};
use super::sync::SyncPoint;
use crate::clock::{self, Clock, Instant, Position};
use crate::counters::turns::SharedTurn;
use crate::files::{Files, IoError};
use crate::tape::state::State;
use backlog::Backlog;
use pace::Pace;
use reached::Reached;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::oneshot;

/// Commands taken from the queue at a time.
const COMMANDS: usize = 64;

/// The polling interval of the free space of a full disk.
const FULL_RETRY: Duration = Duration::from_millis(200);

/// Writing is retried after this long, whatever free space the file system reports: its figures may be wrong.
const FULL_TRY: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub struct Writer {
    journal: Journal,
    channels: Channels,
    backlog: Backlog,
    reached: Reached,
    /// The queue is closed.
    is_closed: bool,
    pace: Pace,
    /// Set when the time to wait for a full disk is over.
    stop: Stop,
    turn: SharedTurn,
    /// The state that holds once everything is durable, where the process stops in order.
    stopped: Option<Box<State>>,
    /// An epoch begins.
    is_stepping: bool,
    /// All names were compared, as commanded, and the report is still due.
    names_checked: bool,
    clock: Clock,
}

impl Writer {
    /// A writer of `journal`; `stop` is set when the time to wait for a full disk is over.
    pub fn new(
        journal: Journal,
        files: Arc<dyn Files>,
        channels: Channels,
        signals: WriterSignals,
        clock: Clock,
    ) -> Self {
        Self {
            journal,
            channels,
            backlog: Backlog::new(files),
            reached: Reached::new(signals.progress),
            is_closed: false,
            pace: Pace::default(),
            stop: signals.stop,
            turn: signals.turn,
            stopped: None,
            is_stepping: false,
            names_checked: false,
            clock,
        }
    }

    /// Writes until the supervisor closes the queue, or until an error that no retry can mend.
    pub async fn run(self) {
        let reports = self.channels.reports.clone();
        if let Err(error) = self.write().await {
            // The supervisor's end is closed only while the process stops.
            let _ = reports.send(ThreadReport::WriteFailed(error)).await;
        }
    }

    async fn write(mut self) -> Result<(), IoError> {
        self.backlog.reserve.renew();
        let (mut due, mut look) = (None::<SyncPoint>, None);
        loop {
            let is_rotating = self.persist(Journal::rotate_one).await?;
            if !self.take(is_rotating).await {
                break;
            }
            self.turn.begin(self.clock.now());
            for _ in 0..self.backlog.commands.len().min(COMMANDS) {
                let Some(command) = self.backlog.commands.pop_front() else { break };
                match command {
                    JournalCommand::Tick { stamp, sync: Some(point) } => {
                        self.reached.note_tick(&point);
                        due = Some(point.after(due));
                        look = Some(stamp);
                        self.execute(JournalCommand::Tick { stamp, sync: None }).await?;
                    }
                    JournalCommand::BeginEpoch(begin) => {
                        self.begin_epoch(*begin, due.take()).await?;
                    }
                    JournalCommand::Stop(state) => self.stopped = Some(state),
                    command => self.execute(command).await?,
                }
                if Pace::is_full(self.journal.pending_files(), self.journal.pending_bytes()) {
                    self.flush().await?;
                }
            }
            let now = self.clock.now();
            if look.is_some() || self.due(now).is_none_or(|due| due <= now) {
                self.write_out().await?;
            }
            if let Some(stamp) = look.take() {
                self.persist(|journal| journal.check_written(stamp)).await?;
            }
            self.report_displaced();
            // One report per rotation of all streams: each report becomes an event, and frames wait behind events.
            if !is_rotating {
                self.report_rotated();
            }
            if let Some(point) = due.take() {
                due = self.offer_sync_job(point);
            }
        }
        self.finish().await
    }

    /// Waits for commands, unless other work is due; `false`: the queue is closed and empty.
    async fn take(&mut self, is_busy: bool) -> bool {
        if !self.backlog.commands.is_empty() {
            return true;
        }
        if is_busy {
            while self.backlog.commands.len() < COMMANDS {
                match self.channels.commands.try_recv() {
                    Ok(command) => self.backlog.commands.push_back(command),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return !self.backlog.commands.is_empty(),
                }
            }
            return true;
        }
        self.turn.end(self.clock.now());
        let due = self.due(self.clock.now());
        let mut commands = Vec::with_capacity(COMMANDS);
        let is_open = tokio::select! {
            biased;
            taken = self.channels.commands.recv_many(&mut commands, COMMANDS) => taken > 0,
            () = clock::sleep_until(due) => true,
        };
        self.backlog.commands.extend(commands);
        is_open
    }

    /// When the lines in memory should be written; `None`: there are none.
    fn due(&mut self, now: Instant) -> Option<Instant> {
        let files = self.journal.pending_files();
        (files > 0).then(|| self.pace.due(now, files))
    }

    async fn execute(&mut self, command: JournalCommand) -> Result<(), IoError> {
        self.names_checked |= matches!(command, JournalCommand::CheckNames);
        self.reached.note(&command);
        self.journal.accept(command);
        self.persist(Journal::work).await
    }

    /// Begins an epoch: the step is in the state before a segment is ended, everything of the old epoch is durable before
    /// the state has the new one, and that is durable before its first line.
    async fn begin_epoch(&mut self, begin: BeginEpoch, due: Option<SyncPoint>) -> Result<(), IoError> {
        let BeginEpoch { stepping, begun, step } = begin;
        self.is_stepping = true;
        self.write_out().await?;
        self.sync_up_to(stepping.after(due)).await?;
        self.journal.end_all();
        while self.persist(Journal::rotate_one).await? {}
        self.sync_up_to(begun).await?;
        self.execute(JournalCommand::Step(step)).await?;
        self.is_stepping = false;
        Ok(())
    }

    /// Has everything synced that was written, and waits for it.
    async fn sync_up_to(&mut self, point: SyncPoint) -> Result<(), IoError> {
        let (done, synced) = oneshot::channel();
        self.reached.note_sync(&point);
        let mut job = self.journal.take_sync_job().up_to(point);
        job.done = Some(done);
        let is_handed_over = self.channels.sync_jobs.send(job).await.is_ok();
        // The syncer ends early only after an error, which it has reported.
        let ended = IoError::at("begin an epoch in", Path::new("."));
        if is_handed_over && synced.await.is_ok() { Ok(()) } else { Err(ended(io::ErrorKind::BrokenPipe.into())) }
    }

    async fn write_out(&mut self) -> Result<(), IoError> {
        self.flush().await?;
        self.reached.written(self.journal.epoch());
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), IoError> {
        let files = self.journal.pending_files();
        self.persist(Journal::write_out).await?;
        self.pace.written(files);
        Ok(())
    }

    /// Sends the syncer its next job, with what is certain once it is done; returns that where a job still waits.
    fn offer_sync_job(&mut self, point: SyncPoint) -> Option<SyncPoint> {
        let Ok(slot) = self.channels.sync_jobs.try_reserve() else { return Some(point) };
        slot.send(self.journal.take_sync_job().up_to(point));
        None
    }

    fn report_rotated(&mut self) {
        if let Ok(slot) = self.channels.reports.try_reserve() {
            let ended = self.journal.take_ended();
            if !ended.is_empty() {
                slot.send(ThreadReport::Rotated(ended));
            }
        }
    }

    /// Displaced files wait for room in the queue: an interval in doubt must get on record.
    fn report_displaced(&mut self) {
        while let Ok(slot) = self.channels.reports.try_reserve() {
            match self.journal.take_displaced() {
                Some(displaced) => slot.send(ThreadReport::Displaced(Box::new(displaced))),
                None if std::mem::take(&mut self.names_checked) => slot.send(ThreadReport::NamesChecked),
                None => return,
            }
        }
    }

    /// Undeliverable reports are dropped: the log has them, and the writer must never wait for the supervisor.
    fn report(&self, report: ThreadReport) {
        let _ = self.channels.reports.try_send(report);
    }

    /// Writes and syncs the rest, once the queue is closed.
    async fn finish(&mut self) -> Result<(), IoError> {
        self.write_out().await?;
        while self.persist(Journal::rotate_one).await? {}
        self.persist(Journal::check_all).await?;
        // No event can be written any more, but the old durable mark makes the next start record the doubt.
        let displaced = std::iter::from_fn(|| self.journal.take_displaced()).filter_map(|displaced| displaced.doubt);
        let lost_since = displaced.filter(|doubt| doubt.is_lost).map(|doubt| doubt.from).min();
        // Written lines survive the end of the process, even if the syncer's last job is not done.
        let _ = self.channels.reports.send(ThreadReport::AllWritten).await;
        let certain = self.reached.certain.take().unwrap_or_default();
        let point = match (self.stopped.take(), lost_since) {
            (Some(state), None) => {
                let up_to = Position { epoch: state.epoch, stamp: self.reached.stamp };
                SyncPoint { up_to, state: Some(state), ..certain }
            }
            (_, Some(from)) => {
                let up_to = Position { stamp: from.min(certain.up_to.stamp), ..certain.up_to };
                SyncPoint { up_to, ..certain }
            }
            (None, None) => certain,
        };
        let mut job = self.journal.take_sync_job().up_to(point);
        job.is_last = true;
        // The syncer ends early only after an error, which it has reported.
        let _ = self.channels.sync_jobs.send(job).await;
        Ok(())
    }
}

/// Waiting for a full disk.
impl Writer {
    /// Runs a step of the journal, waiting while the disk is full.
    async fn persist<T>(&mut self, step: impl Fn(&mut Journal) -> Result<T, IoError>) -> Result<T, IoError> {
        let (mut is_full, mut has_looked) = (false, false);
        loop {
            match step(&mut self.journal) {
                // Files or directories were displaced: a retry may work once they are saved and created again.
                Err(error) if error.is_gone() && !std::mem::replace(&mut has_looked, true) => {
                    tracing::debug!(%error, "looking at all names");
                    if let Err(error) = self.journal.check_all() {
                        tracing::debug!(%error, "not all could be saved yet");
                    }
                }
                Err(error) if (error.is_passing() || error.is_gone()) && !self.stop.is_set() => {
                    if !std::mem::replace(&mut is_full, true) {
                        tracing::error!(%error, "nothing can be written: lines wait in memory until it can");
                        self.report(ThreadReport::DiskFull(error.to_string()));
                    }
                    has_looked = false;
                    if error.is_gone() {
                        self.collect_until(self.clock.now() + FULL_RETRY).await;
                    } else {
                        self.wait_for_room().await;
                    }
                }
                result => {
                    if is_full && result.is_ok() {
                        tracing::info!("the disk takes writes again");
                        self.report(ThreadReport::DiskOk);
                    }
                    return result;
                }
            }
        }
    }

    /// Returns when writing is worth another try. Lines wait until the reserve is whole again, since they would use up
    /// the room for events.
    async fn wait_for_room(&mut self) {
        let try_at = self.clock.now() + FULL_TRY;
        loop {
            self.let_events_pass();
            if let Some(certain) = self.reached.certain.clone() {
                self.offer_sync_job(certain);
            }
            self.collect_until(self.clock.now() + FULL_RETRY).await;
            if self.stop.is_set() {
                return;
            }
            let is_time = self.clock.now() >= try_at;
            if (is_time || self.backlog.reserve.has_room_beside()) && self.backlog.reserve.hold() {
                return;
            }
        }
    }

    /// Takes commands into the backlog, so that events among them can overtake.
    async fn collect_until(&mut self, until: Instant) {
        loop {
            let takes_commands = !self.is_closed && self.backlog.has_room();
            tokio::select! {
                biased;
                () = clock::sleep_until(Some(until)) => return,
                command = self.channels.commands.recv(), if takes_commands => match command {
                    Some(command) => {
                        if self.backlog.put_behind(command) {
                            self.let_events_pass();
                        }
                    }
                    None => self.is_closed = true,
                },
            }
        }
    }

    fn let_events_pass(&mut self) {
        self.backlog.let_events_pass(&mut self.journal, self.is_stepping);
    }
}

#[cfg(test)]
mod tests;
