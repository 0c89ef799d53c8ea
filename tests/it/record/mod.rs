//! `record` as a user runs it: the real program against a real exchange on loopback.

mod account;
mod canary;
pub(crate) mod clock;
mod crash;
mod displaced;
mod ending;
mod followed;
mod formats;
mod frozen;
mod full;
mod healing;
mod hostile;
mod life;
mod others;
mod played;
mod reading;
mod reload;
mod retention;
mod service;
mod start;
mod tape;
mod whole;

use crate::support::{Exchange, Program, Tape, eventually};
use serde_json::Value;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// A directory for one test, with a recorder's data in it.
struct Scene {
    directory: tempfile::TempDir,
    tape: Tape,
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let tape = Tape { path: directory.path().join("data") };
        Self { directory, tape }
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }

    /// An exchange that logs what it sends into `sent`.
    fn exchange(&self, arguments: &[&str]) -> Exchange {
        Exchange::start(0, &[&["--sent", &self.path("sent")], arguments].concat())
    }

    /// A recorder of that exchange.
    fn record(&self, url: &str, settings: &[&str]) -> Program {
        Program::spawn(&mut self.command("record", url, settings))
    }

    /// A verb for that exchange, in an environment without any setting of its own.
    fn command(&self, verb: &str, url: &str, settings: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_upbit-recorder"));
        command.arg(verb).env_clear();
        command.arg("--set").arg(format!("data_dir={}", self.tape.path.display()));
        command.arg("--set").arg(format!("public.url={url}"));
        // Tests run side by side.
        command.args(["--set", "http.listen="]);
        for setting in settings {
            command.args(["--set", setting]);
        }
        command
    }

    /// The account's part of the tape.
    fn private(&self) -> Tape {
        Tape { path: self.tape.path.join("private") }
    }

    /// Writes a key into a file that its owner alone may read; returns the file.
    fn key_file(&self, name: &str, key: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, format!("{key}\n")).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// Writes frames in the form that `--frames` reads; returns the file.
    fn frames(&self, frames: &[impl AsRef<str>]) -> String {
        let lines = frames.iter().map(|frame| serde_json::json!({"frame": frame.as_ref()}).to_string() + "\n");
        let path = self.path("frames.jsonl");
        std::fs::write(&path, lines.collect::<String>()).unwrap();
        path
    }

    /// How many frames are in the active files of a running recorder.
    fn recorded(&self) -> usize {
        Self::recorded_in(&self.tape)
    }

    /// The same of a part of the tape.
    fn recorded_in(tape: &Tape) -> usize {
        let entries = std::fs::read_dir(&tape.path).into_iter().flatten();
        let active = entries.map(|entry| entry.unwrap().path()).filter(|path| !path.ends_with("recorder.jsonl"));
        // A file that is renamed between the two looks is counted the next time.
        let lines = active.filter_map(|path| std::fs::read(path).ok());
        lines.map(|bytes| bytes.iter().filter(|byte| **byte == b'\n').count()).sum()
    }

    /// Waits for a running recorder to have written `count` events of one kind.
    fn await_event(&self, recorder: &Program, event: &str, count: usize) {
        let is_start = |found: &Value| found["event"] == "started" && found["pid"] == recorder.pid();
        eventually(event, || {
            let events = self.tape.active_events();
            let own = events.iter().skip_while(|found| !is_start(found));
            own.filter(|found| found["event"] == event).count() >= count
        });
    }

    /// How many events of one kind a connection has in the active file of a running recorder.
    fn count(&self, event: &str, connection: &str) -> usize {
        let events = self.tape.active_events();
        events.iter().filter(|found| found["event"] == event && found["connection"] == connection).count()
    }
}
