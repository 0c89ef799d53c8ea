//! `health` is content with its own recorder alone, and while it records.

use super::{Scene, exchange};
use crate::support::eventually;
use crate::support::json::parse;
use std::process::Output;

/// The exit code, and what was printed.
fn told(output: &Output) -> (i32, String) {
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[test]
fn it_is_green_while_data_is_recorded() {
    let (scene, exchange) = (Scene::new(), exchange());
    let url = exchange.url.clone();
    let (code, text) = told(&scene.health(&url, &[]));
    assert!(code == 1 && text.starts_with("unhealthy: nothing records into "), "{text}");
    let recorder = scene.record(&url);
    scene.await_ready();
    assert_eq!(told(&scene.health(&url, &[])), (0, "healthy: it records".to_owned()));
    let (code, text) = told(&scene.health(&url, &["--json"]));
    let shown = parse(&text);
    assert_eq!((code, &shown["healthy"], &shown["owner"]["pid"]), (0, &true.into(), &recorder.pid().into()));
    exchange.kill();
    eventually("it turns red", || scene.health(&url, &[]).status.code() == Some(1));
    let (_, text) = told(&scene.health(&url, &[]));
    assert!(text.starts_with("unhealthy: public NOT RECORDING: "), "{text}");
    assert!(recorder.terminate().success());
    let (code, text) = told(&scene.health(&url, &["--json"]));
    let shown = parse(&text);
    assert_eq!((code, &shown["healthy"]), (1, &false.into()));
    assert!(shown["reasons"][0]["text"].as_str().unwrap().contains("does not answer"), "{shown}");
}

#[test]
fn it_is_never_green_for_another_recorder() {
    let (ours, exchange) = (Scene::new(), exchange());
    let theirs = Scene { port: ours.port, ..Scene::new() };
    let first = theirs.record(&exchange.url);
    theirs.await_ready();
    // The port is taken: it records all the same.
    let second = ours.record(&exchange.url);
    eventually("it records", || ours.tape().active_events().iter().any(|event| event["event"] == "live"));
    assert_eq!(theirs.health(&exchange.url, &[]).status.code(), Some(0));
    let (code, text) = told(&ours.health(&exchange.url, &[]));
    assert!(code == 1 && text.contains("is of another recorder, process "), "{text}");
    assert!(text.contains(&first.pid().to_string()) && text.contains(&second.pid().to_string()), "{text}");
    assert!(first.terminate().success());
    // It takes the port over.
    ours.await_ready();
    assert_eq!(ours.health(&exchange.url, &[]).status.code(), Some(0));
    assert!(second.terminate().success());
}

#[test]
fn without_an_address_it_is_red_and_says_why() {
    let scene = Scene::new();
    let (code, text) = told(&scene.health("ws://127.0.0.1:1/", &["--set", "http.listen="]));
    assert!(code == 1 && text.contains("http.listen is empty"), "{text}");
    let listener = std::net::TcpListener::bind(("127.0.0.1", scene.port)).unwrap();
    let foreign = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut socket, _) = listener.accept().unwrap();
        let _ = socket.read(&mut [0; 1024]);
        socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n{\"ready\":true}").unwrap();
    });
    let lock = r#"{"host":"tape1","pid":4711,"started":1}"#;
    std::fs::create_dir(scene.tape().path).unwrap();
    std::fs::write(scene.tape().path.join(".lock"), lock).unwrap();
    let (code, text) = told(&scene.health("ws://127.0.0.1:1/", &[]));
    assert!(code == 1 && text.contains("is no recorder"), "{text}");
    foreign.join().unwrap();
    assert_eq!(scene.health("ws://127.0.0.1:1/", &["--set", "http.listen=x"]).status.code(), Some(78));
}
