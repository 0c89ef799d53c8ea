//! History: everything once, whatever happens, at the pace that is allowed.

use super::client::{client, runtime};
use crate::support::json::{lines_so_far, object_of, parse};
use crate::support::{Exchange, Program, Tape, eventually, pause};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use upbit_recorder::clock::Clock;
use upbit_recorder::rest::client::request::Request;

const MINUTE: i64 = 60_000;
const DAY: i64 = 1_440 * MINUTE;

/// So many days before today began, and some minutes, as the command line takes it.
pub(super) fn time(days: i64, minutes: i64) -> String {
    let now = i64::try_from(Clock::start().stamp().as_micros() / 1_000).unwrap();
    let moment = now - now % DAY - days * DAY + minutes * MINUTE;
    jiff::Timestamp::from_millisecond(moment).unwrap().to_string()
}

fn arguments(exchange: &Exchange, data_dir: &Path, options: &[&str]) -> Vec<String> {
    let mut arguments = vec!["backfill".to_owned(), "--json".to_owned()];
    arguments.extend(options.iter().map(|&option| option.to_owned()));
    let url = format!("rest.url=http://127.0.0.1:{}/v1", exchange.port());
    for setting in [url, format!("data_dir={}", data_dir.display())] {
        arguments.extend(["--set".to_owned(), setting]);
    }
    arguments
}

pub(super) fn run(exchange: &Exchange, data_dir: &Path, options: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_upbit-recorder"));
    command.args(arguments(exchange, data_dir, options)).env_clear().output().unwrap()
}

fn summary(exchange: &Exchange, data_dir: &Path, options: &[&str]) -> Value {
    let output = run(exchange, data_dir, options);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The objects of every stream as they stand in its files; a line that a kill tore is none.
pub(super) fn fetched(data_dir: &Path) -> BTreeMap<String, Vec<Value>> {
    let lines = Tape { path: data_dir.join("rest") }.lines();
    lines.into_iter().map(|(stream, lines)| (stream, lines.iter().filter_map(|line| object(line)).collect())).collect()
}

fn object(line: &str) -> Option<Value> {
    serde_json::from_str::<Value>(line).ok().map(|_| parse(&object_of(line)))
}

fn texts<'a>(objects: &'a [Value], key: &str) -> Vec<&'a str> {
    objects.iter().map(|object| object[key].as_str().unwrap()).collect()
}

/// The same history twice: fetched in one go, and by runs that are killed again and again. Returns how many requests the
/// first took, and how many answers all the others got, which each program's log tells.
fn fetch_twice(exchange: &Exchange, directory: &Path, options: &[&str], kills: &[u64]) -> (u64, u64, u64) {
    let whole = directory.join("whole");
    let killed = directory.join("killed");
    let requests = |summary: &Value| summary["requests"].as_u64().unwrap();
    let uninterrupted = requests(&summary(exchange, &whole, options));
    let log = directory.join("log");
    let mut answers = 0;
    for after in kills {
        let mut command = Command::new(env!("CARGO_BIN_EXE_upbit-recorder"));
        command.args(arguments(exchange, &killed, options)).args(["--set", "log.level=debug"]).env_clear();
        let program = Program::spawn(command.stderr(File::create(&log).unwrap()));
        pause(Duration::from_millis(*after));
        program.kill();
        answers += lines_so_far(&log).iter().filter(|line| line["message"] == "asked").count() as u64;
    }
    let last = requests(&summary(exchange, &killed, options));
    let whole = fetched(&whole);
    let killed = fetched(&killed);
    assert_eq!(whole.keys().collect::<Vec<_>>(), killed.keys().collect::<Vec<_>>());
    for (stream, objects) in whole {
        assert!(objects.len() > 1_000, "{stream} has {}", objects.len());
        let times = texts(&objects, "candle_date_time_utc");
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{stream} is in order");
        assert!(killed[&stream] == objects, "{stream} differs");
    }
    (uninterrupted, answers + last, last)
}

#[test]
fn killed_at_random_it_ends_equal_to_an_uninterrupted_run() {
    let exchange = Exchange::start(0, &["--codes", "3", "--rate", "1", "--no-limits"]);
    let directory = tempfile::tempdir().unwrap();
    let from = time(9, 7);
    let to = time(2, 3);
    let options = ["--markets", "KRW-*,!KRW-XRP", "--from", &from, "--to", &to, "--set", "rest.requests_per_second=10"];
    // Spread over the time that some pages take, in no order.
    let kills: Vec<u64> = (0..20).map(|kill| 200 + kill * 7_919 % 900).collect();
    let (whole, all, last) = fetch_twice(&exchange, directory.path(), &options, &kills);
    assert!(last < whole / 2, "the killed runs left nothing: {last} of {whole} requests");
    assert!(all < whole + 20 * 10, "{all} requests instead of {whole}");
}

