//! What will happen in a world: drawn from its seed before it begins, so that a failure can be read and replayed.

use super::disk::{Amnesia, Crash, Displace, EDQUOT, EFBIG, EINTR, EIO, EMFILE, ENOSPC, Fault};
use super::exchange::Mood;
use super::machine::Freeze;
use super::reloads::Reloading;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::VecDeque;
use std::time::Duration;
use upbit_recorder::files::EntryKind;
use upbit_recorder::upbit::feed::Feed;

/// A world's history.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Decides everything that is not said here: what a crash tears, what the exchange sends, how the network fails.
    pub(crate) seed: u64,
    pub(crate) lives: Vec<Life>,
}

/// One process from its start to its end, and the time until the next one.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) mood: Mood,
    pub(crate) length: Duration,
    pub(crate) end: End,
    /// Faults of the disk by the number of the call, in order.
    pub(crate) faults: VecDeque<(u64, Fault)>,
    /// When the disk has only this many bytes left, and for how long.
    pub(crate) full: Option<(Duration, Duration, u64)>,
    /// When others lay hands on an active file, and what they do.
    pub(crate) displaced: Vec<(Duration, Displace)>,
    /// What stands at names of ours when it begins, and whether everything can be read by others then.
    pub(crate) obstacles: Vec<(&'static str, EntryKind)>,
    pub(crate) has_lost_modes: bool,
    /// What its start does not find of what the lives before it knew.
    pub(crate) amnesia: Option<Amnesia>,
    /// The feed that is not recorded.
    pub(crate) off: Option<Feed>,
    /// Nothing happens on the account.
    pub(crate) has_quiet_account: bool,
    /// Until the next life begins.
    pub(crate) pause: Duration,
    /// How far the wall clock is set forward in that time, or back, µs.
    pub(crate) jump: i64,
    /// When it is set while the recorder runs, and how far.
    pub(crate) steps: Vec<(Duration, i64)>,
    /// When the recorder does not run for a while, in order.
    pub(crate) freezes: Vec<Freeze>,
    /// It heals gaps.
    pub(crate) heals: bool,
    /// When its configuration is read again, in order.
    pub(crate) reloads: Vec<Reloading>,
    /// What its recorder keeps of sealed files, by age and by bytes.
    pub(crate) keep_for: Option<Duration>,
    pub(crate) keep_bytes: Option<u64>,
}

/// How a life ends when its time is over, unless a fault ends it before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Stop,
    Crash(Crash),
}

/// A process that freezes for longer and dies before it notices is in no gap where the durable mark is then taken away:
/// without it a start doubts the last minute.
const UNNOTICED: Duration = Duration::from_secs(30);

