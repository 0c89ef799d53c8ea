//! The exchange's pairs: listed, and put in the place of patterns.

use super::lister::Lister;
use crate::support::json::{lines_so_far, requested_codes};
use crate::support::{Exchange, Program, Tape, eventually};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs::File;
use std::path::Path;
use std::process::{Command, Output};

/// Runs a verb to its end, against this stream and this REST interface.
fn run(directory: &Path, verb: &[&str], ports: [u16; 2]) -> Output {
    command(directory, verb, ports).output().unwrap()
}

fn command(directory: &Path, verb: &[&str], ports: [u16; 2]) -> Command {
    let [stream, rest] = ports;
    let mut command = Command::new(env!("CARGO_BIN_EXE_upbit-recorder"));
    command.args(verb).env_clear().current_dir(directory);
    command.args(["--set", &format!("public.url=ws://127.0.0.1:{stream}/websocket/v1")]);
    command.args(["--set", &format!("rest.url=http://127.0.0.1:{rest}/v1"), "--set", "http.listen="]);
    command
}

/// Lists pairs by their codes.
fn list(codes: &[&str]) -> String {
    let entries: Vec<String> = codes.iter().map(|code| format!(r#"{{"market":"{code}"}}"#)).collect();
    format!("[{}]", entries.join(","))
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

#[test]
fn an_exchange_on_this_machine_is_asked_without_a_proxy() {
    let exchange = Exchange::start(0, &["--codes", "3"]);
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_upbit-recorder"));
    command.args(["markets", "--set", &format!("rest.url=http://127.0.0.1:{}/v1", exchange.port())]);
    command.env_clear().current_dir(directory.path());
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"] {
        command.env(name, "http://127.0.0.1:9");
    }
    let output = command.output().unwrap();
    assert_eq!(text(output.stdout).lines().count(), 3, "{}", text(output.stderr));
}

const PATTERNS: &str = "public.subscribe=[{type=\"trade\",codes=[\"KRW-*\",\"!KRW-ETH\",\"KRW-NOPE\"]}]";
const RESOLVED: [&str; 3] = ["KRW-BTC", "KRW-XRP", "KRW-NOPE"];

/// The codes that the last request of a tape asks for.
fn last_requested(tape: &Tape) -> Value {
    let subscribed = tape.events("subscribed").pop().unwrap();
    requested_codes(subscribed["request"].as_str().unwrap()).unwrap()
}

#[test]
fn without_rest_patterns_are_resolved_by_the_kept_list() {
    let exchange = Exchange::start(0, &["--codes", "3"]);
    let directory = tempfile::tempdir().unwrap();
    let tape = Tape { path: directory.path().join("data") };
    let check = || text(run(directory.path(), &["check", "--set", PATTERNS], [1, 1]).stdout);
    assert!(check().contains("# Its patterns are replaced by the pairs"));
    // The second time nothing listens on the port of REST.
    for (rest, length) in [(exchange.port(), "2s"), (1, "7s")] {
        let record = ["record", "--set", PATTERNS, "--for", length];
        let output = run(directory.path(), &record, [exchange.port(), rest]);
        let log = text(output.stderr);
        assert!(output.status.success(), "{log}");
        assert_eq!(
            log.lines().filter(|line| line.contains("does not list") && line.contains("KRW-NOPE")).count(),
            1,
            "{log}"
        );
        assert_eq!(log.contains("last answer"), rest == 1, "{log}");
        assert_eq!(last_requested(&tape), json!(RESOLVED));
    }
    assert_eq!(tape.events("subscribed").last().unwrap()["reason"], "connected", "the kept list is used at once");
    assert!(check().contains(&format!("\"codes\":{}", json!(RESOLVED))));
}

const BOTH: &str = "public.subscribe=[{type=\"trade\",codes=[\"KRW-BTC\"]},{type=\"ticker\",codes=[\"KRW-*\"]}]";

#[test]
fn what_is_named_is_recorded_at_once_and_patterns_join_later() {
    let exchange = Exchange::start(0, &["--codes", "3"]);
    let lister = Lister::start(503, "<html>서버 점검 중입니다</html>");
    let directory = tempfile::tempdir().unwrap();
    let recorder =
        Program::spawn(&mut command(directory.path(), &["record", "--set", BOTH], [exchange.port(), lister.port()]));
    let tape = Tape { path: directory.path().join("data") };
    let is_recorded = |stream: &str| tape.path.join(format!("{stream}.jsonl")).exists();
    eventually("what is named in full is recorded", || is_recorded("KRW-BTC_trade"));
    assert!(!is_recorded("KRW-ETH_ticker"));
    lister.answer(200, &list(&["KRW-BTC", "KRW-ETH"]));
    eventually("the pattern has joined", || is_recorded("KRW-ETH_ticker"));
    recorder.signal(Signal::USR1);
    let sealed = || {
        let manifests = tape.archived("manifest.jsonl").into_iter().flat_map(|path| lines_so_far(&path));
        manifests.into_iter().find(|entry| entry["stream"] == "KRW-ETH_ticker")
    };
    eventually("it is sealed", || sealed().is_some());
    assert!(recorder.terminate().success());
    let reasons: Vec<_> = tape.events("subscribed").into_iter().map(|event| event["reason"].clone()).collect();
    assert_eq!(reasons, ["connected", "changed"]);
    assert_eq!(tape.events("connected").len(), 1, "it is the same connection");
    let joined = tape.events("gap").into_iter().rfind(|gap| gap["streams"][0] == "KRW-*_ticker").unwrap();
    assert_eq!(joined["streams"], json!(["KRW-*_ticker", "KRW-BTC_ticker", "KRW-ETH_ticker"]), "{joined}");
    assert_eq!(joined["kind"], "suspected");
    assert_eq!(joined["from"], tape.events("started")[0]["ts_recv"], "{joined}");
    let stale = tape.events("stale").pop().unwrap();
    assert_eq!(stale["streams"], json!(["KRW-*_ticker"]), "the next start has to know");
    assert_eq!(sealed().unwrap()["subscription"], json!({"type": "ticker", "codes": ["KRW-ETH"]}));
}

#[test]
fn patterns_alone_wait_and_say_for_what_and_end_when_told_to() {
    let exchange = Exchange::start(0, &["--codes", "3"]);
    let lister = Lister::start(200, "[]");
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let mut command = command(directory.path(), &["record", "--set", PATTERNS_ALONE], [exchange.port(), lister.port()]);
    let recorder = Program::spawn(command.stderr(File::create(&log).unwrap()));
    let text = || std::fs::read_to_string(&log).unwrap();
    eventually("it says what it waits for", || text().contains("patterns wait"));
    assert!(text().contains("lists no pair at all"), "{}", text());
    lister.answer(401, r#"{"error":{"name":"no_authorization_ip","message":"This is not a verified IP."}}"#);
    let asked = lister.asked();
    eventually("it asks again", || lister.asked() > asked);
    assert!(recorder.terminate().success(), "{}", text());
    assert_eq!(text().matches("patterns wait").count(), 1, "{}", text());
    let tape = Tape { path: directory.path().join("data") };
    let gap = tape.events("gap").pop().unwrap();
    assert_eq!(gap["streams"], json!(["KRW-*_trade"]), "{gap}");
}

const PATTERNS_ALONE: &str = "public.subscribe=[{type=\"trade\",codes=[\"KRW-*\"]}]";

#[test]
fn wrong_lists_neither_end_a_start_nor_replace_what_is_kept() {
    let exchange = Exchange::start(0, &["--codes", "3"]);
    let lister = Lister::start(200, &list(&["KRW-BTC", "KRW-ETH", "KRW-XRP"]));
    let directory = tempfile::tempdir().unwrap();
    let tape = Tape { path: directory.path().join("data") };
    let record = || {
        run(directory.path(), &["record", "--set", PATTERNS_ALONE, "--for", "1500ms"], [exchange.port(), lister.port()])
    };
    assert!(record().status.success());
    let kept = || std::fs::read_to_string(tape.path.join("rest/markets.json")).unwrap();
    let first = kept();
    for body in ["[]", &list(&["KRW-BTC"]), r#"[1,{"market":"KRW-wBTC"},{"market":"../x"},{"market":null}]"#] {
        lister.answer(200, body);
        let output = record();
        let log = text(output.stderr);
        assert!(output.status.success(), "{body}: {log}");
        assert!(log.contains("not believed"), "{body}: {log}");
        assert_eq!(kept(), first, "{body}");
        assert_eq!(last_requested(&tape), json!(["KRW-BTC", "KRW-ETH", "KRW-XRP"]), "{body}");
    }
}

#[test]
fn an_odd_entry_of_the_list_costs_itself_alone() {
    for odd in
        [r#""KRW-wBTC""#, r#""KRW-A_B""#, r#""../../etc/x""#, r#""KRW-BTC\u001b[2J""#, "\"KRW-\u{202e}\"", "7", "{}"]
    {
        let exchange = Exchange::start(0, &["--codes", "3"]);
        let lister =
            Lister::start(200, &format!(r#"[{{"market":"KRW-BTC"}},{{"market":"KRW-ETH"}},{{"market":{odd}}}]"#));
        let directory = tempfile::tempdir().unwrap();
        let output = run(
            directory.path(),
            &["record", "--set", PATTERNS_ALONE, "--for", "1s"],
            [exchange.port(), lister.port()],
        );
        let log = text(output.stderr);
        assert!(output.status.success(), "{odd}: {log}");
        assert_eq!(log.matches("name no pair").count(), 1, "{odd}: {log}");
        assert!(!log.contains(['\u{1b}', '\u{202e}']), "{odd}: {log}");
        let tape = Tape { path: directory.path().join("data") };
        assert_eq!(last_requested(&tape), json!(["KRW-BTC", "KRW-ETH"]), "{odd}");
    }
}

#[test]
fn what_the_list_of_pairs_is_worth_is_told_by_the_verb() {
    let lister = Lister::start(200, "[]");
    let directory = tempfile::tempdir().unwrap();
    let markets = |arguments: &[&str]| {
        let output = run(directory.path(), &[&["markets"], arguments].concat(), [1, lister.port()]);
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, shown, told) = markets(&[]);
    assert!(code == Some(69) && shown.is_empty() && told.contains("list of pairs is empty"), "{code:?} {told}");
    lister.answer(
        200,
        &format!(r#"[{{"market":"KRW-BTC","english_name":"Bit\u001b[2Jcoin"}},{}"#, &list(&["KRW-ETH", "KRW-wX"])[1..]),
    );
    let (code, shown, told) = markets(&[]);
    assert_eq!((code, shown.as_str()), (Some(0), "KRW-BTC      Bit\\u001b[2Jcoin · \nKRW-ETH       · \n"), "{told}");
    assert!(told.contains("name no pair") && told.contains("KRW-wX"), "{told}");
    assert_eq!(markets(&["XYZ-*"]).0, Some(1));
    lister.answer(200, &list(&["KRW-BTC"]));
    let (code, shown, told) = markets(&["--json", "KRW-ETH"]);
    assert_eq!((code, shown.as_str()), (Some(1), "{\"market\":\"KRW-ETH\"}\n"), "{told}");
    assert!(told.contains("shorter than known"), "{told}");
    lister.hang();
    let (code, _, told) = markets_for(directory.path(), lister.port());
    assert!(code == Some(0) && told.contains("waiting for the list of pairs from http://127.0.0.1"), "{told}");
}

/// The verb, terminated when it has logged that it waits.
fn markets_for(directory: &Path, rest: u16) -> (Option<i32>, String, String) {
    let log = directory.join("log");
    let mut command = command(directory, &["markets"], [1, rest]);
    let program = Program::spawn(command.stderr(File::create(&log).unwrap()));
    let text = || std::fs::read_to_string(&log).unwrap();
    eventually("it says what it waits for", || text().contains("waiting"));
    (program.terminate().code(), String::new(), text())
}

#[test]
fn unlisted_codes_are_named_once_and_delay_nothing() {
    let exchange = Exchange::start(0, &["--codes", "3"]);
    let directory = tempfile::tempdir().unwrap();
    let codes = "public.subscribe=[{type=\"trade\",codes=[\"KRW-BTC\",\"KRW-NO\",\"KRW-NEITHER\"]}]";
    let output = run(directory.path(), &["record", "--set", codes, "--for", "2s"], [exchange.port(); 2]);
    let log = text(output.stderr);
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("does not list")).collect();
    assert!(warnings.len() == 1 && warnings[0].contains("KRW-NO") && warnings[0].contains("KRW-NEITHER"), "{log}");
}

#[test]
fn only_what_the_file_shows_is_a_fault_of_the_configuration() {
    let exchange = Exchange::start(0, &["--codes", "3"]);
    let directory = tempfile::tempdir().unwrap();
    let other_venue = "rest.url=https://sg-api.upbit.com/v1";
    let here = format!("rest.url=http://127.0.0.1:{}/v1", exchange.port());
    for (codes, setting, code, expected) in [
        ("[{type=\"trade\",codes=[\"XYZ-*\"]}]", here.as_str(), 0, "match no pair"),
        (
            "[{type=\"orderbook\",codes=[\"KRW-*\"]},{type=\"orderbook\",codes=[\"KRW-BTC\"],count=5}]",
            here.as_str(),
            78,
            "other options",
        ),
        (
            "[{type=\"orderbook\",codes=[\"KRW-*\"]},{type=\"orderbook\",codes=[\"*-BTC\"],count=5}]",
            here.as_str(),
            0,
            "first entry",
        ),
        ("[{type=\"trade\",codes=[\"KRW-*\"]}]", other_venue, 78, "upbit-sg"),
    ] {
        let codes = format!("public.subscribe={codes}");
        let mut command = command(directory.path(), &["record", "--set", &codes, "--for", "1s"], [exchange.port(); 2]);
        if code == 78 && setting == other_venue {
            command.args(["--set", "public.url=wss://api.upbit.com/websocket/v1"]);
        }
        let output = command.args(["--set", setting]).output().unwrap();
        let log = text(output.stderr);
        assert_eq!(output.status.code(), Some(code), "{log}");
        assert!(log.contains(expected), "{log}");
    }
}