#[test]
fn what_is_of_another_venue_is_neither_continued_nor_used() {
    let exchange = Exchange::start(0, &["--codes", "3"]);
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (time(3, 0), time(3, 10));
    let options = ["--markets", "KRW-BTC", "--from", &from, "--to", &to];
    summary(&exchange, directory.path(), &options);
    let rest = directory.path().join("rest");
    let venue = || parse(&std::fs::read_to_string(rest.join(".venue")).unwrap());
    assert_eq!(venue(), json!({ "venue": "127.0.0.1" }));
    let archive = rest.join("archive").read_dir().unwrap().next().unwrap().unwrap().path();
    let manifest = std::fs::read_to_string(archive.join("manifest.jsonl")).unwrap();
    assert!(manifest.lines().all(|line| parse(line)["venue"] == "127.0.0.1"), "{manifest}");
    let all = || Tape { path: rest.clone() }.lines();
    let before = all();
    let url = format!("rest.url=http://127.0.0.1:{}/v1", exchange.port());
    let public = format!("public.url=ws://127.0.0.1:{}/websocket/v1", exchange.port());
    let data_dir = format!("data_dir={}", directory.path().display());
    let day = &from[..10];
    for verb in [
        &["backfill", "--markets", "KRW-ETH", "--from", &from, "--to", &to][..],
        &["backfill", "--markets", "KRW-*", "--from", &from, "--to", &to],
        &["audit", "--date", day],
        &["markets"],
        &["check"],
        &["record", "--for", "1s"],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_upbit-recorder"));
        command.args(verb).env_clear().args(["--set", "venue=paper", "--set", &public, "--set", &url]);
        let output = command.args(["--set", &data_dir]).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{verb:?}: {told}");
        for part in ["127.0.0.1", "paper", rest.to_str().unwrap()] {
            assert!(told.contains(part), "{verb:?}: {part}: {told}");
        }
    }
    assert_eq!((all(), venue()), (before, json!({ "venue": "127.0.0.1" })));
    assert!(!directory.path().join("recorder.jsonl").exists());
    // Fetched before there were venues.
    std::fs::remove_file(rest.join(".venue")).unwrap();
    summary(&exchange, directory.path(), &[&options[..], &["--set", &public, "--set", "venue=paper"]].concat());
    assert_eq!(venue(), json!({ "venue": "paper" }));
}

#[test]
#[ignore = "takes five minutes: cargo test --test it rest::backfill -- --ignored --nocapture"]
fn thirty_days_killed_twenty_times_equal_one_run() {
    let exchange = Exchange::start(0, &["--codes", "5", "--rate", "500"]);
    let directory = tempfile::tempdir().unwrap();
    let options = ["--markets", "KRW-*", "--from", &time(31, 0), "--to", &time(1, 0)];
    let kills: Vec<u64> = (0..20).map(|_| 200 + rand::random_range(0..10_000)).collect();
    let (whole, all, last) = fetch_twice(&exchange, directory.path(), &options, &kills);
    println!(
        "uninterrupted: {whole} requests; 20 kills: {all} requests, {last} of them after the last kill ({kills:?} ms)"
    );
    assert!(whole <= 5 * 218 && all < whole + 20 * 10, "{all} requests instead of {whole}");
}

/// `cargo test --test it rest::backfill::a_market_month -- --nocapture` shows the rate.
#[test]
fn a_market_month_takes_218_requests() {
    let exchange = Exchange::start(0, &["--codes", "1", "--rate", "200"]);
    let directory = tempfile::tempdir().unwrap();
    let options = ["--markets", "KRW-BTC", "--from", &time(31, 0), "--to", &time(1, 0)];
    #[expect(clippy::disallowed_methods, reason = "a test of the binary runs in real time")]
    let begin = Instant::now();
    let summary = summary(&exchange, directory.path(), &options);
    let elapsed = begin.elapsed().as_secs_f64();
    assert_eq!(summary["failed"], 0, "{summary}");
    let stream = &summary["streams"][0];
    let minutes = stream["written"].as_i64().unwrap() + stream["without_candle"].as_i64().unwrap();
    assert_eq!(minutes, 43_200, "{summary}");
    let [requests, refused] = ["requests", "too_many"].map(|key| summary[key].as_u64().unwrap());
    assert!(requests <= 218 && refused * 100 <= requests, "{summary}");
    let rate = requests as f64 / elapsed;
    println!("{requests} requests in {elapsed:.1} s: {rate:.2}/s of the 8/s that are allowed, {refused} refused");
}

