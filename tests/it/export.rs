//! `export` as a user runs it, beside a real recorder: what it prints, what it leaves, and how it ends.

use crate::support::{Exchange, Program, Tape, eventually};
use parquet::file::reader::{FileReader, SerializedFileReader};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn verb(tape: &Tape, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_upbit-recorder"));
    let data_dir = format!("data_dir={}", tape.path.display());
    command.args(arguments).args(["--set", &data_dir]).env_clear().output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

/// The rows of each file of a type, by pair.
fn rows(lake: &Path, kind: &str) -> BTreeMap<String, i64> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![lake.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|ending| ending == "parquet")
                && path.to_str().unwrap().contains(&format!("/type={kind}/"))
            {
                let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
                let code = path.file_stem().unwrap().to_str().unwrap().to_owned();
                *found.entry(code).or_default() += reader.metadata().file_metadata().num_rows();
            }
        }
    }
    found
}

#[test]
fn what_is_sealed_is_exported_beside_a_recorder() {
    let directory = tempfile::tempdir().unwrap();
    let tape = Tape { path: directory.path().join("data") };
    let exchange = Exchange::start(0, &["--codes", "2", "--rate", "400"]);
    let settings = [
        format!("data_dir={}", tape.path.display()),
        format!("public.url={}", exchange.url),
        "rest.heal_max=0".to_owned(),
        "public.format=SIMPLE".to_owned(),
    ];
    let settings: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
    let recorder = Program::start(&[&["record"], &settings[..]].concat());
    eventually("trades come", || {
        std::fs::metadata(tape.path.join("KRW-BTC_trade.jsonl")).is_ok_and(|file| file.len() > 9_000)
    });
    let early = verb(&tape, &["export"]);
    assert!(early.status.success() && text(&early).contains("SIGUSR1"), "{}", text(&early));
    recorder.signal(Signal::USR1);
    eventually("all is sealed", || tape.archived(".zst").len() >= 7 && tape.unsealed().is_empty());
    let done = verb(&tape, &["export", "--levels", "3", "--json"]);
    assert!(done.status.success(), "{}", text(&done));
    let shown: Vec<serde_json::Value> =
        String::from_utf8(done.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (sum, files) = shown.split_last().unwrap();
    assert_eq!((&sum["written"], &sum["failed"], &sum["unreadable"]), (&files.len().into(), &0.into(), &0.into()));
    let sealed = tape.archived(".zst");
    let sealed = |stream: &str| sealed.iter().any(|path| path.to_str().unwrap().contains(&format!("/{stream}.")));
    let lake = tape.path.join("lake");
    for kind in ["trade", "orderbook", "ticker", "book_snapshot_3"] {
        let rows = rows(&lake, kind);
        assert_eq!(rows.keys().map(String::as_str).collect::<Vec<_>>(), ["KRW-BTC", "KRW-ETH"], "{kind}");
        assert!(
            rows.values().all(|rows| *rows > 0) && (kind.contains("snapshot") || sealed(&format!("KRW-BTC_{kind}")))
        );
    }
    assert_eq!(rows(&lake, "orderbook"), rows(&lake, "book_snapshot_3"));
    assert!(recorder.terminate().success());
    // A day that cannot be read ends no other.
    let damaged = tape.path.join("archive/date=2026-11-01");
    std::fs::write(&damaged, "no directory").unwrap();
    let partial = verb(&tape, &["export", "--json"]);
    assert_eq!(partial.status.code(), Some(74), "{}", text(&partial));
    assert!(
        text(&partial).contains("2026-11-01") && text(&partial).contains("\"state\":\"current\""),
        "{}",
        text(&partial)
    );
    std::fs::remove_file(damaged).unwrap();
    let verified = verb(&tape, &["verify"]);
    assert!(verified.status.success(), "{}", text(&verified));
}

#[test]
fn one_exports_at_a_time_and_types_are_checked() {
    let directory = tempfile::tempdir().unwrap();
    let tape = Tape { path: directory.path().join("data") };
    std::fs::create_dir_all(tape.path.join("lake")).unwrap();
    let wrong = verb(&tape, &["export", "--types", "trades"]);
    assert_eq!(wrong.status.code(), Some(64), "{}", text(&wrong));
    assert!(text(&wrong).contains("book_snapshot_1"), "{}", text(&wrong));
    let lake = File::open(tape.path.join("lake")).unwrap();
    rustix::fs::flock(&lake, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let locked = verb(&tape, &["export"]);
    assert_eq!(locked.status.code(), Some(75), "{}", text(&locked));
    // A recorder has nothing to do with it, and is not to be stopped.
    assert!(text(&locked).contains("that export") && !text(&locked).contains("stop that"), "{}", text(&locked));
}
