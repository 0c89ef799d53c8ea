//! The life of the process: beginning, losing the exchange, ending, and what it says about it.

use super::Scene;
use crate::support::json::{parse, stamp_of};
use crate::support::{Exchange, Program, eventually, pause};
use rustix::process::Signal;
use std::process::Command;
use std::time::Duration;

#[test]
fn a_lost_exchange_is_found_again_and_the_gap_has_both_ends() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "200"]);
    let port = exchange.port();
    let url = exchange.url.clone();
    let recorder = scene.record(&url, &["public.backoff_min=50ms", "public.backoff_max=200ms"]);
    scene.await_event(&recorder, "gap", 1);
    exchange.kill();
    scene.await_event(&recorder, "lost", 1);
    let exchange = Exchange::start(port, &["--codes", "3", "--rate", "200"]);
    scene.await_event(&recorder, "gap", 2);
    assert!(recorder.terminate().success());
    exchange.kill();
    let gaps = scene.tape.events("gap");
    let gap = gaps.iter().find(|gap| gap["kind"] == "disconnected" && gap["cause"] != "the first start").unwrap();
    let from = gap["from"].as_u64().unwrap();
    let to = gap["to"].as_u64().unwrap();
    assert_eq!(gap["streams"].as_array().unwrap().len(), 9);
    assert_eq!(gap["id"], gap["ts_recv"]);
    let stamps = scene.tape.stamps();
    assert!(from < to && stamps.binary_search(&from).is_ok() && stamps.binary_search(&to).is_ok());
    let data = scene.tape.lines().into_iter().filter(|(stream, _)| !["recorder", "misc"].contains(&stream.as_str()));
    let inside = data.flat_map(|(_, lines)| lines).map(|line| stamp_of(&line));
    assert_eq!(inside.filter(|stamp| (from + 1..to).contains(stamp)).count(), 0, "a gap holds no line");
}

#[test]
fn without_an_exchange_it_keeps_trying_and_stops_cleanly() {
    let scene = Scene::new();
    // A port that was just free and is not listened on.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let log = std::fs::File::create(scene.path("log")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_upbit-recorder"));
    command.env_clear().args(["record", "--set", "public.backoff_min=300ms", "--set", "log.format=text"]);
    command.args(["--set", &format!("data_dir={}", scene.tape.path.display())]);
    command.args(["--set", &format!("public.url=ws://127.0.0.1:{port}/websocket/v1")]).stderr(log);
    let mut recorder = Program::spawn(&mut command);
    scene.await_event(&recorder, "lost", 4);
    recorder.signal(Signal::INT);
    assert!(recorder.wait().success());
    let log = std::fs::read_to_string(scene.path("log")).unwrap();
    assert!(log.contains(&format!("127.0.0.1:{port}")) && log.to_lowercase().contains("refused"), "{log}");
    let lost = scene.tape.events("lost");
    let times: Vec<u64> = lost.iter().map(|event| event["ts_recv"].as_u64().unwrap()).collect();
    let pauses: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // Each wait is drawn from the upper half of one that doubles: of 300 ms, 600 ms, 1.2 s.
    assert!(pauses[2] >= 600_000, "{pauses:?}");
    assert_eq!(scene.tape.active_events().last().unwrap()["event"], "stopped");
}

#[test]
fn a_second_recorder_of_a_directory_is_refused() {
    let scene = Scene::new();
    let exchange = scene.exchange(&[]);
    let recorder = scene.record(&exchange.url, &[]);
    scene.await_event(&recorder, "live", 1);
    let second = Command::new(env!("CARGO_BIN_EXE_upbit-recorder"))
        .args(["record", "--set", &format!("data_dir={}", scene.tape.path.display())])
        .env_clear()
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(75));
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(said.contains(&format!("process {}", recorder.pid())), "{said}");
    assert!(recorder.terminate().success());
}

#[test]
fn it_stops_by_itself_when_it_is_told_how_long() {
    let scene = Scene::new();
    let exchange = scene.exchange(&[]);
    let data_dir = format!("data_dir={}", scene.tape.path.display());
    let url = format!("public.url={}", exchange.url);
    let mut recorder = Program::start(&["record", "--for", "1500ms", "--set", &data_dir, "--set", &url]);
    assert!(recorder.wait().success());
    assert_eq!(scene.tape.events("stopped")[0]["reason"], "--for");
}

