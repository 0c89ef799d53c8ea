//! The world around a recorder: the disk, the exchange, the clock, and one life after the other.
//!
//! ```text
//!           ┌─ Pipe ◀──▶ Exchange         Books: what was sent, what was read, when
//! recorder ─┤                                    │
//!           └─ SimDisk                    Tape ──┴──▶ oracle
//! ```
//!
//! The recorder is the real one, as `assembly` makes it; everything runs in one thread and in virtual time.

use super::disk::{Crash, SimDisk};
use super::exchange::books::Books;
use super::exchange::{Pipe, exchange};
use super::listing::Listing;
use super::machine::{Frozen, Machine};
use super::oracle::Oracle;
use super::plan::{End, Life, Plan};
use super::tape::Tape;
use super::timeline::{FIRST_PID, Span};
use std::collections::HashSet;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use upbit_recorder::clock::{Boot, Clock, Instant, Stamp, Wall, sleep_until};
use upbit_recorder::config::{self, Config, Sources};
use upbit_recorder::daemon::assembly::{self, Ending, Place};
use upbit_recorder::daemon::supervisor::{Failure, Supervisor};
use upbit_recorder::desired::Listed;
use upbit_recorder::ops::status::Status;
use upbit_recorder::recording::threads::Hosts;
use upbit_recorder::rest::pairs::Follower;
use upbit_recorder::rest::pairs::evidence::ListingEvidence;
use upbit_recorder::upbit::feed::Feed;
use upbit_recorder::upbit::subscription::Subscription;
use upbit_recorder::upbit::url::Url;

/// The first instant of every world: 2026-11-22T05:12:04Z.
const BEGINNING: u64 = 1_795_324_324_000_000;

/// What became of a world.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Promises that were broken.
    pub(crate) violations: Vec<String>,
    /// Of every call to the disk and every byte on it.
    pub(crate) fingerprint: String,
    /// How many objects were sent, and how many of them are on disk.
    pub(crate) sent: usize,
    pub(crate) recorded: usize,
    /// The recorder's own events.
    pub(crate) events: Vec<serde_json::Value>,
}

impl Outcome {
    /// How many events of a name there are of a connection.
    pub(crate) fn count(&self, event: &str, connection: &str) -> usize {
        self.events.iter().filter(|found| found["event"] == event && found["connection"] == connection).count()
    }
}

/// How a life ended.
#[derive(Debug)]
pub(crate) enum Ended {
    Orderly,
    Crashed(Crash),
    /// The process ended itself because of an error, perhaps before it had begun to record.
    Failed,
}

/// A life, as the oracle needs to know it.
#[derive(Debug)]
pub(crate) struct Lived {
    pub(crate) life: Life,
    /// The clocks that made its stamps, one after the other.
    pub(crate) spans: Vec<Span>,
    /// Its start found stamps ahead of its clock, this one as the last.
    pub(crate) ahead: Option<u64>,
    pub(crate) from: Instant,
    pub(crate) to: Instant,
    pub(crate) ended: Ended,
    /// What earlier lives had left was put in order.
    pub(crate) recovered: bool,
    /// The stamp of its start, where it is on disk.
    pub(crate) started: Option<u64>,
    pub(crate) sync_failed: bool,
    /// Its start could not read all that the recorder had told.
    pub(crate) hid_events: bool,
    /// When it was not let run.
    pub(crate) frozen: Vec<Frozen>,
}

/// Lets a plan happen, in virtual time and in a runtime of its own.
pub(crate) fn run(plan: &Plan) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async { World::new(plan).run(plan).await })
}

/// As [`run`], with patterns in the configuration and a list of pairs to resolve them by.
pub(crate) fn run_with(plan: &Plan, listing: Listing) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(plan);
        listing.configure(&mut world.config);
        world.listing = Some(listing);
        world.run(plan).await
    })
}

struct World {
    config: Config,
    disk: SimDisk,
    books: Books,
    pipe: Pipe,
    outside: JoinSet<()>,
    /// Begins with the world and is never set.
    clock: Clock,
    /// How far the wall clock is set ahead of it, µs.
    ahead: Arc<AtomicI64>,
    /// Answers the question which pairs there are, where patterns need it.
    listing: Option<Listing>,
    machine: Machine,
    lives: u32,
    oracle: Oracle,
}

