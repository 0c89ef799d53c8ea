//! `tail`: every line once, whatever happens to the recorder and its files meanwhile.

use super::{Scene, printed};
use crate::support::json::object_of;
use crate::support::{Program, Tape, eventually, pause};
use rustix::process::Signal;
use std::fs::{self, File};
use std::path::PathBuf;
use std::time::Duration;

/// A `tail` that writes into files.
struct Tailing {
    program: Program,
    out: PathBuf,
    told: PathBuf,
}

impl Tailing {
    fn start(scene: &Scene, arguments: &[&str]) -> Self {
        let [out, told] = ["out", "told"].map(|name| scene.directory.path().join(name));
        let mut command = scene.verb(&[&["tail"], arguments].concat());
        command.stdout(File::create(&out).unwrap()).stderr(File::create(&told).unwrap());
        Self { program: Program::spawn(&mut command), out, told }
    }

    fn lines(&self) -> Vec<String> {
        std::fs::read_to_string(&self.out).unwrap().lines().map(str::to_owned).collect()
    }

    fn told(&self) -> String {
        std::fs::read_to_string(&self.told).unwrap()
    }
}

#[test]
fn nothing_is_lost_across_rotation_kill_and_restart() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "3000"]);
    let recorder = scene.record(&exchange, &[]);
    eventually("it records", || scene.tape.path.join("KRW-BTC_ticker.jsonl").exists());
    let tailing = Tailing::start(&scene, &["*_ticker", "-n", "1000000"]);
    scene.await_sealed(3);
    recorder.signal(Signal::USR1);
    pause(Duration::from_millis(50));
    recorder.signal(Signal::USR1);
    recorder.kill();
    let recorder = scene.record(&exchange, &[]);
    scene.await_told("killed");
    scene.await_sealed(8);
    assert_eq!(recorder.terminate().code(), Some(0));
    let recorder = scene.record(&exchange, &[]);
    scene.await_told("stopped");
    scene.await_sealed(12);
    assert_eq!(recorder.terminate().code(), Some(0));
    let wanted = || {
        let mut lines = scene.tape.lines();
        lines.retain(|stream, _| stream.ends_with("_ticker"));
        lines
    };
    let wanted = wanted();
    let count = wanted.values().map(Vec::len).sum::<usize>();
    eventually("all is printed", || tailing.lines().len() >= count);
    let lines = tailing.lines();
    for (stream, wanted) in wanted {
        let code = format!("\"code\":\"{}\"", stream.trim_end_matches("_ticker"));
        let found: Vec<&String> = lines.iter().filter(|line| line.contains(&code)).collect();
        assert!(found.iter().copied().eq(&wanted), "{stream}: {} lines of {}", found.len(), wanted.len());
    }
    let told = tailing.told();
    let gaps: Vec<&str> = told.lines().filter(|line| line.starts_with("# gap ")).collect();
    assert!(gaps.len() == 2 && gaps[0].contains(" s), killed: ") && gaps[1].contains(" s), stopped: "), "{told}");
    assert!(gaps.iter().all(|gap| gap.ends_with(" (3 streams)")), "{told}");
    assert!(tailing.program.terminate().success());
}

#[test]
fn it_begins_with_the_last_lines_and_ends_there_if_it_is_told() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "3000"]);
    let recorder = scene.record(&exchange, &[]);
    scene.await_sealed(2);
    assert!(recorder.terminate().success());
    let mut all: Vec<String> = scene
        .tape
        .lines()
        .into_iter()
        .filter(|(stream, _)| stream.ends_with("_trade"))
        .flat_map(|(_, lines)| lines)
        .collect();
    all.sort_by_key(|line| crate::support::json::stamp_of(line));
    for count in [0, 1, 17, all.len() + 5] {
        let wanted = &all[all.len().saturating_sub(count)..];
        let count = count.to_string();
        let tail = ["tail", "*_trade", "--no-follow", "-n", &count];
        assert_eq!(printed(&mut scene.verb(&tail)).lines().collect::<Vec<_>>(), wanted);
        let raw: Vec<String> = wanted.iter().map(|line| object_of(line)).collect();
        assert_eq!(printed(scene.verb(&tail).arg("--raw")).lines().collect::<Vec<_>>(), raw);
    }
}

