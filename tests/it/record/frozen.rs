//! A process that is stopped for seconds: the time is on record, and what waited in the kernel is on disk.

use super::Scene;
use rustix::process::Signal;
use std::time::Duration;

#[test]
fn a_process_that_was_stopped_says_so_and_keeps_its_connection() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "50"]);
    let recorder = scene.record(&exchange.url, &["rest.heal_max=0"]);
    scene.await_event(&recorder, "live", 1);
    // Not in the moment in which the gap of the start ends: two gaps of a connection do not overlap.
    crate::support::pause(Duration::from_millis(500));
    recorder.signal(Signal::STOP);
    crate::support::pause(Duration::from_millis(3_500));
    recorder.signal(Signal::CONT);
    scene.await_event(&recorder, "paused", 1);
    assert!(recorder.terminate().success());
    exchange.terminate();
    let paused = &scene.tape.events("paused");
    let gaps = scene.tape.events("gap");
    let gap: Vec<_> = gaps.iter().filter(|gap| gap["kind"] == "paused").collect();
    assert_eq!((paused.len(), gap.len()), (1, 1));
    assert_eq!(paused[0]["cause"], "the process did not run", "and not because the machine was suspended");
    for key in ["from", "to", "cause"] {
        assert_eq!(gap[0][key], paused[0][key]);
    }
    let [from, to] = ["from", "to"].map(|key| paused[0][key].as_u64().unwrap());
    assert!((3_000_000..30_000_000).contains(&(to - from)), "{}", to - from);
    // The call that waits for events returns without them when a process goes on.
    let waited = scene.tape.stamps().into_iter().filter(|stamp| (from..to).contains(stamp)).count();
    assert!(waited > 50, "what waited is read before the pause ends: {waited}");
    assert_eq!(scene.count("lost", "public"), 1, "at the end alone");
}
