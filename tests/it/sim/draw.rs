//! Lives drawn from a seed.

use super::disk::{Amnesia, Crash, Displace, EDQUOT, EFBIG, EINTR, EIO, ENOSPC, Fault};
use super::exchange::Mood;
use super::life::{End, Life};
use super::machine::Freeze;
use super::reloads::Reloading;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::time::Duration;
use upbit_recorder::upbit::feed::Feed;

/// A process that freezes for longer and dies before it notices is in no gap where the durable mark is then taken away:
/// without it a start doubts the last minute.
const UNNOTICED: Duration = Duration::from_secs(30);

/// A few lives with everything in them, two quiet ones in which all is put in order, and one that heals.
pub(super) fn lives(seed: u64) -> Vec<Life> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut lives: Vec<Life> = (0..rng.random_range(2..=5)).map(|_| wild(&mut rng)).collect();
    lives.iter_mut().for_each(|life| steps(life, &mut rng));
    lives.iter_mut().for_each(|life| freezes(life, &mut rng));
    lives.extend([Life::quiet(45), Life::quiet(45)]);
    // Drawn apart, so that everything else stays what it was.
    let mut rng = StdRng::seed_from_u64(seed ^ 0x6d75_7465);
    if rng.random_ratio(1, 8) {
        let place = rng.random_range(0..lives.len() - 1);
        lives.insert(place, mute(&mut rng));
    }
    let mut rng = StdRng::seed_from_u64(seed ^ u64::MAX);
    let last = lives.len() - 1;
    lives[..last].iter_mut().for_each(|life| displaced(life, &mut rng));
    let mut rng = StdRng::seed_from_u64(seed ^ 0x6b6e_6f77);
    lives[..last].iter_mut().for_each(|life| knowledge(life, &mut rng));
    for next in 1..lives.len() {
        if matches!(lives[next].amnesia, Some(Amnesia::NoMark | Amnesia::NoDotFiles | Amnesia::Restored(_))) {
            lives[next - 1].freezes.retain(|freeze| freeze.length < UNNOTICED);
            lives[next - 1].freezes.truncate(1);
        }
    }
    let mut rng = StdRng::seed_from_u64(seed ^ 0x6865_616c);
    lives.iter_mut().for_each(|life| life.heals = rng.random_ratio(7, 8));
    let mut rng = StdRng::seed_from_u64(seed ^ 0x7265_6c6f);
    // A healed file that is taken away while its page is fetched again leaves lines twice, which the oracle refuses.
    let is_left_alone = lives.iter().all(Life::is_left_alone);
    for life in lives.iter_mut().filter(|life| life.mood == Mood::Wild) {
        if is_left_alone && rng.random_ratio(1, 3) {
            reloads(life, 5, &mut rng);
        }
    }
    let mut rng = StdRng::seed_from_u64(seed ^ 0x6b65_6570);
    lives.iter_mut().for_each(|life| limits(life, &mut rng));
    lives.push(Life::healing());
    lives
}

/// A life in which market data ceases while its socket lives.
pub(super) fn mute(rng: &mut StdRng) -> Life {
    let end = [End::Stop, End::Crash(Crash::Kill), End::Crash(Crash::PowerCut)][rng.random_range(0..3)];
    Life { mood: Mood::Mute, end, ..Life::quiet(rng.random_range(150..500)) }
}

/// Has others lay hands on the files of every second life that ends in order on an honest disk: what is taken away in
/// the moment before a crash cannot be saved.
fn displaced(life: &mut Life, rng: &mut StdRng) {
    let is_crash = |(_, fault): &(u64, Fault)| matches!(fault, Fault::Crash(_));
    let ends_in_order = life.end == End::Stop && !life.faults.iter().any(is_crash);
    if !ends_in_order || !life.has_honest_disk() || !life.steps.is_empty() || rng.random() {
        return;
    }
    let end = u64::try_from(life.length.as_millis()).unwrap();
    for _ in 0..rng.random_range(1..6) {
        let how = match rng.random_range(0..6) {
            0 => Displace::Unlink,
            1 => Displace::Rename,
            2 => Displace::Replace,
            3 => Displace::Truncate(0),
            4 => Displace::Truncate(rng.random_range(1..1000)),
            _ => Displace::Grow,
        };
        life.displaced.push((Duration::from_millis(rng.random_range(0..end)), how));
    }
    life.displaced.sort_by_key(|(after, _)| *after);
}

