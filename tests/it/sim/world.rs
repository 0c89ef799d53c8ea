//! The world around a recorder: the disk, the exchange, the clock, and one life after the other.
//!
//! ```text
//!           ┌─ Pipe ◀──▶ Exchange         Books: what was sent and traded, what was read, when
//! recorder ─┼─ Rest ◀──▶ Market                  │
//!           └─ SimDisk                    Tape ──┴──▶ oracle
//! ```
//!
//! The recorder is the real one, as `assembly` makes it; everything runs in one thread and in virtual time.

use super::disk::SimDisk;
use super::exchange::books::Books;
use super::exchange::rest::Rest;
use super::exchange::{Mood, Pipe, exchange};
use super::hosts::{heal, paced};
use super::incidents::Incidents;
use super::life::Life;
use super::listing::Listing;
use super::lived::{Ended, Lived};
use super::machine::Machine;
use super::oracle::{Count, Oracle};
use super::plan::Plan;
use super::reloads;
use super::remains::Remains;
use super::tape::Tape;
use super::timeline::{FIRST_PID, Moment, Span};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use upbit_recorder::clock::discipline::{ClockError, ClockState, Discipline};
use upbit_recorder::clock::{Boot, Clock, Stamp, Wall, sleep_until};
use upbit_recorder::config::{self, Config, Sources};
use upbit_recorder::daemon::assembly::{self, Assembled, Environment, StopConditions};
use upbit_recorder::daemon::supervisor::{Failure, Others};
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

/// How often a recorder looks for old files, in lives that last for a minute.
const PRUNE_INTERVAL: Duration = Duration::from_secs(4);

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
        listing.begin(world.clock);
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
    /// A start has found less than was known.
    has_forgotten: bool,
    /// What the pause before the next life takes beside the world's clock.
    unheard: Duration,
    /// Answers the question which pairs there are, where patterns need it.
    listing: Option<Listing>,
    machine: Machine,
    lives: u32,
    oracle: Oracle,
}

