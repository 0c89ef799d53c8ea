//! What was missed in a gap is fetched and on the tape once, whatever happens meanwhile.

use super::Scene;
use crate::support::{Exchange, Program, eventually, pause, split};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use upbit_recorder::clock::Stamp;
use upbit_recorder::recording::naming::stream_key::StreamKey;

/// The identifiers of a stream's trades, by the field that has them, in the order of the tape.
fn ids(lines: Option<&Vec<String>>) -> Vec<u64> {
    let id = |line: &String| serde_json::from_str::<Value>(line).ok()?["sequential_id"].as_u64();
    lines.into_iter().flatten().filter_map(id).collect()
}

/// What the exchange has of a code from the oldest to the newest of some trades, by their identifiers.
fn traded(exchange: &Exchange, code: &str, between: &BTreeSet<u64>) -> BTreeMap<u64, String> {
    let (mut found, mut left, mut cursor) = (Vec::new(), between.clone(), String::new());
    while !left.is_empty() {
        let page = exchange.list(&format!("trades/ticks?market={code}&count=500{cursor}"));
        assert!(!page.is_empty(), "{code}: the exchange does not have what was recorded: {left:?}");
        for object in page {
            let id = serde_json::from_str::<Value>(object.get()).unwrap()["sequential_id"].as_u64().unwrap();
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
    let tape = upbit_recorder::archive::Tape::new(&scene.tape.path);
    let lines = tape.lines(&StreamKey::recorder(), Stamp::default()..=Stamp::MAX).unwrap();
    let events = lines.filter_map(|line| serde_json::from_slice::<Value>(line.unwrap().text()).ok());
    events.filter(|found| found["event"] == event).collect()
}

/// How many trades were written by healing so far.
fn healed_trades(scene: &Scene, codes: &[String]) -> usize {
    let tape = upbit_recorder::archive::Tape::new(&scene.tape.path);
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
            let (_, rest) = split(line).1.split_once(',').map(|(gap, rest)| (gap.to_owned(), rest.to_owned())).unwrap();
            let id = serde_json::from_str::<Value>(line).unwrap()["sequential_id"].as_u64().unwrap();
            assert_eq!(format!("{{{rest}"), traded[&id], "the object comes back");
        }
        healed_counts.insert(code.clone(), healed_ids.len());
    }
    healed_counts
}

/// Cuts the connection for so many milliseconds, and waits for the gap to be on record.
fn cut(scene: &Scene, exchange: &Exchange, millis: u32) {
    let gaps = scene.count("gap", "public");
    exchange.fault("drop");
    exchange.fault(&format!("refuse+{millis}ms"));
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

#[test]
fn what_was_missed_while_the_connection_was_cut_is_on_the_tape_once() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "300", "--no-limits"]);
    let recorder = record(&scene, &exchange, &[]);
    scene.await_event(&recorder, "gap", 1);
    pause(Duration::from_secs(2));
    cut(&scene, &exchange, 3_000);
    scene.await_event(&recorder, "healed", 2);
    pause(Duration::from_secs(1));
    assert!(recorder.terminate().success());
    let healed = assert_whole(&scene, &exchange, &exchange.codes());
    assert!(healed.values().all(|count| *count > 10), "{healed:?}");
    let gaps = scene.tape.events("gap");
    let healings = scene.tape.events("healed");
    assert_eq!(healings[1]["gap"], gaps[1]["id"]);
    for (code, count) in healed {
        // The start was a gap of its own, in which something may have been traded, too.
        let told = healings.iter().filter_map(|healed| healed["complete"][format!("{code}_trade")].as_u64());
        assert_eq!(told.sum::<u64>(), count as u64, "{healings:?}");
    }
    assert_eq!(healings[1]["impossible"], serde_json::json!(["orderbook", "ticker"]));
    scene.tape.assert_stamps_increase();
}

#[test]
fn trades_that_the_stream_kept_back_are_fetched_too() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "300", "--no-limits"]);
    let recorder = record(&scene, &exchange, &["public.format=SIMPLE_LIST"]);
    scene.await_event(&recorder, "gap", 1);
    pause(Duration::from_secs(1));
    // The stream is silent about one code until a while after the connection is back.
    exchange.fault("hold=KRW-BTC+4s");
    cut(&scene, &exchange, 1_500);
    eventually("every gap is healed", || is_healed(&scene));
    assert!(recorder.terminate().success());
    let sid = |line: &String| line.replace("\"sid\":", "\"sequential_id\":");
    let lines = scene.tape.lines();
    let received = ids(Some(&lines["KRW-BTC_trade"].iter().map(sid).collect()));
    let healed = ids(lines.get("KRW-BTC_trade.healed"));
    let on_tape: BTreeSet<u64> = received.iter().chain(&healed).copied().collect();
    let traded = traded(&exchange, "KRW-BTC", &on_tape);
    assert_eq!(difference(&on_tape, traded.into_keys()), [0; 0]);
    assert!(healed.len() > 50 && healed.iter().all(|id| !received.contains(id)), "{}", healed.len());
}

