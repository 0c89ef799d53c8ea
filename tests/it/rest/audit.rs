//! A day of tape against the exchange's candles: a whole day is exact, and a difference is shown to its
//! last digit.

use super::backfill::{fetched, run, time};
use crate::support::json::{lines_so_far, prefixed, stamp_of};
use crate::support::{Exchange, Program, eventually, pause};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;
use upbit_recorder::clock::{Clock, Stamp};
use upbit_recorder::tape::segment_name::SegmentName;
use upbit_recorder::tape::stream_key::StreamKey;
use upbit_recorder::upbit::feed::Feed;

const MINUTE: u64 = 60_000;
const DAY: u64 = 1_440 * MINUTE;

fn audit(exchange: &Exchange, data_dir: &Path, date: &str, options: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_upbit-recorder"));
    command.args(["audit", "--date", date]).args(options).env_clear();
    let url = format!("rest.url=http://127.0.0.1:{}/v1", exchange.port());
    command.args(["--set", &url, "--set", &format!("data_dir={}", data_dir.display())]).output().unwrap()
}

fn certified(exchange: &Exchange, data_dir: &Path, date: &str) -> (Option<i32>, Value) {
    let output = audit(exchange, data_dir, date, &["--json"]);
    let certificate = serde_json::from_slice(&output.stdout);
    let certificate = certificate.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let path = data_dir.join(format!("archive/date={date}/audit.json"));
    let kept: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert_eq!(kept, certificate);
    (output.status.code(), certificate)
}

