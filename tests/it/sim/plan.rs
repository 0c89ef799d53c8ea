//! What will happen in a world: known before it begins, so that a failure can be read and replayed.

use super::disk::{Crash, Displace, EMFILE, Fault};
use super::draw;
use super::exchange::Mood;
use super::life::{End, Life};
use super::machine::Freeze;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::time::Duration;
use upbit_recorder::files::EntryKind;

/// A world's history.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Decides everything that is not said here: what a crash tears, what the exchange sends, how the network fails.
    pub(crate) seed: u64,
    pub(crate) lives: Vec<Life>,
}

impl Plan {
    /// A history with everything in it, drawn from its seed.
    pub(crate) fn draw(seed: u64) -> Self {
        Self { seed, lives: draw::lives(seed) }
    }

    /// Lives in which the configuration is read again every few seconds, one of which is killed, and one in which all is
    /// put in order.
    pub(crate) fn reloaded(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut lives = vec![Life::quiet(60), Life { end: End::Crash(Crash::Kill), ..Life::quiet(30) }];
        lives.iter_mut().for_each(|life| draw::reloads(life, 20, &mut rng));
        lives.push(Life::healing());
        Self { seed, lives }
    }

    /// Two lives in which market data ceases on sockets that live, and one in which all is put in order.
    pub(crate) fn mute(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let lives = vec![draw::mute(&mut rng), draw::mute(&mut rng), Life::quiet(45)];
        Self { seed, lives }
    }

    /// A life in which market data comes faster than the disk takes it, and one in which all is put in order.
    pub(crate) fn overload(seed: u64) -> Self {
        let slow = Fault::Stall(Duration::from_secs(4));
        let faults = (1..100).map(|number| (number * 20, slow)).collect();
        let busy = Life { mood: Mood::Busy, faults, ..Life::quiet(60) };
        Self { seed, lives: vec![busy, Life::quiet(20)] }
    }

    /// A life in which the recorder does not run twice, for some seconds and for minutes, and one in which all is put in
    /// order.
    pub(crate) fn frozen(seed: u64, is_suspended: bool) -> Self {
        let freeze = |after, seconds| Freeze {
            after: Duration::from_millis(after),
            length: Duration::from_secs(seconds),
            is_suspended,
        };
        let freezes = vec![freeze(5_000 + 37 * seed, 3), freeze(20_000, 600)];
        Self { seed, lives: vec![Life { freezes, ..Life::quiet(30) }, Life::quiet(20)] }
    }

    /// A life that is killed just behind a freeze, and one in which all is put in order.
    pub(crate) fn killed_behind_a_freeze(millis: u64, is_suspended: bool) -> Self {
        let after = Duration::from_secs(5);
        let length = Duration::from_secs(30);
        let freezes = vec![Freeze { after, length, is_suspended }];
        let length = after + Duration::from_millis(millis);
        let killed = Life { freezes, length, end: End::Crash(Crash::Kill), ..Life::quiet(0) };
        Self { seed: millis, lives: vec![killed, Life::quiet(20)] }
    }

    /// A life in which the wall clock is set and, just before a second ends behind it, the recorder does not run for a
    /// while, and one in which all is put in order.
    pub(crate) fn frozen_and_set(second: u64, is_suspended: bool) -> Self {
        let after = Duration::from_millis(second * 1_000 - 5);
        let length = Duration::from_secs(8);
        let steps = vec![(Duration::from_millis(10_500), 3_600_000_000)];
        let freezes = vec![Freeze { after, length, is_suspended }];
        Self { seed: second, lives: vec![Life { steps, freezes, ..Life::quiet(30) }, Life::quiet(20)] }
    }

    /// A life in which the call hangs, in the midst of market data, and then returns, and one in which all is put in order.
    pub(crate) fn hang(call: u64, length: Duration) -> Self {
        let busy = Life { mood: Mood::Busy, faults: [(call, Fault::Stall(length))].into(), ..Life::quiet(30) };
        Self { seed: call, lives: vec![busy, Life::quiet(20)] }
    }

    /// A life that is to end while the disk hangs, on the far side of a minute, and one in which all is put in order.
    pub(crate) fn hang_at_the_end(call: u64) -> Self {
        let faults = [(call, Fault::Stall(Duration::from_secs(90)))].into();
        let busy = Life { mood: Mood::Busy, faults, ..Life::quiet(5) };
        Self { seed: call, lives: vec![busy, Life::quiet(20)] }
    }