#[test]
fn streams_of_the_account_are_followed_across_a_rotation() {
    let scene = Scene::new();
    let exchange =
        scene.exchange(&["--codes", "3", "--rate", "300", "--access-key", "access", "--secret-key", "secret"]);
    let mut command = scene.verb(&["record"]);
    command.args(["--set", "private.enabled=true", "--set", "rest.heal_max=0"]);
    for (key, path) in [("public.url", ""), ("private.url", "/private")] {
        command.args(["--set", &format!("{key}={}{path}", exchange.url)]);
    }
    command.env("UPBIT_ACCESS_KEY", "access").env("UPBIT_SECRET_KEY", "secret");
    let recorder = Program::spawn(&mut command);
    let account = Tape { path: scene.tape.path.join("private") };
    let sealed = || account.archived(".zst").len();
    eventually("it records", || account.path.is_dir());
    let tailing = Tailing::start(&scene, &["private/*", "-n", "1000000"]);
    eventually("there are lines", || tailing.lines().len() > 10);
    recorder.signal(Signal::USR1);
    eventually("files are rotated", || sealed() > 0);
    let before = tailing.lines().len();
    eventually("there are more", || tailing.lines().len() > before + 10);
    assert!(recorder.terminate().success());
    let wanted = account.lines();
    eventually("all is printed", || tailing.lines().len() >= wanted.values().map(Vec::len).sum::<usize>());
    let lines = tailing.lines();
    for (stream, own) in &wanted {
        assert!(lines.iter().filter(|line| own.contains(line)).eq(own), "{stream}");
    }
    assert_eq!(lines.len(), wanted.values().map(Vec::len).sum::<usize>(), "each line once");
    assert!(tailing.program.terminate().success());
}

#[test]
fn streams_that_come_are_waited_for_and_merged_by_time() {
    let scene = Scene::new();
    let prepared = scene.directory.path().join("prepared");
    for directory in [&scene.tape.path, &prepared] {
        fs::create_dir(directory).unwrap();
    }
    let line = |number: u64| format!("{{\"ts_recv\":{},\"n\":{number}}}", 1_795_324_324_000_000 + number);
    for (place, stream) in ["KRW-BTC_myOrder", "KRW-ETH_myOrder", "myAsset"].into_iter().enumerate() {
        let lines = (0..300).filter(|number| number % 7 % 3 == place as u64).map(|number| line(number) + "\n");
        fs::write(prepared.join(format!("{stream}.jsonl")), lines.collect::<String>()).unwrap();
    }
    let tailing = Tailing::start(&scene, &["private/*", "KRW-*_trade", "!*-DOGE_*"]);
    eventually("it says what it waits for", || tailing.told().lines().count() == 2);
    for (told, pattern) in tailing.told().lines().zip(["private/*", "KRW-*_trade"]) {
        assert_eq!(
            told,
            format!("# waiting for {pattern}: no line of the last two days is meant; `ls` shows what there is")
        );
    }
    // All of them come at once.
    fs::rename(&prepared, scene.tape.path.join("private")).unwrap();
    eventually("all is printed", || tailing.lines().len() >= 300);
    assert_eq!(tailing.lines(), (0..300).map(line).collect::<Vec<_>>());
    assert!(tailing.program.terminate().success());
    let nothing = scene.verb(&["tail", "KRW-NOPE_trade", "--no-follow"]).output().unwrap();
    let told = String::from_utf8(nothing.stderr).unwrap();
    assert!(
        nothing.status.code() == Some(1) && told.contains("has no stream that is meant by KRW-NOPE_trade"),
        "{told}"
    );
    let some = scene.verb(&["tail", "private/*", "KRW-NOPE_trade", "--no-follow", "-n", "1"]).output().unwrap();
    assert_eq!(String::from_utf8(some.stdout).unwrap(), line(299) + "\n");
    assert!(String::from_utf8(some.stderr).unwrap().starts_with("# nothing of KRW-NOPE_trade: "));
}