impl World {
    fn new(plan: &Plan) -> Self {
        let clock = Clock::anchored(Stamp::from_micros(BEGINNING).unwrap());
        let (disk, books) = (SimDisk::new(plan.seed), Books::default());
        let machine = Machine::default();
        let (pipe, exchange) = exchange(plan.seed, &books, clock, &machine);
        let mut outside = JoinSet::new();
        outside.spawn(exchange.run());
        let config = config();
        let oracle = Oracle::new(config.storage.sync_interval);
        Self {
            config,
            disk,
            books,
            pipe,
            outside,
            clock,
            ahead: Arc::default(),
            machine,
            listing: None,
            lives: 0,
            oracle,
        }
    }

    async fn run(mut self, plan: &Plan) -> Outcome {
        for (number, life) in plan.lives.iter().enumerate() {
            let lived = self.live(life, plan.seed.wrapping_add(number as u64)).await;
            self.oracle.look(&self.disk, &self.books, lived);
            self.ahead.fetch_add(life.jump, Ordering::Relaxed);
            sleep_until(Some(self.clock.now() + life.pause)).await;
        }
        self.outside.abort_all();
        let (sent, recorded) = self.oracle.conclude(&self.disk, &self.books);
        let mut violations = self.oracle.violations;
        violations.extend(self.disk.violations());
        let events = Tape::read(&self.disk).events;
        Outcome { violations, fingerprint: self.disk.fingerprint(), sent, recorded, events }
    }

    async fn live(&mut self, life: &Life, seed: u64) -> Lived {
        let from = self.clock.now();
        let (base, ahead, machine) = (self.clock, self.ahead.clone(), self.machine.clone());
        let read = move || {
            let wall = base.stamp().after(machine.suspended());
            Stamp::from_micros(wall.as_micros().saturating_add_signed(ahead.load(Ordering::Relaxed))).unwrap()
        };
        let machine = self.machine.clone();
        let boot = Boot::new(move || machine.suspended());
        let clock = Clock::anchored(read()).beside(&boot);
        self.machine.begin_life(from, &life.freezes);
        self.pipe.set_mood(life.mood);
        let shutdown = CancellationToken::new();
        life.obstacles.iter().for_each(|(name, kind)| self.disk.obstruct(name, *kind));
        if life.has_lost_modes {
            self.disk.forget_modes();
        }
        let files = self.disk.begin_life(life.faults.clone());
        let pid = FIRST_PID + self.lives;
        self.lives += 1;
        let (listing, listed) = watch::channel(Listed::default());
        let follower = follow(self.listing.clone(), self.clock, listing);
        let place = Place { files, clock, wall: Wall::new(read), boot, listed, pid, seed, shutdown: shutdown.clone() };
        let (status, shown) = watch::channel(Status::default());
        let ending = Ending { run_until: None, status };
        let assembled = assembly::assemble(&self.config, place, ending, &|_| Ok(self.pipe.clone()));
        let spans = Mutex::new(vec![Span { from, clock, is_on_record: true, is_resumed: false }]);
        let recovered = assembled.is_ok() && !self.disk.has_crashed();
        let ended = match assembled {
            Ok((supervisor, hosts)) => {
                let recording = self.record(life, (supervisor, hosts), shutdown);
                tokio::select! {
                    biased;
                    ended = recording => ended,
                    () = follower => unreachable!("it goes on while there is a recorder"),
                    () = watch_clock(shown, &self.machine, &spans) => unreachable!("the status is published until the end"),
                }
            }
            Err(_) => Ended::Failed,
        };
        // A call that was the last one ends the life, whatever else came to its end in the same instant.
        let crashed = tokio::select! {
            biased;
            crash = self.disk.crashed() => Some(crash),
            () = std::future::ready(()) => None,
        };
        let ended = crashed.map_or(ended, Ended::Crashed);
        let crash = if let Ended::Crashed(crash) = ended { Some(crash) } else { None };
        let (sync_failed, hid_events) = (self.disk.sync_failed(), self.disk.hid_events());
        let tape = Tape::read(&self.disk);
        self.disk.end_life(crash);
        let frozen = self.machine.end_life();
        // What was aborted is dropped, and the exchange notices that the socket is gone.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let (life, mut spans, to) = (life.clone(), spans.into_inner().unwrap(), self.clock.now());
        // The event of a step is written before anything else with its stamps.
        spans.retain(|span| span.from == from || is_on_record(span, &tape));
        let left = Tape::read(&self.disk);
        spans.iter_mut().for_each(|span| span.is_on_record = is_on_record(span, &left));
        // A step of which a power cut has left nothing did not happen, for all that can be known.
        spans.retain(|span| span.from == from || span.is_on_record || self.has_lines_since(span.from, &left));
        // A start of which there is nothing did not happen either.
        let started = start_of(&left, pid).and_then(|index| left.events[index]["ts_recv"].as_u64());
        let told = if started.is_some() || self.has_lines_since(from, &left) { &tape } else { &left };
        let ahead = last_found(told, pid);
        resume(&mut spans, &frozen);
        Lived { life, spans, ahead, from, to, ended, recovered, started, sync_failed, hid_events, frozen }
    }