#[test]
fn a_second_run_asks_only_for_what_is_missing() {
    let exchange = Exchange::start(0, &["--codes", "1", "--no-limits"]);
    let directory = tempfile::tempdir().unwrap();
    let run = |from: &str, to: &str| {
        let options = ["--markets", "KRW-BTC", "--unit", "5m", "--from", from, "--to", to];
        summary(&exchange, directory.path(), &options)
    };
    let written = |summary: Value| summary["streams"][0]["written"].as_i64().unwrap();
    let early = time(4, 0);
    let middle = time(3, 0);
    let late = time(2, 0);
    let first = written(run(&middle, &late));
    let again = run(&middle, &late);
    assert_eq!((&again["requests"], &again["streams"][0]["written"]), (&0.into(), &0.into()));
    let rest = written(run(&early, &late));
    let objects = &fetched(directory.path())["KRW-BTC_candle.5m"];
    let times: BTreeSet<&str> = texts(objects, "candle_date_time_utc").into_iter().collect();
    assert_eq!((times.len(), objects.len() as i64), (objects.len(), first + rest));
    Tape { path: directory.path().join("rest") }.assert_sealed();
}

#[test]
fn long_candles_reach_from_the_listing_to_the_last_whole() {
    let exchange = Exchange::start(0, &["--codes", "1", "--no-limits"]);
    let directory = tempfile::tempdir().unwrap();
    let runtime = runtime();
    let mut client = client(&exchange, directory.path(), 8);
    let nine_days_ago = time(9, 0);
    for (unit, path, from) in [
        ("240m", "minutes/240", nine_days_ago.as_str()),
        ("1week", "weeks", "2020-01-01"),
        ("1month", "months", "2020-01-01"),
        ("1year", "years", "2020-01-01"),
    ] {
        summary(&exchange, directory.path(), &["--markets", "KRW-BTC", "--unit", unit, "--from", from]);
        let request = Request::new(format!("candles/{path}")).with("market", "KRW-BTC").with("count", "200");
        let page = runtime.block_on(client.get(request)).unwrap();
        let mut expected: Vec<Value> = page.iter().map(|candle| serde_json::from_str(candle.get()).unwrap()).collect();
        // The newest still grows.
        expected.remove(0);
        expected.reverse();
        let fetched = &fetched(directory.path())[&format!("KRW-BTC_candle.{unit}")];
        assert!(!fetched.is_empty() && expected.ends_with(fetched), "{path}");
        assert!(
            path == "minutes/240" || fetched.len() == expected.len(),
            "{path}: {} of {}",
            fetched.len(),
            expected.len()
        );
    }
}

#[test]
fn trades_are_fetched_once_each_and_in_the_order_of_time() {
    let exchange = Exchange::start(0, &["--codes", "1", "--rate", "2000", "--no-limits"]);
    let directory = tempfile::tempdir().unwrap();
    // From yesterday until now: the last hour has thousands, and more while the second run begins.
    let span = ["--from", &time(1, 1_320)];
    pause(Duration::from_secs(13));
    for _ in 0..2 {
        summary(&exchange, directory.path(), &[&["--markets", "KRW-BTC", "--ticks"], &span[..]].concat());
    }
    summary(&exchange, directory.path(), &[&["--markets", "KRW-BTC", "--unit", "1m"], &span[..]].concat());
    let fetched = fetched(directory.path());
    let trades = &fetched["KRW-BTC_trade"];
    let ids: BTreeSet<u64> = trades.iter().map(|trade| trade["sequential_id"].as_u64().unwrap()).collect();
    assert!(trades.len() > 3_000 && ids.len() == trades.len(), "{} trades, {} ids", trades.len(), ids.len());
    let times: Vec<i64> = trades.iter().map(|trade| trade["timestamp"].as_i64().unwrap()).collect();
    assert!(times.windows(2).all(|pair| pair[0] <= pair[1]));
    // A minute has a candle exactly where it has a trade.
    let minute = |trade: &Value| {
        let date = trade["trade_date_utc"].as_str().unwrap();
        let time = trade["trade_time_utc"].as_str().unwrap();
        format!("{date}T{}:00", &time[..5])
    };
    let end = minute(trades.last().unwrap());
    let of_trades: BTreeSet<String> = trades.iter().map(minute).filter(|minute| *minute < end).collect();
    let mut of_candles = texts(&fetched["KRW-BTC_candle.1m"], "candle_date_time_utc");
    of_candles.retain(|minute| **minute < *end);
    assert_eq!(of_trades.iter().map(String::as_str).collect::<Vec<_>>(), of_candles);
}

