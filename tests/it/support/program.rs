//! A program under test: started, signalled, waited for, and killed at the end whatever happened.

use super::eventually;
use std::process::{Child, Command, ExitStatus, Stdio};

/// A running program, killed at the end of the test if it still runs.
pub(crate) struct Program {
    pub(super) child: Child,
}

impl Program {
    /// Starts a verb of the program in an environment without any setting of its own.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::spawn(Command::new(env!("CARGO_BIN_EXE_upbit-recorder")).args(arguments).env_clear())
    }

    /// Starts any command.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        // Tests run side by side; where one needs this address, its arguments say so.
        command.env("UPBIT_RECORDER_HTTP__LISTEN", "");
        Self { child: command.stdin(Stdio::null()).spawn().unwrap() }
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A figure of `/proc/<pid>/status`, such as `VmHWM`, in kB.
    pub(crate) fn status(&self, key: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = text.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// How many descriptors it has open.
    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        self.wait()
    }

    /// Kills it.
    pub(crate) fn kill(mut self) {
        self.signal(rustix::process::Signal::KILL);
        self.wait();
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until it has ended.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut ended = None;
        eventually("the program ends", || {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        });
        ended.unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
