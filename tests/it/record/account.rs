//! The account's connection beside the public one: neither is worth anything less because of the other.

use super::Scene;
use crate::support::{Exchange, Program, Tape, eventually, sent};
use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

pub(super) const KEYS: [&str; 4] = ["--access-key", "access", "--secret-key", "secret"];

/// What a recorder signs with.
#[derive(Clone, Copy)]
pub(super) struct Keys {
    access: &'static str,
    secret: &'static str,
}

/// Those that the exchange knows, by [`KEYS`].
pub(super) const RIGHT: Keys = Keys { access: "access", secret: "secret" };

/// A recorder of both connections with these keys, whose log goes into the file `log`.
pub(super) fn record(scene: &Scene, exchange: &Exchange, keys: Keys, settings: &[&str]) -> Program {
    let private = format!("private.url={}/private", exchange.url);
    let settings = [&["private.enabled=true", private.as_str(), "log.format=json"], settings].concat();
    let mut command = scene.command("record", &exchange.url, &settings);
    command.env("UPBIT_ACCESS_KEY", keys.access).env("UPBIT_SECRET_KEY", keys.secret);
    Program::spawn(command.stderr(File::create(scene.path("log")).unwrap()))
}

/// The log's lines of one level.
fn logged(scene: &Scene, level: &str) -> Vec<serde_json::Value> {
    let log = std::fs::read_to_string(scene.path("log")).unwrap();
    let lines = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines.filter(|line| line["level"] == level).collect()
}

/// Events of one connection.
fn events(tape: &Tape, event: &str, connection: &str) -> Vec<serde_json::Value> {
    tape.events(event).into_iter().filter(|event| event["connection"] == connection).collect()
}

/// The exchange does not believe the account: one ERROR with its reason, while the public recording is complete.
fn assert_refused(exchange_arguments: &[&str], keys: Keys, reason: &str) {
    let scene = Scene::new();
    let exchange = scene.exchange(&[&["--codes", "3", "--rate", "500"], exchange_arguments].concat());
    let recorder = record(&scene, &exchange, keys, &[]);
    scene.await_event(&recorder, "refused", 1);
    eventually("the public connection records", || scene.recorded() > 1000);
    assert!(recorder.terminate().success());
    exchange.terminate();
    let errors = logged(&scene, "ERROR");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!((&errors[0]["connection"], &errors[0]["refused"]), (&"private".into(), &"credentials".into()));
    assert!(errors[0]["reason"].as_str().unwrap().starts_with(reason), "{errors:?}");
    assert_eq!(events(&scene.tape, "refused", "private").len(), 1);
    assert_eq!(events(&scene.tape, "lost", "private").len(), 1, "it is tried again in minutes");
    assert_eq!(events(&scene.tape, "lost", "public").len(), 1, "the public one is lost by the stop alone");
    let recorded = scene.tape.frames();
    for (stream, sent) in sent(Path::new(&scene.path("sent"))) {
        if stream != "misc" {
            // What was on its way when the recorder stopped may be missing.
            assert_eq!(recorded[&stream], sent[..recorded[&stream].len()], "{stream}");
        }
    }
    assert!(!scene.private().path.join("misc.jsonl").exists());
}

#[test]
fn a_wrong_secret_costs_the_public_connection_nothing() {
    assert_refused(&KEYS, Keys { secret: "wrong", ..RIGHT }, "jwt_verification: ");
}

#[test]
fn a_denied_account_costs_the_public_connection_nothing() {
    assert_refused(&[&KEYS[..], &["--fault", "deny"]].concat(), RIGHT, "");
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let scene = Scene::new();
    let access = scene.key_file("access", "access");
    let secret = scene.key_file("secret", "secret");
    std::fs::set_permissions(&secret, Permissions::from_mode(0o640)).unwrap();
    let settings = [format!("private.access_key_file={access}"), format!("private.secret_key_file={secret}")];
    let settings = ["private.enabled=true", &settings[0], &settings[1]];
    let output = scene.command("record", "ws://127.0.0.1:1/", &settings).output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(&format!("others than its owner may read it (mode 640): chmod 600 {secret}")), "{said}");
    assert!(!scene.tape.path.exists());
}

#[test]
fn the_gaps_of_a_quiet_account_end_without_an_order() {
    let scene = Scene::new();
    let quiet = [&KEYS[..], &["--codes", "3", "--fault", "silence=myOrder"]].concat();
    let exchange = scene.exchange(&quiet);
    let port = exchange.port();
    let quick = ["private.first_frame_timeout=1s", "private.ping_interval=300ms"];
    let settings = [&quick[..], &["private.backoff_min=50ms", "public.backoff_min=50ms"]].concat();
    let recorder = record(&scene, &exchange, RIGHT, &settings);
    eventually("the first gap of the account ends", || scene.count("gap", "private") == 1);
    let listened = scene.recorded();
    eventually("pings are answered for a while", || scene.recorded() > listened + 150);
    exchange.kill();
    eventually("it is lost", || scene.count("lost", "private") == 1);
    let exchange = Exchange::start(port, &quiet);
    eventually("its gap ends", || scene.count("gap", "private") == 2);
    assert!(recorder.terminate().success());
    exchange.kill();
    assert!(!scene.private().path.join("myOrder.jsonl").exists());
    let live = events(&scene.tape, "live", "private");
    let lost = events(&scene.tape, "lost", "private");
    let gap = &events(&scene.tape, "gap", "private")[1];
    let micros = |value: &serde_json::Value| value.as_u64().unwrap();
    assert_eq!((&lost[0]["stage"], &gap["kind"]), (&"live".into(), &"disconnected".into()));
    assert!(micros(&gap["from"]) < micros(&lost[0]["ts_recv"]), "it was listened to until something proves it");
    assert!(micros(&gap["from"]) > micros(&live[0]["ts_recv"]) + 100_000, "which answered pings do");
    assert!(micros(&gap["to"]) <= micros(&live[1]["ts_recv"]), "it is listened to since before that is sure");
    assert!(micros(&gap["from"]) < micros(&gap["to"]));
}

#[test]
fn a_connection_that_gives_up_leaves_the_other_one_alone() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "500"]);
    let unused = format!("private.url=ws://127.0.0.1:{}/", unused_port());
    let settings = [unused.as_str(), "private.max_retries=2", "private.backoff_min=10ms", "public.max_retries=2"];
    let recorder = record(&scene, &exchange, RIGHT, &settings);
    scene.await_event(&recorder, "given_up", 1);
    let before = scene.recorded();
    eventually("the public connection goes on", || scene.recorded() > before + 200);
    assert!(recorder.terminate().success());
    let given_up = events(&scene.tape, "given_up", "private");
    assert_eq!((given_up.len(), &given_up[0]["attempts"]), (1, &2.into()));
    assert_eq!(scene.tape.events("stopped")[0]["reason"], "signal");
}

#[test]
fn without_any_connection_left_it_ends_as_unavailable() {
    let scene = Scene::new();
    let url = format!("ws://127.0.0.1:{}/", unused_port());
    let settings = ["public.max_retries=3", "public.backoff_min=10ms"];
    let mut recorder = Program::spawn(scene.command("record", &url, &settings).stderr(std::process::Stdio::null()));
    assert_eq!(recorder.wait().code(), Some(69));
    assert_eq!(scene.tape.events("given_up").len(), 1);
    assert_eq!(scene.tape.events("lost").len(), 3);
    assert_eq!(scene.tape.events("stopped")[0]["reason"], "failure");
}

/// A port that was just free and is not listened on.
fn unused_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
