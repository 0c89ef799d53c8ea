//! A start that waits for something that never comes: it logs for what, and stops at a signal.

use super::Scene;
use crate::support::{Program, eventually};
use rustix::fs::{CWD, FileType, Mode, OFlags, fcntl_getfl, fcntl_setfl, mknodat};
use rustix::process::Signal;
use std::fs::{self, File};
use std::io::Write;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

/// It has no writer, so that opening it to read blocks.
fn pipe(path: &str) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

/// How a verb ended.
struct Stopped {
    status: ExitStatus,
    took: Duration,
    log: String,
}

/// Runs a verb until it says that it waits, then sends so many signals. `None` where it does not wait at all: what is in the
/// way was refused, or passed over.
fn stop(scene: &Scene, command: &mut Command, signals: usize) -> Option<Stopped> {
    let path = scene.path("log");
    let mut program = Program::spawn(command.stderr(File::create(&path).unwrap()));
    let log = || fs::read_to_string(&path).unwrap();
    eventually("it says what it waits for", || {
        ["waiting for", "recording into"].iter().any(|text| log().contains(text)) || program.has_ended()
    });
    if !log().contains("waiting for") {
        return None;
    }
    #[expect(clippy::disallowed_methods, reason = "a test of the binary runs in real time")]
    let begin = Instant::now();
    for _ in 0..signals {
        program.signal(Signal::TERM);
        crate::support::pause(Duration::from_millis(100));
    }
    Some(Stopped { status: program.wait(), took: begin.elapsed(), log: log() })
}

#[test]
fn a_configuration_that_hangs_keeps_no_verb_from_stopping() {
    let scene = Scene::new();
    let file = scene.path("recorder.toml");
    pipe(&file);
    for (verb, code) in [(&["record"][..], 0), (&["check"], 1), (&["markets"], 0), (&["audit", "--date=2026-11-22"], 1)]
    {
        let mut command = Command::new(env!("CARGO_BIN_EXE_upbit-recorder"));
        let stopped = stop(&scene, command.args(verb).args(["--config", &file]).env_clear(), 1);
        let Some(Stopped { status, took, log }) = stopped else { continue };
        assert!(log.contains("waiting for the configuration"), "{verb:?}: {log}");
        assert_eq!(status.code(), Some(code), "{verb:?}: {log}");
        assert!(took < Duration::from_secs(2), "{verb:?}: {took:?}");
    }
}

#[test]
fn a_directory_that_hangs_is_left_at_a_second_signal() {
    let scene = Scene::new();
    fs::create_dir_all(scene.tape.path.join("rest")).unwrap();
    pipe(scene.tape.path.join("rest/markets.json").to_str().unwrap());
    let mut command = scene.command("record", "ws://127.0.0.1:1/websocket/v1", &["rest.url=http://127.0.0.1:1/v1"]);
    for (signals, longest) in [(1, 6), (2, 2)] {
        let Some(Stopped { status, took, log }) = stop(&scene, &mut command, signals) else { continue };
        assert!(status.success() && log.contains("stopped while waiting for the list of pairs kept in"), "{log}");
        assert!(took < Duration::from_secs(longest), "{took:?}");
    }
}

#[test]
fn a_reader_that_takes_nothing_keeps_no_verb_from_stopping() {
    let (scene, (_reader, writer)) = (Scene::new(), std::io::pipe().unwrap());
    let flags = fcntl_getfl(&writer).unwrap();
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
    while (&writer).write(&[0; 4096]).is_ok() {}
    fcntl_setfl(&writer, flags).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_upbit-recorder"));
    let command = command.arg("check").env_clear().stdout(writer);
    let Stopped { status, took, log } = stop(&scene, command, 1).expect("the pipe is full");
    assert!(status.code() == Some(1) && took < Duration::from_secs(2), "{status:?} {took:?} {log}");
}