    /// A life in which there is no descriptor left again and again, and one in which all is put in order.
    pub(crate) fn without_descriptors(seed: u64) -> Self {
        // Three in a row: closing what is idle does not help every time.
        let faults = (1..120).map(|number| (20 + number * 20 - number % 3 * 20, Fault::Fail(EMFILE))).collect();
        let starved = Life { mood: Mood::Busy, faults, ..Life::quiet(60) };
        Self { seed, lives: vec![starved, Life::quiet(20)] }
    }

    /// A life in which others do this to an active file every few seconds, and one in which all is put in order.
    pub(crate) fn displaced(seed: u64, how: Displace) -> Self {
        let displaced = (1..9).map(|number| (Duration::from_millis(number * 5_300), how)).collect();
        let disturbed = Life { displaced, ..Life::quiet(45) };
        Self { seed, lives: vec![disturbed, Life::quiet(20)] }
    }

    /// A life in which others remove what waits to be sealed, all the time, and one in which all is put in order.
    pub(crate) fn waiting_removed(seed: u64) -> Self {
        let displaced = (1..450).map(|number| (Duration::from_millis(number * 100), Displace::UnlinkWaiting)).collect();
        let disturbed = Life { mood: Mood::Busy, displaced, ..Life::quiet(45) };
        Self { seed, lives: vec![disturbed, Life::quiet(20)] }
    }

    /// A life in which others do this to an active file in its last moment, and one in which all is put in order.
    pub(crate) fn displaced_at_the_end(seed: u64, how: Displace) -> Self {
        let displaced = vec![(Duration::from_millis(9_999), how)];
        let disturbed = Life { displaced, ..Life::quiet(10) };
        Self { seed, lives: vec![disturbed, Life::quiet(20)] }
    }

    /// A life that begins among links and pipes, one on what a copy without modes has left of it, and a third.
    pub(crate) fn obstructed(seed: u64, kind: EntryKind) -> Self {
        let names =
            [".durable", ".reserve", "archive", "quarantine", "recorder.jsonl", "misc.jsonl", "private/misc.jsonl"];
        let is_for = |name: &&&str| kind != EntryKind::File || name.contains('.');
        let obstacles = names.iter().filter(is_for).map(|name| (*name, kind)).collect();
        let first = Life { obstacles, end: End::Crash(Crash::Kill), ..Life::quiet(70) };
        let second = Life { has_lost_modes: true, ..Life::quiet(20) };
        Self { seed, lives: vec![first, second, Life::quiet(20)] }
    }

    /// Lives in which old files go, each of which ends in another way, and one in which all is kept and put in order.
    pub(crate) fn pruned(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let ends = [End::Stop, End::Crash(Crash::Kill), End::Crash(Crash::PowerCut)];
        let ends = ends.into_iter().chain([Crash::Kill, Crash::PowerCut].map(End::Crash));
        let mut lives: Vec<Life> = ends
            .map(|end| {
                let keep_for = rng.random::<bool>().then(|| Duration::from_secs(rng.random_range(3..9)));
                let keep_bytes = (keep_for.is_none() || rng.random()).then(|| rng.random_range(0..20_000));
                let length = Duration::from_millis(rng.random_range(8_000..15_000));
                Life { mood: Mood::Busy, length, end, keep_for, keep_bytes, ..Life::quiet(0) }
            })
            .collect();
        lives.push(Life::quiet(20));
        Self { seed, lives }
    }

    /// A life in which old files go, one in which a single call fails meanwhile, and one in which all is put in order.
    pub(crate) fn pruned_with_fault(call: u64, fault: Fault) -> Self {
        let keep = Life { mood: Mood::Busy, keep_bytes: Some(2_000), ..Life::quiet(10) };
        let faulty = Life { faults: [(call, fault)].into(), ..keep.clone() };
        Self { seed: call, lives: vec![keep, faulty, Life::quiet(20)] }
    }

    /// A life that is killed, one in which a single call fails, and one in which all is put in order.
    pub(crate) fn with_fault(call: u64, fault: Fault) -> Self {
        let killed = Life { end: End::Crash(Crash::Kill), ..Life::quiet(4) };
        let faulty = Life { heals: true, faults: [(call, fault)].into(), ..Life::quiet(6) };
        Self { seed: call, lives: vec![killed, faulty, Life::healing()] }
    }
}
