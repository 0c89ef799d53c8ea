//! The verbs that read a recording, as a user runs them, beside and behind a real recorder.

mod cat;
mod ls;
mod tail;

use crate::support::{Exchange, Program, Tape, eventually};
use std::path::Path;
use std::process::{Command, Output};

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

    fn sent(&self) -> std::path::PathBuf {
        self.directory.path().join("sent")
    }

    /// An exchange that logs what it sends.
    fn exchange(&self, arguments: &[&str]) -> Exchange {
        Exchange::start(0, &[&["--sent", self.sent().to_str().unwrap()], arguments].concat())
    }

    /// A recorder of it whose segments are small.
    fn record(&self, exchange: &Exchange, settings: &[&str]) -> Program {
        let url = format!("public.url={}", exchange.url);
        let settings = [&[&*url, "storage.rotate_bytes=1MiB", "rest.heal_max=0"], settings].concat();
        Program::spawn(self.verb(&["record"]).args(settings.iter().flat_map(|setting| ["--set", setting])))
    }

    /// A verb on this recording.
    fn verb(&self, arguments: &[&str]) -> Command {
        verb(&self.tape.path, arguments)
    }

    /// Waits until a recorder has told a gap of this kind since its events were rotated.
    fn await_told(&self, kind: &str) {
        eventually("a gap is told", || self.tape.active_events().iter().any(|event| event["kind"] == kind));
    }

    /// Waits for so many sealed files.
    fn await_sealed(&self, files: usize) {
        eventually("segments are sealed", || self.tape.archived(".zst").len() >= files);
    }
}

/// A verb on a recording, in an environment without any setting of its own.
fn verb(data_dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_upbit-recorder"));
    command.args(arguments).args(["--set", &format!("data_dir={}", data_dir.display())]).env_clear();
    command
}

/// What it prints, which has to go well.
fn printed(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert!(status.success(), "{status}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}
