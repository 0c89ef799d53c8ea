//! What no exchange would send, sent to the real program: its memory stays bounded, and what came behind is recorded.
//! `cargo test record::hostile -- --nocapture` shows the figures.

#![expect(clippy::print_stdout, reason = "the figures are shown to whoever asks for a test's output")]

use super::Scene;
use crate::support::eventually;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

/// What the program may take above what it takes while nothing happens.
const MOST_KIB: u64 = 64 * 1024;

const FIRST: &str = r#"{"type":"trade","code":"KRW-BTC","n":"first"}"#;
const LAST: &str = r#"{"type":"trade","code":"KRW-BTC","n":"last"}"#;

/// The most that the program takes by default.
const MESSAGE_BYTES: usize = 4 * 1024 * 1024;

#[test]
fn a_million_tiny_frames() {
    assert_bounded(|server| (0..1_000_000).for_each(|_| server.write(Message::binary("5")).unwrap()));
}

#[test]
fn lists_of_tiny_objects_as_long_as_a_message_may_be() {
    assert_bounded(|server| {
        for object in ["{},", r#"{"a":1},"#, r#"{"ty":"trade","cd":"KRW-BTC"},"#] {
            let list = object.repeat((MESSAGE_BYTES - 2) / object.len());
            server.send(Message::binary(format!("[{}]", list.trim_end_matches(',')))).unwrap();
        }
    });
}

#[test]
fn depth_without_end() {
    let deep =
        |open: &str, close: &str| format!(r#"{{"type":"a","x":{}1{}}}"#, open.repeat(100_000), close.repeat(100_000));
    assert_bounded(move |server| {
        for frame in [deep("[", "]"), deep("{\"a\":", "}"), "[".repeat(MESSAGE_BYTES), "{\"a\":".repeat(100_000)] {
            server.send(Message::binary(frame)).unwrap();
        }
    });
}

#[test]
fn what_takes_more_room_on_disk_than_on_the_wire() {
    assert_bounded(|server| {
        // More of them than the buffer takes, and so fast that it is used up.
        for byte in [[1; 16], [0xff; 16], [b'"'; 16], [b' '; 16]].concat() {
            server.send(Message::binary(vec![byte; MESSAGE_BYTES])).unwrap();
        }
    });
}

#[test]
fn names_of_ten_kilobytes() {
    let kind = "t".repeat(10_240);
    let code = "c".repeat(10_240);
    let frame = format!(r#"{{"type":"{kind}","code":"{code}"}}"#);
    assert_bounded(move |server| (0..1_000).for_each(|_| server.write(Message::binary(frame.clone())).unwrap()));
}

#[test]
fn new_names_without_end() {
    assert_bounded(|server| {
        for name in 0..12_000 {
            server.write(Message::binary(format!(r#"{{"type":"trade","code":"KRW-N{name}"}}"#))).unwrap();
        }
    });
}

#[test]
fn headers_of_twenty_megabytes() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/websocket/v1", listener.local_addr().unwrap());
    let exchange = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let header = format!("X-Filler: {}\r\n", "x".repeat(10_000));
        assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
        let _ = stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\n");
        let sent = (0..2_000).take_while(|_| stream.write_all(header.as_bytes()).is_ok()).count();
        assert!(sent < 2_000, "all of it was taken");
        let mut server = accept(&listener);
        server.send(Message::binary(LAST)).unwrap();
        while server.read().is_ok() {}
    });
    let scene = Scene::new();
    let mut recorder = scene.record(&url, &["public.backoff_min=10ms", "log.level=error"]);
    eventually("the next attempt is live", || recorded(&scene, LAST));
    let (_, most) = memory(recorder.pid());
    recorder.signal(rustix::process::Signal::TERM);
    assert!(recorder.wait().success());
    exchange.join().unwrap();
    assert!(most < MOST_KIB, "{most} KiB in all");
}

/// Has the program record a trade, what an exchange gone mad sends, and another trade.
fn assert_bounded(go_mad: impl FnOnce(&mut WebSocket<TcpStream>) + Send + 'static) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/websocket/v1", listener.local_addr().unwrap());
    let (go, wait) = std::sync::mpsc::sync_channel(1);
    let exchange = thread::spawn(move || {
        let mut server = accept(&listener);
        server.send(Message::binary(FIRST)).unwrap();
        wait.recv().unwrap();
        go_mad(&mut server);
        server.send(Message::binary(LAST)).unwrap();
        while server.read().is_ok() {}
    });
    let scene = Scene::new();
    let settings = ["log.level=error", r#"public.subscribe=[{type="trade",codes=["KRW-BTC"]}]"#];
    let mut recorder = scene.record(&url, &settings);
    eventually("the first trade is recorded", || recorded(&scene, FIRST));
    let (idle, _) = memory(recorder.pid());
    go.send(()).unwrap();
    eventually("the last trade is recorded", || recorded(&scene, LAST));
    let (_, most) = memory(recorder.pid());
    recorder.signal(rustix::process::Signal::TERM);
    assert!(recorder.wait().success());
    exchange.join().unwrap();
    let name = thread::current().name().unwrap_or_default().to_owned();
    println!("{name}: {} MiB while idle, {} MiB above that at most", idle / 1024, (most - idle) / 1024);
    assert!(most - idle < MOST_KIB, "{} KiB above {idle}", most - idle);
    assert_eq!(scene.tape.events("lost").len(), 1, "the connection was kept until the end");
}

fn accept(listener: &TcpListener) -> WebSocket<TcpStream> {
    let (stream, _) = listener.accept().unwrap();
    let mut server = tungstenite::accept(stream).unwrap();
    assert!(server.read().unwrap().is_text(), "the request");
    server
}

fn recorded(scene: &Scene, trade: &str) -> bool {
    let text = std::fs::read_to_string(scene.tape.path.join("KRW-BTC_trade.jsonl")).unwrap_or_default();
    text.ends_with(&format!("{}\n", &trade[1..]))
}

/// Resident memory of a process in KiB: now, and the most there ever was.
fn memory(pid: u32) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    (field("VmRSS:"), field("VmHWM:"))
}
