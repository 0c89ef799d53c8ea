//! A wall clock that is set: stamps follow it in files of their own, forwards and backwards, across restarts.
//!
//! The wall clock is given to the recorder, so nothing of this machine is set; everything else is the real thing: an
//! exchange in a process of its own, sockets, threads, files, real time.

use super::Scene;
use crate::support::eventually;
use crate::support::json::{lines_so_far, parse, stamp_of};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use upbit_recorder::clock::discipline::Discipline;
use upbit_recorder::clock::{Boot, Clock, Stamp, Wall};
use upbit_recorder::config::{self, Config, Sources, TlsRoots};
use upbit_recorder::daemon::assembly::{self, Assembled, Environment, StopConditions};
use upbit_recorder::daemon::supervisor::Others;
use upbit_recorder::desired::Listed;
use upbit_recorder::files::Files;
use upbit_recorder::files::disk::Disk;
use upbit_recorder::history::healing::Exchange;
use upbit_recorder::net::network::Network;
use upbit_recorder::net::tls;
use upbit_recorder::recording::threads;

const HOUR: i64 = 3_600_000_000;

/// Longer than anything is waited for here, and short, for the exchange's day must not be another one meanwhile.
const SUSPENDED: i64 = 180_000_000;

/// A recorder in this process, on a thread of its own.
pub(crate) struct Recorder {
    shutdown: CancellationToken,
    thread: std::thread::JoinHandle<()>,
}

impl Recorder {
    /// Starts it; its wall clock is `ahead` of this machine's, µs, from the start on.
    fn start(scene: &Scene, url: &str, ahead: &Arc<AtomicI64>) -> Self {
        Self::start_on(scene, url, ahead, Boot::new(|| Duration::ZERO))
    }

    /// Starts it on a machine that is suspended now and then.
    fn start_on(scene: &Scene, url: &str, ahead: &Arc<AtomicI64>, boot: Boot) -> Self {
        let rest = url.replace("ws://", "http://").replace("/websocket", "");
        let sets = [
            format!("data_dir={}", scene.tape.path.display()),
            format!("public.url={url}"),
            format!("rest.url={rest}"),
        ];
        let config = config::load(&Sources { assignments: sets.to_vec(), ..Sources::default() }).unwrap().config;
        Self::start_with(config, ahead, boot)
    }

    /// Starts one of this configuration.
    pub(crate) fn start_with(config: Config, ahead: &Arc<AtomicI64>, boot: Boot) -> Self {
        let shutdown = CancellationToken::new();
        let token = shutdown.clone();
        let ahead = ahead.clone();
        Self { shutdown, thread: std::thread::spawn(move || run(&config, ahead, boot, token)) }
    }

    pub(crate) fn stop(self) {
        self.shutdown.cancel();
        self.thread.join().unwrap();
    }
}

fn run(config: &Config, ahead: Arc<AtomicI64>, boot: Boot, shutdown: CancellationToken) {
    let machine = Wall::machine();
    let wall = Wall::new(move || {
        let micros = machine.read().as_micros().saturating_add_signed(ahead.load(Ordering::Relaxed));
        Stamp::from_micros(micros).unwrap()
    });
    let clock = Clock::anchored(wall.read());
    let files: Arc<dyn Files> = Arc::new(Disk::open(&config.data_dir).unwrap());
    let (_, listed) = watch::channel(Listed::default());
    let environment = Environment {
        files,
        clock,
        wall,
        boot,
        discipline: Discipline::machine(),
        prune_interval: threads::PRUNE_INTERVAL,
        listed,
        pid: std::process::id(),
        seed: 7,
        shutdown: shutdown.clone(),
    };
    let stop = StopConditions { run_until: None, status: watch::channel(Default::default()).0, others: Others::none() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let network = |_: &config::ConnectionConfig| {
            Ok(Network::new(clock, tls::client_config(TlsRoots::Bundled, None)?, &config.proxies))
        };
        let Assembled { supervisor, hosts, healer } =
            assembly::assemble(config, environment, stop, &network, Exchange::new(config, Default::default())).unwrap();
        threads::spawn(hosts).unwrap();
        // Not at its low priority: on a busy machine it would starve.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(healer.unwrap().run());
        });
        let (_requests, queue) = mpsc::channel(1);
        supervisor.run(shutdown, queue).await.unwrap();
    });
}

