//! `verify` on what a real recorder left: nothing is wrong with it, and whatever is done to it is found.

use crate::support::json::{number, parse};
use crate::support::{Exchange, Program, Tape, eventually, pause};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use serde_json::value::RawValue;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A recording, and what `verify` says of it.
struct Scene {
    directory: tempfile::TempDir,
    tape: Tape,
}

/// What `verify --json` printed.
struct Verified {
    code: Option<i32>,
    faults: Vec<Value>,
    sum: Value,
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let tape = Tape { path: directory.path().join("data") };
        Self { directory, tape }
    }

    fn record(&self, exchange: &Exchange, settings: &[&str]) -> Program {
        let mut command = Command::new(env!("CARGO_BIN_EXE_upbit-recorder"));
        command.arg("record").env_clear();
        let rest = exchange.url.replace("ws://", "http://").replace("/websocket", "");
        let own = [
            format!("data_dir={}", self.tape.path.display()),
            format!("public.url={}", exchange.url),
            format!("rest.url={rest}"),
            "storage.rotate_bytes=1MiB".to_owned(),
            "public.backoff_min=100ms".to_owned(),
        ];
        for setting in own.iter().map(String::as_str).chain(settings.iter().copied()) {
            command.args(["--set", setting]);
        }
        Program::spawn(&mut command)
    }

    fn verify(&self, arguments: &[&str]) -> Verified {
        let mut command = Command::new(env!("CARGO_BIN_EXE_upbit-recorder"));
        command.args(["verify", "--json"]).args(arguments).env_clear();
        let output = command.arg("--set").arg(format!("data_dir={}", self.tape.path.display())).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!stderr.contains("panicked"), "{stderr}");
        let mut faults: Vec<Value> = std::str::from_utf8(&output.stdout).unwrap().lines().map(parse).collect();
        let sum = faults.pop().unwrap_or_else(|| panic!("{stderr}"));
        assert_eq!(number(&sum, "faults"), faults.len() as u64);
        Verified { code: output.status.code(), faults, sum }
    }

    fn assert_intact(&self, when: &str) {
        let Verified { code, faults, .. } = self.verify(&[]);
        assert!(code == Some(0) && faults.is_empty(), "{when}: {faults:?}");
    }

    /// A recording of a whole life: two kills, a lost connection that is healed, a stop.
    fn lived(&self) {
        let exchange = Exchange::start(0, &["--codes", "3", "--rate", "3000", "--no-limits"]);
        for _ in 0..2 {
            let recorder = self.record(&exchange, &[]);
            pause(Duration::from_secs(2));
            recorder.kill();
            self.assert_readable("after a kill");
        }
        let recorder = self.record(&exchange, &[]);
        let events = |event: &str| self.tape.active_events().iter().filter(|found| found["event"] == event).count();
        eventually("it records", || events("live") > 0);
        exchange.fault("drop");
        pause(Duration::from_millis(500));
        exchange.clear_faults();
        eventually("a gap was healed", || events("healed") > 0);
        self.assert_intact("beside a recorder");
        assert!(recorder.terminate().success());
        exchange.terminate();
    }

    /// A kill may leave a line within, and a segment half sealed: nothing else.
    fn assert_readable(&self, when: &str) {
        for fault in self.verify(&[]).faults {
            let reason = fault["reason"].as_str().unwrap();
            let is_left = ["it ends within a line", "it was left", "no line of its manifest"]
                .iter()
                .any(|known| reason.starts_with(known));
            assert!(is_left, "{when}: {fault}");
        }
    }
}

impl Verified {
    fn assert_names(&self, file: &Path, what: &str) {
        let name = file.file_name().unwrap().to_str().unwrap();
        let is_named = self.faults.iter().any(|fault| fault["file"].as_str().unwrap().ends_with(name));
        assert!(self.code == Some(1) && is_named, "{what} of {name} is not found: {:?}", self.faults);
    }
}

