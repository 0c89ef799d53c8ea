//! The recorder in a simulated world: a disk that forgets, an exchange that hangs up, crashes, and an oracle that knows
//! what should be on disk.
//!
//! A world follows from its seed alone. One that fails prints it; the same seed fails again:
//!
//! ```text
//! SEED=1234 cargo test --test it sim::seeds -- --nocapture          one seed, with its plan
//! SEEDS=0..6000 cargo test --test it sim::seeds -- --nocapture      thousands
//! FINGERPRINTS=1 SEEDS=0..64 …                                      with a hash of every call to the disk and of its bytes
//! EVERY=1 cargo test --test it sim::every -- --nocapture            each call to the disk fails, in every way
//! ```

mod disk;
mod draw;
mod exchange;
mod frozen;
mod histories;
mod hosts;
mod incidents;
mod life;
mod listing;
mod lived;
mod machine;
mod oracle;
mod plan;
mod reloads;
mod remains;
mod tape;
mod timeline;
mod week;
mod world;

use disk::{Crash, Displace, EDQUOT, EFBIG, EINTR, EIO, ENOSPC, Fault};
use plan::Plan;
use std::ops::Range;
use std::time::Duration;
use upbit_recorder::files::EntryKind;

/// After this many failures the rest would tell nothing new.
const FAILURES: usize = 3;

/// What every change has to pass.
const SEEDS: Range<u64> = 0..64;

#[test]
fn seeds_keep_every_promise() {
    let only = std::env::var("SEED").ok().map(|seed| seed.parse::<u64>().unwrap());
    let seeds = match (only, std::env::var("SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, Ok(seeds)) => {
            let (from, to) = seeds.split_once("..").expect("SEEDS is a range such as 0..1000");
            from.parse().unwrap()..to.parse().unwrap()
        }
        (None, Err(_)) => SEEDS,
    };
    let prints = std::env::var_os("FINGERPRINTS").is_some();
    let mut failed = Vec::new();
    let mut sent = 0;
    let mut recorded = 0;
    for seed in seeds.clone() {
        let plan = Plan::draw(seed);
        if only.is_some() {
            println!("{plan:#?}");
        }
        let outcome = world::run(&plan);
        if only.is_some() {
            outcome.events.iter().for_each(|event| println!("{event}"));
        }
        if prints {
            println!("seed {seed} {}", outcome.fingerprint);
        }
        (sent, recorded) = (sent + outcome.sent, recorded + outcome.recorded);
        for violation in &outcome.violations {
            println!("seed {seed}: {violation}");
        }
        if !outcome.violations.is_empty() {
            failed.push(seed);
        }
        if failed.len() == FAILURES {
            break;
        }
    }
    println!("seeds {seeds:?}: {sent} objects sent, {recorded} recorded");
    assert!(failed.is_empty(), "replay one with SEED=… cargo test --test it sim::seeds -- --nocapture: {failed:?}");
}

