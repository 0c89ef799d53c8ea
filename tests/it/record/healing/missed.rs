//! What is missed, and what it costs to fetch it.

use super::{assert_whole, cut, difference, events, ids, is_healed, record, requests, scene, traded};
use crate::record::Scene;
use crate::support::json::parse;
use crate::support::{Exchange, Program, eventually, pause};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;
use upbit_recorder::clock::Stamp;
use upbit_recorder::tape::segment_name::SegmentName;
use upbit_recorder::tape::stream_key::StreamKey;
use upbit_recorder::upbit::feed::Feed;

#[test]
fn what_a_cut_connection_missed_is_on_the_tape_once() {
    let scene = scene();
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
    let scene = scene();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "300", "--no-limits"]);
    let recorder = record(&scene, &exchange, &["public.format=SIMPLE_LIST"]);
    scene.await_event(&recorder, "gap", 1);
    pause(Duration::from_secs(1));
    // The stream is silent about one code until a while after the connection is back.
    exchange.fault("hold=KRW-BTC+4s");
    cut(&scene, &exchange, 1_500);
    eventually("every gap is healed", || is_healed(&scene));
    assert!(recorder.terminate().success());
    let lines = scene.tape.lines();
    let received = ids(lines.get("KRW-BTC_trade"));
    let healed = ids(lines.get("KRW-BTC_trade.healed"));
    let on_tape: BTreeSet<u64> = received.iter().chain(&healed).copied().collect();
    let traded = traded(&exchange, "KRW-BTC", &on_tape);
    assert_eq!(difference(&on_tape, traded.into_keys()), [0; 0]);
    assert!(healed.len() > 50 && healed.iter().all(|id| !received.contains(id)), "{}", healed.len());
}

#[test]
#[ignore = "takes over two minutes, because a market is quiet after one: cargo test --test it record::healing -- --ignored"]
fn what_a_silent_stream_brings_later_is_not_there_twice() {
    let scene = scene();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "300", "--no-limits"]);
    let recorder = record(&scene, &exchange, &[]);
    scene.await_event(&recorder, "gap", 1);
    pause(Duration::from_secs(1));
    exchange.fault("hold=KRW-BTC+80s");
    cut(&scene, &exchange, 1_500);
    let gap = events(&scene, "gap")[1]["id"].clone();
    pause(Duration::from_secs(60));
    let healed = || events(&scene, "healed").into_iter().find(|healed| healed["gap"] == gap);
    eventually("the gap is healed", || healed().is_some());
    assert!(healed().unwrap()["complete"]["KRW-BTC_trade"].as_u64().unwrap() > 100);
    // Then the stream is heard again, and the time it was mute is a gap of its own.
    let is_suspected = |gap: &Value| gap["kind"] == "suspected";
    eventually("the stream is heard again", || events(&scene, "gap").iter().any(is_suspected));
    pause(Duration::from_secs(50));
    eventually("every gap is healed", || is_healed(&scene));
    assert!(recorder.terminate().success());
    assert_whole(&scene, &exchange, &exchange.codes());
}

/// Whether the last snapshot of a stream is of a trade that had not come before.
fn traded_in_last_gap(lines: &[String]) -> bool {
    let ids = ids(Some(&lines.to_vec()));
    let snapshot = lines.iter().rposition(|line| parse(line)["stream_type"] == "SNAPSHOT").unwrap();
    !ids[..snapshot].contains(&ids[snapshot])
}

#[test]
fn a_cut_costs_a_request_for_each_code_that_traded() {
    let scene = scene();
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
    let healed = of_gap(&scene).unwrap();
    let spent = requests(&scene);
    assert!(recorder.status("VmHWM") < 100_000, "{} kB", recorder.status("VmHWM"));
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
    let scene = scene();
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
    // The first record after the gap may be a snapshot of the second before: what the stream shows need not be fetched.
    let records = lines["KRW-BTC_candle.1s"].iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let shown: BTreeSet<String> = records
        .filter(|record| record["ts_recv"].as_u64() >= gap["to"].as_u64())
        .map(|record| record["candle_date_time_utc"].as_str().unwrap().to_owned())
        .collect();
    let expected: BTreeSet<String> = exchange
        .list("candles/seconds?market=KRW-BTC&count=200")
        .iter()
        .map(|candle| {
            serde_json::from_str::<Value>(candle.get()).unwrap()["candle_date_time_utc"].as_str().unwrap().to_owned()
        })
        .filter(|time| (second("from")..second("to")).contains(time) && !shown.contains(time))
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

/// What the exchange has of a code's trades of yesterday, oldest first.
fn yesterday(exchange: &Exchange, code: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = exchange.list(&format!("trades/ticks?market={code}&count=500&days_ago=1{cursor}"));
        let page = page.iter().map(|object| serde_json::from_str::<Value>(object.get()).unwrap());
        let before = found.len();
        found.extend(page);
        let Some(last) = found.last().filter(|_| found.len() > before) else { break };
        cursor = format!("&cursor={}", last["sequential_id"]);
    }
    found.reverse();
    found
}

