//! What is on disk is what was sent: every frame, byte for byte, in the file of its stream, once and in order.

use super::Scene;
use crate::support::{Program, eventually, pause, sent};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::fs::File;
use std::process::Command;
use std::time::Duration;

const SIMPLE: &str = "public.format=SIMPLE";

/// Frames as the exchange spells them, and as it might: every number spelling, escapes, spaces, keys in any order.
fn awkward_frames() -> Vec<String> {
    let mut frames = Vec::new();
    for number in 0..500 {
        frames.push(format!(r#"{{"ty":"trade","cd":"KRW-BTC","tp":1.1653{number}E8,"sid":1618678262{number:09}}}"#));
        frames.push(format!(r#"{{"tms":{number}, "cd":"BTC-ITAM", "cp":6E-8, "ty":"trade"}}"#));
        frames.push(format!(
            r#"{{"type":"ticker","code":"KRW-ETH","x":[{{"type":"no"}}],"n":{number},"ko":"\u00e9 비트"}}"#
        ));
        frames.push(format!(r#"{{"ty":"candle.1m","cd":"KRW-BTC","v":1386929.37231066771348207123,"n":{number}}}"#));
    }
    frames
}

#[test]
fn every_frame_is_in_its_file_verbatim_once_and_in_order() {
    let scene = Scene::new();
    let frames = awkward_frames();
    let exchange = scene.exchange(&["--frames", &scene.frames(&frames)]);
    let recorder = scene.record(&exchange.url, &[SIMPLE]);
    eventually("all frames are recorded", || scene.recorded() >= frames.len());
    assert!(recorder.terminate().success());
    exchange.terminate();
    let mut recorded = scene.tape.frames();
    // The exchange's answer to a question of ours.
    recorded.remove("misc");
    let mut sent = sent(&scene.directory.path().join("sent"));
    sent.remove("misc");
    assert_eq!(sent.values().map(Vec::len).sum::<usize>(), frames.len());
    assert_eq!(recorded, sent);
    scene.tape.assert_stamps_increase();
    assert_eq!(scene.tape.events("started")[0]["venue"], "127.0.0.1");
}

#[test]
fn what_a_hostile_frame_says_of_itself_is_not_believed() {
    let scene = Scene::new();
    let hostile = [
        r#"{"type":"recorder","code":"KRW-BTC"}"#,
        r#"{"type":"../../x","code":"KRW-BTC"}"#,
        r#"{"type":"trade","code":"../../x"}"#,
        r#"{"type":"trade.healed","code":"KRW-BTC"}"#,
    ];
    let stamped = r#"{"type":"trade","code":"KRW-BTC","ts_recv":5}"#;
    let last = r#"{"type":"trade","code":"KRW-BTC","last":true}"#;
    let frames = [&hostile[..], &[stamped, last]].concat();
    let exchange = scene.exchange(&["--frames", &scene.frames(&frames)]);
    std::fs::create_dir(&scene.tape.path).unwrap();
    std::fs::write(scene.tape.path.join("notes.txt"), "mine").unwrap();
    std::fs::write(scene.tape.path.join("KRW-ETH_trade.jsonl"), "mine, too\n").unwrap();
    let recorder = scene.record(&exchange.url, &[]);
    eventually("all frames are recorded", || scene.recorded() > frames.len());
    assert!(recorder.terminate().success());
    let read = |name: &str| std::fs::read_to_string(scene.tape.path.join(name)).unwrap();
    assert_eq!((read("notes.txt").as_str(), read("KRW-ETH_trade.jsonl").as_str()), ("mine", "mine, too\n"));
    std::fs::remove_file(scene.tape.path.join("KRW-ETH_trade.jsonl")).unwrap();
    let recorded = scene.tape.frames();
    assert_eq!(recorded["KRW-BTC_trade"], [last]);
    let misc = &recorded["misc"];
    assert!(hostile.iter().all(|frame| misc.contains(&(*frame).to_owned())), "{misc:?}");
    assert!(misc.contains(&serde_json::json!({"raw": stamped}).to_string()));
    let outside = std::fs::read_dir(scene.directory.path()).unwrap().count();
    assert_eq!(outside, 3, "the data directory, the frames, and the exchange's log");
}

/// Records a busy market with many rotations; everything the issue of rotation touches is looked at.
fn assert_rotations_lose_nothing(scene: &Scene, exchange: crate::support::Exchange, settings: &[&str]) {
    let file = scene.tape.path.join("KRW-BTC_orderbook.jsonl");
    let followed = scene.path("followed");
    let mut tail = Command::new("tail");
    tail.args(["-n", "+1", "-F", file.to_str().unwrap()]).stdout(File::create(&followed).unwrap());
    let follower = Program::spawn(tail.stderr(std::process::Stdio::null()));
    let recorder = scene.record(&exchange.url, &[&["storage.rotate_bytes=1MiB"], settings].concat());
    eventually("there were rotations", || scene.tape.archived(".zst").len() >= 8);
    // Nothing new comes, so that however slow the disk is, sealing catches up before the end.
    exchange.terminate();
    eventually("everything is sealed", || scene.tape.unsealed().is_empty());
    assert!(recorder.terminate().success());
    scene.tape.assert_sealed();
    scene.tape.assert_stamps_increase();
    let recorded = scene.tape.frames();
    for (stream, sent) in sent(&scene.directory.path().join("sent")) {
        if stream != "misc" {
            assert_eq!(recorded[&stream], sent, "{stream}");
        }
    }
    let lines = scene.tape.lines().remove("KRW-BTC_orderbook").unwrap();
    let printed = || std::fs::read_to_string(&followed).unwrap().lines().map(str::to_owned).collect::<Vec<_>>();
    eventually("tail -F has caught up", || printed().len() >= lines.len());
    pause(Duration::from_millis(200));
    assert_eq!(printed(), lines, "tail -F prints each line once");
    follower.kill();
}

#[test]
fn rotations_lose_nothing_and_a_follower_sees_each_line_once() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "6000"]);
    assert_rotations_lose_nothing(&scene, exchange, &[]);
}

#[test]
fn the_same_holds_over_tls() {
    let scene = Scene::new();
    let ca = scene.path("ca.pem");
    let certificate = scene.path("server.pem");
    let key = scene.path("key.pem");
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let server_key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&server_key, &authority).unwrap();
    std::fs::write(&ca, authority.pem()).unwrap();
    std::fs::write(&certificate, server.pem()).unwrap();
    std::fs::write(&key, server_key.serialize_pem()).unwrap();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "6000", "--tls-cert", &certificate, "--tls-key", &key]);
    assert!(exchange.url.starts_with("wss://"));
    assert_rotations_lose_nothing(&scene, exchange, &[&format!("public.tls_ca_file={ca}")]);
}