/// A start on what a kill has left, the recording and the sealing after it: each call to the disk fails once, each in
/// another way than the one before. `EVERY=1` makes each of them fail in every way.
#[test]
fn every_call_may_fail() {
    const CALLS: u64 = 240;
    let ways = [ENOSPC, EIO, EDQUOT, EINTR, EFBIG].map(Fault::Fail).into_iter();
    let ways: Vec<Fault> = ways.chain([Crash::Kill, Crash::PowerCut].map(Fault::Crash)).chain([Fault::Short]).collect();
    let all = std::env::var("EVERY").is_ok();
    let mut failed = Vec::new();
    for call in 1..=CALLS {
        let chosen = usize::try_from(call).unwrap() % ways.len();
        let chosen = if all { 0..ways.len() } else { chosen..chosen + 1 };
        for fault in &ways[chosen] {
            let outcome = world::run(&Plan::with_fault(call, *fault));
            outcome.violations.iter().for_each(|violation| println!("call {call}, {fault:?}: {violation}"));
            if !outcome.violations.is_empty() {
                failed.push((call, fault));
            }
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn a_feed_that_is_mute_on_a_warm_socket_is_a_gap() {
    let mut seen = [0; 3];
    for seed in 0..12 {
        let outcome = world::run(&Plan::mute(seed));
        assert_eq!(outcome.violations, [""; 0], "seed {seed}");
        let counts = ["stale", "unreadable", "mismatch"].map(|event| outcome.count(event, "public"));
        (0..3).for_each(|index| seen[index] += counts[index]);
    }
    assert!(seen.iter().all(|count| *count > 0), "each kind of it: {seen:?}");
}

#[test]
fn overload_pauses_reading_and_spares_the_other_connection() {
    for seed in 1..3 {
        let outcome = world::run(&Plan::overload(seed));
        assert_eq!(outcome.violations, [""; 0]);
        assert!(outcome.count("paused", "public") > 0);
        assert_private_unharmed(&outcome, seed);
    }
}

#[test]
fn a_disk_that_hangs_and_returns_costs_a_pause_at_most() {
    let mut paused = 0;
    for call in (60..600).step_by(90) {
        let outcome = world::run(&Plan::hang(call, Duration::from_secs(15)));
        assert_eq!(outcome.violations, [""; 0], "call {call}");
        // Whichever call hangs, of the writer, the syncer or the sealer: no connection is lost.
        assert_eq!(outcome.count("lost", "public"), 2, "call {call}");
        assert_private_unharmed(&outcome, call);
        paused += outcome.count("paused", "public");
    }
    assert!(paused > 0, "the writer never hung");
}

/// What the account did has no gap but the one before each of the two lives.
fn assert_private_unharmed(outcome: &world::Outcome, number: u64) {
    let own = |event: &&serde_json::Value| event["connection"] == "private";
    let causes = |name: &str| -> Vec<&str> {
        let named = outcome.events.iter().filter(own).filter(|event| event["event"] == name);
        named.map(|event| event["cause"].as_str().unwrap_or_default()).collect()
    };
    assert_eq!((causes("paused").len(), causes("gap").len()), (0, 2), "{number}: {:?}", causes("gap"));
    assert!(causes("lost").iter().all(|cause| *cause == "closed by the recorder"), "{number}");
}

#[test]
fn a_process_that_did_not_run_loses_no_connection_and_says_so() {
    for seed in 0..6 {
        let is_suspended = seed % 2 == 1;
        let outcome = world::run(&Plan::frozen(seed, is_suspended));
        assert_eq!(outcome.violations, [""; 0], "seed {seed}");
        let cause = if is_suspended {
            "the process did not run, since the machine was suspended"
        } else {
            "the process did not run"
        };
        for connection in ["public", "private"] {
            let own = |event: &&serde_json::Value| event["connection"] == connection && event["cause"] == cause;
            let told = outcome.events.iter().filter(own).map(|event| event["event"].as_str().unwrap());
            assert_eq!(told.collect::<Vec<_>>(), ["paused", "gap", "paused", "gap"], "seed {seed}");
            assert_eq!(outcome.count("lost", connection), 2, "at the end of each life");
        }
        assert!(!outcome.events.iter().any(|event| event["event"] == "clock_step"));
    }
}

#[test]
fn a_process_killed_behind_a_freeze_leaves_its_gap_to_the_next() {
    for (millis, is_suspended) in (0..120).step_by(3).flat_map(|millis| [(millis, false), (millis, true)]) {
        let outcome = world::run(&Plan::killed_behind_a_freeze(millis, is_suspended));
        assert_eq!(outcome.violations, [""; 0], "{millis} ms, {is_suspended}");
    }
}

#[test]
fn a_clock_that_was_set_steps_behind_the_gap_of_a_freeze() {
    for (second, is_suspended) in (11..19).flat_map(|second| [(second, false), (second, true)]) {
        let outcome = world::run(&Plan::frozen_and_set(second, is_suspended));
        assert_eq!(outcome.violations, [""; 0], "{second}, {is_suspended}");
        let steps = outcome.events.iter().filter(|event| event["event"] == "clock_step");
        assert_eq!((steps.count(), outcome.count("paused", "public")), (1, 1), "{second}, {is_suspended}");
    }
}

#[test]
fn what_a_reload_may_have_cost_is_in_a_gap() {
    let mut seen = [0; 3];
    for seed in 0..6 {
        let outcome = world::run(&Plan::reloaded(seed));
        assert_eq!(outcome.violations, [""; 0], "seed {seed}");
        let count = |name: &str| outcome.events.iter().filter(|event| event["event"] == name).count();
        let changed = outcome.events.iter().filter(|event| event["reason"] == "changed");
        for (seen, count) in seen.iter_mut().zip([count("reloaded"), count("reload_failed"), changed.count()]) {
            *seen += count;
        }
        assert_eq!(outcome.count("lost", "public"), 2, "seed {seed}: at the ends of lives that end in order");
    }
    assert!(seen[0] > 40 && seen[1] > 5 && seen[2] > 30, "{seen:?}");
}

#[test]
fn a_disk_that_hangs_does_not_hold_up_the_end() {
    for call in (40..400).step_by(30) {
        let outcome = world::run(&Plan::hang_at_the_end(call));
        assert_eq!(outcome.violations, [""; 0], "call {call}");
    }
}

#[test]
fn a_lack_of_descriptors_is_waited_out_and_is_no_failed_sync() {
    let outcome = world::run(&Plan::without_descriptors(1));
    assert_eq!(outcome.violations, [""; 0]);
    let count = |event: &str| outcome.events.iter().filter(|found| found["event"] == event).count();
    assert_eq!((count("stopped"), count("sync_failed")), (2, 0));
    let unsure = |event: &serde_json::Value| event["event"] == "gap" && event["kind"] == "unsure";
    assert!(!outcome.events.iter().any(unsure));
    assert!(outcome.recorded > 10_000);
}

#[test]
fn files_taken_away_are_saved_and_what_is_cut_off_is_in_a_gap() {
    let kept = [Displace::Unlink, Displace::Rename, Displace::Replace];
    let lossy = [Displace::Truncate(0), Displace::Truncate(500), Displace::Truncate(999), Displace::Grow];
    for (seed, how) in kept.into_iter().chain(lossy).enumerate() {
        let outcome = world::run(&Plan::displaced(seed as u64, how));
        assert_eq!(outcome.violations, [""; 0], "{how:?}");
        let events = |name: &str| outcome.events.iter().filter(|event| event["event"] == name).collect::<Vec<_>>();
        let displaced = events("displaced");
        assert!(displaced.len() > 3, "{how:?}: {}", displaced.len());
        assert!(displaced.iter().all(|event| how.is_lossy() || event["saved"].is_string()), "{how:?}");
        let doubted = events("gap").iter().filter(|gap| gap["cause"].as_str().unwrap().ends_with("is lost")).count();
        assert_eq!(doubted > 0, how.is_lossy(), "{how:?}");
        assert_eq!(events("stopped").len(), 2, "{how:?}");
    }
}

#[test]
fn what_is_taken_away_before_it_is_sealed_is_in_a_gap() {
    let outcome = world::run(&Plan::waiting_removed(1));
    assert_eq!(outcome.violations, [""; 0]);
    let events = |name: &str| outcome.events.iter().filter(|event| event["event"] == name).count();
    assert!(events("displaced") > 3, "{}", events("displaced"));
    assert_eq!(events("stopped"), 2);
}

#[test]
fn what_is_taken_away_just_before_the_end_is_on_record() {
    for (seed, how) in [Displace::Unlink, Displace::Truncate(0)].into_iter().enumerate() {
        let outcome = world::run(&Plan::displaced_at_the_end(seed as u64, how));
        assert_eq!(outcome.violations, [""; 0], "{how:?}");
        let names = outcome.events.iter().map(|event| event["event"].as_str().unwrap());
        let told: Vec<_> = names.filter(|name| ["displaced", "stopped"].contains(name)).collect();
        assert_eq!(told, ["displaced", "stopped", "stopped"], "{how:?}");
    }
}

#[test]
fn what_is_in_the_way_is_moved_and_modes_are_put_right() {
    for (seed, kind) in (1..).zip([EntryKind::Link, EntryKind::Special, EntryKind::File]) {
        let outcome = world::run(&Plan::obstructed(seed, kind));
        assert_eq!(outcome.violations, [""; 0], "{kind:?}");
        let moved = outcome.events.iter().filter(|event| event["event"] == "quarantined").count();
        // What stood at the quarantine's name stays beside it; what has another name is copied, or is none of ours.
        assert!(moved >= 3, "{kind:?}: {moved}");
    }
}

#[test]
fn old_files_go_and_nothing_else() {
    let mut pruned = 0;
    for seed in 0..4 {
        let outcome = world::run(&Plan::pruned(seed));
        assert_eq!(outcome.violations, [""; 0], "seed {seed}");
        let files =
            outcome.events.iter().filter(|event| event["event"] == "pruned").map(|event| event["files"].as_u64());
        pruned += files.map(Option::unwrap).sum::<u64>();
    }
    assert!(pruned > 50, "{pruned}");
}

/// A life in which old files go: each call to the disk fails once, each in another way than the one before.
#[test]
fn every_call_may_fail_while_old_files_go() {
    let ways = [ENOSPC, EIO].map(Fault::Fail).into_iter().chain([Crash::Kill, Crash::PowerCut].map(Fault::Crash));
    let ways: Vec<Fault> = ways.chain([Fault::Short]).collect();
    let (mut failed, mut pruned) = (Vec::new(), 0);
    for (call, fault) in (150..750).step_by(30).zip(ways.iter().copied().cycle()) {
        let outcome = world::run(&Plan::pruned_with_fault(call, fault));
        outcome.violations.iter().for_each(|violation| println!("call {call}, {fault:?}: {violation}"));
        if !outcome.violations.is_empty() {
            failed.push((call, fault));
        }
        pruned += outcome.events.iter().filter(|event| event["event"] == "pruned").count();
    }
    assert!(failed.is_empty(), "{failed:?}");
    assert!(pruned > 20, "{pruned}");
}

#[test]
fn the_same_seed_twice_gives_the_same_bytes() {
    for seed in [3, 4, 5] {
        let [first, second] = [(); 2].map(|()| world::run(&Plan::draw(seed)).fingerprint);
        assert_eq!(first, second, "seed {seed}");
    }
}
