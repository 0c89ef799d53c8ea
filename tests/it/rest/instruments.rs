//! What the exchange says of its pairs is recorded, and new pairs are told.

use super::lister::Lister;
use crate::support::json::{lines_so_far, number};
use crate::support::{Exchange, Program, Tape, eventually};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

const TRADES: &str = "public.subscribe=[{type=\"trade\",codes=[\"KRW-*\"]}]";

fn record(directory: &Path, stream: u16, rest: u16, settings: &[&str]) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_upbit-recorder"));
    command.arg("record").env_clear().current_dir(directory).args(["--set", TRADES]);
    command.args(["--set", &format!("public.url=ws://127.0.0.1:{stream}/websocket/v1")]);
    command.args(["--set", &format!("rest.url=http://127.0.0.1:{rest}/v1")]);
    for setting in settings {
        command.args(["--set", setting]);
    }
    Program::spawn(&mut command)
}

#[test]
fn what_is_said_of_pairs_is_recorded_verbatim_at_each_start() {
    let exchange = Exchange::start(0, &["--codes", "250"]);
    let directory = tempfile::tempdir().unwrap();
    let tape = Tape { path: directory.path().join("data") };
    let lines = |stream: &str| lines_so_far(&tape.path.join(format!("{stream}.jsonl"))).len();
    for run in 1..=2 {
        let recorder = record(directory.path(), exchange.port(), exchange.port(), &[]);
        for stream in ["market.rest", "instrument.rest"] {
            eventually(stream, || lines(stream) == run * 250);
        }
        if run == 2 {
            recorder.signal(Signal::USR1);
            let is_sealed = || tape.archived(".zst").iter().any(|path| path.to_string_lossy().contains("market.rest"));
            eventually("it is sealed like any other", is_sealed);
        }
        assert!(recorder.terminate().success());
    }
    let frames = tape.frames();
    let markets: Vec<String> =
        exchange.list("market/all?is_details=true").iter().map(|object| object.get().to_owned()).collect();
    assert!(markets[0].contains("market_event"), "{}", markets[0]);
    assert_eq!(frames["market.rest"], [&markets[..], &markets[..]].concat());
    let parse = |line: &String| serde_json::from_str::<Value>(line).unwrap();
    let instruments: Vec<Value> = frames["instrument.rest"].iter().map(parse).collect();
    for (instrument, market) in instruments.iter().zip(markets.iter().chain(&markets)) {
        assert_eq!(instrument["market"], parse(market)["market"]);
        assert!(instrument["tick_size"].is_string() && instrument["supported_levels"].is_array(), "{instrument}");
    }
    tape.assert_sealed();
}

#[test]
fn it_is_not_recorded_where_it_is_not_wanted() {
    let exchange = Exchange::start(0, &["--codes", "3"]);
    let directory = tempfile::tempdir().unwrap();
    let tape = Tape { path: directory.path().join("data") };
    let recorder = record(directory.path(), exchange.port(), exchange.port(), &["rest.instruments=false"]);
    eventually("it records", || tape.path.join("KRW-BTC_trade.jsonl").exists());
    assert!(recorder.terminate().success());
    assert!(!tape.path.join("market.rest.jsonl").exists() && !tape.path.join("instrument.rest.jsonl").exists());
}

#[test]
fn a_new_pair_is_told_and_its_first_message_measured() {
    let exchange = Exchange::start(0, &["--codes", "3", "--rate", "300"]);
    let lister = Lister::start(200, r#"[{"market":"KRW-BTC"}]"#);
    let directory = tempfile::tempdir().unwrap();
    let tape = Tape { path: directory.path().join("data") };
    let recorder = record(directory.path(), exchange.port(), lister.port(), &[]);
    eventually("the pair is recorded", || tape.path.join("KRW-BTC_trade.jsonl").exists());
    assert!(recorder.terminate().success());
    assert_eq!(tape.events("listed").len(), 0, "the first list of all is none of new pairs");

    lister.answer(200, r#"[{"market":"KRW-BTC"},{"market":"KRW-XRP"}]"#);
    let recorder = record(directory.path(), exchange.port(), lister.port(), &[]);
    let is_told = || tape.active_events().iter().any(|event| event["event"] == "first_message");
    eventually("the first message is measured", is_told);
    assert!(recorder.terminate().success());
    let listed = tape.events("listed").pop().unwrap();
    assert_eq!(listed["codes"], json!(["KRW-XRP"]));
    let first = tape.events("first_message").pop().unwrap();
    assert_eq!((&first["stream"], &first["listed"]), (&json!("KRW-XRP_trade"), &listed["ts_recv"]));
    let is_asked = |event: &Value| event["request"].as_str().unwrap().contains("KRW-XRP");
    assert!(tape.events("subscribed").iter().any(is_asked), "it is subscribed at once");
    assert!(number(&first, "after") < 30_000_000, "{first}");
}