impl World {
    fn new(plan: &Plan) -> Self {
        let clock = Clock::anchored(Stamp::from_micros(BEGINNING).unwrap());
        let disk = SimDisk::new(plan.seed);
        let machine = Machine::default();
        let (pipe, exchange) = exchange(plan.seed, clock, &machine);
        let books = pipe.books().clone();
        let mut outside = JoinSet::new();
        outside.spawn(exchange.run());
        if plan.lives.iter().any(|life| life.heals) {
            books.market.open();
            outside.spawn(books.market.clone().run());
        }
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
            has_forgotten: false,
            unheard: Duration::ZERO,
            machine,
            listing: None,
            lives: 0,
            oracle,
        }
    }

    async fn run(mut self, plan: &Plan) -> Outcome {
        for (number, life) in plan.lives.iter().enumerate() {
            if life.mood == Mood::Calm {
                // The clock is set right at last.
                self.ahead.store(self.books.market.ahead(), Ordering::Relaxed);
            }
            let lived = self.live(life, plan.seed.wrapping_add(number as u64)).await;
            self.oracle.check_life(&self.disk, &self.books, lived);
            self.ahead.fetch_add(life.jump, Ordering::Relaxed);
            self.unheard = Duration::from_micros(life.jump.max(0).cast_unsigned());
            sleep_until(Some(self.clock.now() + life.pause)).await;
        }
        self.outside.abort_all();
        let Count { sent, recorded } = self.oracle.conclude(&self.disk, &self.books);
        let mut violations = self.oracle.violations;
        violations.extend(self.disk.violations());
        let events = Tape::read(&self.disk).events;
        Outcome { violations, fingerprint: self.disk.fingerprint(), sent, recorded, events }
    }

    /// One life, from its start until nothing of it runs any more.
    async fn live(&mut self, life: &Life, seed: u64) -> Lived {
        let from = self.clock.now();
        let shutdown = CancellationToken::new();
        let (listing, listed) = watch::channel(Listed::default());
        let known = Tape::read(&self.disk);
        let environment = self.prepare(life, seed, listed, &shutdown);
        let clock = environment.clock;
        let pid = environment.pid;
        let follower = follow(self.listing.clone(), self.clock, listing);
        let (status, shown) = watch::channel(Status::default());
        let stop = StopConditions { run_until: None, status, others: Others::none() };
        self.config.rest.heal_max = if life.heals { 1_000 } else { 0 };
        let rest = Rest::new(self.books.market.clone(), seed, life.mood == Mood::Calm);
        let before = Tape::read(&self.disk);
        self.has_forgotten |= before.state != known.state;
        let mut forgotten = if before.state == known.state { Vec::new() } else { known.forgotten() };
        let known_epoch = (before.epoch() < known.epoch()).then_some(before.epoch());
        let mut config = self.config.clone();
        (config.public.enabled, config.private.enabled) =
            (life.off != Some(Feed::Public), life.off != Some(Feed::Private));
        (config.storage.keep_for, config.storage.keep_bytes) = (life.keep_for, life.keep_bytes);
        let assembled = assembly::assemble(&config, environment, stop, &|_| Ok(self.pipe.clone()), rest);
        let after = Tape::read(&self.disk);
        let (found, epoch) = (ended_epoch(&before, &after), after.epoch());
        let spans = Mutex::new(vec![Span { from, clock, epoch, is_back: false, is_lost: false }]);
        let recovered = assembled.is_ok() && !self.disk.has_crashed();
        let ended = match assembled {
            Ok(assembled) => {
                let recording = self.record(life, assembled, shutdown);
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
        let sync_failed = self.disk.sync_failed();
        self.disk.end_life(if let Ended::Crashed(crash) = ended { Some(crash) } else { None });
        let frozen = self.machine.end_life();
        // What was aborted is dropped, and the exchange notices that the socket is gone.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let remains = Remains { books: &self.books, pid, from, left: Tape::read(&self.disk) };
        if self.has_forgotten {
            forgotten.extend(remains.left.unheard(life.off));
        }
        let spans = remains.spans(spans.into_inner().unwrap(), &frozen);
        let started = remains.started();
        let to = self.clock.now();
        let life = life.clone();
        Lived { life, spans, found, from, to, ended, recovered, started, sync_failed, frozen, forgotten, known_epoch }
    }

    /// The world as the next life finds it.
    fn prepare(
        &mut self,
        life: &Life,
        seed: u64,
        listed: watch::Receiver<Listed>,
        shutdown: &CancellationToken,
    ) -> Environment {
        let base = self.clock;
        let ahead = self.ahead.clone();
        let machine = self.machine.clone();
        let read = move || {
            let wall = base.stamp().after(machine.suspended());
            Stamp::from_micros(wall.as_micros().saturating_add_signed(ahead.load(Ordering::Relaxed))).unwrap()
        };
        let machine = self.machine.clone();
        let boot = Boot::new(move || machine.suspended());
        let clock = Clock::anchored(read()).beside(&boot);
        self.books.market.catch_up(clock.stamp(), std::mem::take(&mut self.unheard));
        self.machine.begin_life(self.clock.now(), &life.freezes);
        self.pipe.set_mood(life.mood, life.has_quiet_account);
        life.amnesia.into_iter().for_each(|amnesia| self.disk.forget(amnesia));
        life.obstacles.iter().for_each(|(name, kind)| self.disk.obstruct(name, *kind));
        if life.has_lost_modes {
            self.disk.forget_modes();
        }
        let files = self.disk.begin_life(life.faults.clone());
        let pid = FIRST_PID + self.lives;
        self.lives += 1;
        Environment {
            files,
            clock,
            wall: Wall::new(read),
            boot,
            discipline: synchronised(),
            prune_interval: PRUNE_INTERVAL,
            listed,
            pid,
            seed,
            shutdown: shutdown.clone(),
        }
    }

    async fn record(&self, life: &Life, assembled: Assembled<Rest>, shutdown: CancellationToken) -> Ended {
        let Assembled { supervisor, hosts: Hosts { writer, syncer, sealer }, healer } = assembled;
        let mut hosts = JoinSet::new();
        hosts.spawn(paced(writer.run(), self.disk.clone(), self.clock));
        hosts.spawn(paced(syncer.run(), self.disk.clone(), self.clock));
        hosts.spawn(paced(sealer.run(), self.disk.clone(), self.clock));
        let (requests, queue) = mpsc::channel(1);
        let disk = &self.disk;
        let machine = &self.machine;
        let clock = self.clock;
        let ahead = &*self.ahead;
        let incidents = Incidents { life, disk, machine, clock, ahead };
        tokio::select! {
            biased;
            crash = self.disk.crashed() => Ended::Crashed(crash),
            ended = supervisor.run(shutdown.clone(), queue) => match ended {
                Ok(()) => Ended::Orderly,
                Err(Failure::Storage(_) | Failure::Unwritten { .. }) => Ended::Failed,
                Err(other) => panic!("the recorder ended with: {other}"),
            },
            never = reloads::come(&life.reloads, &self.config, clock, &requests) => match never {},
            crash = incidents.happen(&shutdown) => Ended::Crashed(crash),
            () = heal(healer, disk) => unreachable!("it goes on while there is a recorder"),
        }
    }
}

/// The clock of a world is always synchronised.
fn synchronised() -> Discipline {
    let error = ClockError { estimated: Duration::from_micros(50), maximum: Duration::from_millis(30) };
    Discipline::new(move || ClockState::Synchronised(error))
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

/// The last moment of the epoch that a start has ended, if it has.
fn ended_epoch(before: &Tape, after: &Tape) -> Option<Moment> {
    let epoch = before.epoch();
    let began = before.state.as_ref().map(|state| state.began.as_micros());
    let stamp = before.last.get(&epoch).copied().or(began)?;
    (after.epoch() > epoch).then_some(Moment { epoch, stamp })
}

/// Notes when the recorder's clock moves. A status that is read behind a freeze is of before it: the next one tells.
async fn watch_clock(mut shown: watch::Receiver<Status>, machine: &Machine, spans: &Mutex<Vec<Span>>) {
    let mut before: Option<Clock> = None;
    while shown.changed().await.is_ok() {
        let at = shown.borrow_and_update().at;
        let mut spans = spans.lock().unwrap();
        if let Some(before) = before.take().map(|before| before.resumed(machine.suspended()))
            && before.stamp_at(before.now()) == at
        {
            spans.pop();
        }
        let last = *spans.last().unwrap();
        let clock = last.clock.resumed(machine.suspended());
        let now = clock.now();
        if clock.stamp_at(now) != at {
            before = Some(last.clock);
            let is_back = at < clock.stamp_at(now);
            spans.push(Span { from: now, clock: clock.moved(now, at), is_back, ..last });
        }
    }
    std::future::pending().await
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
    config.rest.url = Url::http("http://exchange.test/v1").unwrap();
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