#[test]
fn killed_while_it_heals_everything_is_on_the_tape_once() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "3000", "--no-limits"]);
    let slowly = ["rest.requests_per_second=1", "storage.rotate_bytes=1MiB"];
    let recorder = record(&scene, &exchange, &slowly);
    scene.await_event(&recorder, "gap", 1);
    pause(Duration::from_secs(1));
    cut(&scene, &exchange, 4_000);
    let (mut recorder, codes) = (recorder, exchange.codes());
    for _ in 0..2 {
        let before = healed_trades(&scene, &codes);
        eventually("healing has come further", || healed_trades(&scene, &codes) > before);
        recorder.kill();
        recorder = record(&scene, &exchange, &slowly);
        scene.await_event(&recorder, "gap", 1);
    }
    assert!(recorder.terminate().success());
    let before = healed_trades(&scene, &codes);
    let recorder = record(&scene, &exchange, &["storage.rotate_bytes=1MiB"]);
    scene.await_event(&recorder, "gap", 1);
    eventually("every gap is healed", || is_healed(&scene));
    assert!(recorder.terminate().success());
    let healed = assert_whole(&scene, &exchange, &codes);
    assert!(healed.values().sum::<usize>() > 2_000.max(before), "{before} before, then {healed:?}");
    scene.tape.assert_stamps_increase();
    let kinds: BTreeSet<String> =
        scene.tape.events("gap").iter().map(|gap| gap["kind"].as_str().unwrap().to_owned()).collect();
    assert!(kinds.contains("killed"));
}

#[test]
fn without_the_interface_it_records_on_stops_in_time_and_heals_after_the_next_start() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "300", "--no-limits"]);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nobody = format!("rest.url=http://127.0.0.1:{port}/v1");
    let recorder = record(&scene, &exchange, &[&nobody]);
    scene.await_event(&recorder, "gap", 1);
    pause(Duration::from_secs(1));
    cut(&scene, &exchange, 1_500);
    eventually("it was tried", || requests(&scene) >= 3);
    let recorded = scene.recorded();
    eventually("it records on", || scene.recorded() > recorded + 100);
    assert!(recorder.terminate().success());
    let gap = events(&scene, "gap")[1]["id"].clone();
    let of_gap = |scene: &Scene| events(scene, "healed").into_iter().find(|healed| healed["gap"] == gap);
    assert!(of_gap(&scene).is_none());
    let recorder = record(&scene, &exchange, &[]);
    scene.await_event(&recorder, "gap", 1);
    eventually("every gap is healed", || is_healed(&scene));
    assert!(recorder.terminate().success());
    assert_eq!(of_gap(&scene).unwrap()["complete"].as_object().unwrap().len(), 3);
    assert_whole(&scene, &exchange, &exchange.codes());
}

#[test]
fn a_day_has_so_many_requests_and_what_is_left_over_waits() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "300", "--no-limits"]);
    let recorder = record(&scene, &exchange, &["rest.heal_max=2"]);
    scene.await_event(&recorder, "gap", 1);
    pause(Duration::from_secs(1));
    cut(&scene, &exchange, 1_500);
    eventually("two were made", || requests(&scene) == 2);
    pause(Duration::from_secs(2));
    assert_eq!(requests(&scene), 2);
    assert!(recorder.terminate().success());
    assert!(!is_healed(&scene));
    let recorder = record(&scene, &exchange, &["rest.heal_max=20"]);
    scene.await_event(&recorder, "gap", 1);
    eventually("every gap is healed", || is_healed(&scene));
    assert!(recorder.terminate().success());
    assert!((3..20).contains(&requests(&scene)), "the two are counted, too");
    assert_whole(&scene, &exchange, &exchange.codes());
}

#[test]
fn nothing_is_asked_where_healing_is_off() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "300", "--no-limits"]);
    let recorder = record(&scene, &exchange, &["rest.heal_max=0"]);
    scene.await_event(&recorder, "gap", 1);
    cut(&scene, &exchange, 500);
    pause(Duration::from_secs(7));
    assert!(recorder.terminate().success());
    assert_eq!((scene.tape.events("healed").len(), requests(&scene)), (0, 0));
}

