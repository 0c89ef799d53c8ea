//! What was missed in a gap is fetched and on the tape once, whatever happens meanwhile.

use super::Scene;
use crate::support::{Exchange, Program, pause, split};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The identifiers of a stream's trades, by the field that has them, in the order of the tape.
fn ids(lines: Option<&Vec<String>>) -> Vec<u64> {
    let id = |line: &String| serde_json::from_str::<Value>(line).ok()?["sequential_id"].as_u64();
    lines.into_iter().flatten().filter_map(id).collect()
}

/// What the exchange has of a code between two identifiers, newest first.
fn traded(exchange: &Exchange, code: &str, oldest: u64, newest: u64) -> Vec<(u64, String)> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = exchange.list(&format!("trades/ticks?market={code}&count=500{cursor}"));
        for object in &page {
            let trade: Value = serde_json::from_str(object.get()).unwrap();
            let id = trade["sequential_id"].as_u64().unwrap();
            found.push((id, object.get().to_owned()));
            if id == oldest {
                let newest = found.iter().position(|(id, _)| *id == newest).unwrap();
                return found.split_off(newest);
            }
        }
        cursor = format!("&cursor={}", found.last().unwrap().0);
        assert!(!page.is_empty(), "the exchange does not have what was recorded");
    }
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
        let (Some(first), Some(last)) = (received.first(), received.last()) else { continue };
        let traded: BTreeMap<u64, String> = traded(exchange, code, *first, *last).into_iter().collect();
        assert_eq!(on_tape, traded.keys().copied().collect(), "{code}: everything is on the tape");
        let received: BTreeSet<u64> = received.into_iter().collect();
        assert!(healed_ids.iter().all(|id| !received.contains(id)), "{code}: nothing that came is fetched");
        assert_eq!(
            healed_ids.iter().collect::<BTreeSet<_>>().len(),
            healed_ids.len(),
            "{code}: nothing is fetched twice"
        );
        for line in healed.into_iter().flatten() {
            let (_, rest) = split(line).1.split_once(',').map(|(gap, rest)| (gap.to_owned(), rest.to_owned())).unwrap();
            let id = serde_json::from_str::<Value>(line).unwrap()["sequential_id"].as_u64().unwrap();
            assert_eq!(format!("{{{rest}"), traded[&id], "the object comes back");
        }
        healed_counts.insert(code.clone(), healed_ids.len());
    }
    healed_counts
}

#[test]
fn what_was_missed_while_the_connection_was_cut_is_on_the_tape_once() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "300", "--no-limits"]);
    let recorder = record(&scene, &exchange, &[]);
    scene.await_event(&recorder, "gap", 1);
    pause(Duration::from_secs(2));
    exchange.fault("drop");
    exchange.fault("refuse+3s");
    scene.await_event(&recorder, "gap", 2);
    scene.await_event(&recorder, "healed", 2);
    pause(Duration::from_secs(1));
    assert!(recorder.terminate().success());
    let healed = assert_whole(&scene, &exchange, &exchange.codes());
    assert!(healed.values().all(|count| *count > 10), "{healed:?}");
    let gaps = scene.tape.events("gap");
    let events = scene.tape.events("healed");
    assert_eq!(events[1]["gap"], gaps[1]["id"]);
    for (code, count) in healed {
        assert_eq!(events[1]["complete"][format!("{code}_trade")], count, "{events:?}");
    }
    assert_eq!(events[1]["impossible"], serde_json::json!(["orderbook", "ticker"]));
    scene.tape.assert_stamps_increase();
}
