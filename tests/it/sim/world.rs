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
use super::oracle::Oracle;
use super::plan::{End, Life, Plan};
use super::tape::Tape;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use upbit_recorder::assembly::{self, Ending, Place};
use upbit_recorder::clock::{Clock, Instant, Stamp, Wall, sleep_until};
use upbit_recorder::config::{self, Config, Sources, Url};
use upbit_recorder::recording::threads::Hosts;
use upbit_recorder::status::Status;
use upbit_recorder::supervisor::{Failure, Supervisor};
use upbit_recorder::upbit::subscription::Subscription;

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
    pub(crate) clock: Clock,
    pub(crate) from: Instant,
    pub(crate) to: Instant,
    pub(crate) ended: Ended,
    /// What earlier lives had left was put in order.
    pub(crate) recovered: bool,
    pub(crate) sync_failed: bool,
}

/// Lets a plan happen, in virtual time and in a runtime of its own.
pub(crate) fn run(plan: &Plan) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async { World::new(plan).run(plan).await })
}

struct World {
    config: Config,
    disk: SimDisk,
    books: Books,
    pipe: Pipe,
    outside: JoinSet<()>,
    /// Begins with the world and is never set.
    clock: Clock,
    /// How far the wall clock was set forward.
    jumped: Duration,
    oracle: Oracle,
}

impl World {
    fn new(plan: &Plan) -> Self {
        let clock = Clock::anchored(Stamp::from_micros(BEGINNING).unwrap());
        let (disk, books) = (SimDisk::new(plan.seed), Books::default());
        let (pipe, exchange) = exchange(plan.seed, &books, clock);
        let mut outside = JoinSet::new();
        outside.spawn(exchange.run());
        let config = config();
        let oracle = Oracle::new(config.storage.sync_interval);
        Self { config, disk, books, pipe, outside, clock, jumped: Duration::ZERO, oracle }
    }

    async fn run(mut self, plan: &Plan) -> Outcome {
        for (number, life) in plan.lives.iter().enumerate() {
            let lived = self.live(life, plan.seed.wrapping_add(number as u64)).await;
            self.oracle.look(&self.disk, &self.books, lived);
            self.jumped += life.jump;
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
        let (base, jumped) = (self.clock, self.jumped);
        let read = move || {
            let wall = base.stamp().as_micros() + u64::try_from(jumped.as_micros()).unwrap();
            Stamp::from_micros(wall).unwrap()
        };
        let clock = Clock::anchored(read());
        self.pipe.set_mood(life.mood);
        let shutdown = CancellationToken::new();
        let files = self.disk.begin_life(life.faults.clone());
        let place = Place { files, clock, wall: Wall::new(read), pid: 4711, seed, shutdown: shutdown.clone() };
        let (status, _shown) = watch::channel(Status::default());
        let ending = Ending { run_until: None, status };
        let assembled = assembly::assemble(&self.config, place, ending, &|_| Ok(self.pipe.clone()));
        let recovered = assembled.is_ok();
        let ended = match assembled {
            Ok((supervisor, hosts)) => self.record(life, (supervisor, hosts), shutdown).await,
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
        let sync_failed = self.disk.sync_failed();
        self.disk.end_life(crash);
        // What was aborted is dropped, and the exchange notices that the socket is gone.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        Lived { life: life.clone(), clock, from, to: self.clock.now(), ended, recovered, sync_failed }
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
        let end = self.clock.now() + life.length;
        if let Some((after, length, room)) = life.full {
            let full = self.clock.now() + after;
            sleep_until(Some(full.min(end))).await;
            self.disk.set_room(Some(room));
            sleep_until(Some((full + length).min(end))).await;
            self.disk.set_room(None);
        }
        sleep_until(Some(end)).await;
        match life.end {
            End::Crash(crash) => crash,
            End::Stop => {
                shutdown.cancel();
                std::future::pending().await
            }
        }
    }
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
    let url = |path: &str| Url {
        tls: false,
        host: "exchange.test".into(),
        port: 80,
        text: format!("ws://exchange.test/websocket/v1{path}"),
    };
    config.public.url = url("");
    config.public.max_message_bytes = 64 * 1024;
    config.public.subscribe =
        ["trade", "orderbook"].map(|kind| subscription(kind, &["KRW-BTC", "KRW-ETH", "KRW-XRP"])).into();
    config.private = config::ConnectionConfig { url: url("/private"), ..config.public.clone() };
    config.private.subscribe = vec![subscription("myOrder", &[]), subscription("myAsset", &[])];
    config.storage.rotate_interval = Duration::from_secs(60);
    config.storage.rotate_bytes = 30_000;
    config.storage.buffer_bytes = 512 * 1024;
    config.storage.zstd_level = 1;
    config
}
