//! The list of pairs in the simulated world: wrong answers with a 200, then a right one, and patterns that are resolved by
//! it. Whatever is answered, no stream that was subscribed is dropped.

use super::disk::Crash;
use super::exchange::Mood;
use super::life::{End, Life};
use super::plan::Plan;
use super::world;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use upbit_recorder::clock::{Clock, Instant};
use upbit_recorder::config::Config;
use upbit_recorder::rest::markets::Markets;
use upbit_recorder::rest::pairs::Lister;
use upbit_recorder::tape::manifest::Origins;
use upbit_recorder::upbit::subscription::Request;

const CODES: [&str; 3] = ["KRW-BTC", "KRW-ETH", "KRW-XRP"];

/// Who answers, and what the recorder has kept of it; shared by all lives.
#[derive(Clone)]
pub(crate) struct Listing(Arc<Mutex<Shared>>);

struct Shared {
    rng: StdRng,
    kept: Option<Markets>,
    wrong: usize,
    asked: usize,
    /// The pairs whose trades are recorded. Where the world heals these are all: others happen while nobody listens.
    trades: &'static [&'static str],
    /// The first four turns of so many bring a wrong answer each.
    turns: u32,
    /// When the last pair is not listed, since the world began.
    absent: Vec<Range<Duration>>,
    began: Option<Began>,
}

/// The world's clock, and when it began.
#[derive(Clone, Copy)]
struct Began {
    clock: Clock,
    at: Instant,
}

impl Listing {
    fn new(seed: u64) -> Self {
        let listing = Self::absent_at(seed, 6, Vec::new());
        listing.lock().trades = &CODES[..1];
        listing
    }

    /// One that does not list the last pair at times, and that is wrong as seldom as `turns` is high.
    pub(crate) fn absent_at(seed: u64, turns: u32, absent: Vec<Range<Duration>>) -> Self {
        let rng = StdRng::seed_from_u64(seed);
        let shared = Shared { rng, kept: None, wrong: 0, asked: 0, trades: &CODES, turns, absent, began: None };
        Self(Arc::new(Mutex::new(shared)))
    }

    /// The world begins.
    pub(crate) fn begin(&self, clock: Clock) {
        self.lock().began = Some(Began { clock, at: clock.now() });
    }

    /// Trades by their names, order books of all by a pattern.
    pub(crate) fn configure(&self, config: &mut Config) {
        let [trades, books] = &mut config.public.subscribe[..] else { panic!("the world has two entries") };
        trades.codes = self.lock().trades.iter().map(|&code| code.into()).collect();
        books.codes = vec!["KRW-*".into()];
    }

    /// What a start finds on the disk.
    pub(crate) fn kept(&self) -> Option<Markets> {
        self.lock().kept.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap()
    }
}

impl Shared {
    /// Whether the last pair is not listed now.
    fn is_absent(&self) -> bool {
        let age = self.began.map(|Began { clock, at }| clock.now().saturating_duration_since(at));
        age.is_some_and(|age| self.absent.iter().any(|absent| absent.contains(&age)))
    }
}

impl Lister for Listing {
    async fn ask(&mut self) -> Result<Markets, String> {
        let mut shared = self.lock();
        let mut entries: Vec<String> = CODES.iter().map(|code| format!(r#"{{"market":"{code}"}}"#)).collect();
        entries.truncate(CODES.len() - usize::from(shared.is_absent()));
        shared.asked += 1;
        let turns = shared.turns;
        let turn = shared.rng.random_range(0..turns);
        shared.wrong += usize::from(turn < 4);
        match turn {
            0 => return Err("503".into()),
            1 => entries.clear(),
            2 => entries.truncate(1),
            3 => _ = entries.remove(shared.rng.random_range(0..entries.len())),
            4 => entries.extend([r#"{"market":"KRW-wBTC"}"#, r#"{"market":"../x"}"#, "7"].map(str::to_owned)),
            _ => {}
        }
        Ok(Markets::of(serde_json::from_str(&format!("[{}]", entries.join(","))).unwrap()))
    }

    fn keep(&mut self, known: &Markets) {
        self.lock().kept = Some(known.clone());
    }
}

/// A history of lives in which everything happens but a fault of the disk.
fn plan(seed: u64) -> Plan {
    let life = |mood, end| Life { mood, end, ..Life::quiet(40) };
    let lives = vec![
        life(Mood::Kind, End::Crash(Crash::Kill)),
        life(Mood::Wild, End::Stop),
        life(Mood::Wild, End::Crash(Crash::PowerCut)),
        life(Mood::Kind, End::Stop),
        Life::quiet(45),
    ];
    Plan { seed, lives }
}

/// Whether a stream is in a gap that spans the moment of its subscription.
fn is_in_a_gap(events: &[Value], stream: &str, subscribed: &Value) -> bool {
    let at = subscribed["ts_recv"].as_u64();
    let stream = Value::from(stream);
    let holds = |gap: &&Value| gap["streams"].as_array().is_some_and(|streams| streams.contains(&stream));
    let gaps = events.iter().filter(|event| event["event"] == "gap").filter(holds);
    gaps.into_iter().any(|gap| gap["from"].as_u64() <= at && at <= gap["to"].as_u64())
}

#[test]
fn no_wrong_list_of_pairs_drops_a_stream() {
    let mut wrong = 0;
    let mut joined = 0;
    for seed in 0..12 {
        let listing = Listing::new(seed);
        let outcome = world::run_with(&plan(seed), listing.clone());
        assert_eq!(outcome.violations, [""; 0], "seed {seed}");
        let mut standing: BTreeSet<String> = BTreeSet::new();
        for event in outcome.events.iter().filter(|event| event["connection"] == "public") {
            let Some(frame) = event["request"].as_str().filter(|_| event["event"] == "subscribed") else { continue };
            let asked: BTreeSet<String> =
                Origins::of(&Request::from_frame(frame).unwrap()).names().into_iter().collect();
            assert!(asked.is_superset(&standing), "seed {seed}: {event}");
            let fresh: Vec<&String> = asked.difference(&standing).collect();
            if event["reason"] == "changed" {
                joined += 1;
                assert!(fresh.iter().all(|stream| is_in_a_gap(&outcome.events, stream, event)), "seed {seed}: {event}");
            }
            standing = asked;
        }
        // A list that lacks nothing came at last, and the next life began with what was kept of it.
        assert!(standing.len() == 4 || listing.lock().asked < 8, "seed {seed}: {standing:?}");
        wrong += listing.lock().wrong;
    }
    assert!(wrong > 100 && joined > 8, "{wrong} wrong answers, {joined} requests that changed");
}
