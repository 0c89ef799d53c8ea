//! The one place of order: data, events, ticks and the shutdown get one sequence here, and one stamp each.
//!
//! ```text
//!  public ──┐ Delivery                                             Report
//!           ├──────────▶ supervisor ──Order──▶ writer, syncer, sealer ──┐
//! private ──┘            stamp, route   ▲                               │
//!                                       └───────────────────────────────┘
//!
//! Running ──stop──▶ Stopping: connections end ──▶ Sealing: what is rotated is sealed ──▶ Closing ──▶ ended
//! ```
//!
//! It owns both connections and the way to the disk, and moves messages between them. It waits for nothing in
//! particular: while the writer's queue is full it takes no more deliveries, and so the connections stop reading.

mod connections;

use crate::clock::{self, Clock, Instant, Stamp, Stamper};
use crate::connection::batch::{Batch, Entry};
use crate::connection::{ConnectionId, Delivery, Notice, What};
use crate::events::Event;
use crate::ledger::{Kind, Ledger};
use crate::recording::journal::{Order, Routed};
use crate::recording::naming::layout::Tree;
use crate::recording::router::Router;
use crate::recording::threads::{Report, Threads};
use crate::signals;
use crate::status::{self, Status};
use crate::upbit::subscription::Request;
use connections::Connection;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Deliveries that may wait for the supervisor. Their bytes are bounded by the connections' budgets, not by this.
pub const INBOX: usize = 64;

/// Orders that may wait for the writer's queue before reports and ticks are left alone: a delivery and a report make a
/// handful each.
const OUTBOX: usize = 64;

/// How often time is told to the journal, and the status published.
const TICK: Duration = Duration::from_secs(1);

/// The same while the process comes to its end, so that it does not wait for the next second.
const CLOSING_TICK: Duration = Duration::from_millis(100);

/// How long the connections may take to end.
const STOPPING: Duration = Duration::from_secs(3);

/// How long sealing may go on after that.
const SEALING: Duration = Duration::from_secs(3);

/// How long the whole stop may take, the last writes and the last sync included.
const ENDING: Duration = Duration::from_secs(10);

/// How the recorder ended.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Writing or syncing failed in a way that a retry cannot mend.
    #[error("{0}")]
    Storage(String),
    /// Every connection has given up.
    #[error("every connection has given up: {0}")]
    Unavailable(String),
    /// A part of the program failed in a way that is a mistake of ours.
    #[error("a connection ended unexpectedly: {0}")]
    Crashed(String),
    /// The disk did not take the last lines in time.
    #[error("the disk did not take the last lines within {} s", ENDING.as_secs())]
    Hung,
}

/// Where the process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    Stopping { deadline: Instant },
    Sealing { deadline: Instant },
}

/// See the module.
#[derive(Debug)]
pub struct Supervisor {
    clock: Clock,
    stamper: Stamper,
    router: Router,
    ledger: Ledger,
    connections: BTreeMap<ConnectionId, Connection>,
    tasks: JoinSet<()>,
    inbox: mpsc::Receiver<Delivery>,
    threads: Threads,
    /// Orders for which the writer's queue had no room yet.
    outbox: VecDeque<Order>,
    /// Segments that ended and are not sealed yet.
    unsealed: usize,
    durable: Option<Stamp>,
    status: watch::Sender<Status>,
    sync_interval: Duration,
    next_tick: Instant,
    next_sync: Instant,
    phase: Phase,
    stop_reason: String,
    /// When a stop has to be over.
    ends_at: Option<Instant>,
    failure: Option<Failure>,
    run_until: Option<Instant>,
    /// What the status will be when it is published next.
    shown: Status,
}

/// What a supervisor needs to begin.
#[derive(Debug)]
pub struct Setup {
    /// Reads time.
    pub clock: Clock,
    /// Makes the stamps; the first one is the `started` event's.
    pub stamper: Stamper,
    /// Knows the streams that are continued.
    pub router: Router,
    /// Holds the gap since the last process.
    pub ledger: Ledger,
    /// Writer, syncer and sealer.
    pub threads: Threads,
    /// From the connections.
    pub inbox: mpsc::Receiver<Delivery>,
    /// Segments that earlier processes left to be sealed.
    pub backlog: usize,
    /// How often files are synced.
    pub sync_interval: Duration,
    /// When to stop without being asked to.
    pub run_until: Option<Instant>,
    /// Where the status is published.
    pub status: watch::Sender<Status>,
}

