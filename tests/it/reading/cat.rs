//! `cat`: any window of a recording, byte for byte.

use super::{Scene, printed, verb};
use crate::support::json::{object_of, stamp_of};
use crate::support::{eventually, sent};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Stdio;

/// What the program's reader is not asked about: each stream's lines, by plain files and zstd.
type Lines = BTreeMap<String, Vec<String>>;

/// A window between two lines of all, from the first on and up to the second.
fn check_window(scene: &Scene, lines: &Lines, streams: &[&str], window: [u64; 2]) {
    let [from, to] = window.map(|stamp| stamp.to_string());
    let mut wanted: Vec<&String> = streams.iter().flat_map(|stream| &lines[*stream]).collect();
    wanted.retain(|line| (window[0]..window[1]).contains(&stamp_of(line)));
    wanted.sort_by_key(|line| stamp_of(line));
    let span = ["--from", &from, "--to", &to];
    let as_they_are: String = wanted.iter().map(|line| format!("{line}\n")).collect();
    let raw: String = wanted.iter().map(|line| format!("{}\n", object_of(line))).collect();
    let cat = [&["cat"], streams, &span[..]].concat();
    assert!(printed(&mut scene.verb(&cat)) == as_they_are, "{streams:?} {window:?}");
    assert!(printed(scene.verb(&cat).arg("--raw")) == raw, "{streams:?} {window:?}");
}

#[test]
fn raw_lines_of_any_window_are_the_bytes_handed_out_in_it() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "6000"]);
    let recorder = scene.record(&exchange, &[]);
    scene.await_sealed(6);
    // All that it had sent is read before the end of it is seen.
    exchange.terminate();
    eventually("the end is seen", || scene.tape.active_events().iter().any(|event| event["event"] == "lost"));
    eventually("everything that ended is sealed", || scene.tape.unsealed().is_empty());
    let beside = scene.tape.lines();
    let frames = scene.tape.frames();
    for (stream, sent) in sent(&scene.sent()) {
        assert_eq!(frames[&stream], sent, "{stream}");
    }
    let stamps: Vec<u64> = scene.tape.stamps();
    let streams = ["KRW-BTC_trade", "KRW-BTC_ticker", "KRW-ETH_ticker", "KRW-XRP_orderbook"];
    let windows = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 1..=streams.len());
    let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    let run = runner.run(&windows, |(from, to, count)| {
        let [from, to] = [from, to].map(|place| stamps[place.index(stamps.len())]);
        let window = [from.min(to), from.max(to) + 1];
        check_window(&scene, &beside, &streams[..count], window);
        Ok(())
    });
    run.unwrap();
    assert!(recorder.terminate().success());
    let lines = scene.tape.lines();
    check_window(&scene, &lines, &["KRW-BTC_ticker", "recorder"], [stamps[0], (1 << 53) - 1]);
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "1", "--rate", "3000"]);
    let recorder = scene.record(&exchange, &[]);
    scene.await_sealed(1);
    assert!(recorder.terminate().success());
    let mut cat = scene.verb(&["cat", "*"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(cat.stdout.take());
    let output = cat.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn what_is_wrong_is_named_with_the_way_out() {
    let scene = Scene::new();
    fs::create_dir(&scene.tape.path).unwrap();
    let line = "{\"ts_recv\":1795324324113204,\"type\":\"trade\",\"n\":1}\n";
    fs::write(scene.tape.path.join("KRW-BTC_trade.jsonl"), [line, "{\"ts_recv\":1795324324113205,\"ty"].concat())
        .unwrap();
    let failed = |arguments: &[&str]| {
        let output = scene.verb(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for (arguments, code, told) in [
        (&["cat", "KRW-ETH_trade"][..], 1, "`ls` shows those that it has"),
        (&["cat", "KRW-BTC_trade", "--from", "noon"], 64, "`noon` is no time: write one as in RFC 3339"),
        (&["replay", "--from", "/nowhere", "--start", "noon"], 64, "`noon` is no time: write one as in RFC 3339"),
        (&["backfill", "--markets", "KRW-BTC", "--to", "noon"], 64, "`noon` is no time: write one as in RFC 3339"),
        (&["cat", "KRW-BTC_trade", "--from", "today", "--to", "yesterday"], 64, "--to is not later than --from"),
        (&["cat", "*", "--csv", "--raw"], 64, "cannot be used with"),
        (&["cat"], 64, "<STREAM>"),
        (&["cat", "x", "--merge", "/nowhere", "/else"], 74, "there is no directory /nowhere"),
    ] {
        let (found, stderr) = failed(arguments);
        assert!(found == Some(code) && stderr.contains(told), "{arguments:?}: {found:?} {stderr}");
    }
    assert_eq!(printed(&mut scene.verb(&["cat", "KRW-BTC_trade"])), line);
    // A line that a crash tore, and that the next start ended.
    fs::write(scene.tape.path.join("KRW-BTC_trade.jsonl"), [line, "{\"ts_recv\":1795324324113205,\"ty\n"].concat())
        .unwrap();
    assert_eq!(printed(&mut scene.verb(&["cat", "KRW-BTC_trade"])), line);
}

#[test]
fn two_recorders_of_one_exchange_are_one_tape() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "2", "--rate", "300"]);
    let other = scene.directory.path().join("other");
    let first = scene.record(&exchange, &[]);
    let second = scene.record(&exchange, &[&format!("data_dir={}", other.display())]);
    let lines = |path: &Path| fs::read_to_string(path.join("KRW-BTC_trade.jsonl")).unwrap_or_default();
    eventually("both record trades", || {
        lines(&scene.tape.path).lines().count() > 20 && lines(&other).lines().count() > 20
    });
    // The first one has a gap.
    first.kill();
    let before = lines(&other).lines().count();
    eventually("the second records on", || lines(&other).lines().count() > before + 20);
    let first = scene.record(&exchange, &[]);
    scene.await_told("killed");
    let before = lines(&other).lines().count();
    eventually("both record on", || lines(&other).lines().count() > before + 20);
    assert!(first.terminate().success() && second.terminate().success());
    let merge = ["--merge", scene.tape.path.to_str().unwrap(), other.to_str().unwrap()];
    let union = |arguments: &[&str]| printed(verb(&scene.tape.path, &["cat"]).args(arguments).args(merge));
    // The time first: the exchange's ids need not follow it.
    let trades = |text: &str| {
        let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let number = |line: &serde_json::Value, key: &str| line[key].as_u64().unwrap();
        lines.map(|line| [number(&line, "trade_timestamp"), number(&line, "sequential_id")]).collect::<Vec<_>>()
    };
    let cat = |path: &Path| trades(&printed(&mut verb(path, &["cat", "KRW-BTC_trade"])));
    let both: BTreeSet<[u64; 2]> = [&*scene.tape.path, &other].into_iter().flat_map(cat).collect();
    let both: Vec<[u64; 2]> = both.into_iter().collect();
    assert_eq!(trades(&union(&["KRW-BTC_trade", "--healed"])), both);
    let mut found = trades(&union(&["KRW-BTC_trade", "--raw"]));
    found.sort_unstable();
    assert_eq!(found, both, "each trade once");
}

#[test]
fn tapes_of_two_venues_are_not_one() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "1", "--rate", "300"]);
    let directories = ["one", "two", "three"].map(|name| scene.directory.path().join(name));
    for (directory, venue) in directories.iter().zip(["here", "there", "here"]) {
        let settings = [format!("data_dir={}", directory.display()), format!("venue={venue}")];
        let recorder = scene.record(&exchange, &settings.each_ref().map(String::as_str));
        eventually("it records", || directory.join("KRW-BTC_trade.jsonl").exists());
        assert!(recorder.terminate().success());
    }
    let [one, two, three] = directories.each_ref().map(|directory| directory.to_str().unwrap());
    let merge =
        |directories: &[&str]| scene.verb(&[&["cat", "*_trade", "--merge"], directories].concat()).output().unwrap();
    let refused = merge(&[one, three, two]);
    let told = String::from_utf8(refused.stderr).unwrap();
    assert_eq!((refused.status.code(), &*refused.stdout), (Some(64), &b""[..]));
    assert!(told.contains(&format!("{two} has records of there, and {one} of here")), "{told}");
    let merged = merge(&[one, three]);
    assert!(merged.status.success() && !merged.stdout.is_empty());
}

