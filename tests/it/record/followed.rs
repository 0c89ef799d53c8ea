//! A tape that is followed while it is written: its clients see what the exchange sent, each once, and nobody is waited for.

use super::Scene;
use crate::support::{Exchange, Program, eventually, pause};
use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const QUICK: [&str; 2] = ["public.backoff_min=100ms", "rest.heal_max=0"];

/// The objects of each stream of the exchange, as they were received.
fn objects(scene: &Scene) -> BTreeMap<String, Vec<String>> {
    let mut frames = scene.tape.frames();
    frames.retain(|stream, _| !["misc", "recorder"].contains(&stream.as_str()) && !stream.ends_with(".rest"));
    frames
}

/// A recorder at an exchange of its own.
struct Recording {
    scene: Scene,
    exchange: Exchange,
    recorder: Program,
}

impl Recording {
    fn begin(rate: &str) -> Self {
        let scene = Scene::new();
        let exchange = scene.exchange(&["--codes", "3", "--rate", rate, "--no-limits"]);
        let recorder = scene.record(&exchange.url, &QUICK);
        eventually("it records", || scene.recorded() > 100);
        Self { scene, exchange, recorder }
    }

    /// The exchange of those who follow the tape.
    fn follow(&self, arguments: &[&str]) -> Exchange {
        let directory = self.scene.tape.path.to_str().unwrap();
        Exchange::start(0, &[&["--from", directory, "--follow", "--no-limits"], arguments].concat())
    }

    /// The exchange sends nothing more, and what it sent is on the tape.
    fn end(self) -> Scene {
        self.exchange.fault("silence");
        pause(Duration::from_millis(500));
        assert!(self.recorder.terminate().success());
        self.exchange.terminate();
        self.scene
    }
}

#[test]
fn a_client_sees_the_present_and_then_each_object_once() {
    let recording = Recording::begin("600");
    let following = recording.follow(&[]);
    let again = Scene::new();
    let client = again.record(&following.url, &QUICK);
    for _ in 0..5 {
        eventually("it records", || again.recorded() > 50);
        // New files begin, in the middle of what comes.
        recording.recorder.signal(Signal::USR1);
        pause(Duration::from_millis(400));
    }
    let scene = recording.end();
    assert!(client.terminate().success());
    following.terminate();
    let (own, seen) = (objects(&scene), objects(&again));
    assert_eq!(own.keys().collect::<Vec<_>>(), seen.keys().collect::<Vec<_>>());
    for (stream, seen) in seen {
        let (first, others) = seen.split_first().unwrap();
        let own = &own[&stream];
        assert!(others.len() > 5 && own.ends_with(others), "{stream}: {} of {}", others.len(), own.len());
        let before = &own[own.len() - others.len() - 1];
        assert_eq!(*first, before.replace("REALTIME", "SNAPSHOT"), "{stream} begins with what came last");
    }
}

#[test]
fn a_recording_is_played_and_followed_over_a_kill() {
    let mut recording = Recording::begin("600");
    pause(Duration::from_secs(2));
    let following = recording.follow(&["--start", "2020-01-01", "--speed", "max"]);
    let again = Scene::new();
    let client = again.record(&following.url, &QUICK);
    for _ in 0..3 {
        pause(Duration::from_millis(300));
        recording.recorder.signal(Signal::USR1);
    }
    recording.recorder.kill();
    recording.recorder = recording.scene.record(&recording.exchange.url, &QUICK);
    recording.scene.await_event(&recording.recorder, "live", 1);
    pause(Duration::from_secs(1));
    let scene = recording.end();
    assert!(client.terminate().success());
    following.terminate();
    let (own, seen) = (objects(&scene), objects(&again));
    assert!(own.len() == 9 && own == seen, "{:?}", counts(&own, &seen));
}

fn counts(own: &BTreeMap<String, Vec<String>>, seen: &BTreeMap<String, Vec<String>>) -> Vec<(String, usize, usize)> {
    own.iter().map(|(stream, lines)| (stream.clone(), lines.len(), seen.get(stream).map_or(0, Vec::len))).collect()
}

#[test]
fn a_client_that_reads_nothing_is_cut_off_and_no_other() {
    let recording = Recording::begin("6000");
    let following = recording.follow(&[]);
    let again = Scene::new();
    let client = again.record(&following.url, &QUICK);
    let mut slow = TcpStream::connect(("127.0.0.1", following.port())).unwrap();
    subscribe(&mut slow);
    // What the kernel holds of it is full after some seconds, and then it is 10 s behind.
    pause(Duration::from_secs(20));
    let seen = again.recorded();
    let mut taken = vec![0; 1 << 20];
    let mut bytes = 0;
    slow.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    loop {
        match slow.read(&mut taken) {
            Ok(0) => break,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Ok(length) => bytes += length,
            Err(error) => panic!("it was not cut off: {error}"),
        }
        assert!(bytes < 200 << 20, "it was not cut off");
    }
    pause(Duration::from_secs(1));
    assert!(again.recorded() > seen, "another client goes on");
    let scene = recording.end();
    assert!(client.terminate().success());
    following.terminate();
    assert_eq!(lost(&again), 0, "another client is not cut off");
    let (own, seen) = (objects(&scene), objects(&again));
    assert!(seen.iter().all(|(stream, seen)| own[stream].ends_with(&seen[1..])), "{:?}", counts(&own, &seen));
}

/// How often a recorder has lost its connection, but for the end.
fn lost(scene: &Scene) -> usize {
    let is_lost = |event: &&Value| event["stage"] == "live" && event["cause"] != "closed by the recorder";
    scene.tape.events("lost").iter().filter(is_lost).count()
}

/// Asks for everything, as a client that never reads would.
fn subscribe(socket: &mut TcpStream) {
    let head = "GET /websocket/v1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    socket.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
    let codes = r#"["KRW-BTC","KRW-ETH","KRW-XRP"]"#;
    let entries = ["trade", "orderbook", "ticker"].map(|kind| format!(r#"{{"type":"{kind}","codes":{codes}}}"#));
    let request = format!(r#"[{{"ticket":"slow"}},{}]"#, entries.join(","));
    // A text frame of a client, masked by zeros.
    let length = u16::try_from(request.len()).unwrap().to_be_bytes();
    let frame = [&[0x81, 0xfe][..], &length, &[0; 4], request.as_bytes()].concat();
    socket.write_all(&frame).unwrap();
}

#[test]
fn a_lost_connection_is_a_silence_or_the_end() {
    let recording = Recording::begin("600");
    let (silent, ending) = (recording.follow(&[]), recording.follow(&["--gaps", "disconnect"]));
    let (one, other) = (Scene::new(), Scene::new());
    let clients = [one.record(&silent.url, &QUICK), other.record(&ending.url, &QUICK)];
    eventually("they record", || one.recorded() > 50 && other.recorded() > 50);
    recording.exchange.fault("drop");
    recording.exchange.clear_faults();
    recording.scene.await_event(&recording.recorder, "live", 2);
    other.await_event(&clients[1], "live", 2);
    // Before the recorder ends, which is a loss, too.
    for client in clients {
        assert!(client.terminate().success());
    }
    let scene = recording.end();
    silent.terminate();
    ending.terminate();
    assert_eq!((lost(&scene), lost(&one), lost(&other)), (1, 0, 1));
}