impl Supervisor {
    /// A supervisor without connections.
    pub fn new(setup: Setup) -> Self {
        let now = setup.clock.now();
        Self {
            clock: setup.clock,
            stamper: setup.stamper,
            router: setup.router,
            ledger: setup.ledger,
            connections: BTreeMap::new(),
            tasks: JoinSet::new(),
            inbox: setup.inbox,
            threads: setup.threads,
            outbox: VecDeque::new(),
            unsealed: setup.backlog,
            durable: None,
            status: setup.status,
            sync_interval: setup.sync_interval,
            next_tick: now,
            next_sync: now,
            phase: Phase::Running,
            stop_reason: String::new(),
            ends_at: None,
            failure: None,
            run_until: setup.run_until,
            shown: Status::default(),
        }
    }

    /// Takes a connection in: the task that is it, and what it is to have standing.
    pub fn own(
        &mut self,
        id: ConnectionId,
        request: watch::Receiver<Request>,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let connection = Connection::new(id, request);
        self.outbox.push_back(Order::Describe(id.into(), Arc::new(connection.origins())));
        self.connections.insert(id, connection);
        self.tasks.spawn(task);
    }

    /// Records an event, now.
    pub fn event(&mut self, event: &Event) {
        let stamp = self.stamper.raise(self.clock.stamp());
        self.event_at(stamp, event);
    }

    /// Runs until `shutdown` is cancelled, the time is over or nothing works any more, and everything is on disk.
    pub async fn run(
        mut self,
        shutdown: CancellationToken,
        mut requests: mpsc::Receiver<signals::Request>,
    ) -> Result<(), Failure> {
        while !self.is_done() {
            self.send_orders();
            let takes_reports = self.outbox.len() < OUTBOX;
            let takes_deliveries = self.outbox.is_empty() && !matches!(self.phase, Phase::Sealing { .. });
            tokio::select! {
                biased;
                () = shutdown.cancelled(), if self.phase == Phase::Running => self.stop("signal", &shutdown),
                () = clock::sleep_until(self.run_until), if self.phase == Phase::Running => self.stop("--for", &shutdown),
                () = clock::sleep_until(Some(self.next_tick)) => self.tick(),
                () = has_room(&self.threads.orders), if !self.outbox.is_empty() => {}
                Some(report) = self.threads.reports.recv(), if takes_reports => self.handle_report(report, &shutdown),
                Some(request) = requests.recv(), if takes_reports => self.handle_request(request),
                Some(ended) = self.tasks.join_next() => self.handle_end(ended, &shutdown),
                delivery = self.inbox.recv(), if takes_deliveries => self.handle_delivery(delivery, &shutdown),
            }
        }
        self.close().await
    }

    /// Hands the writer as many orders as its queue takes.
    fn send_orders(&mut self) {
        while !self.outbox.is_empty() {
            let Ok(slot) = self.threads.orders.try_reserve() else { break };
            slot.send(self.outbox.pop_front().expect("it is not empty"));
        }
        if self.threads.orders.is_closed() {
            // What went wrong is in its last report, which `close` waits for.
            self.outbox.clear();
            self.failure.get_or_insert_with(|| Failure::Storage("the writer ended unexpectedly".into()));
        }
    }

    fn is_done(&self) -> bool {
        let now = self.clock.now();
        match self.phase {
            Phase::Running | Phase::Stopping { .. } => self.threads.orders.is_closed(),
            Phase::Sealing { deadline } => self.unsealed == 0 || now >= deadline || self.threads.orders.is_closed(),
        }
    }

    fn stop(&mut self, reason: &str, shutdown: &CancellationToken) {
        tracing::info!(reason, "stopping");
        self.stop_reason = reason.to_owned();
        let now = self.clock.now();
        self.ends_at = Some(now + ENDING);
        (self.phase, self.next_tick) = (Phase::Stopping { deadline: now + STOPPING }, now);
        self.shown.is_stopping = true;
        shutdown.cancel();
    }

    fn fail(&mut self, failure: Failure, shutdown: &CancellationToken) {
        tracing::error!(error = %failure, "cannot go on");
        self.failure.get_or_insert(failure);
        if self.phase == Phase::Running {
            self.stop("failure", shutdown);
        }
    }