#[test]
fn each_tree_is_read_by_the_name_of_its_directory() {
    let scene = Scene::new();
    let line = |second: u64| format!("{{\"ts_recv\":{},\"n\":{second}}}\n", 1_795_324_324_000_000 + second * 1_000_000);
    let write = |file: &str, seconds: &[u64]| {
        let path = scene.tape.path.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, seconds.iter().map(|second| line(*second)).collect::<String>()).unwrap();
    };
    write("KRW-BTC_trade.jsonl", &[1, 4]);
    write("private/KRW-BTC_myOrder.jsonl", &[2, 3]);
    write("rest/archive/date=2026-11-22/KRW-BTC_candle.1m.20261122T051205.000000Z.jsonl", &[1, 5]);
    let cat = |streams: &[&str]| printed(&mut scene.verb(&[&["cat"], streams].concat()));
    let lines = |seconds: &[u64]| seconds.iter().map(|second| line(*second)).collect::<String>();
    assert_eq!(cat(&["*"]), lines(&[1, 4]));
    assert_eq!(cat(&["private/*"]), lines(&[2, 3]));
    assert_eq!(cat(&["private/*_myOrder", "KRW-BTC_trade", "!*_ticker"]), lines(&[1, 2, 3, 4]));
    assert_eq!(cat(&["rest/KRW-*", "--from", "2026-11-22T05:12:06Z"]), lines(&[5]));
}
