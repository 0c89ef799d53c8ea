//! The one place of order: data, events, ticks and the shutdown get one sequence here, and one stamp each.
//!
//! ```text
//!  public ──┐ Delivery                                             Report
//!           ├──────────▶ supervisor ──Order──▶ writer, syncer, sealer ──┐
//! private ──┘            stamp, route   ▲                               │
//!                                       └───────────────────────────────┘
//! ```
//!
//! | part | owns |
//! |---|---|
//! | `inbox` | the queues of the connections |
//! | `connections` | what a connection is here, and what its notices mean on record |
//! | `reports` | what the disk tells |
//! | `time` | the tick; clocks that disagree |
//! | `listing` | the list of pairs, and the requests that follow from it |
//! | `healing` | what was missed and fetched later |
//! | `ending` | the way from the stop to the exit |
//!
//! It owns both connections and the way to the disk, and moves messages between them. It waits for nothing in
//! particular: while the writer's queue is full it takes no more deliveries, and so the connections stop reading.

mod backlog;
mod connections;
mod ending;
mod healing;
mod inbox;
mod listing;
mod reports;
mod time;

use crate::batch::Batch;
use crate::clock::heartbeat::Heartbeat;
use crate::clock::step::StepWatch;
use crate::clock::{self, Boot, Clock, Instant, Moment, Stamp, Stamper, Wall};
use crate::connection::{Delivery, Notice, What};
use crate::daemon::gaps::GapTracker;
use crate::desired::{Listed, Wanted};
use crate::history::healing::HealerHandle;
use crate::ops::status::Status;
use crate::quantity::rounded_duration;
use crate::recording::journal::{EventObject, JournalCommand, Routed};
use crate::recording::router::Router;
use crate::recording::threads::Threads;
use crate::signals;
use crate::tape::event::Event;
use crate::tape::gap::{Gap, GapKind};
use crate::tape::words::StopReason;
use crate::upbit::feed::Feed;
use crate::upbit::subscription::Request;
use backlog::Backlog;
use connections::Connection;
pub use ending::Failure;
use ending::Phase;
use inbox::Inbox;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Orders that may wait for the writer's queue before reports and ticks are left alone: a delivery and a report make a
/// handful each.
const OUTBOX: usize = 64;

