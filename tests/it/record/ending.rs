//! The end that a person is in a hurry for: a second signal ends the process at once, and what was written stays.

use super::Scene;
use rustix::process::Signal;

#[test]
fn a_second_signal_loses_nothing_that_was_written() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "2000"]);
    let mut recorder = scene.record(&exchange.url, &[]);
    scene.await_event(&recorder, "gap", 1);
    crate::support::eventually("lines are written", || scene.recorded() > 1000);
    let written = std::fs::read_to_string(scene.tape.path.join("KRW-BTC_orderbook.jsonl")).unwrap();
    let whole = &written[..=written.rfind('\n').unwrap()];
    recorder.signal(Signal::TERM);
    recorder.signal(Signal::INT);
    assert!(recorder.wait().success());
    let again = scene.record(&exchange.url, &[]);
    scene.await_event(&again, "gap", 1);
    assert!(again.terminate().success());
    exchange.terminate();
    let lines = scene.tape.lines().remove("KRW-BTC_orderbook").unwrap();
    let kept: Vec<_> = whole.lines().collect();
    assert_eq!(lines[..kept.len()], kept, "what a reader saw in the file is still there");
    scene.tape.assert_stamps_increase();
    let kinds: Vec<_> = scene.tape.events("gap").iter().map(|gap| gap["kind"].as_str().unwrap().to_owned()).collect();
    // How far the first signal got is up to the scheduler: `stopped` was not written, was not synced, or was.
    assert_eq!((kinds.len(), kinds[0].as_str()), (2, "disconnected"), "{kinds:?}");
    assert!(["killed", "unsure", "stopped"].contains(&kinds[1].as_str()), "{kinds:?}");
}
