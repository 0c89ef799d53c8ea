//! What was recorded is played, and recorded once more: the same tape, raw line by raw line, stream by stream.

use super::{Scene, account};
use crate::support::http::get;
use crate::support::{Exchange, eventually, pause};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

const QUICK: [&str; 2] = ["public.backoff_min=100ms", "rest.heal_max=0"];

/// The objects of each stream of the exchange, as they were received.
fn objects(scene: &Scene) -> BTreeMap<String, Vec<String>> {
    let mut frames = scene.tape.frames();
    frames.retain(|stream, _| !["misc", "recorder"].contains(&stream.as_str()) && !stream.ends_with(".rest"));
    frames
}

/// Two lives with a kill between them, a lost connection in the second.
fn recorded(settings: &[&str]) -> Scene {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "600", "--no-limits"]);
    let settings = [&QUICK[..], &["storage.rotate_bytes=1MiB"], settings].concat();
    let recorder = scene.record(&exchange.url, &settings);
    eventually("it records", || scene.recorded() > 200);
    recorder.kill();
    let recorder = scene.record(&exchange.url, &settings);
    scene.await_event(&recorder, "live", 1);
    pause(Duration::from_secs(1));
    exchange.fault("drop");
    exchange.clear_faults();
    scene.await_event(&recorder, "live", 2);
    pause(Duration::from_secs(1));
    assert!(recorder.terminate().success());
    exchange.terminate();
    scene
}

/// A recording of a recording that is played.
fn played(scene: &Scene, arguments: &[&str], settings: &[&str]) -> Scene {
    let (again, wanted) = (Scene::new(), objects(scene));
    let directory = scene.tape.path.to_str().unwrap();
    let exchange = Exchange::start(0, &[&["--from", directory, "--no-limits"], arguments].concat());
    let recorder = again.record(&exchange.url, &[&QUICK[..], settings].concat());
    let count = |objects: &BTreeMap<String, Vec<String>>| objects.values().map(Vec::len).sum::<usize>();
    eventually("everything was played", || again.recorded() >= count(&wanted));
    pause(Duration::from_millis(300));
    assert!(recorder.terminate().success());
    exchange.terminate();
    again
}

fn assert_same(one: &Scene, other: &Scene, what: &str) {
    let (one, other) = (objects(one), objects(other));
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>(), "{what}");
    for (stream, objects) in &one {
        assert!(objects.len() > 10 && *objects == other[stream], "{what}: {stream}");
    }
}

#[test]
fn a_recording_that_is_played_is_the_same_recording() {
    let scene = recorded(&[]);
    assert_same(&scene, &played(&scene, &["--speed", "5"], &[]), "gaps are silences");
    let again = played(&scene, &["--speed", "max", "--gaps", "disconnect"], &[]);
    assert_same(&scene, &again, "gaps end connections");
    let gaps = again.tape.events("gap").len();
    assert!(gaps >= 3, "the first start, the kill and the loss, and not {gaps}");
}

#[test]
fn a_recording_is_spelt_the_other_way_and_back() {
    let scene = recorded(&[]);
    let short = played(&scene, &["--speed", "max"], &["public.format=SIMPLE"]);
    for (stream, objects) in objects(&short) {
        let (code, kind) = stream.split_once('_').unwrap();
        for object in objects {
            let object: Value = serde_json::from_str(&object).unwrap();
            assert_eq!((&object["ty"], &object["cd"]), (&kind.into(), &code.into()));
            assert!(object["type"].is_null() && object["st"].is_string() && object["tms"].is_u64());
        }
    }
    assert_same(&scene, &played(&short, &["--speed", "max"], &[]), "numbers are what they were");
}