    fn seal_the_rest(&mut self) {
        let now = self.clock.now();
        (self.phase, self.next_tick) = (Phase::Sealing { deadline: now + SEALING }, now);
        self.tasks.abort_all();
        self.threads.hurry.set();
    }

    fn tick(&mut self) {
        let now = self.clock.now();
        let is_running = self.phase == Phase::Running;
        self.next_tick = now + if is_running { TICK.min(self.sync_interval) } else { CLOSING_TICK };
        if self.outbox.len() < OUTBOX {
            let sync = now >= self.next_sync || !is_running;
            if sync {
                self.next_sync = now + self.sync_interval;
            }
            let stamp = self.stamper.raise(self.clock.stamp_at(now));
            self.outbox.push_back(Order::Tick { stamp, sync });
        }
        if matches!(self.phase, Phase::Stopping { deadline } if now >= deadline) {
            tracing::warn!("the connections did not end in time");
            self.seal_the_rest();
        }
        self.shown.streams = self.router.streams();
        self.shown.connections =
            self.connections.iter().map(|(id, connection)| (*id, connection.link.clone())).collect();
        self.status.send_replace(self.shown.clone());
    }

    fn handle_request(&mut self, request: signals::Request) {
        match request {
            signals::Request::Rotate => self.outbox.push_back(Order::Rotate),
            signals::Request::Reload => {
                tracing::warn!(
                    "this version does not reload its configuration: restart it, and the gap is put on record"
                );
            }
        }
    }

    fn handle_end(&mut self, ended: Result<(), tokio::task::JoinError>, shutdown: &CancellationToken) {
        if let Err(error) = ended.map_err(|error| error.to_string())
            && self.phase == Phase::Running
        {
            self.fail(Failure::Crashed(error), shutdown);
        }
    }

    fn handle_delivery(&mut self, delivery: Option<Delivery>, shutdown: &CancellationToken) {
        match delivery {
            Some(Delivery { connection, at, what: What::Notice(notice) }) => self.handle_notice(connection, at, notice),
            Some(Delivery { connection, what: What::Batch(batch), .. }) => self.handle_batch(connection, batch),
            None if self.phase == Phase::Running => {
                let causes = self.connections.values().filter_map(|connection| connection.link.cause());
                let causes = causes.collect::<Vec<_>>().join("; ");
                self.fail(Failure::Unavailable(causes), shutdown);
                self.seal_the_rest();
            }
            None => self.seal_the_rest(),
        }
    }