    /// Whether anything that was sent since then is on the tape.
    fn has_lines_since(&self, since: Instant, tape: &Tape) -> bool {
        [Feed::Public, Feed::Private].into_iter().any(|id| {
            let side = self.books.side(id);
            let later = side.sent.iter().filter(|sent| sent.at >= since);
            let contents: HashSet<&[u8]> = later.map(|sent| &*sent.content).collect();
            let mut segments = tape.streams[id].values().flatten();
            segments.any(|segment| segment.lines.iter().any(|line| contents.contains(&*line.content)))
        })
    }

    async fn record(&self, life: &Life, recorder: (Supervisor, Hosts), shutdown: CancellationToken) -> Ended {
        let (supervisor, Hosts { writer, syncer, sealer }) = recorder;
        let mut hosts = JoinSet::new();
        hosts.spawn(paced(writer.run(), self.disk.clone(), self.clock));
        hosts.spawn(paced(syncer.run(), self.disk.clone(), self.clock));
        hosts.spawn(paced(sealer.run(), self.disk.clone(), self.clock));
        let (_requests, queue) = mpsc::channel(1);
        tokio::select! {
            biased;
            crash = self.disk.crashed() => Ended::Crashed(crash),
            ended = supervisor.run(shutdown.clone(), queue) => match ended {
                Ok(()) => Ended::Orderly,
                Err(Failure::Storage(_) | Failure::Unwritten { .. }) => Ended::Failed,
                Err(other) => panic!("the recorder ended with: {other}"),
            },
            crash = self.happen(life, &shutdown) => Ended::Crashed(crash),
        }
    }

    /// What happens to a life from outside.
    async fn happen(&self, life: &Life, shutdown: &CancellationToken) -> Crash {
        tokio::select! {
            biased;
            crash = self.happen_to_disk(life, shutdown) => crash,
            () = self.set_clock(&life.steps) => unreachable!("it never ends"),
            () = self.displace(life) => unreachable!("it never ends"),
            () = self.freeze() => unreachable!("it never ends"),
        }
    }

    async fn set_clock(&self, steps: &[(Duration, i64)]) {
        let start = self.clock.now();
        for (after, micros) in steps {
            sleep_until(Some(start + *after)).await;
            self.ahead.fetch_add(*micros, Ordering::Relaxed);
        }
        std::future::pending().await
    }

    async fn displace(&self, life: &Life) {
        let start = self.clock.now();
        for (after, how) in &life.displaced {
            sleep_until(Some(start + *after)).await;
            self.disk.displace(*how);
        }
        std::future::pending().await
    }

    /// Freezes the machine where no socket is there to do it.
    async fn freeze(&self) {
        while let Some(next) = self.machine.next() {
            sleep_until(Some(next.max(self.clock.now()) + Duration::from_millis(500))).await;
            if self.machine.next() == Some(next)
                && let Some(freeze) = self.machine.take_due(self.clock.now())
            {
                self.machine.freeze(self.clock.now(), freeze).await;
            }
        }
        std::future::pending().await
    }

    async fn happen_to_disk(&self, life: &Life, shutdown: &CancellationToken) -> Crash {
        let start = self.clock.now();
        let end = start + life.length;
        if let Some((after, length, room)) = life.full {
            let full = self.clock.now() + after;
            sleep_until(Some(full.min(end))).await;
            self.disk.set_room(Some(room));
            sleep_until(Some((full + length).min(end))).await;
            self.disk.set_room(None);
        }
        // Time in which it does not run is none of the life's.
        while let ran = self.machine.ran(start, self.clock.now())
            && ran < life.length
        {
            sleep_until(Some(self.clock.now() + (life.length - ran))).await;
        }
        match life.end {
            End::Crash(crash) => crash,
            End::Stop => {
                shutdown.cancel();
                std::future::pending().await
            }
        }
    }
}

/// Has the list of pairs followed, where there is one.
fn follow(listing: Option<Listing>, clock: Clock, listed: watch::Sender<Listed>) -> impl Future<Output = ()> {
    let evidence = listing.as_ref().map(|listing| ListingEvidence::new(listing.kept(), clock.now()));
    if let Some(evidence) = &evidence {
        listed.send_replace(evidence.listed());
    }
    async move {
        if let Some((listing, evidence)) = listing.zip(evidence) {
            Follower::new(listing, clock, evidence, listed).run().await;
        }
        std::future::pending().await
    }
}