/// The events in all of the recorder's files, oldest file first by the order in which they were made.
fn events(scene: &Scene) -> Vec<Value> {
    let mut events: Vec<Value> =
        scene.tape.lines().remove("recorder").unwrap_or_default().iter().map(|line| parse(line)).collect();
    // Within an epoch the order is that of the stamps; which one a line is in, its file tells.
    events.sort_by_key(|event| event["ts_recv"].as_u64());
    events
}

fn await_event(scene: &Scene, event: &str) {
    eventually(event, || scene.tape.active_events().iter().any(|found| found["event"] == event));
}

/// Waits until the active file begins with a step that was not `seen`.
fn await_step(scene: &Scene, seen: &mut Vec<u64>) {
    eventually("the step is on record", || {
        let first = scene.tape.active_events().into_iter().next().unwrap_or_default();
        let stamp = first["ts_recv"].as_u64().filter(|stamp| first["event"] == "clock_step" && !seen.contains(stamp));
        seen.extend(stamp);
        stamp.is_some()
    });
}

/// No file holds lines of two epochs, and none spans a moment at which stamps went back.
fn assert_files_are_of_one_epoch(scene: &Scene) {
    for path in scene.tape.archived(".zst") {
        let text = zstd::stream::decode_all(&*std::fs::read(&path).unwrap()).unwrap();
        assert_increasing(&path, std::str::from_utf8(&text).unwrap());
    }
    for entry in std::fs::read_dir(&scene.tape.path).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "jsonl") {
            assert_increasing(&path, &std::fs::read_to_string(&path).unwrap());
        }
    }
}

fn assert_increasing(path: &Path, text: &str) {
    let stamps: Vec<u64> = text.lines().map(stamp_of).collect();
    assert!(stamps.windows(2).all(|pair| pair[0] < pair[1]), "{}", path.display());
    assert!(stamps.windows(2).all(|pair| pair[1] - pair[0] < 1_800_000_000), "{} spans a step", path.display());
}

#[test]
fn stamps_follow_a_clock_that_is_set_in_files_of_their_own() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "2", "--rate", "200"]);
    let ahead = Arc::new(AtomicI64::new(0));
    let recorder = Recorder::start(&scene, &exchange.url, &ahead);
    await_event(&scene, "live");
    let mut seen = Vec::new();
    for offset in [-HOUR, HOUR] {
        ahead.store(offset, Ordering::Relaxed);
        await_step(&scene, &mut seen);
        // The next lines of all streams are in new files before the next step.
        crate::support::pause(std::time::Duration::from_millis(500));
    }
    recorder.stop();
    // Started again by a clock that is right, and so far behind the last line.
    ahead.store(0, Ordering::Relaxed);
    let recorder = Recorder::start(&scene, &exchange.url, &ahead);
    let is_start = |event: &Value| event["reason"] == "clock";
    eventually("the start is on record", || scene.tape.active_events().iter().any(is_start));
    await_event(&scene, "live");
    recorder.stop();
    exchange.terminate();
    assert_files_are_of_one_epoch(&scene);
    scene.tape.assert_sealed();
    let steps: Vec<_> = events(&scene).into_iter().filter(|event| event["event"] == "clock_step").collect();
    for step in &steps {
        assert_eq!(step["ts_recv"], step["after"], "it is the first line behind the step");
        let gone = step["after"].as_i64().unwrap() - step["before"].as_i64().unwrap();
        let is_back = gone < 0;
        assert!((gone.abs() - if is_back { HOUR } else { 2 * HOUR }).abs() < 60_000_000, "{step}");
    }
    let epochs: Vec<_> = steps.iter().map(|step| step["epoch"].as_u64().unwrap()).collect();
    assert_eq!(epochs, [1, 1], "stamps went back with the first of them");
    let starts: Vec<_> = events(&scene).into_iter().filter(|event| event["event"] == "started").collect();
    assert_eq!((&starts[0]["epoch"], &starts[1]["epoch"]), (&0.into(), &2.into()));
    // Every frame is there, time line after time line.
    let manifest = scene
        .tape
        .archived("manifest.jsonl")
        .iter()
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect::<String>();
    let sealed: Vec<Value> = manifest.lines().map(parse).collect();
    assert_eq!(
        sealed.iter().map(|entry| entry["epoch"].as_u64().unwrap()).collect::<std::collections::BTreeSet<_>>(),
        [0, 1].into()
    );
    assert!(sealed.iter().all(|entry| entry["venue"] == "127.0.0.1"), "{manifest}");
    let gaps: Vec<_> = events(&scene).into_iter().filter(|event| event["event"] == "gap").collect();
    assert!(gaps.iter().all(|gap| gap["from"].as_u64() < gap["to"].as_u64()), "{gaps:?}");
}