#[test]
fn what_the_account_received_is_played_to_its_owner() {
    let scene = Scene::new();
    let exchange = scene.exchange(&[&account::KEYS[..], &["--codes", "3", "--rate", "600", "--no-limits"]].concat());
    let settings = [&QUICK[..], &["public.enabled=false"]].concat();
    let recorder = account::record(&scene, &exchange, account::RIGHT, &settings);
    eventually("the account's events are recorded", || Scene::recorded_in(&scene.private()) > 30);
    assert!(recorder.terminate().success());
    exchange.terminate();
    let account = |scene: &Scene| {
        let mut frames = scene.private().frames();
        frames.remove("misc");
        frames
    };
    let wanted = account(&scene);
    let count = wanted.values().map(Vec::len).sum::<usize>();
    let again = Scene::new();
    let directory = scene.tape.path.to_str().unwrap();
    let exchange = Exchange::start(0, &[&["--from", directory, "--speed", "max"], &account::KEYS[..]].concat());
    let recorder = account::record(&again, &exchange, account::RIGHT, &settings);
    eventually("everything was played", || Scene::recorded_in(&again.private()) >= count);
    pause(Duration::from_millis(300));
    assert!(recorder.terminate().success());
    exchange.terminate();
    assert!(wanted.len() >= 2 && account(&again) == wanted, "{count} objects of {:?}", wanted.keys());
}

#[test]
fn rest_shows_what_was_recorded() {
    let scene = recorded(&[]);
    let exchange = Exchange::start(0, &["--from", scene.tape.path.to_str().unwrap(), "--no-limits"]);
    let ask = |path: &str| -> Vec<Value> {
        let answer = get(exchange.port(), &format!("/v1/{path}")).unwrap();
        serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.body))
    };
    let trades: BTreeMap<u64, Value> = objects(&scene)["KRW-BTC_trade"]
        .iter()
        .map(|object| serde_json::from_str::<Value>(object).unwrap())
        .map(|trade| (trade["sequential_id"].as_u64().unwrap(), trade))
        .collect();
    let mut shown = ask("trades/ticks?market=KRW-BTC&count=100");
    let mut next = shown.last().cloned();
    while let Some(last) = next {
        let cursor = &last["sequential_id"];
        let page = ask(&format!("trades/ticks?market=KRW-BTC&count=100&cursor={cursor}"));
        next = page.last().cloned();
        shown.extend(page);
    }
    assert_eq!(shown.len(), trades.len(), "each trade once");
    for trade in &shown {
        let own = &trades[&trade["sequential_id"].as_u64().unwrap()];
        assert_eq!((&trade["trade_price"], &trade["timestamp"]), (&own["trade_price"], &own["trade_timestamp"]));
    }
    let candles = ask("candles/minutes/1?market=KRW-BTC&count=200");
    let volume: f64 = candles.iter().map(|candle| candle["candle_acc_trade_volume"].as_f64().unwrap()).sum();
    let wanted: f64 = trades.values().map(|trade| trade["trade_volume"].as_f64().unwrap()).sum();
    assert!((volume - wanted).abs() < 1e-6, "{volume} and not {wanted}");
    assert_eq!(ask("market/all").len(), 3);
    assert_eq!(ask("orderbook?markets=KRW-ETH,KRW-XRP").len(), 2);
    assert!(get(exchange.port(), "/v1/candles/minutes/1?market=KRW-NOPE").unwrap().status == 404);
    exchange.terminate();
}

#[test]
fn frames_are_taken_from_a_recorders_own_files() {
    let scene = recorded(&[]);
    let sealed = scene.tape.archived(".zst");
    let file = sealed.iter().find(|path| path.to_str().unwrap().contains("KRW-BTC_orderbook")).unwrap();
    let again = Scene::new();
    let exchange = again.exchange(&["--frames", file.to_str().unwrap()]);
    let recorder = again.record(&exchange.url, &QUICK);
    let text = String::from_utf8(zstd::stream::decode_all(&*std::fs::read(file).unwrap()).unwrap()).unwrap();
    let wanted: Vec<String> = text.lines().map(crate::support::json::object_of).collect();
    eventually("all is played", || again.recorded() >= wanted.len());
    assert!(recorder.terminate().success());
    exchange.terminate();
    assert_eq!(objects(&again)["KRW-BTC_orderbook"], wanted);
}
