//! The single sequencer: data, events, ticks and the shutdown get one sequence here, and one stamp each.
//!
//! ```text
//!  public ──┐ Delivery                                                    ThreadReport
//!           ├──────────▶ supervisor ──JournalCommand──▶ writer, syncer, sealer ──┐
//! private ──┘            stamp, route   ▲                                        │
//!                                       └────────────────────────────────────────┘
//! ```
//!
//! The supervisor owns the channels and the tasks, waits on them, and delegates decisions to these parts, whose only
//! I/O is reading the clock.
//!
//! | part | owns |
//! |---|---|
//! | `sequence` | the sequence: stamps, streams, commands to the journal; `epoch`: the clock that makes the stamps |
//! | `feeds` | both connections, and the gaps of their streams; `connection`: one of them |
//! | `disk` | the reports of writer, syncer and sealer; `backlog`: segments that wait for the sealer |
//! | `certainty` | the stamp up to which all data is recorded or in a gap on record |
//! | `lifecycle` | the phases from the stop to the exit; `closing`: the last of them |
//! | `inbox`, `listing`, `healing` | the queues of the connections, of the list of pairs, of the healer |
//!
//! Backpressure: while the writer's queue is full the supervisor takes no deliveries, and so the connections stop
//! reading.

mod backlog;
mod certainty;
mod closing;
mod connection;
mod disk;
mod epoch;
mod feeds;
mod healing;
mod inbox;
mod lifecycle;
mod listing;
mod sequence;
mod setup;

pub use lifecycle::Failure;
pub use setup::Setup;

use crate::clock::{self, Instant, Stamp};
use crate::connection::{Delivery, Payload};
use crate::desired::Wanted;
use crate::history::healing::HealerHandle;
use crate::ops::status::{Link, Status};
use crate::recording::journal::JournalCommand;
use crate::recording::progress::Progress;
use crate::recording::threads::Threads;
use crate::signals;
use crate::tape::event::Event;
use crate::tape::gap::Gap;
use crate::tape::words::StopReason;
use crate::upbit::feed::Feed;
use crate::upbit::subscription::Request;
use certainty::Certainty;
use closing::Closing;
use connection::Connection;
use disk::DiskHealth;
use epoch::{Comparison, EpochClock};
use feeds::Feeds;
use healing::HealingInbox;
use inbox::Inbox;
use lifecycle::{Lifecycle, Phase};
use listing::ListingInbox;
use sequence::Sequence;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Interval of the journal's ticks and of the status.
const TICK: Duration = Duration::from_secs(1);

/// The interval after a stop, so that the exit does not wait for the next second.
const CLOSING_TICK: Duration = Duration::from_millis(100);

/// See the module.
#[derive(Debug)]
pub struct Supervisor {
    sequence: Sequence,
    feeds: Feeds,
    disk: DiskHealth,
    certainty: Certainty,
    lifecycle: Lifecycle,
    inbox: Inbox,
    listing: ListingInbox,
    healing: HealingInbox,
    threads: Threads,
    tasks: JoinSet<()>,
    status: watch::Sender<Status>,
    run_until: Option<Instant>,
    sync_interval: Duration,
    next_tick: Instant,
    next_sync: Instant,
}

impl Supervisor {
    /// A supervisor without connections.
    pub fn new(setup: Setup) -> Self {
        let now = setup.clock.now();
        let time = EpochClock::new(setup.clock, setup.wall, setup.boot, setup.stamper, setup.epoch);
        Self {
            certainty: Certainty::new(time.moment(now), time.last()),
            sequence: Sequence::new(time, setup.router, setup.threads.progress.clone()),
            feeds: Feeds::new(setup.gaps),
            disk: DiskHealth::new(setup.backlog, setup.min_free_bytes, now),
            lifecycle: Lifecycle::new(),
            inbox: Inbox::default(),
            listing: ListingInbox(Some(setup.listed)),
            healing: HealingInbox::default(),
            threads: setup.threads,
            tasks: JoinSet::new(),
            status: setup.status,
            run_until: setup.run_until,
            sync_interval: setup.sync_interval,
            next_tick: now,
            next_sync: now,
        }
    }