#[test]
fn a_day_is_exact_once_an_earlier_process_gap_is_healed() {
    let scene = scene();
    let exchange = scene.exchange(&["--codes", "1", "--rate", "40", "--no-limits"]);
    let trades = yesterday(&exchange, "KRW-BTC");
    assert!(trades.len() > 1_500, "{}", trades.len());
    let missed = trades.len() / 5..trades.len() * 4 / 5;
    let stamp = |index: usize| trades[index]["timestamp"].as_u64().unwrap() * 1_000 + 30_000 + index as u64 % 1_000;
    let line = |index: usize| {
        let mut trade = trades[index].clone();
        trade["trade_timestamp"] = trade["timestamp"].take();
        let rest = trade.to_string().replacen('{', "", 1);
        format!("{{\"ts_recv\":{},\"type\":\"trade\",\"code\":\"KRW-BTC\",{rest}\n", stamp(index))
    };
    let recorded = (0..trades.len()).filter(|index| !missed.contains(index));
    let first = Stamp::from_micros(stamp(0)).unwrap();
    let stream = StreamKey::from_stem("KRW-BTC_trade").unwrap();
    let name = SegmentName { feed: Feed::Public, stream, epoch: 0, first };
    std::fs::create_dir_all(scene.tape.path.join(name.directory())).unwrap();
    std::fs::write(scene.tape.path.join(name.plain()), recorded.map(line).collect::<String>()).unwrap();
    let from = stamp(missed.start - 1);
    let to = stamp(missed.end);
    let gap = to + 1;
    let event = |stamp: u64, rest: &str| format!("{{\"ts_recv\":{stamp},\"type\":\"recorder\",\"event\":{rest}}}\n");
    let past = [
        event(stamp(0) - 1, r#""started","version":"0","pid":1,"connections":["public"],"epoch":0"#),
        event(
            gap,
            &format!(
                r#""gap","id":{gap},"connection":"public","from":{from},"to":{to},"kind":"disconnected","cause":"x","streams":["KRW-BTC_trade"]"#
            ),
        ),
    ];
    std::fs::write(scene.tape.path.join("recorder.jsonl"), past.concat()).unwrap();
    let audit = || {
        let date = jiff::Timestamp::from_microsecond(i64::try_from(first.as_micros()).unwrap()).unwrap();
        let date = date.strftime("%F").to_string();
        let rest = format!("rest.url=http://127.0.0.1:{}/v1", exchange.port());
        let mut command = scene.command("audit", &exchange.url, &[&rest]);
        let output = command.args(["--date", &date, "--markets", "KRW-BTC", "--json"]).output().unwrap();
        (output.status.code(), serde_json::from_slice::<Value>(&output.stdout).unwrap())
    };
    let (code, certificate) = audit();
    assert_eq!((code, &certificate["verdict"]), (Some(1), &"differs".into()), "{certificate}");
    let recorder = record(&scene, &exchange, &["rest.requests_per_second=10"]);
    let healed = || events(&scene, "healed").into_iter().find(|healed| healed["gap"] == gap);
    eventually("the gap is healed", || healed().is_some());
    assert!(recorder.terminate().success());
    assert_eq!(healed().unwrap()["complete"]["KRW-BTC_trade"], missed.len());
    let (code, certificate) = audit();
    assert_eq!((code, &certificate["verdict"]), (Some(0), &"exact".into()), "{certificate}");
    assert_eq!(certificate["streams"][0]["healed"], missed.len());
}
