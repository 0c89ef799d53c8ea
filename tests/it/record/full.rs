//! A disk that takes no more: the process goes on, says so, and nothing is lost, glued or doubled.
//!
//! The limit of a file's size stands in for a full disk: the kernel answers a write with an error and a signal, and takes
//! a part of the write before it. It can be set for a running process, and needs no rights.

use super::Scene;
use crate::support::{Exchange, Program, eventually, sent};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

/// A buffer that a busy market fills in seconds.
const SMALL: [&str; 2] = ["public.max_message_bytes=64KiB", "storage.buffer_bytes=2MiB"];

/// Lets no file of the recorder grow beyond `bytes`; `None`: as far as it likes.
pub(super) fn limit(recorder: &Program, bytes: Option<u64>) {
    let pid = Pid::from_raw(i32::try_from(recorder.pid()).unwrap());
    prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
}

/// The size of the largest active file.
pub(super) fn largest(scene: &Scene) -> u64 {
    let files = std::fs::read_dir(&scene.tape.path).unwrap().map(|entry| entry.unwrap());
    let active = files.filter(|file| file.file_name().to_str().unwrap().ends_with(".jsonl"));
    active.map(|file| file.metadata().unwrap().len()).max().unwrap_or_default()
}

/// Ends both, once the recorder has caught up: at its end an exchange waits a second for clients that are behind, and then
/// cuts off frames that it has noted and still holds for them.
fn end(scene: &Scene, exchange: Exchange, recorder: Program) {
    exchange.fault("silence");
    let noted = || std::fs::read_to_string(scene.path("sent")).unwrap().lines().count();
    eventually("the recorder has caught up", || scene.recorded() >= noted());
    exchange.terminate();
    scene.await_event(&recorder, "lost", 1);
    assert!(recorder.terminate().success());
}

/// What is on disk is what was sent.
fn assert_nothing_is_missing(scene: &Scene) {
    scene.tape.assert_stamps_increase();
    let recorded = scene.tape.frames();
    for (stream, sent) in sent(&scene.directory.path().join("sent")) {
        if stream != "misc" {
            assert_eq!(recorded[&stream], sent, "{stream}");
        }
    }
}

#[test]
fn a_full_disk_costs_nothing_while_the_buffer_lasts() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "2", "--rate", "1000"]);
    let recorder = scene.record(&exchange.url, &[]);
    scene.await_event(&recorder, "live", 1);
    for time in 1..=3 {
        limit(&recorder, Some(largest(&scene) + 10_000));
        // The event is on the disk although the lines before it are not.
        scene.await_event(&recorder, "disk_full", time);
        limit(&recorder, None);
        scene.await_event(&recorder, "disk_ok", time);
    }
    end(&scene, exchange, recorder);
    assert_nothing_is_missing(&scene);
    assert_eq!(scene.tape.events("started").len(), 1);
    let kinds: Vec<_> = scene.tape.events("gap").iter().map(|gap| gap["kind"].clone()).collect();
    assert_eq!(kinds, ["disconnected"; 2], "nothing was missed but the time before the first line and behind the last");
}

#[test]
fn a_start_on_a_full_disk_waits_and_holds_the_directory() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "2", "--rate", "200"]);
    let command = scene.command("record", &exchange.url, &[]);
    let mut on_full_disk = std::process::Command::new("sh");
    on_full_disk.env_clear().args(["-c", r#"ulimit -S -f 0; exec "$@""#, "sh"]).arg(command.get_program());
    let recorder = Program::spawn(on_full_disk.args(command.get_args()));
    eventually("it took the directory", || scene.tape.path.join(".lock").exists());
    eventually("a second one is kept out, although nothing could be noted", || {
        scene.record(&exchange.url, &[]).wait().code() == Some(75)
    });
    crate::support::pause(std::time::Duration::from_secs(1));
    limit(&recorder, None);
    eventually("it records", || scene.recorded() > 100);
    end(&scene, exchange, recorder);
    assert_nothing_is_missing(&scene);
}

#[test]
fn a_full_buffer_pauses_reading_and_the_pause_is_one_gap() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "4000"]);
    let recorder = scene.record(&exchange.url, &SMALL);
    scene.await_event(&recorder, "live", 1);
    limit(&recorder, Some(largest(&scene) + 10_000));
    scene.await_event(&recorder, "disk_full", 1);
    // The exchange is not read any more when what it may send is used up.
    let log = scene.directory.path().join("sent");
    let mut before = 0;
    eventually("the exchange is held up", || {
        crate::support::pause(std::time::Duration::from_millis(500));
        let size = std::fs::metadata(&log).unwrap().len();
        std::mem::replace(&mut before, size) == size
    });
    assert!(recorder.status("VmHWM") < 100_000, "memory is bounded");
    limit(&recorder, None);
    scene.await_event(&recorder, "paused", 1);
    end(&scene, exchange, recorder);
    assert_nothing_is_missing(&scene);
    let paused = scene.tape.events("paused");
    let gaps: Vec<_> = scene.tape.events("gap").into_iter().filter(|gap| gap["kind"] == "paused").collect();
    let spans = |events: &[serde_json::Value]| -> Vec<_> {
        events.iter().map(|event| ["from", "to"].map(|key| event[key].as_u64().unwrap())).collect()
    };
    assert_eq!(spans(&gaps), spans(&paused));
    // On a busy machine what was held up may fill the buffer once more, but only when there is room again.
    let has_room = scene.tape.events("disk_ok")[0]["ts_recv"].as_u64().unwrap();
    assert!(spans(&paused)[0][1] + 1_000_000 > has_room, "{paused:?} while the disk was full until {has_room}");
}

#[test]
fn a_stop_on_a_full_disk_takes_ten_seconds_at_most() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "2", "--rate", "2000"]);
    let mut recorder = scene.record(&exchange.url, &SMALL);
    scene.await_event(&recorder, "live", 1);
    limit(&recorder, Some(largest(&scene) + 10_000));
    scene.await_event(&recorder, "disk_full", 1);
    #[expect(clippy::disallowed_methods, reason = "a test of the binary runs in real time")]
    let now = std::time::Instant::now;
    let start = now();
    recorder.signal(rustix::process::Signal::TERM);
    assert_eq!(recorder.wait().code(), Some(74));
    assert!((now() - start).as_secs() < 12, "it hung for {:?}", now() - start);
    let events = std::fs::read_to_string(scene.tape.path.join("recorder.jsonl")).unwrap();
    let stopped: serde_json::Value = serde_json::from_str(events.lines().last().unwrap()).unwrap();
    assert_eq!((&stopped["event"], &stopped["reason"]), (&"stopped".into(), &"signal".into()), "events go on");
    // The next start knows from where on it cannot be sure.
    let again = scene.record(&exchange.url, &[]);
    scene.await_event(&again, "gap", 1);
    assert!(again.terminate().success());
    exchange.terminate();
    let unsure: Vec<_> =
        scene.tape.events("gap").into_iter().filter(|gap| gap["kind"] == "unsure" || gap["kind"] == "killed").collect();
    assert!(!unsure.is_empty(), "{:?}", scene.tape.events("gap"));
    let from = unsure[0]["from"].as_u64().unwrap();
    let to = unsure.last().unwrap()["to"].as_u64().unwrap();
    assert!(from < stopped["ts_recv"].as_u64().unwrap() && stopped["ts_recv"].as_u64().unwrap() <= to);
    scene.tape.assert_stamps_increase();
}
