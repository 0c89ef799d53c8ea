//! The HTTP side is bounded in connections, sizes and time, and costs the recording nothing.

use super::{Scene, exchange};
use crate::support::http::{get, send};
use crate::support::{eventually, pause};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

#[test]
fn a_long_head_is_refused() {
    let (scene, exchange) = (Scene::new(), exchange());
    let recorder = scene.record(&exchange.url);
    scene.await_ready();
    let long = format!("GET /livez HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "y".repeat(20_000));
    assert_ne!(send(scene.port, &long).map(|answer| answer.status), Some(200));
    let many = format!("GET /livez HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(100));
    assert_ne!(send(scene.port, &many).map(|answer| answer.status), Some(200));
    assert_eq!(get(scene.port, "/livez").unwrap().status, 200);
    assert!(recorder.terminate().success());
}

#[test]
fn clients_that_hold_on_are_let_go() {
    let (scene, exchange) = (Scene::new(), exchange());
    let recorder = scene.record(&exchange.url);
    scene.await_ready();
    let before = recorder.descriptors();
    // More than it serves at a time: the last ones wait, and nobody shuts the others out for longer than 10 s.
    let mut idle: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(("127.0.0.1", scene.port)).unwrap()).collect();
    idle.iter_mut().for_each(|socket| _ = socket.write_all(b"GET /livez HTT"));
    pause(Duration::from_millis(500));
    assert!(recorder.descriptors() <= before + 40, "{} descriptors, {before} before", recorder.descriptors());
    let mut ended = Vec::new();
    assert_eq!(idle[0].read_to_end(&mut ended).map_err(|error| error.kind()).unwrap_or(0), ended.len());
    eventually("others are served", || get(scene.port, "/livez").is_some_and(|answer| answer.status == 200));
    drop(idle);
    assert!(recorder.terminate().success());
    assert_eq!(
        scene.tape().events("gap").len(),
        1,
        "the recording did not notice: this one is that of the first start"
    );
}
