//! What operators see of a running recorder: the real program, asked over HTTP and by `health`.

mod account;
mod bounds;
mod health;
mod metrics;
mod status;

use crate::support::http::{Answer, free_port, get};
use crate::support::{Exchange, Program, Tape, eventually};
use std::process::{Command, Output};

/// A directory for one test, and a port for its recorder.
struct Scene {
    directory: tempfile::TempDir,
    port: u16,
}

impl Scene {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), port: free_port() }
    }

    fn tape(&self) -> Tape {
        Tape { path: self.directory.path().join("data") }
    }

    /// A verb of a configuration with this directory and port.
    fn command(&self, verb: &str, url: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_upbit-recorder"));
        command.arg(verb).env_clear();
        for setting in [
            format!("data_dir={}", self.tape().path.display()),
            format!("public.url={url}"),
            format!("rest.url={}", url.replace("ws:", "http:").replace("/websocket", "")),
            format!("http.listen=127.0.0.1:{}", self.port),
            "public.backoff_min=100ms".to_owned(),
            "public.backoff_max=200ms".to_owned(),
            "public.connects_per_second=5".to_owned(),
        ] {
            command.args(["--set", &setting]);
        }
        command
    }

    fn record(&self, url: &str) -> Program {
        Program::spawn(&mut self.command("record", url))
    }

    /// Asks until the answer is as wanted.
    fn await_answer(&self, path: &str, mut is_wanted: impl FnMut(&Answer) -> bool) -> Answer {
        let mut answer = None;
        eventually(path, || {
            answer = get(self.port, path).filter(&mut is_wanted);
            answer.is_some()
        });
        answer.unwrap()
    }

    fn await_ready(&self) -> Answer {
        self.await_answer("/readyz", |answer| answer.status == 200)
    }

    fn health(&self, url: &str, arguments: &[&str]) -> Output {
        self.command("health", url).args(arguments).output().unwrap()
    }
}

/// A local exchange of three pairs.
fn exchange() -> Exchange {
    Exchange::start(0, &["--codes", "3", "--rate", "200"])
}