/// Notes when the recorder's clock moves.
async fn watch_clock(mut shown: watch::Receiver<Status>, machine: &Machine, spans: &Mutex<Vec<Span>>) {
    while shown.changed().await.is_ok() {
        let at = shown.borrow_and_update().at;
        let mut spans = spans.lock().unwrap();
        let clock = spans.last().unwrap().clock.resumed(machine.suspended());
        let now = clock.now();
        if clock.stamp_at(now) != at {
            spans.push(Span { from: now, clock: clock.moved(now, at), is_on_record: true, is_resumed: false });
        }
    }
    std::future::pending().await
}

/// Stamps go on behind the time in which the machine was suspended, from that moment on.
fn resume(spans: &mut Vec<Span>, frozen: &[Frozen]) {
    for frozen in frozen.iter().filter(|frozen| !frozen.suspended.is_zero()) {
        let suspended = frozen.suspended_in_all;
        let is_before = |span: &Span| span.from <= frozen.from && span.clock.suspended() < suspended;
        let index = spans.partition_point(is_before);
        let Some(before) = index.checked_sub(1).map(|index| spans[index]) else { continue };
        let clock = before.clock.resumed(suspended);
        spans.insert(index, Span { from: frozen.from, clock, is_resumed: true, ..before });
    }
}

/// Whether a step is on disk.
fn is_on_record(span: &Span, tape: &Tape) -> bool {
    let begins = span.clock.stamp_at(span.from).as_micros();
    let is_it = |event: &serde_json::Value| event["event"] == "clock_step" && event["after"] == begins;
    tape.events.iter().any(is_it)
}

/// Where the start of a process stands among the events.
fn start_of(tape: &Tape, pid: u32) -> Option<usize> {
    tape.events.iter().position(|event| event["event"] == "started" && event["pid"] == pid)
}

/// The last stamp that the start of a process found ahead of its clock: then a step of the same moment stands before it.
fn last_found(tape: &Tape, pid: u32) -> Option<u64> {
    let started = start_of(tape, pid)?;
    let [step, started] = tape.events.get(started.checked_sub(1)?..=started)? else { return None };
    let is_step = step["event"] == "clock_step";
    let is_of_start = step["after"].as_u64().map(|after| after + 1) == started["ts_recv"].as_u64();
    step["before"].as_u64().filter(|_| is_step && is_of_start)
}

/// Runs a host of the disk. What its calls take, it waits for, while everything else goes on.
async fn paced(host: impl Future<Output = ()>, disk: SimDisk, clock: Clock) {
    let mut host = pin!(host);
    loop {
        let debt = poll_fn(|cx| {
            let polled = host.as_mut().poll(cx);
            let debt = disk.take_debt();
            match polled {
                Poll::Ready(()) => Poll::Ready(None),
                Poll::Pending if debt.is_zero() => Poll::Pending,
                Poll::Pending => Poll::Ready(Some(debt)),
            }
        });
        match debt.await {
            None => return,
            Some(debt) => sleep_until(Some(clock.now() + debt)).await,
        }
    }
}

/// Small bounds, so that a minute brings what takes a day outside.
fn config() -> Config {
    let mut config = config::load(&Sources::default()).unwrap().config;
    let subscription = |kind: &str, codes: &[&str]| Subscription {
        kind: kind.into(),
        codes: codes.iter().map(|&code| code.into()).collect(),
        ..Subscription::default()
    };
    let url = |path: &str| Url::websocket(&format!("ws://exchange.test/websocket/v1{path}")).unwrap();
    config.public.url = url("");
    config.public.max_message_bytes = 64 * 1024;
    config.public.subscribe =
        ["trade", "orderbook"].map(|kind| subscription(kind, &["KRW-BTC", "KRW-ETH", "KRW-XRP"])).into();
    config.private = config::ConnectionConfig { url: url("/private"), ..config.public.clone() };
    config.private.subscribe = vec![subscription("myOrder", &[]), subscription("myAsset", &[])];
    config.storage.rotate_interval = Duration::from_secs(60);
    config.storage.rotate_bytes = 30_000;
    // A read asks for half of it, so that the other half may wait for the disk.
    config.storage.buffer_bytes = 1024 * 1024;
    config.storage.zstd_level = 1;
    config
}