/// A life with everything in it.
fn wild(rng: &mut StdRng) -> Life {
    let millis = |rng: &mut StdRng, range| Duration::from_millis(rng.random_range(range));
    let length = millis(rng, 2_000..60_000);
    let mut faults: Vec<(u64, Fault)> = Vec::new();
    if rng.random() {
        let count = rng.random_range(1..5);
        faults.extend((0..count).map(|_| (rng.random_range(1..600), disk_fault(rng))));
    }
    let end = match rng.random_range(0..6) {
        0 => End::Stop,
        1 => End::Crash(Crash::Kill),
        2 => End::Crash(Crash::PowerCut),
        3 | 4 => {
            faults.push((rng.random_range(1..800), Fault::Crash(Crash::Kill)));
            End::Stop
        }
        _ => {
            faults.push((rng.random_range(1..800), Fault::Crash(Crash::PowerCut)));
            End::Crash(Crash::PowerCut)
        }
    };
    faults.sort_by_key(|(call, _)| *call);
    let full = rng.random_ratio(1, 5).then(|| {
        let room = rng.random_range(0..20_000);
        (millis(rng, 0..30_000), millis(rng, 100..20_000), room)
    });
    let jump = if rng.random_ratio(1, 4) { rng.random_range(0..100_000_000_000) } else { 0 };
    let faults = faults.into();
    let pause = millis(rng, 0..20_000);
    Life { mood: Mood::Wild, length, end, faults, full, pause, jump, ..Life::quiet(0) }
}

/// Has old files go in every fourth life.
fn limits(life: &mut Life, rng: &mut StdRng) {
    if rng.random_ratio(1, 4) {
        life.keep_for = rng.random::<bool>().then(|| Duration::from_secs(rng.random_range(5..60)));
        life.keep_bytes = (life.keep_for.is_none() || rng.random()).then(|| rng.random_range(0..40_000));
    }
}

/// Has the wall clock set, in every third life or so, and between lives.
fn steps(life: &mut Life, rng: &mut StdRng) {
    let count = if rng.random_ratio(1, 3) { rng.random_range(1..4) } else { 0 };
    let end = u64::try_from(life.length.as_millis()).unwrap();
    for _ in 0..count {
        let after = Duration::from_millis(rng.random_range(0..end));
        let micros = step(rng);
        life.steps.push((after, micros));
        if rng.random_ratio(1, 4) {
            // Set right again before, or just after, it counts.
            life.steps.push((after + Duration::from_millis(rng.random_range(1_000..8_000)), -micros));
        }
    }
    life.steps.sort_unstable();
    if rng.random_ratio(1, 5) {
        life.jump = step(rng);
    }
}

/// Has a start find less than was known, a sync find no room, a feed not recorded, or an account quiet, each in every
/// tenth life or so.
fn knowledge(life: &mut Life, rng: &mut StdRng) {
    let amnesia = match rng.random_range(0..12) {
        0 | 1 => Amnesia::NoState,
        2 => Amnesia::NoMark,
        3 => Amnesia::NoDotFiles,
        4 | 5 => Amnesia::NoSlot { newer: true },
        6 => Amnesia::NoSlot { newer: false },
        _ => Amnesia::Restored(rng.random_range(1..4)),
    };
    life.amnesia = rng.random_ratio(1, 10).then_some(amnesia);
    let full = (rng.random_range(20..600), Fault::NoRoom);
    if rng.random_ratio(1, 10) {
        let behind = life.faults.partition_point(|(call, _)| *call < full.0);
        life.faults.insert(behind, full);
    }
    let off = Feed::ALL[rng.random_range(0..2)];
    // Files that are continued and not written are not held open, and what is taken away is lost.
    life.off = (rng.random_ratio(1, 10) && life.displaced.is_empty()).then_some(off);
    life.has_quiet_account = rng.random_ratio(1, 10);
}

/// Has the configuration read again, up to so many times.
pub(super) fn reloads(life: &mut Life, most: usize, rng: &mut StdRng) {
    let count = rng.random_range(most / 2..=most);
    life.reloads = (0..count).map(|_| Reloading::draw(rng, life.length)).collect();
    life.reloads.sort_by_key(|reloading| reloading.after);
}

/// Has the process stopped, or the machine suspended, in every third life or so, for seconds or minutes.
fn freezes(life: &mut Life, rng: &mut StdRng) {
    let count = if rng.random_ratio(1, 3) { rng.random_range(1..4) } else { 0 };
    let end = u64::try_from(life.length.as_millis()).unwrap();
    for _ in 0..count {
        let longest = if rng.random() { 20_000 } else { 600_000 };
        let after = rng.random_range(0..end);
        let length = rng.random_range(3_000..longest);
        life.freezes.push(Freeze {
            after: Duration::from_millis(after),
            length: Duration::from_millis(length),
            is_suspended: rng.random(),
        });
    }
    life.freezes.sort_unstable_by_key(|freeze| freeze.after);
}

/// How far a clock is set, either way: a little, so that nothing follows from it, some seconds, or hours.
fn step(rng: &mut StdRng) -> i64 {
    let length = match rng.random_range(0..6) {
        0 => rng.random_range(0..1_900_000),
        1..4 => rng.random_range(2_100_000..90_000_000),
        _ => rng.random_range(90_000_000..90_000_000_000),
    };
    if rng.random() { length } else { -length }
}

fn disk_fault(rng: &mut StdRng) -> Fault {
    match rng.random_range(0..12) {
        0..3 => Fault::Short,
        3 => Fault::Fail(EINTR),
        4 => Fault::Fail(ENOSPC),
        5 => Fault::Fail(EDQUOT),
        6 => Fault::Fail(EFBIG),
        7 => Fault::Fail(EIO),
        _ => Fault::Stall(Duration::from_millis(rng.random_range(10..4_000))),
    }
}
