//! What a service manager is told, read from its socket as it would read it.

use super::Scene;
use crate::support::{Exchange, Program, eventually};
use rustix::process::Signal;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

/// A service manager's socket.
struct Manager {
    socket: UnixDatagram,
    heard: Vec<String>,
}

impl Manager {
    fn new(path: &str) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { socket, heard: Vec::new() }
    }

    /// Takes what has come so far.
    fn listen(&mut self) {
        let mut buffer = [0; 4096];
        loop {
            match self.socket.recv(&mut buffer) {
                Ok(length) => self.heard.push(String::from_utf8(buffer[..length].to_vec()).unwrap()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn count(&self, what: &str) -> usize {
        self.heard.iter().filter(|message| message.starts_with(what)).count()
    }
}

fn started_by(scene: &Scene, url: &str, socket: &str) -> Program {
    Program::spawn(scene.command("record", url, &["public.backoff_min=300ms"]).env("NOTIFY_SOCKET", socket))
}

#[test]
fn it_is_ready_without_an_exchange_and_says_what_it_waits_for() {
    let scene = Scene::new();
    let mut manager = Manager::new(&scene.path("notify"));
    // A port that was just free and is not listened on.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut recorder = started_by(&scene, &format!("ws://127.0.0.1:{port}/websocket/v1"), &scene.path("notify"));
    eventually("the loop turns", || {
        manager.listen();
        manager.count("WATCHDOG=1") >= 3 && manager.count("STATUS=public NOT RECORDING: ") > 0
    });
    assert!(manager.heard[0].starts_with("STATUS=starting: "), "{:?}", manager.heard);
    assert_eq!(manager.count("READY=1"), 1);
    recorder.signal(Signal::TERM);
    eventually("the end is told", || {
        manager.listen();
        manager.count("STOPPING=1") == 1
    });
    assert!(recorder.wait().success());
    assert_eq!(manager.count("READY=1"), 1, "{:?}", manager.heard);
}

#[test]
fn a_reload_is_told_from_its_begin_to_its_end() {
    let scene = Scene::new();
    let mut manager = Manager::new(&scene.path("notify"));
    let exchange = Exchange::start(0, &[]);
    let mut recorder = started_by(&scene, &exchange.url, &scene.path("notify"));
    scene.await_event(&recorder, "live", 1);
    for reloads in 1..=2 {
        recorder.signal(Signal::HUP);
        eventually("the reload is told", || {
            manager.listen();
            manager.count("RELOADING=1\nMONOTONIC_USEC=") == reloads && manager.count("READY=1") == reloads + 1
        });
    }
    let told = manager.heard.iter().filter(|message| message.starts_with("RE"));
    let told: Vec<&str> = told.map(|message| message.split('=').next().unwrap()).collect();
    assert_eq!(told, ["READY", "RELOADING", "READY", "RELOADING", "READY"]);
    recorder.signal(Signal::TERM);
    assert!(recorder.wait().success());
}

#[test]
fn a_service_manager_that_does_not_read_holds_nothing_up() {
    let scene = Scene::new();
    let manager = Manager::new(&scene.path("notify"));
    let other = UnixDatagram::unbound().unwrap();
    other.connect(scene.path("notify")).unwrap();
    other.set_nonblocking(true).unwrap();
    while other.send(b"WATCHDOG=1").is_ok() {}
    let exchange = Exchange::start(0, &[]);
    let recorder = started_by(&scene, &exchange.url, &scene.path("notify"));
    scene.await_event(&recorder, "live", 1);
    let size = || std::fs::metadata(scene.tape.path.join("KRW-BTC_trade.jsonl")).map_or(0, |found| found.len());
    let before = size();
    eventually("the tape grows", || size() > before);
    assert!(recorder.terminate().success());
    drop(manager);
}

#[test]
fn the_journal_gets_priorities() {
    use std::os::unix::fs::MetadataExt;
    let scene = Scene::new();
    let log = std::fs::File::create(scene.path("log")).unwrap();
    let found = log.metadata().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_upbit-recorder"));
    command.env_clear().env("JOURNAL_STREAM", format!("{}:{}", found.dev(), found.ino()));
    command.args(["record", "--set", "public.nonsense=1", "--set", "data_dir="]).stderr(log);
    assert_eq!(Program::spawn(&mut command).wait().code(), Some(78));
    let said = std::fs::read_to_string(scene.path("log")).unwrap();
    assert!(said.lines().count() > 1 && said.lines().all(|line| line.starts_with("<3>")), "{said}");
}
