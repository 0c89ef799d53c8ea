//! Kills, a full disk, an exchange that is not there, and a day that is used up.

use super::{assert_whole, cut, events, healed_trades, is_healed, record, requests, scene};
use crate::record::Scene;
use crate::record::full::{largest, limit};
use crate::support::{eventually, pause};
use std::collections::BTreeSet;
use std::time::Duration;

#[test]
fn killed_while_it_heals_everything_is_on_the_tape_once() {
    let scene = scene();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "3000", "--no-limits"]);
    let slowly = ["rest.requests_per_second=1", "storage.rotate_bytes=1MiB"];
    let recorder = record(&scene, &exchange, &slowly);
    scene.await_event(&recorder, "gap", 1);
    pause(Duration::from_secs(1));
    cut(&scene, &exchange, 4_000);
    let mut recorder = recorder;
    let codes = exchange.codes();
    for _ in 0..2 {
        let before = healed_trades(&scene, &codes);
        eventually("healing has come further", || healed_trades(&scene, &codes) > before);
        recorder.kill();
        recorder = record(&scene, &exchange, &slowly);
        scene.await_event(&recorder, "gap", 1);
    }
    assert!(recorder.terminate().success());
    let before = healed_trades(&scene, &codes);
    let recorder = record(&scene, &exchange, &["storage.rotate_bytes=1MiB"]);
    scene.await_event(&recorder, "gap", 1);
    eventually("every gap is healed", || is_healed(&scene));
    assert!(recorder.terminate().success());
    let healed = assert_whole(&scene, &exchange, &codes);
    assert!(healed.values().sum::<usize>() > 2_000.max(before), "{before} before, then {healed:?}");
    scene.tape.assert_stamps_increase();
    let kinds: BTreeSet<String> =
        scene.tape.events("gap").iter().map(|gap| gap["kind"].as_str().unwrap().to_owned()).collect();
    assert!(kinds.contains("killed"));
}

#[test]
fn without_rest_it_records_on_and_heals_after_the_next_start() {
    let scene = scene();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "300", "--no-limits"]);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let unused = format!("rest.url=http://127.0.0.1:{port}/v1");
    let recorder = record(&scene, &exchange, &[&unused]);
    scene.await_event(&recorder, "gap", 1);
    pause(Duration::from_secs(1));
    cut(&scene, &exchange, 1_500);
    eventually("it was tried", || requests(&scene) >= 3);
    let recorded = scene.recorded();
    eventually("it records on", || scene.recorded() > recorded + 100);
    assert!(recorder.terminate().success());
    let gap = events(&scene, "gap")[1]["id"].clone();
    let of_gap = |scene: &Scene| events(scene, "healed").into_iter().find(|healed| healed["gap"] == gap);
    assert!(of_gap(&scene).is_none());
    let recorder = record(&scene, &exchange, &[]);
    scene.await_event(&recorder, "gap", 1);
    eventually("every gap is healed", || is_healed(&scene));
    assert!(recorder.terminate().success());
    assert_eq!(of_gap(&scene).unwrap()["complete"].as_object().unwrap().len(), 3);
    assert_whole(&scene, &exchange, &exchange.codes());
}

#[test]
fn on_a_full_disk_healing_waits() {
    let scene = scene();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "300", "--no-limits"]);
    let recorder = record(&scene, &exchange, &[]);
    scene.await_event(&recorder, "healed", 1);
    let before = requests(&scene);
    cut(&scene, &exchange, 1_500);
    limit(&recorder, Some(largest(&scene) + 10_000));
    scene.await_event(&recorder, "disk_full", 1);
    pause(Duration::from_secs(8));
    assert_eq!((events(&scene, "healed").len(), requests(&scene)), (1, before));
    limit(&recorder, None);
    eventually("every gap is healed", || is_healed(&scene));
    assert!(recorder.terminate().success());
    assert_whole(&scene, &exchange, &exchange.codes());
    scene.tape.assert_stamps_increase();
}

#[test]
fn a_day_has_so_many_requests_and_what_is_left_over_waits() {
    let scene = scene();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "300", "--no-limits"]);
    let recorder = record(&scene, &exchange, &["rest.heal_max=2"]);
    scene.await_event(&recorder, "gap", 1);
    pause(Duration::from_secs(1));
    cut(&scene, &exchange, 1_500);
    eventually("two were made", || requests(&scene) == 2);
    pause(Duration::from_secs(2));
    assert_eq!(requests(&scene), 2);
    assert!(recorder.terminate().success());
    assert!(!is_healed(&scene));
    let recorder = record(&scene, &exchange, &["rest.heal_max=20"]);
    scene.await_event(&recorder, "gap", 1);
    eventually("every gap is healed", || is_healed(&scene));
    assert!(recorder.terminate().success());
    assert!((3..20).contains(&requests(&scene)), "the two are counted, too");
    assert_whole(&scene, &exchange, &exchange.codes());
}

#[test]
fn nothing_is_asked_where_healing_is_off() {
    let scene = scene();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "300", "--no-limits"]);
    let recorder = record(&scene, &exchange, &["rest.heal_max=0"]);
    scene.await_event(&recorder, "gap", 1);
    cut(&scene, &exchange, 500);
    pause(Duration::from_secs(7));
    assert!(recorder.terminate().success());
    assert_eq!((scene.tape.events("healed").len(), requests(&scene)), (0, 0));
}

#[test]
fn an_exchange_that_shows_nothing_for_a_moment_ends_no_healing() {
    let scene = scene();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "300", "--no-limits"]);
    let recorder = record(&scene, &exchange, &[]);
    scene.await_event(&recorder, "healed", 1);
    cut(&scene, &exchange, 1_500);
    exchange.fault("empty+8s");
    eventually("every gap is healed", || is_healed(&scene));
    assert!(recorder.terminate().success());
    let last = events(&scene, "healed").pop().unwrap();
    assert_eq!(last["partial"].as_object().unwrap().len(), 0, "{last}");
    assert_whole(&scene, &exchange, &exchange.codes());
}

#[test]
fn answers_of_another_pair_keep_no_other_stream_waiting() {
    let scene = scene();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "300", "--no-limits", "--fault", "other=KRW-ETH"]);
    let recorder = record(&scene, &exchange, &[]);
    scene.await_event(&recorder, "gap", 1);
    pause(Duration::from_secs(1));
    cut(&scene, &exchange, 1_500);
    let codes: Vec<String> = exchange.codes().into_iter().filter(|code| code != "KRW-ETH").collect();
    eventually("the others are healed", || {
        codes.iter().all(|code| healed_trades(&scene, std::slice::from_ref(code)) > 0)
    });
    assert_eq!(healed_trades(&scene, &["KRW-ETH".to_owned()]), 0, "nothing of another pair is written");
    assert!(recorder.terminate().success());
}