#[test]
fn a_gap_among_stamps_that_repeat_is_healed_whole() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "300", "--no-limits"]);
    let ahead = Arc::new(AtomicI64::new(0));
    let recorder = Recorder::start(&scene, &exchange.url, &ahead);
    await_event(&scene, "healed");
    ahead.store(-SUSPENDED, Ordering::Relaxed);
    await_step(&scene, &mut Vec::new());
    // A gap begins with the last proof of life: in the epoch of the step only once there was one behind it.
    let after = scene.tape.active_events()[0]["after"].as_u64().unwrap();
    let is_behind =
        |trade: &Value| (after..after + SUSPENDED.unsigned_abs() / 2).contains(&trade["ts_recv"].as_u64().unwrap());
    let trades = scene.tape.path.join("KRW-BTC_trade.jsonl");
    eventually("a trade is behind the step", || lines_so_far(&trades).iter().any(is_behind));
    exchange.fault("drop\nrefuse+2s");
    // Others may be healed before it.
    let pair = || {
        let events = scene.tape.active_events();
        let gap = events.iter().find(|found| found["event"] == "gap" && found["kind"] == "disconnected")?;
        let healed = events.iter().find(|found| found["event"] == "healed" && found["gap"] == gap["id"])?;
        Some((gap.clone(), healed.clone()))
    };
    eventually("the gap is healed", || pair().is_some());
    recorder.stop();
    let (gap, healed) = pair().unwrap();
    assert_eq!((&healed["gap"], &gap["epoch"], &healed["gap_epoch"]), (&gap["id"], &1.into(), &Value::Null));
    assert_eq!(healed["partial"], serde_json::json!({}));
    let lines = scene.tape.lines();
    let ids = |stream: &str| -> Vec<u64> {
        let lines = lines.get(stream).into_iter().flatten().map(|line| parse(line));
        let trades = lines.filter(|trade| trade["stream_type"] != "SNAPSHOT");
        trades.map(|trade| trade["sequential_id"].as_u64().unwrap()).collect()
    };
    let fetched = ids("KRW-BTC_trade.healed");
    let all = [ids("KRW-BTC_trade"), fetched.clone()].concat();
    let each: std::collections::BTreeSet<_> = all.iter().collect();
    assert!(!fetched.is_empty() && each.len() == all.len(), "{} of {} once", each.len(), all.len());
}

#[test]
fn a_suspended_machine_has_one_gap_that_is_healed_at_once() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "300", "--no-limits"]);
    let ahead = Arc::new(AtomicI64::new(0));
    let behind = ahead.clone();
    // What the wall clock is ahead by here, this machine was suspended for.
    let boot = Boot::new(move || Duration::from_micros(u64::try_from(behind.load(Ordering::Relaxed)).unwrap()));
    let recorder = Recorder::start_on(&scene, &exchange.url, &ahead, boot);
    await_event(&scene, "healed");
    ahead.store(SUSPENDED, Ordering::Relaxed);
    let is_told = |event: &Value| event["event"] == "gap" && event["kind"] == "paused";
    eventually("the gap is on record", || scene.tape.active_events().iter().any(is_told));
    let gap = scene.tape.active_events().into_iter().find(is_told).unwrap();
    // By its own clock the healer would wait for as long.
    eventually("it is healed", || scene.tape.active_events().iter().any(|event| event["gap"] == gap["id"]));
    recorder.stop();
    exchange.terminate();
    assert_eq!(gap["cause"], "the process did not run, since the machine was suspended");
    let length = gap["to"].as_i64().unwrap() - gap["from"].as_i64().unwrap();
    assert!((SUSPENDED..SUSPENDED + 30_000_000).contains(&length), "{length}");
    let is_loss = |event: &Value| event["event"] == "lost" && event["cause"] != "closed by the recorder";
    assert!(!events(&scene).iter().any(|event| event["event"] == "clock_step" || is_loss(event)));
    scene.tape.assert_stamps_increase();
}
