//! Files that others take away from a running recorder: nothing is lost that is not on record, and it goes on.

use super::Scene;
use crate::support::{eventually, sent};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Something happens to the files of a running recorder, then they are rotated, and then it is stopped. Returns how many
/// frames are missing of which stream; no stream may miss any outside of its gaps.
fn missing_after(happens: impl Fn(&Path)) -> (Scene, BTreeSet<String>) {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "2", "--rate", "500"]);
    let recorder = scene.record(&exchange.url, &["storage.sync_interval=200ms"]);
    scene.await_event(&recorder, "gap", 1);
    eventually("something is written", || scene.recorded() > 200);
    happens(&scene.tape.path);
    let is_displaced = |event: &serde_json::Value| event["event"] == "displaced";
    eventually("it is noticed", || scene.tape.active_events().iter().any(is_displaced));
    recorder.signal(Signal::USR1);
    eventually("a new file was rotated, too", || scene.recorded() > 50 && scene.tape.archived(".zst").len() > 5);
    exchange.terminate();
    eventually("everything is sealed", || scene.tape.unsealed().is_empty());
    assert!(recorder.terminate().success());
    scene.tape.assert_sealed();
    let recorded = scene.tape.frames();
    let is_missing = |(stream, sent): &(String, Vec<String>)| {
        let own: BTreeSet<_> = recorded.get(stream).into_iter().flatten().collect();
        sent.iter().any(|frame| !own.contains(frame))
    };
    let missing = sent(&scene.directory.path().join("sent")).into_iter().filter(is_missing);
    let missing = missing.map(|(stream, _)| stream).collect();
    (scene, missing)
}

#[test]
fn a_file_that_is_removed_is_saved_and_the_recording_goes_on() {
    let (scene, missing) = missing_after(|path| fs::remove_file(path.join("KRW-BTC_trade.jsonl")).unwrap());
    assert_eq!(missing, BTreeSet::new());
    let displaced = &scene.tape.events("displaced")[0];
    assert_eq!((&displaced["file"], &displaced["what"]), (&"KRW-BTC_trade.jsonl".into(), &"removed".into()));
}

#[test]
fn what_is_cut_off_is_in_a_gap_of_its_stream() {
    let (scene, missing) = missing_after(|path| drop(fs::File::create(path.join("KRW-BTC_trade.jsonl")).unwrap()));
    assert_eq!(missing, BTreeSet::from(["KRW-BTC_trade".to_owned()]));
    let displaced = &scene.tape.events("displaced")[0];
    let gaps = scene.tape.events("gap");
    assert_eq!(displaced["what"], "truncated");
    let gap = gaps.iter().find(|gap| gap["kind"] == "unsure").unwrap();
    assert_eq!(gap["streams"], serde_json::json!(["KRW-BTC_trade"]));
    assert!(gap["from"].as_u64() < displaced["from"].as_u64() && displaced["to"].as_u64() < gap["to"].as_u64());
}

#[test]
fn a_data_directory_that_is_removed_is_made_again() {
    // What the recorder makes in it meanwhile has it stay for another try.
    let remove = |path: &Path| eventually("it is removed", || fs::remove_dir_all(path).is_ok());
    let (scene, missing) = missing_after(remove);
    assert_eq!(missing, BTreeSet::new());
    assert_eq!(scene.tape.events("displaced")[0]["file"], ".");
}

#[test]
fn an_archive_that_is_removed_is_made_again() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "2", "--rate", "500"]);
    let recorder = scene.record(&exchange.url, &["storage.sync_interval=200ms"]);
    let archive = scene.tape.path.join("archive");
    for _ in 0..2 {
        eventually("something is written", || scene.recorded() > 100);
        recorder.signal(Signal::USR1);
        eventually("it is sealed", || scene.tape.archived(".zst").len() > 3 && scene.tape.unsealed().is_empty());
        fs::remove_dir_all(&archive).unwrap();
    }
    assert!(recorder.terminate().success());
    assert_eq!(scene.tape.events("disk_full").len(), 0);
}