/// One thing that happens to bytes; what it is, for the message.
fn corrupt(bytes: &mut Vec<u8>, random: &mut StdRng) -> String {
    let at = random.random_range(0..bytes.len());
    let some = random.random_range(1..=64).min(bytes.len() - at);
    match random.random_range(0..6) {
        0 => {
            bytes[at] ^= 1 << random.random_range(0..8);
            format!("a bit at {at}")
        }
        1 => {
            bytes.truncate(at);
            format!("a cut at {at}")
        }
        2 => {
            bytes.drain(at..at + some);
            format!("{some} bytes less at {at}")
        }
        3 => {
            let copy = bytes[at..at + some].to_vec();
            bytes.splice(at..at, copy);
            format!("{some} bytes twice at {at}")
        }
        4 => {
            bytes[at..at + some].fill(0);
            format!("{some} zeros at {at}")
        }
        _ => {
            bytes.extend((0..some).map(|_| random.random::<u8>()));
            format!("{some} bytes behind it")
        }
    }
}

#[test]
fn nothing_is_wrong_with_a_recording_and_damage_is_found() {
    let scene = Scene::new();
    scene.lived();
    scene.assert_intact("after a stop");
    let sealed = scene.tape.archived(".zst");
    assert!(sealed.len() > 10);
    let mut random = StdRng::seed_from_u64(7);
    let (mut wrong, mut placed) = (0, 0);
    while wrong < 200 {
        let file = &sealed[random.random_range(0..sealed.len())];
        let bytes = std::fs::read(file).unwrap();
        let mut damaged = bytes.clone();
        let what = corrupt(&mut damaged, &mut random);
        if damaged == bytes {
            continue;
        }
        std::fs::write(file, damaged).unwrap();
        let verified = scene.verify(&[]);
        verified.assert_names(file, &what);
        placed += usize::from(verified.faults.iter().any(|fault| fault["offset"].is_u64()));
        std::fs::write(file, bytes).unwrap();
        wrong += 1;
    }
    assert!(placed > 150, "{placed} of {wrong} are told with their place");
    scene.assert_intact("as it was");
}

/// Whether a plain segment is what it has to be, by other means.
fn is_right(text: &[u8]) -> bool {
    let mut previous = 0;
    let mut is_line = |line: &[u8]| {
        let stamp = crate::support::json::Stamped::parse(line).map(|line| line.stamp);
        let is_later = stamp.is_some_and(|stamp| std::mem::replace(&mut previous, stamp) < stamp && stamp < 1 << 53);
        is_object(line) && is_later
    };
    text.is_empty() || (text.ends_with(b"\n") && text[..text.len() - 1].split(|byte| *byte == b'\n').all(&mut is_line))
}

/// By its grammar: `8.5E1795` is a number, though no double, and may come of a copy that begins in a time.
fn is_object(line: &[u8]) -> bool {
    match serde_json::from_slice::<Value>(line) {
        Ok(value) => value.is_object(),
        Err(error) => {
            error.to_string().starts_with("number out of range") && serde_json::from_slice::<&RawValue>(line).is_ok()
        }
    }
}

#[test]
fn what_is_right_is_told_by_grammar_and_stamps() {
    let right: [&[u8]; 3] =
        [b"", b"{\"ts_recv\":1,\"a\":1}\n", b"{\"ts_recv\":1,\"best_ask_size\":8.5E1795711,\"b\":[]}\n"];
    for text in right {
        assert!(is_right(text), "{}", String::from_utf8_lossy(text));
    }
    let wrong: [&[u8]; 4] = [
        b"{\"ts_recv\":1,\"a\":1}",
        b"{\"ts_recv\":1,\"a\":8.5E1795,\"b\":[}\n",
        b"{\"ts_recv\":9007199254740992,\"a\":1}\n",
        b"{\"ts_recv\":1,\"a\":1}\n{\"ts_recv\":1,\"a\":1}\n",
    ];
    for text in wrong {
        assert!(!is_right(text), "{}", String::from_utf8_lossy(text));
    }
}

#[test]
fn a_plain_segment_is_right_or_it_is_told() {
    let scene = Scene::new();
    let exchange = Exchange::start(0, &["--codes", "1", "--rate", "300", "--no-limits"]);
    let recorder = scene.record(&exchange, &[]);
    let active = scene.tape.path.join("KRW-BTC_trade.jsonl");
    let lines = || std::fs::read_to_string(&active).unwrap_or_default().lines().count();
    eventually("there are trades", || lines() > 50);
    assert!(recorder.terminate().success());
    exchange.terminate();
    let text = std::fs::read(&active).unwrap();
    assert!(is_right(&text));
    let mut random = StdRng::seed_from_u64(8);
    let (mut broken, mut unbroken) = (0, 0);
    while broken < 200 {
        let mut changed = text.clone();
        let what = corrupt(&mut changed, &mut random);
        std::fs::write(&active, &changed).unwrap();
        let verified = scene.verify(&[]);
        if is_right(&changed) {
            unbroken += 1;
            assert_eq!(verified.faults, [Value::Null; 0], "{what}");
        } else {
            broken += 1;
            verified.assert_names(&active, &what);
            assert!(verified.faults.iter().all(|fault| fault["offset"].is_u64()), "{what}: {:?}", verified.faults);
        }
    }
    assert!(unbroken > 5, "{unbroken} changes broke nothing");
}