impl Plan {
    /// A history of a few lives with everything in it, and two quiet ones in which all is put in order.
    pub(crate) fn draw(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut lives: Vec<Life> = (0..rng.random_range(2..=5)).map(|_| Life::draw(&mut rng)).collect();
        lives.iter_mut().for_each(|life| life.draw_steps(&mut rng));
        lives.iter_mut().for_each(|life| life.draw_freezes(&mut rng));
        lives.extend([Life::quiet(45), Life::quiet(45)]);
        // Drawn apart, so that everything else stays what it was.
        let mut rng = StdRng::seed_from_u64(seed ^ 0x6d75_7465);
        if rng.random_ratio(1, 8) {
            let place = rng.random_range(0..lives.len() - 1);
            lives.insert(place, Life::mute(&mut rng));
        }
        let mut rng = StdRng::seed_from_u64(seed ^ u64::MAX);
        let last = lives.len() - 1;
        lives[..last].iter_mut().for_each(|life| life.draw_displaced(&mut rng));
        let mut rng = StdRng::seed_from_u64(seed ^ 0x6b6e_6f77);
        lives[..last].iter_mut().for_each(|life| life.draw_knowledge(&mut rng));
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
                life.draw_reloads(5, &mut rng);
            }
        }
        let mut rng = StdRng::seed_from_u64(seed ^ 0x6b65_6570);
        lives.iter_mut().for_each(|life| life.draw_limits(&mut rng));
        lives.push(Life::healing());
        Self { seed, lives }
    }

    /// Lives in which the configuration is read again every few seconds, one of which is killed, and one in which all is
    /// put in order.
    pub(crate) fn reloaded(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut lives = vec![Life::quiet(60), Life { end: End::Crash(Crash::Kill), ..Life::quiet(30) }];
        lives.iter_mut().for_each(|life| life.draw_reloads(20, &mut rng));
        lives.push(Life::healing());
        Self { seed, lives }
    }

    /// Two lives in which market data ceases on sockets that live, and one in which all is put in order.
    pub(crate) fn mute(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let lives = vec![Life::mute(&mut rng), Life::mute(&mut rng), Life::quiet(45)];
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

impl Life {
    /// A life in which nothing goes wrong, stopped in order.
    pub(crate) fn quiet(seconds: u64) -> Self {
        Self {
            mood: Mood::Kind,
            length: Duration::from_secs(seconds),
            end: End::Stop,
            faults: VecDeque::new(),
            full: None,
            displaced: Vec::new(),
            obstacles: Vec::new(),
            has_lost_modes: false,
            amnesia: None,
            off: None,
            has_quiet_account: false,
            pause: Duration::from_secs(3),
            jump: 0,
            steps: Vec::new(),
            freezes: Vec::new(),
            heals: false,
            reloads: Vec::new(),
            keep_for: None,
            keep_bytes: None,
        }
    }

    /// A life with the time to heal what those before it have missed.
    pub(crate) fn healing() -> Self {
        Self { mood: Mood::Calm, heals: true, ..Self::quiet(180) }
    }

    /// A life in which market data ceases while its socket lives.
    fn mute(rng: &mut StdRng) -> Self {
        let end = [End::Stop, End::Crash(Crash::Kill), End::Crash(Crash::PowerCut)][rng.random_range(0..3)];
        Self { mood: Mood::Mute, end, ..Self::quiet(rng.random_range(150..500)) }
    }

    /// Whether the disk does what it is asked to, until the life ends.
    pub(crate) fn has_sound_disk(&self) -> bool {
        let is_harmless = |fault: &Fault| matches!(fault, Fault::Short | Fault::Fail(EINTR) | Fault::Crash(_));
        self.is_left_alone() && self.full.is_none() && self.faults.iter().all(|(_, fault)| is_harmless(fault))
    }

    /// Whether the disk does so at last, however slowly.
    pub(crate) fn has_honest_disk(&self) -> bool {
        let is_refusal =
            |fault: &Fault| matches!(fault, Fault::Fail(errno) if *errno != EINTR) || *fault == Fault::NoRoom;
        let is_lossy = self.displaced.iter().any(|(_, how)| how.is_lossy());
        !is_lossy && self.full.is_none() && !self.faults.iter().any(|(_, fault)| is_refusal(fault))
    }

    fn is_left_alone(&self) -> bool {
        self.displaced.is_empty()
    }

    /// Has others lay hands on the files of every second life that ends in order on an honest disk: what is taken away in
    /// the moment before a crash cannot be saved.
    fn draw_displaced(&mut self, rng: &mut StdRng) {
        let is_crash = |(_, fault): &(u64, Fault)| matches!(fault, Fault::Crash(_));
        let ends_in_order = self.end == End::Stop && !self.faults.iter().any(is_crash);
        if !ends_in_order || !self.has_honest_disk() || !self.steps.is_empty() || rng.random() {
            return;
        }
        let end = u64::try_from(self.length.as_millis()).unwrap();
        for _ in 0..rng.random_range(1..6) {
            let how = match rng.random_range(0..6) {
                0 => Displace::Unlink,
                1 => Displace::Rename,
                2 => Displace::Replace,
                3 => Displace::Truncate(0),
                4 => Displace::Truncate(rng.random_range(1..1000)),
                _ => Displace::Grow,
            };
            self.displaced.push((Duration::from_millis(rng.random_range(0..end)), how));
        }
        self.displaced.sort_by_key(|(after, _)| *after);
    }

    fn draw(rng: &mut StdRng) -> Self {
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
        Self { mood: Mood::Wild, length, end, faults, full, pause, jump, ..Self::quiet(0) }
    }

    /// Has old files go in every fourth life.
    fn draw_limits(&mut self, rng: &mut StdRng) {
        if rng.random_ratio(1, 4) {
            self.keep_for = rng.random::<bool>().then(|| Duration::from_secs(rng.random_range(5..60)));
            self.keep_bytes = (self.keep_for.is_none() || rng.random()).then(|| rng.random_range(0..40_000));
        }
    }

    /// Has the wall clock set, in every third life or so, and between lives.
    fn draw_steps(&mut self, rng: &mut StdRng) {
        let count = if rng.random_ratio(1, 3) { rng.random_range(1..4) } else { 0 };
        let end = u64::try_from(self.length.as_millis()).unwrap();
        for _ in 0..count {
            let after = Duration::from_millis(rng.random_range(0..end));
            let micros = step(rng);
            self.steps.push((after, micros));
            if rng.random_ratio(1, 4) {
                // Set right again before, or just after, it counts.
                self.steps.push((after + Duration::from_millis(rng.random_range(1_000..8_000)), -micros));
            }
        }
        self.steps.sort_unstable();
        if rng.random_ratio(1, 5) {
            self.jump = step(rng);
        }
    }

    /// Has a start find less than was known, a sync find no room, a feed not recorded, or an account quiet, each in every
    /// tenth life or so.
    fn draw_knowledge(&mut self, rng: &mut StdRng) {
        let amnesia = match rng.random_range(0..12) {
            0 | 1 => Amnesia::NoState,
            2 => Amnesia::NoMark,
            3 => Amnesia::NoDotFiles,
            4 | 5 => Amnesia::NoSlot { newer: true },
            6 => Amnesia::NoSlot { newer: false },
            _ => Amnesia::Restored(rng.random_range(1..4)),
        };
        self.amnesia = rng.random_ratio(1, 10).then_some(amnesia);
        let full = (rng.random_range(20..600), Fault::NoRoom);
        if rng.random_ratio(1, 10) {
            let behind = self.faults.partition_point(|(call, _)| *call < full.0);
            self.faults.insert(behind, full);
        }
        let off = Feed::ALL[rng.random_range(0..2)];
        // Files that are continued and not written are not held open, and what is taken away is lost.
        self.off = (rng.random_ratio(1, 10) && self.displaced.is_empty()).then_some(off);
        self.has_quiet_account = rng.random_ratio(1, 10);
    }

    /// Has the configuration read again, up to so many times.
    fn draw_reloads(&mut self, most: usize, rng: &mut StdRng) {
        let count = rng.random_range(most / 2..=most);
        self.reloads = (0..count).map(|_| Reloading::draw(rng, self.length)).collect();
        self.reloads.sort_by_key(|reloading| reloading.after);
    }

    /// Has the process stopped, or the machine suspended, in every third life or so, for seconds or minutes.
    fn draw_freezes(&mut self, rng: &mut StdRng) {
        let count = if rng.random_ratio(1, 3) { rng.random_range(1..4) } else { 0 };
        let end = u64::try_from(self.length.as_millis()).unwrap();
        for _ in 0..count {
            let longest = if rng.random() { 20_000 } else { 600_000 };
            let after = rng.random_range(0..end);
            let length = rng.random_range(3_000..longest);
            self.freezes.push(Freeze {
                after: Duration::from_millis(after),
                length: Duration::from_millis(length),
                is_suspended: rng.random(),
            });
        }
        self.freezes.sort_unstable_by_key(|freeze| freeze.after);
    }
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