/// See the module.
#[derive(Debug)]
pub struct Supervisor {
    clock: Clock,
    wall: Wall,
    boot: Boot,
    steps: StepWatch,
    /// The last step: where the time line before ended, and where this one began; and how many there were.
    last_step: Option<(Stamp, Stamp)>,
    steps_made: u64,
    /// How often stamps have gone back in this directory.
    epoch: u64,
    stamper: Stamper,
    heartbeat: Heartbeat,
    /// Until then a freeze may not be on record.
    frozen_until: Instant,
    /// Up to here nothing is missing that is not on record, or in the orders that were given.
    certain: Stamp,
    /// The first stamp of this process, which may be ahead of the clock.
    begun: Stamp,
    router: Router,
    gaps: GapTracker,
    connections: BTreeMap<Feed, Connection>,
    tasks: JoinSet<()>,
    /// The pairs that patterns are resolved by, as long as somebody asks for them.
    listed: Option<watch::Receiver<Listed>>,
    inbox: Inbox,
    threads: Threads,
    /// To and from the healer, where there is one.
    healer: Option<HealerHandle>,
    /// Orders for which the writer's queue had no room yet.
    outbox: VecDeque<JournalCommand>,
    /// Segments that ended and are not sealed yet.
    backlog: Backlog,
    /// The names of all files were looked at before the end.
    has_looked: bool,
    durable: Option<Stamp>,
    /// Since when what was written may be lost, while a sync finds no room.
    unsure_since: Option<Stamp>,
    min_free_bytes: u64,
    status: watch::Sender<Status>,
    sync_interval: Duration,
    next_tick: Instant,
    next_sync: Instant,
    next_comparison: Instant,
    phase: Phase,
    /// When the end began.
    stopped_at: Option<Instant>,
    /// Without a stop it can only fail.
    stop_reason: StopReason,
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
    /// What the anchor of the clock is compared with.
    pub wall: Wall,
    /// Tells how long the machine was suspended.
    pub boot: Boot,
    /// How often stamps have gone back in this directory.
    pub epoch: u64,
    /// Makes the stamps; the first one is the `started` event's.
    pub stamper: Stamper,
    /// Knows the streams that are continued.
    pub router: Router,
    /// Holds the gap since the last process.
    pub gaps: GapTracker,
    /// The pairs that patterns are resolved by.
    pub listed: watch::Receiver<Listed>,
    /// Writer, syncer and sealer.
    pub threads: Threads,
    /// Segments that earlier processes left to be sealed.
    pub backlog: usize,
    /// How often files are synced.
    pub sync_interval: Duration,
    /// Less than this on the disk is shown as a fault.
    pub min_free_bytes: u64,
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
            wall: setup.wall,
            boot: setup.boot,
            steps: StepWatch::default(),
            last_step: None,
            steps_made: 0,
            epoch: setup.epoch,
            begun: setup.stamper.last(),
            certain: setup.stamper.last(),
            heartbeat: Heartbeat::new(Moment { at: now, suspended: setup.clock.suspended() }),
            frozen_until: now,
            stamper: setup.stamper,
            router: setup.router,
            gaps: setup.gaps,
            connections: BTreeMap::new(),
            tasks: JoinSet::new(),
            listed: Some(setup.listed),
            inbox: Inbox::default(),
            threads: setup.threads,
            healer: None,
            outbox: VecDeque::new(),
            backlog: Backlog::new(setup.backlog, now),
            has_looked: false,
            durable: None,
            unsure_since: None,
            min_free_bytes: setup.min_free_bytes,
            status: setup.status,
            sync_interval: setup.sync_interval,
            next_tick: now,
            next_sync: now,
            next_comparison: now + time::COMPARE,
            phase: Phase::Running,
            stopped_at: None,
            stop_reason: StopReason::Failure,
            failure: None,
            run_until: setup.run_until,
            shown: Status::default(),
        }
    }

    /// Takes a connection in: what is wanted of it, and the task that it is, which delivers into the queue that it is
    /// given and has standing what it is told.
    pub fn own<T: Future<Output = ()> + Send + 'static>(
        &mut self,
        id: Feed,
        wanted: Wanted,
        task: impl FnOnce(mpsc::Sender<Delivery>, watch::Receiver<Request>) -> T,
    ) {
        let listed = self.listed.as_ref().map(|listed| listed.borrow().clone()).unwrap_or_default();
        let connection = Connection::new(id, wanted, &listed);
        let requests = connection.requests();
        self.outbox.push_back(JournalCommand::Describe(id, Arc::new(connection.origins())));
        self.connections.insert(id, connection);
        self.tasks.spawn(task(self.inbox.open(), requests));
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
            let takes_deliveries = self.outbox.is_empty() && !matches!(self.phase, Phase::Sealing);
            tokio::select! {
                biased;
                () = shutdown.cancelled(), if self.phase == Phase::Running => self.stop(StopReason::Signal, &shutdown),
                () = clock::sleep_until(self.run_until), if self.phase == Phase::Running => self.stop(StopReason::Elapsed, &shutdown),
                () = clock::sleep_until(Some(self.next_tick)) => self.tick(),
                () = has_room(&self.threads.commands), if !self.outbox.is_empty() => {}
                Some(report) = self.threads.reports.recv(), if takes_reports => self.handle_report(report, &shutdown),
                listed = listing::next(&mut self.listed), if takes_reports => self.handle_listed(listed),
                Some(request) = requests.recv(), if takes_reports => self.handle_request(request),
                Some(ended) = self.tasks.join_next() => self.handle_end(ended, &shutdown),
                delivery = self.inbox.recv(), if takes_deliveries => self.handle_delivery(delivery, &shutdown),
                Some(output) = healing::next_output(&mut self.healer), if takes_deliveries && self.takes_healing() => {
                    self.handle_healing(output);
                }
            }
        }
        self.close().await
    }

    /// Hands the writer as many orders as its queue takes.
    fn send_orders(&mut self) {
        while !self.outbox.is_empty() {
            let Ok(slot) = self.threads.commands.try_reserve() else { break };
            slot.send(self.outbox.pop_front().expect("it is not empty"));
        }
        if self.threads.commands.is_closed() {
            // What went wrong is in its last report, which `close` waits for.
            self.outbox.clear();
            self.failure.get_or_insert_with(|| Failure::Storage("the writer ended unexpectedly".into()));
        }
    }

    fn handle_request(&mut self, request: signals::Request) {
        match request {
            signals::Request::Rotate => self.outbox.push_back(JournalCommand::Rotate),
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
        self.follow_boot();
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

    fn handle_batch(&mut self, feed: Feed, batch: Batch) {
        let mut lines = Vec::with_capacity(batch.entries().len());
        for (received, entry) in batch.entries() {
            let stamp = self.stamper.raise(self.clock.stamp_at(received));
            lines.push((stamp, self.router.route(feed, &entry)));
        }
        self.threads.progress.hand_over(batch.len() as u64);
        self.shown.messages += lines.len() as u64;
        self.shown.bytes += batch.len() as u64;
        let stamp_of = |entry: usize| lines.get(entry).map(|(stamp, _)| *stamp);
        let [first_data, last_data] = [batch.data().map(|data| data.first), batch.data().map(|data| data.last)]
            .map(|entry| entry.and_then(stamp_of));
        if let Some(connection) = self.connections.get_mut(&feed) {
            connection.handle_lines(lines.last().map(|(stamp, _)| *stamp), last_data);
        }
        self.outbox.extend(self.router.take_fresh().into_iter().map(JournalCommand::Open));
        self.look_for_joined(feed, &batch, &lines);
        self.outbox.push_back(JournalCommand::Lines(Routed { batch, lines }));
        if let Some(to) = first_data {
            self.close_gap(feed, to);
        }
    }

    fn close_gap(&mut self, id: Feed, to: Stamp) {
        if let Some(gap) = self.gaps.close(id, to) {
            self.record_gaps([gap]);
            self.suspect_unresolved(id, to);
        }
    }

    /// Puts gaps on record that are closed.
    pub fn record_gaps(&mut self, gaps: impl IntoIterator<Item = Gap>) {
        for gap in gaps {
            let connection = self.connections.get(&gap.connection);
            let all = connection.map(Connection::streams).unwrap_or_default();
            let stamp = self.stamper.raise(self.clock.stamp());
            let (connection, length) = (gap.connection, rounded_duration(gap.length()));
            tracing::info!(%connection, length, cause = gap.cause, "a gap is on record");
            self.shown.last_gap = Some(gap.clone());
            self.event_at(stamp, &Event::gap(gap, stamp, all));
            self.tell_healer(stamp);
        }
    }

    fn handle_notice(&mut self, id: Feed, at: Instant, notice: Notice) {
        let stamp = self.stamper.raise(self.clock.stamp_at(at));
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let (clock, live) = (self.clock, matches!(notice, Notice::Live { .. }));
        // Since when nothing is known of the connection.
        let last = connection.last.max(connection.live_since).unwrap_or(stamp);
        // Lines since then may have stamps that ran ahead of the clock.
        let since = clock.stamp_at(at).max(connection.last.unwrap_or(self.begun));
        connection.live_since = if live { Some(since) } else { connection.live_since };
        let known = match &notice {
            // A connection that ends because we stop has recorded up to its end; the next start opens the gap.
            Notice::Lost { .. } if self.phase != Phase::Running => Vec::new(),
            Notice::Lost { cause, .. } => self.gaps.open(id, last, GapKind::Disconnected, cause),
            Notice::Paused { from, to, cause } => {
                // A connection that is lost in the pause may have been dead when the pause began.
                let last = connection.last_line.max(connection.live_since).unwrap_or(stamp);
                let ends = [clock.stamp_of(*from).min(last), clock.stamp_of(*to)];
                self.gaps.record(id, ends, GapKind::Paused, cause.as_str())
            }
            Notice::Stale { streams } => {
                for suspect in streams {
                    self.gaps.suspect(id, suspect.stream.clone(), clock.stamp_at(suspect.since));
                }
                Vec::new()
            }
            Notice::Fresh { streams } => self.gaps.clear(id, streams, stamp),
            Notice::Subscribed { standing, .. } => self.handle_standing(id, standing, stamp),
            _ => Vec::new(),
        };
        let connection = self.connections.get_mut(&id);
        if let Some(event) = connection.and_then(|own| own.handle(notice, at, &clock)) {
            self.event_at(stamp, &event);
        }
        self.record_gaps(known);
        // The account may be quiet for days and is listened to all the same.
        if live && id == Feed::Private {
            self.close_gap(id, since);
        }
    }

    /// Records an event that happened at `stamp`.
    pub fn event_at(&mut self, stamp: Stamp, event: &Event) {
        self.event_of(stamp, event.to_json().into());
    }

    fn event_of(&mut self, stamp: Stamp, object: EventObject) {
        self.outbox.extend(self.router.take_fresh().into_iter().map(JournalCommand::Open));
        self.outbox.push_back(JournalCommand::Event(self.router.recorder(), stamp, object));
    }
}

/// Waits until the writer's queue takes an order, or is closed.
async fn has_room(orders: &mpsc::Sender<JournalCommand>) {
    drop(orders.reserve().await);
}