    fn handle_batch(&mut self, id: ConnectionId, batch: Batch) {
        let tree = Tree::from(id);
        let mut lines = Vec::with_capacity(batch.entries().len());
        let mut first_data = None;
        for (received, entry) in batch.entries() {
            let stamp = self.stamper.raise(self.clock.stamp_at(received));
            lines.push((stamp, self.router.route(tree, &entry)));
            if first_data.is_none() && matches!(entry, Entry::Data { .. }) {
                first_data = Some(stamp);
            }
        }
        self.shown.messages += lines.len() as u64;
        self.shown.bytes += batch.len() as u64;
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.last = lines.last().map(|(stamp, _)| *stamp).or(connection.last);
        }
        self.outbox.extend(self.router.take_fresh().into_iter().map(Order::Open));
        self.outbox.push_back(Order::Lines(Routed { batch, lines }));
        if let Some(to) = first_data {
            self.close_gap(id, to);
        }
    }

    fn close_gap(&mut self, id: ConnectionId, to: Stamp) {
        let Some(gap) = self.ledger.close(id, to) else { return };
        let streams = self.connections.get(&id).map(|connection| connection.origins().names()).unwrap_or_default();
        let stamp = self.stamper.raise(self.clock.stamp());
        tracing::info!(connection = %id, length = status::duration(gap.length()), cause = gap.cause, "a gap is on record");
        self.shown.last_gap = Some(gap.clone());
        self.event_at(stamp, &Event::gap(gap, stamp, streams));
    }

    fn handle_notice(&mut self, id: ConnectionId, at: Instant, notice: Notice) {
        let stamp = self.stamper.raise(self.clock.stamp_at(at));
        let Some(connection) = self.connections.get_mut(&id) else { return };
        // A connection that ends because we stop has recorded up to its end; the next start opens the gap.
        if let Notice::Lost { cause, .. } = &notice
            && self.phase == Phase::Running
        {
            let from = connection.last.max(connection.live_since).unwrap_or(stamp);
            self.ledger.open(id, from, Kind::Disconnected, cause);
        }
        let live = matches!(notice, Notice::Live { .. });
        let clock = self.clock;
        // Lines since then may have stamps that ran ahead of the clock.
        let since = clock.stamp_at(at).max(connection.last.unwrap_or_default());
        connection.live_since = if live { Some(since) } else { connection.live_since };
        if let Some(event) = connection.handle(notice, at, &|instant| clock.stamp_at(instant)) {
            self.event_at(stamp, &event);
        }
        // The account may be quiet for days and is listened to all the same.
        if live && id == ConnectionId::Private {
            self.close_gap(id, since);
        }
    }

    fn handle_report(&mut self, report: Report, shutdown: &CancellationToken) {
        match report {
            Report::Rotated(rotated) => {
                for (reason, segments) in rotated {
                    self.unsealed += segments.len();
                    self.event(&Event::Rotated { reason, segments });
                }
            }
            Report::Sealed(entry) => {
                self.unsealed = self.unsealed.saturating_sub(1);
                self.event(&Event::from(*entry));
            }
            Report::NotSealed { name, cause, retried } => {
                self.unsealed = self.unsealed.saturating_sub(usize::from(!retried));
                tracing::warn!(
                    segment = name,
                    cause,
                    retried,
                    "a segment could not be sealed; its plain file is intact"
                );
            }
            // It comes only after the queue was closed, and then `close` hears it.
            Report::Written => {}
            Report::Synced(stamp) => self.durable = Some(stamp),
            Report::DiskFull(cause) => {
                self.shown.disk_full = Some(cause.clone());
                self.event(&Event::DiskFull { cause });
            }
            Report::DiskOk => {
                self.shown.disk_full = None;
                self.event(&Event::DiskOk);
            }
            Report::SyncFailed(error) => {
                let durable = self.durable.map(Stamp::as_micros);
                self.event(&Event::SyncFailed { durable, cause: error.to_string() });
                self.fail(Failure::Storage(error.to_string()), shutdown);
            }
            Report::WriteFailed(error) => self.fail(Failure::Storage(error.to_string()), shutdown),
        }
    }

    /// Records an event that happened at `stamp`.
    pub fn event_at(&mut self, stamp: Stamp, event: &Event) {
        self.outbox.extend(self.router.take_fresh().into_iter().map(Order::Open));
        self.outbox.push_back(Order::Event(self.router.recorder(), stamp, event.to_json()));
    }

    /// Writes the last events, and waits until everything is on disk.
    async fn close(mut self) -> Result<(), Failure> {
        let end = self.stamper.raise(self.clock.stamp());
        for id in self.connections.keys().copied().collect::<Vec<_>>() {
            self.close_gap(id, end);
        }
        let requests = self.connections.iter().map(|(id, connection)| (*id, connection.sent.clone()));
        let stopped = Event::stopped(self.stop_reason.clone(), requests.collect::<Vec<_>>());
        self.event(&stopped);
        let deadline = self.ends_at.unwrap_or_else(|| self.clock.now() + ENDING);
        let Threads { orders, mut reports, stop, .. } = self.threads;
        let mut is_written = false;
        let drain = async {
            for order in self.outbox.drain(..) {
                if orders.send(order).await.is_err() {
                    break;
                }
            }
            drop(orders);
            while let Some(report) = reports.recv().await {
                match report {
                    Report::WriteFailed(error) | Report::SyncFailed(error) => {
                        self.failure = Some(Failure::Storage(error.to_string()));
                    }
                    // Only a sealer that is not done may be left, and the next start seals what it leaves.
                    Report::Written => {
                        is_written = true;
                        stop.set();
                    }
                    _ => {}
                }
            }
        };
        tokio::select! {
            biased;
            () = drain => self.failure.map_or(Ok(()), Err),
            () = clock::sleep_until(Some(deadline)) => {
                stop.set();
                if is_written {
                    tracing::warn!("every line is written, but the disk did not finish the last sync in time");
                }
                if is_written { self.failure.map_or(Ok(()), Err) } else { Err(Failure::Hung) }
            }
        }
    }
}

/// Waits until the writer's queue takes an order, or is closed.
async fn has_room(orders: &mpsc::Sender<Order>) {
    drop(orders.reserve().await);
}