/// The trades of a REST answer as the stream would have brought them: other names, another spelling, its own order.
fn recorded(trades: &[Value]) -> Vec<String> {
    let line = |(index, trade): (usize, &Value)| {
        let millis = trade["timestamp"].as_u64().unwrap();
        let stamp = millis * 1_000 + 30_000 + index as u64 % 1_000;
        let number = |name: &str| trade[name].to_string();
        let price = number("trade_price");
        let volume = number("trade_volume");
        let id = number("sequential_id");
        match index % 2 {
            0 => {
                format!(r#"{{"ts_recv":{stamp},"ty":"trade","tp":{price}E0,"tv":{volume},"ttms":{millis},"sid":{id}}}"#)
            }
            _ => format!(
                r#"{{"ts_recv":{stamp},"type":"trade","trade_price":{price},"trade_volume":{volume},"timestamp":{},"trade_timestamp":{millis},"sequential_id":{id}}}"#,
                millis + 90_000
            ),
        }
    };
    trades.iter().enumerate().map(line).collect()
}

/// Writes a segment that waits for its compression.
fn write(data_dir: &Path, stream: &str, lines: &[String]) {
    let first = Stamp::from_micros(stamp_of(&lines[0])).unwrap();
    let name = SegmentName { feed: Feed::Public, stream: StreamKey::from_stem(stream).unwrap(), epoch: 0, first };
    fs::create_dir_all(data_dir.join(name.directory())).unwrap();
    fs::write(data_dir.join(name.plain()), lines.join("\n") + "\n").unwrap();
}

#[test]
fn a_whole_day_is_exact_and_a_missing_minute_is_named() {
    let exchange = Exchange::start(0, &["--codes", "2", "--rate", "40", "--no-limits"]);
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("source");
    let data_dir = directory.path().join("data");
    let begin = time(1, 0);
    let end = time(0, 0);
    let date = &begin[..10];
    let output = run(&exchange, &source, &["--markets", "KRW-*", "--ticks", "--from", &begin, "--to", &end]);
    assert!(output.status.success());
    let trades = fetched(&source);
    for (stream, trades) in &trades {
        write(&data_dir, stream, &recorded(trades));
    }
    let (code, whole) = certified(&exchange, &data_dir, date);
    assert_eq!((code, &whole["verdict"], &whole["exact"]), (Some(0), &"exact".into(), &2_880.into()), "{whole}");
    assert_eq!(whole["streams"][0]["rows"], json!([]));

    // A minute is missing, and of another one a trade; one is there twice.
    let trades = &trades["KRW-BTC_trade"];
    assert!(trades.len() > 2_000, "{}", trades.len());
    let minute = |trade: &Value| trade["timestamp"].as_u64().unwrap() / MINUTE;
    let gone = minute(&trades[trades.len() / 3]);
    // Not the next minute: the gap touches that one, too.
    let is_lone = |at: &usize| minute(&trades[*at]) > gone + 1 && minute(&trades[*at]) == minute(&trades[*at + 1]);
    let lone = (0..trades.len() - 1).find(is_lone).unwrap();
    let held: Vec<Value> =
        trades.iter().filter(|trade| minute(trade) == gone).chain([&trades[lone]]).cloned().collect();
    let is_held = |trade: &Value| held.iter().any(|held| held["sequential_id"] == trade["sequential_id"]);
    let lines = recorded(trades).into_iter().zip(trades).filter(|(_, trade)| !is_held(trade));
    let mut lines: Vec<String> = lines.map(|(line, _)| line).collect();
    lines.push(lines[7].clone());
    write(&data_dir, "KRW-BTC_trade", &lines);
    let gap = json!({"type": "recorder", "event": "gap", "id": 17, "connection": "public", "kind": "disconnected", "cause": "x",
        "from": gone * MINUTE * 1_000, "to": (gone + 1) * MINUTE * 1_000, "streams": ["KRW-BTC_trade"]});
    let stamp = Clock::start().stamp();
    let gap = prefixed("ts_recv", stamp.as_micros(), &gap.to_string());
    fs::write(data_dir.join("recorder.jsonl"), gap + "\n").unwrap();
    let (code, cut) = certified(&exchange, &data_dir, date);
    let btc = &cut["streams"][0];
    assert_eq!((code, &cut["verdict"]), (Some(1), &"differs".into()));
    assert_eq!([&btc["exact"], &btc["differs"], &btc["no_data"]], [1_438, 1, 1], "{btc}");
    let [first, second] = &btc["rows"].as_array().unwrap()[..] else { panic!("{btc}") };
    assert_eq!((&first["finding"], &first["gaps"]), (&"no_data".into(), &json!([17])));
    let missing: f64 = second["differences"]["volume"]["difference"].as_str().unwrap().parse().unwrap();
    assert_eq!((&second["finding"], &second["gaps"]), (&"differs".into(), &json!([])));
    assert_eq!(-missing, trades[lone]["trade_volume"].as_f64().unwrap());
    let text = audit(&exchange, &data_dir, date, &[]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("no data: value 0 of ") && text.contains(" · gap 17\n"), "{text}");

    // What was missing is fetched, with more that is there already. By now the exchange is not needed any more.
    let healed: Vec<String> = held
        .iter()
        .chain(&trades[..9])
        .zip(0..)
        .map(|(trade, index)| {
            let of_gap = prefixed("gap", 17, &trade.to_string());
            prefixed("ts_recv", stamp.as_micros() + index, &of_gap)
        })
        .collect();
    fs::write(data_dir.join("KRW-BTC_trade.healed.jsonl"), healed.join("\n") + "\n").unwrap();
    let port = exchange.port();
    exchange.kill();
    let refusing = Exchange::start(0, &["--fault", "refuse"]);
    assert_ne!(refusing.port(), port);
    let (code, healed) = certified(&refusing, &data_dir, date);
    assert_eq!((code, &healed["verdict"]), (Some(0), &"exact".into()));
    assert_eq!(healed["streams"][0]["healed"], held.len());
}

#[test]
fn decimals_in_prices_are_no_difference_and_hide_nothing() {
    let exchange = Exchange::start(0, &["--codes", "855", "--rate", "4000", "--no-limits"]);
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("source");
    let data_dir = directory.path().join("data");
    let begin = time(1, 0);
    let end = time(0, 0);
    let markets = "KRW-ANKR,KRW-BTT,BTC-ETH,USDT-XRP";
    let output = run(&exchange, &source, &["--markets", markets, "--ticks", "--from", &begin, "--to", &end]);
    assert!(output.status.success());
    let trades = fetched(&source);
    for (stream, trades) in &trades {
        write(&data_dir, stream, &recorded(trades));
    }
    let (code, whole) = certified(&exchange, &data_dir, &begin[..10]);
    assert_eq!((code, &whole["exact"]), (Some(0), &5_760.into()), "{whole}");
    for stream in [&whole].into_iter().chain(whole["streams"].as_array().unwrap()) {
        let number = |path: &str| stream.pointer(path).unwrap().as_str().unwrap().parse::<f64>().unwrap();
        let volume = number("/residue/volume");
        let value = number("/residue/value");
        let blind_below = number("/blind_below");
        // Coins of 0.00094 won are traded by the billion: this tape has them as doubles, which lose the eighth decimal.
        let is_huge = stream["stream"] == Value::Null || stream["stream"] == "KRW-BTT_trade";
        match is_huge {
            true => assert!(volume > 0.0 && volume < 1e-4 && blind_below > volume && blind_below < 1e-3, "{stream}"),
            false => assert!(value > 0.0 && value <= 5e-9 && volume == 0.0 && blind_below == 0.0, "{stream}"),
        }
    }
    let text = String::from_utf8(audit(&exchange, &data_dir, &begin[..10], &[]).stdout).unwrap();
    assert!(text.contains("\nrounded in exact minutes: volume by up to 0.00"), "{text}");
    assert!(text.contains(" minutes could hide a trade of up to 0.00"), "{text}");

    let smallest = |trades: &[Value]| {
        let volume = |trade: &Value| trade["trade_volume"].as_f64().unwrap();
        let places = (0..trades.len()).min_by(|a, b| volume(&trades[*a]).total_cmp(&volume(&trades[*b])));
        places.unwrap()
    };
    for (stream, trades) in &trades {
        let mut lines = recorded(trades);
        lines.remove(smallest(trades));
        write(&data_dir, stream, &lines);
    }
    let (code, cut) = certified(&exchange, &data_dir, &begin[..10]);
    let found = |stream: &Value| stream["exact"] == 1_439;
    assert!(code == Some(1) && cut["streams"].as_array().unwrap().iter().all(found), "{cut}");
}

#[test]
fn days_to_come_and_pairs_unknown_have_no_verdict() {
    let exchange = Exchange::start(0, &["--codes", "1", "--no-limits"]);
    let directory = tempfile::tempdir().unwrap();
    let code = |date: &str, options: &[&str]| audit(&exchange, directory.path(), date, options).status.code();
    assert_eq!(code("2250-01-01", &["--markets", "KRW-BTC"]), Some(64));
    assert_eq!(code("yesterday", &[]), Some(64));
    assert_eq!(code(&time(1, 0)[..10], &[]), Some(1));
    // Of a pair that was never recorded, nothing is there.
    let date = &time(1, 0)[..10];
    let options = ["--markets", "KRW-BTC", "--json"];
    let output = audit(&exchange, directory.path(), date, &options);
    let certificate: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (output.status.code(), &certificate["exact"]),
        (Some(1), &(1_440 - certificate["no_data"].as_i64().unwrap()).into())
    );
}