#[test]
fn what_the_exchange_no_longer_has_is_named() {
    let exchange = Exchange::start(0, &["--codes", "1", "--no-limits"]);
    let directory = tempfile::tempdir().unwrap();
    let options = ["--markets", "KRW-BTC", "--unit", "1s", "--from", "2020-01-01", "--to", "2020-01-02"];
    let summary = summary(&exchange, directory.path(), &options);
    assert_eq!((&summary["gone"]["to"], &summary["requests"]), (&"2020-01-02T00:00:00Z".into(), &0.into()));
    let output = run(&exchange, directory.path(), &["--markets", "KRW-NOPE", "--from", &time(1, 0)]);
    assert_eq!(output.status.code(), Some(69));
    assert!(String::from_utf8_lossy(&output.stderr).contains("404 Code not found"));
}

/// What a run without faults fetches of some pairs.
fn reference(exchange: &Exchange, directory: &Path, options: &[&str]) -> BTreeMap<String, Vec<Value>> {
    let data_dir = directory.join("reference");
    summary(exchange, &data_dir, options);
    fetched(&data_dir)
}

#[test]
fn a_pair_that_is_refused_does_not_end_the_others() {
    let exchange = Exchange::start(0, &["--codes", "3", "--no-limits"]);
    let directory = tempfile::tempdir().unwrap();
    let options = ["--unit", "5m", "--from", &time(3, 0), "--to", &time(2, 0)];
    let pairs = |pairs| [&["--markets", pairs][..], &options].concat();
    let reference = reference(&exchange, directory.path(), &pairs("KRW-BTC,KRW-ETH"));
    let output = run(&exchange, directory.path(), &pairs("KRW-BTC,KRW-GONE,KRW-ETH"));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), summary["refused"].as_array().unwrap().len()), (Some(1), 1), "{summary}");
    assert_eq!(summary["refused"][0]["market"], "KRW-GONE");
    assert!(summary["refused"][0]["reason"].as_str().unwrap().contains("404 Code not found"), "{summary}");
    assert!(reference.len() == 2 && fetched(directory.path()) == reference);
}

#[test]
fn wrong_answers_of_a_moment_change_nothing() {
    let exchange = Exchange::start(0, &["--codes", "3", "--no-limits"]);
    let directory = tempfile::tempdir().unwrap();
    let options = ["--markets", "KRW-BTC,KRW-ETH", "--unit", "5m", "--from", &time(3, 0), "--to", &time(2, 0)];
    let reference = reference(&exchange, directory.path(), &options);
    for fault in ["empty+3s", "other=KRW-BTC+3s", "shuffle"] {
        let data_dir = directory.path().join(fault);
        exchange.fault(fault);
        let summary = summary(&exchange, &data_dir, &options);
        assert!(fetched(&data_dir) == reference, "{fault}: {summary}");
    }
}

#[test]
fn an_empty_answer_against_what_is_known_is_never_complete() {
    let exchange = Exchange::start(0, &["--codes", "3", "--no-limits"]);
    let directory = tempfile::tempdir().unwrap();
    let early = time(4, 0);
    let middle = time(3, 0);
    let late = time(2, 0);
    let options = |from, to| ["--markets", "KRW-BTC", "--unit", "5m", "--from", from, "--to", to];
    let reference = reference(&exchange, directory.path(), &options(&early, &late));
    summary(&exchange, directory.path(), &options(&early, &middle));
    exchange.fault("empty");
    let output = run(&exchange, directory.path(), &options(&early, &late));
    let doubted: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &doubted["streams"][0]["written"]), (Some(1), &0.into()), "{doubted}");
    let incomplete = &doubted["incomplete"][0];
    assert_eq!((&incomplete["from"], &incomplete["to"]), (&json!(middle), &json!(late)), "{doubted}");
    exchange.clear_faults();
    summary(&exchange, directory.path(), &options(&early, &late));
    assert!(fetched(directory.path()) == reference);
}

#[test]
fn a_block_of_a_day_is_told_once_with_its_end() {
    let exchange = Exchange::start(0, &["--codes", "1", "--fault", "418=86400"]);
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let options = ["--markets", "KRW-BTC", "--from", &time(3, 0), "--set", "log.format=text"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_upbit-recorder"));
    command.args(arguments(&exchange, directory.path(), &options)).env_clear();
    let program = Program::spawn(command.stderr(File::create(&log).unwrap()));
    let told = || std::fs::read_to_string(&log).unwrap_or_default();
    eventually("it is told", || told().contains("longer than is believed"));
    pause(Duration::from_secs(1));
    program.kill();
    let told = told();
    let lines: Vec<&str> = told.lines().filter(|line| line.contains("ERROR")).collect();
    assert!(lines.len() == 1 && lines[0].contains("until=") && lines[0].contains("status=418"), "{told}");
}
