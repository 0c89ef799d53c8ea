//! `record` as a user runs it: the real program against a real exchange on loopback.

mod crash;
mod life;
mod tape;
mod whole;

use crate::support::{Exchange, Program, Tape, eventually};

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
        let data_dir = format!("data_dir={}", self.tape.path.display());
        let url = format!("public.url={url}");
        let mut arguments = vec!["record"];
        for setting in [data_dir.as_str(), url.as_str()].iter().chain(settings) {
            arguments.extend(["--set", setting]);
        }
        Program::start(&arguments)
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
        let entries = std::fs::read_dir(&self.tape.path).into_iter().flatten();
        let active = entries.map(|entry| entry.unwrap().path()).filter(|path| !path.ends_with("recorder.jsonl"));
        // A file that is renamed between the two looks is counted the next time.
        let lines = active.filter_map(|path| std::fs::read(path).ok());
        lines.map(|bytes| bytes.iter().filter(|byte| **byte == b'\n').count()).sum()
    }

    /// Waits for a running recorder to have written `count` events of one kind.
    fn await_event(&self, recorder: &Program, event: &str, count: usize) {
        let path = self.tape.path.join("recorder.jsonl");
        let (begin, key) = (format!("\"pid\":{},", recorder.pid()), format!("\"event\":\"{event}\""));
        eventually(event, || {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            text.split_once(&begin).is_some_and(|(_, own)| own.matches(&key).count() >= count)
        });
    }
}