#[test]
fn what_is_missing_or_left_is_found() {
    let scene = Scene::new();
    let exchange = Exchange::start(0, &["--codes", "1", "--rate", "1000", "--no-limits"]);
    let recorder = scene.record(&exchange, &["storage.rotate_interval=1m"]);
    eventually("something is sealed", || scene.tape.archived(".zst").len() >= 2);
    assert!(recorder.terminate().success());
    exchange.terminate();
    let sealed = scene.tape.archived(".zst").remove(0);
    let manifest = sealed.parent().unwrap().join("manifest.jsonl");
    let listed = std::fs::read_to_string(&manifest).unwrap();
    let moved = scene.directory.path().join("moved");

    std::fs::rename(&sealed, &moved).unwrap();
    scene.verify(&[]).assert_names(&sealed, "the loss");
    let away = scene.verify(&["--manifest-only"]);
    assert!(away.code == Some(0) && number(&away.sum, "lines") > 0, "{:?}", away.faults);
    let name = sealed.file_name().unwrap().to_str().unwrap();
    let pruned = format!("{listed}{{\"name\":\"{name}\",\"pruned\":1803100324113204,\"reason\":\"keep_for\"}}\n");
    std::fs::write(&manifest, &pruned).unwrap();
    scene.assert_intact("a pruned file may be gone");
    std::fs::rename(&moved, &sealed).unwrap();
    scene.verify(&[]).assert_names(&sealed, "a pruned file");

    std::fs::write(&manifest, listed.lines().skip(1).map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    assert_eq!(scene.verify(&[]).code, Some(1), "a file that no manifest lists");
    std::fs::write(&manifest, listed.replacen("\"lines\":", "\"lines\":1", 1)).unwrap();
    assert_eq!(scene.verify(&[]).code, Some(1), "another number of lines");
    assert_eq!(scene.verify(&["--manifest-only"]).code, Some(0), "which the manifest alone does not tell");
    std::fs::write(&manifest, listed.replacen('{', "x", 1)).unwrap();
    scene.verify(&["--manifest-only"]).assert_names(&manifest, "a line that is none");
    std::fs::write(&manifest, &listed).unwrap();

    let content = zstd::stream::decode_all(&*std::fs::read(&sealed).unwrap()).unwrap();
    let beside = |ending: &str| PathBuf::from(sealed.to_str().unwrap().replace(".jsonl.zst", ending));
    for ending in [".jsonl", ".jsonl.zst.tmp"] {
        std::fs::write(beside(ending), &content).unwrap();
        scene.verify(&[]).assert_names(&beside(ending), "a leftover");
        std::fs::remove_file(beside(ending)).unwrap();
    }
    let later = sealed.to_str().unwrap().replace(".jsonl.zst", ".e3.jsonl");
    std::fs::write(&later, &content[..content.len() - 1]).unwrap();
    scene.verify(&[]).assert_names(Path::new(&later), "a segment that ends within a line");
    std::fs::write(&later, &content).unwrap();
    scene.assert_intact("a segment of another epoch");
    std::fs::remove_file(&later).unwrap();

    let events = scene.tape.path.join("recorder.jsonl");
    let told = std::fs::read_to_string(&events).unwrap();
    let last = told.lines().last().unwrap();
    let stamp = number(&parse(last), "ts_recv");
    let healed = format!(
        "{{\"ts_recv\":{},\"type\":\"recorder\",\"event\":\"healed\",\"gap\":{stamp},\"requests\":1,\"unaffected\":0,\
         \"complete\":{{}},\"partial\":{{}},\"impossible\":[]}}\n",
        stamp + 1
    );
    std::fs::write(&events, format!("{told}{healed}")).unwrap();
    scene.verify(&[]).assert_names(&events, "a healing of no gap");
    std::fs::write(&events, told).unwrap();
    scene.assert_intact("as it was");
}
