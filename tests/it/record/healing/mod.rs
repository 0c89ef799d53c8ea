//! What was missed in a gap is fetched and on the tape once, whatever happens meanwhile.

mod disturbed;
mod missed;

use super::Scene;
use crate::support::json::{number, object_of, parse, prefixed};
use crate::support::{Exchange, Program, eventually, pause};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use upbit_recorder::clock::{Clock, Stamp};
use upbit_recorder::tape::stream_key::StreamKey;

/// The longest test, in seconds.
const LONGEST: u64 = 240;

/// So many seconds from midnight the healer trusts no answer, and pauses a walk for longer than a test waits.
const ASTRAY: u64 = 15;

/// A scene that midnight UTC does not disturb: where a test could run into it, it begins after it.
fn scene() -> Scene {
    let of_day = || Clock::start().stamp().as_micros() / 1_000_000 % 86_400;
    while !(ASTRAY..86_400 - LONGEST).contains(&of_day()) {
        pause(Duration::from_secs(1));
    }
    Scene::new()
}

/// The identifiers of a stream's trades, in either format, in the order of the tape.
fn ids(lines: Option<&Vec<String>>) -> Vec<u64> {
    let id = |line: &String| {
        let trade: Value = serde_json::from_str(line).ok()?;
        trade.get("sequential_id").or(trade.get("sid"))?.as_u64()
    };
    lines.into_iter().flatten().filter_map(id).collect()
}

/// What the exchange has of a code from the oldest to the newest of some trades, by their identifiers.
fn traded(exchange: &Exchange, code: &str, between: &BTreeSet<u64>) -> BTreeMap<u64, String> {
    let mut found = Vec::new();
    let mut left = between.clone();
    let mut cursor = String::new();
    let mut day = "";
    while !left.is_empty() {
        let page = exchange.list(&format!("trades/ticks?market={code}&count=500{day}{cursor}"));
        if page.is_empty() {
            // The last trade before a subscription may be of yesterday.
            assert!(day.is_empty(), "{code}: the exchange does not have what was recorded: {left:?}");
            (day, cursor) = ("&days_ago=1", String::new());
        }
        for object in page {
            let id = number(&parse(object.get()), "sequential_id");
            if left.remove(&id) || (left.len() < between.len() && !left.is_empty()) {
                found.push((id, object.get().to_owned()));
            }
            cursor = format!("&cursor={id}");
        }
    }
    found.into_iter().collect()
}

/// What is only in one of two sets.
fn difference(left: &BTreeSet<u64>, right: impl Iterator<Item = u64>) -> Vec<u64> {
    left.symmetric_difference(&right.collect()).copied().collect()
}

/// Events of one kind while the recorder writes on.
fn events(scene: &Scene, event: &str) -> Vec<Value> {
    let tape = scene.tape.reader();
    let lines = tape.lines(&StreamKey::recorder(), Stamp::default()..=Stamp::MAX).unwrap();
    let events = lines.filter_map(|line| serde_json::from_slice::<Value>(line.unwrap().text()).ok());
    events.filter(|found| found["event"] == event).collect()
}

/// How many trades were written by healing so far.
fn healed_trades(scene: &Scene, codes: &[String]) -> usize {
    let tape = scene.tape.reader();
    let count = |code: &String| {
        let stream = StreamKey::from_stem(&format!("{code}_trade.healed")).unwrap();
        tape.lines(&stream, Stamp::default()..=Stamp::MAX).unwrap().count()
    };
    codes.iter().map(count).sum()
}

/// A recorder that heals.
fn record(scene: &Scene, exchange: &Exchange, settings: &[&str]) -> Program {
    let rest = format!("rest.url=http://127.0.0.1:{}/v1", exchange.port());
    let own = [rest.as_str(), "public.backoff_min=50ms", "public.backoff_max=200ms"];
    scene.record(&exchange.url, &[&own[..], settings].concat())
}

/// Holds the tape of each code against what the exchange has: everything once, and what was healed verbatim.
fn assert_whole(scene: &Scene, exchange: &Exchange, codes: &[String]) -> BTreeMap<String, usize> {
    let lines = scene.tape.lines();
    let mut healed_counts = BTreeMap::new();
    for code in codes {
        let received = ids(lines.get(&format!("{code}_trade")));
        let healed = lines.get(&format!("{code}_trade.healed"));
        let healed_ids = ids(healed);
        // A snapshot repeats the last trade before it.
        let on_tape: BTreeSet<u64> = received.iter().chain(&healed_ids).copied().collect();
        let traded = traded(exchange, code, &on_tape);
        assert_eq!(difference(&on_tape, traded.keys().copied()), [0; 0], "{code}: everything is on the tape");
        let received: BTreeSet<u64> = received.into_iter().collect();
        assert!(healed_ids.iter().all(|id| !received.contains(id)), "{code}: nothing that came is fetched");
        assert_eq!(
            healed_ids.iter().collect::<BTreeSet<_>>().len(),
            healed_ids.len(),
            "{code}: nothing is fetched twice"
        );
        for line in healed.into_iter().flatten() {
            let found = parse(line);
            let own = prefixed("gap", number(&found, "gap"), &traded[&number(&found, "sequential_id")]);
            assert_eq!(object_of(line), own, "the object comes back");
        }
        healed_counts.insert(code.clone(), healed_ids.len());
    }
    healed_counts
}

/// Cuts the connection for so many milliseconds, and waits for the gap to be on record.
fn cut(scene: &Scene, exchange: &Exchange, millis: u32) {
    let gaps = scene.count("gap", "public");
    // In this order, or a reconnect slips in between.
    exchange.fault(&format!("refuse+{millis}ms"));
    exchange.fault("drop");
    eventually("the gap is on record", || scene.count("gap", "public") > gaps);
}

/// Whether every gap on record was healed, or cannot be.
fn is_healed(scene: &Scene) -> bool {
    let ids = |event: &str, key: &str| -> BTreeSet<u64> {
        events(scene, event).iter().map(|event| event[key].as_u64().unwrap()).collect()
    };
    ids("gap", "id") == ids("healed", "gap")
}

/// Requests that healing made today, as all programs count them.
fn requests(scene: &Scene) -> u64 {
    let text = std::fs::read_to_string(scene.tape.path.join("rest/.requests")).unwrap_or_default();
    serde_json::from_str::<Value>(&text).map_or(0, |counted| counted["healed"].as_u64().unwrap())
}
