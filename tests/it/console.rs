//! A terminal that takes nothing: the recorder records and ends all the same.

use crate::support::json::lines_so_far;
use rustix::fs::{OFlags, fcntl_setfl};
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

/// A pipe that takes nothing more; as long as the reading end lives, a write to it waits.
fn full_pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    let (reader, mut writer) = std::io::pipe().expect("the system has pipes");
    fcntl_setfl(&writer, OFlags::NONBLOCK).expect("a pipe has flags");
    while writer.write(&[b' '; 4096]).is_ok() {}
    while writer.write(b" ").is_ok() {}
    fcntl_setfl(&writer, OFlags::empty()).expect("a pipe has flags");
    (reader, writer)
}

#[test]
fn a_terminal_that_nobody_reads_stops_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (reader, writer) = full_pipe();
    let arguments = ["record", "--for", "500ms", "--set", "data_dir=tape", "--set", "public.url=ws://127.0.0.1:1/"];
    let mut child = Command::new(env!("CARGO_BIN_EXE_upbit-recorder"))
        .args(arguments)
        .current_dir(directory.path())
        .env_clear()
        .stdin(Stdio::null())
        .stdout(writer.try_clone().unwrap())
        .stderr(writer)
        .spawn()
        .unwrap();
    let id = rustix::process::Pid::from_child(&child);
    let (sender, ended) = sync_channel(1);
    let waiting = thread::spawn(move || sender.send(child.wait().unwrap()));
    let status = ended.recv_timeout(Duration::from_secs(20));
    if status.is_err() {
        rustix::process::kill_process(id, rustix::process::Signal::KILL).unwrap();
    }
    waiting.join().unwrap().unwrap();
    assert_eq!(status.expect("it hangs").code(), Some(0));
    let events = lines_so_far(&directory.path().join("tape/recorder.jsonl"));
    assert_eq!(events.last().unwrap()["event"], "stopped");
    drop(reader);
}