#[test]
fn a_pair_without_candles_is_not_audited_and_the_others_are() {
    let exchange = Exchange::start(0, &["--codes", "2", "--no-limits", "--fault", "empty=KRW-ETH"]);
    let directory = tempfile::tempdir().unwrap();
    let date = &time(1, 0)[..10];
    let output = audit(&exchange, directory.path(), date, &["--markets", "KRW-ETH"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!directory.path().join(format!("archive/date={date}/audit.json")).exists(), "nothing was audited");
    let output = audit(&exchange, directory.path(), date, &["--markets", "KRW-BTC,KRW-ETH", "--json"]);
    let certificate: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(certificate["unaudited"][0]["stream"], "KRW-ETH_trade", "{certificate}");
    assert_eq!(certificate["streams"].as_array().unwrap().len(), 1);
}

/// What an audit found of a minute, for each stream, and the gaps it names.
fn found(certificate: &Value, minute: u64) -> Vec<(String, Value)> {
    let minute = jiff::Timestamp::from_millisecond((minute * MINUTE) as i64).unwrap().to_string();
    let streams = certificate["streams"].as_array().unwrap().iter();
    let row = |stream: &Value| {
        let rows = stream["rows"].as_array().unwrap();
        let row = rows.iter().find(|row| row["minute"] == minute.as_str());
        row.map_or(("exact".to_owned(), json!([])), |row| {
            (row["finding"].as_str().unwrap().to_owned(), row["gaps"].clone())
        })
    };
    streams.map(row).collect()
}

/// A recorder of the pairs that are recorded without a configuration.
fn record(exchange: &Exchange, data_dir: &Path, setting: &str) -> Program {
    let data_dir = format!("data_dir={}", data_dir.display());
    let stream = format!("public.url={}", exchange.url);
    let rest = format!("rest.url=http://127.0.0.1:{}/v1", exchange.port());
    let settings = [&data_dir, &stream, &rest, "public.format=SIMPLE", "public.backoff_max=1s", setting];
    let settings = settings.iter().flat_map(|setting| ["--set", setting]);
    Program::start(&[vec!["record"], settings.collect()].concat())
}

#[test]
#[ignore = "takes four minutes, because only whole ones are audited: cargo test --test it rest::audit -- --ignored"]
fn a_minute_with_a_cut_differs_until_it_is_healed() {
    let exchange = Exchange::start(0, &["--codes", "3", "--rate", "300", "--no-limits"]);
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().join("data");
    // One date is audited.
    while now() / DAY != (now() + 6 * MINUTE) / DAY {
        pause(Duration::from_secs(1));
    }
    let recorder = record(&exchange, &data_dir, "rest.heal_max=0");
    let begin = begin_of_a_minute_after(&data_dir);
    pause(Duration::from_secs(70));
    exchange.fault("drop");
    exchange.fault("refuse+5s");
    pause(Duration::from_secs(65));
    let date = &time(0, 0)[..10];
    let (code, certificate) = certified(&exchange, &data_dir, date);
    assert_eq!((code, found(&certificate, begin)), (Some(1), vec![("exact".to_owned(), json!([])); 3]));
    let cut = found(&certificate, begin + 1);
    let gap = cut[0].1[0].clone();
    assert_eq!(cut, vec![("differs".to_owned(), json!([gap])); 3], "{certificate}");

    assert!(recorder.terminate().success());
    let recorder = record(&exchange, &data_dir, "rest.heal_max=100");
    let events = data_dir.join("recorder.jsonl");
    let is_healed = |event: &Value| event["event"] == "healed" && event["gap"] == gap;
    eventually("the gap is healed", || lines_so_far(&events).iter().any(is_healed));
    let (_, certificate) = certified(&exchange, &data_dir, date);
    assert_eq!(found(&certificate, begin + 1), vec![("exact".to_owned(), json!([])); 3], "{certificate}");
    assert!(certificate["streams"].as_array().unwrap().iter().all(|stream| stream["healed"].as_u64().unwrap() > 10));
    assert!(recorder.terminate().success());
}

/// Waits until a recorder writes, and for the next minute to begin; returns it.
fn begin_of_a_minute_after(data_dir: &Path) -> u64 {
    eventually("trades are recorded", || data_dir.join("KRW-ETH_trade.jsonl").exists());
    let begun = now() / MINUTE;
    while now() / MINUTE == begun {
        pause(Duration::from_millis(50));
    }
    now() / MINUTE
}

/// Milliseconds since the epoch.
fn now() -> u64 {
    Clock::start().stamp().as_micros() / 1_000
}
