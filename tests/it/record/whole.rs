//! The whole exchange in one process.

use super::Scene;
use crate::support::{Program, eventually, subscribing};
use rustix::process::Signal;

/// Pairs of the exchange, each with trades, an order book and a ticker.
const PAIRS: usize = 855;

#[test]
fn all_pairs_fit_into_one_process_and_rotate_together() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", &PAIRS.to_string(), "--rate", "1500"]);
    let config = scene.path("recorder.toml");
    let data_dir = format!("data_dir={}", scene.tape.path.display());
    std::fs::write(&config, subscribing(&exchange.codes())).unwrap();
    let url = format!("public.url={}", exchange.url);
    let recorder = Program::start(&["record", "--config", &config, "--set", &data_dir, "--set", &url]);
    let active = || std::fs::read_dir(&scene.tape.path).map_or(0, Iterator::count);
    eventually("every stream has its file", || active() > PAIRS * 3);
    assert!(recorder.descriptors() < PAIRS * 3 + 64);
    recorder.signal(Signal::USR1);
    eventually("every stream is rotated", || {
        scene.tape.archived(".jsonl").len() + scene.tape.archived(".zst").len() > PAIRS * 3
    });
    eventually("every stream has a new file", || active() > PAIRS * 3);
    assert!(recorder.descriptors() < PAIRS * 3 + 64);
    assert!(recorder.status("VmHWM") < 100_000, "{} kB", recorder.status("VmHWM"));
    // All that it had sent is read before the end of it is seen.
    exchange.terminate();
    eventually("the end is seen", || scene.count("lost", "public") > 0);
    assert!(recorder.terminate().success());
    scene.tape.assert_stamps_increase();
    let recorded = scene.tape.frames();
    for (stream, sent) in crate::support::sent(&scene.directory.path().join("sent")) {
        let recorded = &recorded[&stream];
        assert_eq!(*recorded, sent, "{stream}");
    }
}
