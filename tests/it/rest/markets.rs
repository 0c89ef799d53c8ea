//! The exchange's pairs: listed, and put in the place of patterns.

use crate::support::{Exchange, Tape};
use std::path::Path;
use std::process::{Command, Output};

/// Runs a verb to its end, against this stream and this REST interface.
fn run(directory: &Path, verb: &[&str], ports: [u16; 2]) -> Output {
    let [stream, rest] = ports;
    let mut command = Command::new(env!("CARGO_BIN_EXE_upbit-recorder"));
    command.args(verb).env_clear().current_dir(directory);
    command.args(["--set", &format!("public.url=ws://127.0.0.1:{stream}/websocket/v1")]);
    command.args(["--set", &format!("rest.url=http://127.0.0.1:{rest}/v1")]);
    command.output().unwrap()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[test]
fn pairs_are_listed_filtered_and_printed_verbatim() {
    let exchange = Exchange::start(0, &["--codes", "400"]);
    let directory = tempfile::tempdir().unwrap();
    let list = |arguments: &[&str]| {
        let output = run(directory.path(), &[&["markets"], arguments].concat(), [exchange.port(); 2]);
        assert!(output.status.success());
        text(output.stdout)
    };
    assert_eq!(list(&[]).lines().count(), 400);
    assert_eq!(list(&["KRW-*", "!KRW-BTC"]).lines().count(), 288);
    assert_eq!(list(&["KRW-BTC"]), "KRW-BTC      Bitcoin · 비트코인\n");
    let object = "{\"market\":\"KRW-BTC\",\"korean_name\":\"비트코인\",\"english_name\":\"Bitcoin\"}\n";
    assert_eq!(list(&["--json", "KRW-BTC"]), object);
    let kept = std::fs::read_to_string(directory.path().join("data/rest/markets.json")).unwrap();
    assert_eq!(kept.lines().count(), 400);
}

const PATTERNS: &str = "public.subscribe=[{type=\"trade\",codes=[\"KRW-*\",\"!KRW-ETH\",\"KRW-NOPE\"]}]";
const RESOLVED: &str = "\"codes\":[\"KRW-BTC\",\"KRW-XRP\",\"KRW-NOPE\"]";

#[test]
fn patterns_are_resolved_at_the_start_and_without_rest_by_the_last_answer() {
    let exchange = Exchange::start(0, &["--codes", "3"]);
    let directory = tempfile::tempdir().unwrap();
    let record = ["record", "--set", PATTERNS, "--for", "1s"];
    let check = || text(run(directory.path(), &["check", "--set", PATTERNS], [1, 1]).stdout);
    assert!(check().contains("# Its patterns are replaced at the start"));
    // The second time nobody listens where REST should be.
    for rest in [exchange.port(), 1] {
        let verb: Vec<&str> = record.iter().map(|part| if rest == 1 && *part == "1s" { "7s" } else { part }).collect();
        let output = run(directory.path(), &verb, [exchange.port(), rest]);
        let log = text(output.stderr);
        assert!(output.status.success(), "{log}");
        assert_eq!(
            log.lines().filter(|line| line.contains("does not list") && line.contains("KRW-NOPE")).count(),
            1,
            "{log}"
        );
        assert_eq!(log.contains("last answer"), rest == 1, "{log}");
    }
    let subscribed = Tape { path: directory.path().join("data") }.events("subscribed");
    assert_eq!(subscribed.len(), 2);
    assert!(subscribed.iter().all(|event| event["request"].as_str().unwrap().contains(RESOLVED)), "{subscribed:?}");
    assert!(check().contains(RESOLVED));
}

#[test]
fn codes_that_the_exchange_does_not_list_are_named_once_without_delaying_the_start() {
    let exchange = Exchange::start(0, &["--codes", "3"]);
    let directory = tempfile::tempdir().unwrap();
    let codes = "public.subscribe=[{type=\"trade\",codes=[\"KRW-BTC\",\"KRW-NO\",\"KRW-NEITHER\"]}]";
    let output = run(directory.path(), &["record", "--set", codes, "--for", "2s"], [exchange.port(); 2]);
    let log = text(output.stderr);
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("does not list")).collect();
    assert!(warnings.len() == 1 && warnings[0].contains("KRW-NO") && warnings[0].contains("KRW-NEITHER"), "{log}");
}

#[test]
fn patterns_that_mean_nothing_or_too_much_are_a_fault_of_the_configuration() {
    let exchange = Exchange::start(0, &["--codes", "3"]);
    let directory = tempfile::tempdir().unwrap();
    for (codes, expected) in [
        ("[{type=\"trade\",codes=[\"XYZ-*\"]}]", "no pair of the exchange"),
        ("[{type=\"orderbook\",codes=[\"KRW-*\"]},{type=\"orderbook\",codes=[\"KRW-BTC\"],count=5}]", "other options"),
    ] {
        let codes = format!("public.subscribe={codes}");
        let output = run(directory.path(), &["record", "--set", &codes, "--for", "1s"], [exchange.port(); 2]);
        let log = text(output.stderr);
        assert_eq!(output.status.code(), Some(78), "{log}");
        assert!(log.contains(expected), "{log}");
    }
}