    /// Adds a connection and spawns its task, which delivers into the given queue and sends the request standing in the
    /// other channel.
    pub fn own<T: Future<Output = ()> + Send + 'static>(
        &mut self,
        feed: Feed,
        wanted: Wanted,
        task: impl FnOnce(mpsc::Sender<Delivery>, watch::Receiver<Request>) -> T,
    ) {
        let connection = Connection::new(feed, wanted, &self.listing.current());
        let requests = connection.requests();
        self.feeds.add(&mut self.sequence, feed, connection);
        self.tasks.spawn(task(self.inbox.open(), requests));
    }

    /// Adds a healer; returns the writer's progress, which the healer waits for.
    pub fn heal_with(&mut self, handle: HealerHandle) -> Progress {
        self.healing = HealingInbox(Some(handle.output));
        self.sequence.heal_with(handle.input);
        self.sequence.progress.clone()
    }

    /// Records an event, stamped now.
    pub fn event(&mut self, event: &Event) {
        self.sequence.event(event);
    }

    /// Records an event stamped `stamp`.
    pub fn event_at(&mut self, stamp: Stamp, event: &Event) {
        self.sequence.event_at(stamp, event);
    }

    /// Records closed gaps.
    pub fn record_gaps(&mut self, gaps: Vec<Gap>) {
        self.feeds.record_gaps(&mut self.sequence, gaps);
    }

    /// Runs until `shutdown` is cancelled, the time is over or recording fails, and everything is on disk.
    pub async fn run(
        mut self,
        shutdown: CancellationToken,
        mut requests: mpsc::Receiver<signals::Request>,
    ) -> Result<(), Failure> {
        while !self.is_done() {
            self.send_commands();
            let is_running = self.lifecycle.is_running();
            let takes_reports = self.sequence.has_room();
            let takes_deliveries = self.sequence.commands.is_empty() && self.lifecycle.phase != Phase::Sealing;
            let takes_healing = takes_deliveries && is_running && self.disk.full.is_none();
            tokio::select! {
                biased;
                () = shutdown.cancelled(), if is_running => self.stop(StopReason::Signal, &shutdown),
                () = clock::sleep_until(self.run_until), if is_running => self.stop(StopReason::Elapsed, &shutdown),
                () = clock::sleep_until(Some(self.next_tick)) => self.tick(),
                () = has_room(&self.threads.commands), if !self.sequence.commands.is_empty() => {}
                Some(report) = self.threads.reports.recv(), if takes_reports => {
                    self.sequence.follow_boot();
                    let handled = self.disk.handle_report(&mut self.sequence, &mut self.feeds, report);
                    handled.unwrap_or_else(|failure| self.fail(failure, &shutdown));
                }
                Some(listed) = self.listing.recv(), if takes_reports => {
                    self.sequence.follow_boot();
                    self.feeds.handle_listed(&mut self.sequence, &listed);
                }
                Some(request) = requests.recv(), if takes_reports => self.handle_request(request),
                Some(ended) = self.tasks.join_next() => if let Err(error) = ended && is_running {
                    self.fail(Failure::Crashed(error.to_string()), &shutdown);
                },
                delivery = self.inbox.recv(), if takes_deliveries => self.handle_delivery(delivery, &shutdown),
                Some(output) = self.healing.recv(), if takes_healing => {
                    self.sequence.follow_boot();
                    healing::record(&mut self.sequence, output);
                }
            }
        }
        self.close().await
    }

    fn is_done(&self) -> bool {
        let now = self.sequence.time.clock.now();
        self.threads.commands.is_closed() || self.lifecycle.is_done(now, self.disk.is_sealed())
    }

    /// Sends the writer as many commands as its queue has room for.
    fn send_commands(&mut self) {
        let commands = &mut self.sequence.commands;
        while !commands.is_empty() {
            let Ok(slot) = self.threads.commands.try_reserve() else { break };
            slot.send(commands.pop_front().expect("it is not empty"));
        }
        if self.threads.commands.is_closed() {
            // The cause is in its last report, which `close` waits for.
            commands.clear();
            let unexpected = || Failure::Storage("the writer ended unexpectedly".into());
            self.lifecycle.failure.get_or_insert_with(unexpected);
        }
    }

    fn handle_request(&mut self, request: signals::Request) {
        match request {
            signals::Request::Rotate => self.sequence.commands.push_back(JournalCommand::Rotate),
            signals::Request::Reload => {
                tracing::warn!(
                    "this version does not reload its configuration: restart it, and the gap is put on record"
                );
            }
        }
    }

    /// Handles a delivery; `None`: every connection has ended.
    fn handle_delivery(&mut self, delivery: Option<Delivery>, shutdown: &CancellationToken) {
        self.sequence.follow_boot();
        let Some(Delivery { connection, at, payload }) = delivery else {
            if self.lifecycle.is_running() {
                let links = self.feeds.links();
                let causes: Vec<&str> = links.values().filter_map(Link::cause).collect();
                self.fail(Failure::Unavailable(causes.join("; ")), shutdown);
            }
            return self.seal_the_rest();
        };
        match payload {
            Payload::Batch(batch) => self.feeds.handle_batch(&mut self.sequence, connection, batch),
            Payload::Notice(notice) => self.feeds.handle_notice(&mut self.sequence, connection, at, notice),
        }
    }

    fn tick(&mut self) {
        self.sequence.follow_boot();
        let now = self.sequence.time.clock.now();
        let is_running = self.lifecycle.is_running();
        self.certainty.handle_awake(self.sequence.time.moment(now));
        self.next_tick = now + if is_running { TICK.min(self.sync_interval) } else { CLOSING_TICK };
        if is_running {
            self.compare_clocks(now);
        }
        if self.sequence.has_room() {
            let is_sync_due = now >= self.next_sync || !is_running;
            if is_sync_due {
                self.next_sync = now + self.sync_interval;
            }
            let stamp = self.sequence.time.stamp_at(now);
            let certain = self.certainty.advance(now, stamp);
            self.sequence.commands.push_back(JournalCommand::Tick { stamp, sync: is_sync_due.then_some(certain) });
        }
        self.feeds.end_overdue_joining(&mut self.sequence, now);
        self.disk.check_backlog(now);
        if self.lifecycle.is_overdue(now) {
            tracing::warn!("the connections did not end in time");
            self.seal_the_rest();
        }
        self.publish(now);
    }

    fn publish(&self, now: Instant) {
        self.status.send_replace(Status {
            connections: self.feeds.links(),
            streams: self.sequence.streams(),
            messages: self.sequence.messages,
            bytes: self.sequence.bytes,
            last_gap: self.feeds.last_gap.clone(),
            disk_full: self.disk.full.clone(),
            space: self.disk.space,
            at: self.sequence.time.clock.stamp_at(now),
            is_stopping: !self.lifecycle.is_running(),
        });
    }

    fn compare_clocks(&mut self, now: Instant) {
        match self.sequence.time.compare(now) {
            None => {}
            Some(Comparison::Set(wall)) => self.step(now, wall),
            Some(Comparison::Due { offset, ahead }) => self.sequence.event(&Event::Clock { offset, ahead }),
        }
    }

    /// Ends the epoch, and begins the next one at `wall`. Gaps are ended first: their stamps belong to the old epoch,
    /// too.
    fn step(&mut self, now: Instant, wall: Stamp) {
        let before = self.sequence.time.stamp_at(now);
        self.disk.end_epoch(&mut self.sequence, &mut self.feeds, before);
        let after = self.sequence.time.beyond(wall);
        self.feeds.end_epoch(&mut self.sequence, before, after);
        let first = self.sequence.step(now, wall).after.stamp;
        self.feeds.begin_epoch(first);
        self.certainty.begin_epoch(first);
        self.disk.begin_epoch(first);
    }

    fn stop(&mut self, reason: StopReason, shutdown: &CancellationToken) {
        self.next_tick = self.sequence.time.clock.now();
        self.lifecycle.stop(self.next_tick, reason);
        self.feeds.is_stopping = true;
        shutdown.cancel();
    }

    fn fail(&mut self, failure: Failure, shutdown: &CancellationToken) {
        tracing::error!(error = %failure, "cannot go on");
        self.lifecycle.failure.get_or_insert(failure);
        if self.lifecycle.is_running() {
            self.stop(StopReason::Failure, shutdown);
        }
    }

    /// Ends the connections, and has every ended segment sealed. Displaced files have to be on record before the last
    /// event.
    fn seal_the_rest(&mut self) {
        self.lifecycle.phase = Phase::Sealing;
        self.next_tick = self.sequence.time.clock.now();
        self.tasks.abort_all();
        self.sequence.commands.push_back(JournalCommand::CheckNames);
        self.threads.hurry.set();
    }

    /// Records the end, and waits until everything is on disk.
    async fn close(mut self) -> Result<(), Failure> {
        self.threads.stop_sealing.set();
        self.sequence.follow_boot();
        let end = self.sequence.time.stamp();
        self.feeds.finish(&mut self.sequence, end);
        self.disk.record_unwritten(&mut self.sequence, &mut self.feeds, end);
        let reason = self.lifecycle.reason.into();
        self.sequence.event(&Event::Stopped { reason, requests: self.feeds.requests() });
        let clock = self.sequence.time.clock;
        let deadline = self.lifecycle.deadline(clock.now());
        let closing = Closing::new(self.lifecycle.failure);
        let closing = closing.run(self.threads, self.sequence.commands, clock, deadline).await;
        closing.verdict(self.disk.durable, self.disk.full)
    }
}

/// Waits until the writer's queue has room, or is closed.
async fn has_room(commands: &mpsc::Sender<JournalCommand>) {
    drop(commands.reserve().await);
}