/// Whether the last snapshot of a stream is of a trade that had not come before.
fn traded_in_last_gap(lines: &[String]) -> bool {
    let ids = ids(Some(&lines.to_vec()));
    let snapshot = lines.iter().rposition(|line| line.contains("SNAPSHOT")).unwrap();
    !ids[..snapshot].contains(&ids[snapshot])
}

#[test]
fn a_cut_of_the_whole_exchange_costs_a_request_for_each_code_that_traded() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "855", "--rate", "28", "--no-limits"]);
    let codes = exchange.codes();
    let config = scene.path("recorder.toml");
    let subscribe = format!("[[public.subscribe]]\ntype = \"trade\"\ncodes = {}\n", serde_json::json!(codes));
    std::fs::write(&config, subscribe).unwrap();
    let rest = format!("rest.url=http://127.0.0.1:{}/v1", exchange.port());
    let mut command = scene.command("record", &exchange.url, &[&rest, "public.backoff_min=50ms"]);
    let recorder = Program::spawn(command.args(["--config", &config]));
    eventually("there is a first trade of every code", || scene.recorded() >= codes.len());
    cut(&scene, &exchange, 3_000);
    let gap = events(&scene, "gap")[1]["id"].clone();
    let of_gap = |scene: &Scene| events(scene, "healed").into_iter().find(|healed| healed["gap"] == gap);
    eventually("the gap is healed", || of_gap(&scene).is_some());
    let (healed, spent) = (of_gap(&scene).unwrap(), requests(&scene));
    assert!(recorder.terminate().success());
    // A code that traded once in the gap shows it by its snapshot, and is asked about all the same.
    let written = healed["complete"].as_object().unwrap().len() as u64;
    let lines = scene.tape.lines();
    let traded = codes.iter().filter(|code| traded_in_last_gap(&lines[&format!("{code}_trade")])).count() as u64;
    assert!((15..=55).contains(&traded), "{traded} codes traded in the gap");
    assert!(spent < 60 && spent <= traded + 10, "{spent} requests for {traded} codes: {healed}");
    assert_eq!(healed["unaffected"], 855 - written);
    assert_whole(&scene, &exchange, &codes);
}

#[test]
fn the_candles_of_the_periods_in_the_gap_are_fetched() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "1", "--rate", "100", "--no-limits"]);
    let config = scene.path("recorder.toml");
    let entry = |kind: &str| format!("[[public.subscribe]]\ntype = \"candle.{kind}\"\ncodes = [\"KRW-BTC\"]\n");
    std::fs::write(&config, ["1s", "240m"].map(entry).concat()).unwrap();
    let rest = format!("rest.url=http://127.0.0.1:{}/v1", exchange.port());
    let mut command = scene.command("record", &exchange.url, &[&rest, "public.backoff_min=50ms"]);
    let recorder = Program::spawn(command.args(["--config", &config]));
    scene.await_event(&recorder, "gap", 1);
    pause(Duration::from_secs(2));
    cut(&scene, &exchange, 3_500);
    eventually("every gap is healed", || is_healed(&scene));
    assert!(recorder.terminate().success());
    let lines = scene.tape.lines();
    let gap = scene.tape.events("gap").pop().unwrap();
    let second = |end: &str| {
        let micros = i64::try_from(gap[end].as_u64().unwrap()).unwrap();
        jiff::Timestamp::from_microsecond(micros).unwrap().strftime("%FT%T").to_string()
    };
    let expected: BTreeSet<String> = exchange
        .list("candles/seconds?market=KRW-BTC&count=200")
        .iter()
        .map(|candle| {
            serde_json::from_str::<Value>(candle.get()).unwrap()["candle_date_time_utc"].as_str().unwrap().to_owned()
        })
        .filter(|time| (second("from")..second("to")).contains(time))
        .collect();
    let healed: Vec<Value> =
        lines["KRW-BTC_candle.1s.healed"].iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let times: BTreeSet<String> =
        healed.iter().map(|candle| candle["candle_date_time_utc"].as_str().unwrap().to_owned()).collect();
    assert!(
        expected.len() >= 2 && times.is_superset(&expected) && times.len() == healed.len(),
        "{times:?} {expected:?}"
    );
    assert!(healed.iter().all(|candle| candle["gap"] == gap["id"]));
    // Its period still runs, and the stream shows all of it.
    assert!(!lines.contains_key("KRW-BTC_candle.240m.healed"));
}