#[test]
fn a_clean_stop_is_continued_in_the_same_files() {
    let scene = Scene::new();
    let exchange = scene.exchange(&[]);
    for _ in 1..=3 {
        let recorder = scene.record(&exchange.url, &[]);
        scene.await_event(&recorder, "gap", 1);
        assert!(recorder.terminate().success());
    }
    // Unless midnight came in between, nothing was rotated.
    let rotated = scene.tape.events("rotated");
    assert!(rotated.iter().all(|event| event["reason"] == "interval"), "{rotated:?}");
    let kinds: Vec<_> = scene.tape.events("gap").iter().map(|gap| gap["kind"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds, ["disconnected", "stopped", "stopped"]);
    scene.tape.assert_stamps_increase();
}

#[test]
fn a_changed_subscription_begins_new_files() {
    let scene = Scene::new();
    let exchange = scene.exchange(&[]);
    for format in ["DEFAULT", "SIMPLE"] {
        let recorder = scene.record(&exchange.url, &[&format!("public.format={format}")]);
        scene.await_event(&recorder, "gap", 1);
        eventually("everything is sealed", || scene.tape.unsealed().is_empty());
        assert!(recorder.terminate().success());
    }
    let rotated = scene.tape.events("rotated");
    assert!(rotated.iter().any(|event| event["reason"] == "subscription"), "{rotated:?}");
    // The exchange's own statuses have no format.
    let formatted = scene.tape.lines().into_iter().filter(|(stream, _)| stream != "misc");
    for (stream, lines) in formatted {
        assert!(lines.is_sorted_by_key(|line| parse(line).get("ty").is_some()), "{stream}");
    }
    scene.tape.assert_sealed();
}

#[test]
fn sigusr1_rotates_every_stream() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "500"]);
    let recorder = scene.record(&exchange.url, &[]);
    scene.await_event(&recorder, "gap", 1);
    recorder.signal(Signal::USR1);
    // The events themselves begin a new file, too.
    let is_sealed = || scene.tape.archived(".zst").len() >= 10 && scene.tape.unsealed().is_empty();
    eventually("everything is sealed", is_sealed);
    assert!(recorder.terminate().success());
    let rotated = scene.tape.events("rotated");
    let names = rotated.iter().filter(|event| event["reason"] == "requested");
    assert!(names.map(|event| event["segments"].as_array().unwrap().len()).sum::<usize>() >= 9);
    scene.tape.assert_sealed();
}

#[test]
fn a_mute_socket_is_left_in_time_and_a_quiet_one_is_not() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "200"]);
    let settings = ["public.ping_interval=500ms", "public.pong_timeout=3s", "public.backoff_min=50ms"];
    let recorder = scene.record(&exchange.url, &settings);
    scene.await_event(&recorder, "live", 1);
    exchange.fault("silence");
    pause(Duration::from_secs(4));
    assert_eq!(scene.count("lost", "public"), 0, "pings are answered");
    exchange.fault("hang=live");
    scene.await_event(&recorder, "lost", 1);
    recorder.kill();
    let lost = &scene.tape.events("lost")[0];
    assert_eq!((&lost["stage"], &lost["cause"]), (&"live".into(), &"no answer to a ping".into()));
}

#[test]
fn a_stage_that_hangs_is_left_in_time_and_named() {
    for (fault, stage) in [("hang=connect", "upgrade"), ("hang=upgrade", "upgrade")] {
        let scene = Scene::new();
        let exchange = scene.exchange(&["--fault", fault]);
        let recorder = scene.record(&exchange.url, &["public.connect_timeout=500ms", "public.backoff_min=50ms"]);
        scene.await_event(&recorder, "lost", 2);
        recorder.kill();
        let lost = scene.tape.events("lost");
        let times: Vec<u64> = lost.iter().map(|event| event["ts_recv"].as_u64().unwrap()).collect();
        assert_eq!(lost[0]["stage"], stage, "{fault}");
        // The timeout, the longest second pause of the backoff, and a busy machine's share.
        assert!(times[1] - times[0] < 2_000_000, "{fault}: {times:?}");
    }
}
