//! The histories that decide what a start has to know, each a world of its own. Those that need no files are scripts of
//! `recording::resume`.

use super::disk::{Amnesia, Crash, EIO, Fault};
use super::life::{End, Life};
use super::plan::Plan;
use super::world;
use std::time::Duration;
use upbit_recorder::upbit::feed::Feed;

/// An hour back, µs.
const BACK: i64 = -3_600_000_000;

const ENDS: [End; 3] = [End::Stop, End::Crash(Crash::Kill), End::Crash(Crash::PowerCut)];

const CRASHES: [Crash; 2] = [Crash::Kill, Crash::PowerCut];

#[test]
fn any_call_around_a_step_of_the_clock_may_be_the_last() {
    let ways = [Fault::Crash(Crash::Kill), Fault::Crash(Crash::PowerCut), Fault::Fail(EIO), Fault::NoRoom];
    let all = std::env::var("EVERY").is_ok();
    for call in 1..=240 {
        let chosen = usize::try_from(call).unwrap() % ways.len();
        let chosen = if all { 0..ways.len() } else { chosen..chosen + 1 };
        for way in &ways[chosen] {
            let stepped = Life { faults: [(call, *way)].into(), ..stepped() };
            keeps_every_promise(call, vec![stepped, Life::quiet(12)]);
        }
    }
}

#[test]
fn a_full_disk_at_a_step_then_a_second_step_and_a_crash() {
    for (seed, crash) in (0..12).flat_map(|seed| CRASHES.map(|crash| (seed, crash))) {
        let full = Some((ms(1_000), ms(3_000 + 1_500 * seed), 900 * seed));
        let steps = vec![(ms(2_500), BACK), (ms(5_500), BACK)];
        let first = Life { full, steps, end: End::Crash(crash), ..Life::quiet(12) };
        keeps_every_promise(seed, vec![first, Life::quiet(12)]);
    }
}

#[test]
fn a_sync_without_room_that_later_succeeds_is_in_a_gap() {
    for (call, crash) in (30..150).step_by(4).flat_map(|call| CRASHES.map(|crash| (call, crash))) {
        let faults = [(call, Fault::NoRoom), (call, Fault::NoRoom)].into();
        let first = Life { faults, end: End::Crash(crash), ..Life::quiet(9) };
        keeps_every_promise(call, vec![first, Life::quiet(12)]);
    }
}

/// What was healed can be read while only memory holds it, and a power cut takes it before the sealer has found room.
#[test]
fn what_was_healed_in_a_sync_without_room_is_proved_first() {
    for (sync, seal) in (376..388).step_by(2).flat_map(|sync| [50, 80, 90, 100].map(|behind| (sync, sync + behind))) {
        let missing = Life { end: End::Crash(Crash::Kill), pause: ms(7_000), ..Life::quiet(12) };
        let faults = [sync, sync, seal, seal, seal].map(|call| (call, Fault::NoRoom)).into();
        let end = End::Crash(Crash::PowerCut);
        let healing = Life { length: ms(20_000), faults, end, ..Life::healing() };
        keeps_every_promise(1, vec![missing, healing, Life::healing()]);
    }
}

#[test]
fn a_start_ahead_of_the_clock_may_die_before_it_has_told() {
    for (call, crash) in (1..80).flat_map(|call| CRASHES.map(|crash| (call, crash))) {
        let first = Life { end: End::Crash(Crash::Kill), jump: BACK, ..Life::quiet(5) };
        let dies = |call| Life { faults: [(call, Fault::Crash(crash))].into(), jump: BACK, ..Life::quiet(3) };
        keeps_every_promise(call, vec![first, dies(call), dies(call % 37 + 1), Life::quiet(12)]);
    }
}

#[test]
fn a_state_that_is_lost_or_older_begins_another_epoch() {
    let ways = [
        Amnesia::NoState,
        Amnesia::NoMark,
        Amnesia::NoDotFiles,
        Amnesia::NoSlot { newer: true },
        Amnesia::NoSlot { newer: false },
        Amnesia::Restored(1),
        Amnesia::Restored(2),
    ];
    for (seed, (end, way)) in (0..).zip(ENDS.into_iter().flat_map(|end| ways.map(|way| (end, way)))) {
        let amnesia = Some(way);
        let between = Life { end, ..Life::quiet(8) };
        let lives =
            vec![Life::quiet(6), between.clone(), between, Life { amnesia, ..Life::quiet(12) }, Life::quiet(12)];
        let outcome = keeps_every_promise(seed, lives);
        let begins = outcome.events.iter().filter(|event| event["event"] == "started" && event["reason"] == "state");
        let is_lost = matches!(way, Amnesia::NoState | Amnesia::NoDotFiles);
        assert!((usize::from(is_lost)..=1).contains(&begins.count()), "{end:?}, {way:?}");
        let stepped = Life { end, ..stepped() };
        keeps_every_promise(seed, vec![stepped.clone(), stepped, Life { amnesia, ..Life::quiet(12) }, Life::quiet(12)]);
    }
}

/// The kernel drops what a failed sync was to write, and calls it written.
#[test]
fn a_failed_sync_ends_the_process_before_the_power_goes() {
    for call in (40..400).step_by(3) {
        let faults = [(call, Fault::Fail(EIO))].into();
        let failing = Life { faults, end: End::Crash(Crash::PowerCut), ..Life::quiet(6) };
        keeps_every_promise(call, vec![failing, Life::quiet(12)]);
    }
}

#[test]
fn continued_files_and_a_crash_before_the_first_sync() {
    for (millis, crash) in (0..2_000).step_by(80).flat_map(|millis| CRASHES.map(|crash| (millis, crash))) {
        let continued = Life { length: ms(millis), end: End::Crash(crash), ..Life::quiet(0) };
        keeps_every_promise(millis, vec![Life::quiet(6), continued, Life::quiet(12)]);
    }
}

#[test]
fn a_feed_that_is_switched_off_has_a_gap_until_it_is_wanted() {
    for (seed, end) in (0..).zip(ENDS) {
        for off in Feed::ALL {
            let without = |jump| Life { off: Some(off), end, jump, ..Life::quiet(8) };
            let lives = vec![Life { end, ..Life::quiet(8) }, without(0), without(BACK), without(0), Life::quiet(12)];
            keeps_every_promise(seed, lives);
        }
    }
}

#[test]
fn a_quiet_account_is_in_a_gap_from_its_last_proof_of_life() {
    for (seed, end) in (0..).zip(ENDS) {
        let quiet = Life { has_quiet_account: true, end, ..Life::quiet(400) };
        let outcome = keeps_every_promise(seed, vec![quiet.clone(), quiet, Life::quiet(12)]);
        let own = |event: &&serde_json::Value| event["event"] == "gap" && event["connection"] == "private";
        let length = |event: &serde_json::Value| event["to"].as_u64().unwrap() - event["from"].as_u64().unwrap();
        let longest = outcome.events.iter().filter(own).map(length).max();
        assert!(longest.is_some_and(|longest| longest < 60_000_000), "{end:?}: {longest:?} µs");
    }
}

/// A life in which the clock is set back.
fn stepped() -> Life {
    Life { steps: vec![(ms(1_500), BACK)], ..Life::quiet(6) }
}

fn keeps_every_promise(seed: u64, lives: Vec<Life>) -> world::Outcome {
    let plan = Plan { seed, lives };
    let outcome = world::run(&plan);
    assert_eq!(outcome.violations, [""; 0], "{plan:#?}");
    outcome
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
