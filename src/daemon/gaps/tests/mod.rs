//! The gap tracker in scripts, and against arbitrary histories.

mod script;

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

const PUBLIC: Feed = Feed::Public;
const STREAMS: [&str; 3] = ["A-B_trade", "C-D_trade", "E-F_trade"];

fn stamp(micros: u64) -> Stamp {
    Stamp::from_micros(micros).unwrap()
}

fn names(streams: &[&str]) -> Vec<String> {
    streams.iter().map(|&stream| stream.to_owned()).collect()
}

/// An event in the life of a connection.
#[derive(Clone, Debug)]
enum Happening {
    Line,
    Lost,
    Pause(u64),
    Mute(usize),
    Restart {
        cleanly: bool,
    },
    /// The machine dies, and the last moments were not durable.
    Crash(u64),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        6 => Just(Happening::Line),
        2 => Just(Happening::Lost),
        1 => (1u64..30).prop_map(Happening::Pause),
        1 => (0usize..3).prop_map(Happening::Mute),
        1 => any::<bool>().prop_map(|cleanly| Happening::Restart { cleanly }),
        1 => (0u64..60).prop_map(Happening::Crash),
    ]
}

/// The true state of a connection: which streams were reliable, microsecond by microsecond.
struct Truth {
    tracker: GapTracker,
    now: u64,
    last_line: u64,
    is_live: bool,
    mute: BTreeSet<usize>,
    /// `relied[t][s]`: stream s was received from t to t + 1.
    relied: Vec<[bool; 3]>,
    gaps: Vec<Gap>,
}

impl Truth {
    fn new() -> Self {
        let mut tracker = GapTracker::default();
        tracker.open(PUBLIC, stamp(0), GapKind::Disconnected, "the first start");
        Self {
            tracker,
            now: 0,
            last_line: 0,
            is_live: false,
            mute: BTreeSet::new(),
            relied: Vec::new(),
            gaps: Vec::new(),
        }
    }

    /// Lets time pass without a line.
    fn pass(&mut self, length: u64, is_listened: bool) {
        for _ in 0..length {
            self.relied.push([0, 1, 2].map(|stream| is_listened && !self.mute.contains(&stream)));
        }
        self.now += length;
    }

    /// Marks the time since the last line as unreliable.
    fn forget(&mut self) {
        self.relied[usize::try_from(self.last_line).unwrap()..].fill([false; 3]);
    }

    fn happen(&mut self, happening: &Happening, length: u64) {
        match happening {
            Happening::Line => {
                self.pass(length, self.is_live);
                let to = stamp(self.now);
                self.gaps.extend(self.tracker.close(PUBLIC, to));
                let sounding: Vec<_> = std::mem::take(&mut self.mute).into_iter().map(|at| STREAMS[at]).collect();
                self.gaps.extend(self.tracker.clear(PUBLIC, &names(&sounding), to));
                (self.last_line, self.is_live) = (self.now, true);
            }
            Happening::Lost => {
                self.pass(length, false);
                self.forget();
                self.gaps.extend(self.tracker.open(PUBLIC, stamp(self.last_line), GapKind::Disconnected, ""));
                (self.is_live, self.mute) = (false, BTreeSet::new());
            }
            Happening::Pause(pause) => {
                self.pass(length, self.is_live);
                // No line before the pause proves that the connection was alive when it began.
                let from = stamp(if self.is_live { self.last_line } else { self.now });
                self.pass(*pause, false);
                self.gaps.extend(self.tracker.record(PUBLIC, [from, stamp(self.now)], GapKind::Paused, ""));
            }
            Happening::Mute(stream) if self.is_live => {
                let since = self.now;
                self.mute.insert(*stream);
                self.pass(length, true);
                self.tracker.suspect(PUBLIC, STREAMS[*stream].to_owned(), stamp(since));
            }
            Happening::Mute(_) => {}
            Happening::Restart { cleanly: true } => self.restart(None, length),
            Happening::Restart { cleanly: false } => self.restart(Some(0), length),
            Happening::Crash(unsynced) => self.restart(Some(*unsynced), length),
        }
    }

    /// Ends the process, orderly where `unsynced` is `None`, and starts another one, by the rules of `recovery`.
    fn restart(&mut self, unsynced: Option<u64>, length: u64) {
        let durable = stamp(self.now.saturating_sub(unsynced.unwrap_or_default()));
        if unsynced.is_none() {
            self.gaps.extend(self.tracker.finish(PUBLIC, stamp(self.last_line), stamp(self.now)));
        }
        let missing_since = self.tracker.connections[&PUBLIC].open.as_ref().map(|open| open.from);
        let whole = self.gaps.iter().filter(|gap| gap.only.is_none());
        let reached = stamp(self.last_line).max(whole.map(|gap| gap.to).max().unwrap_or_default());
        let from = reached.min(durable).min(missing_since.unwrap_or(reached));
        let suspected = std::mem::take(&mut self.tracker.connections.get_mut(&PUBLIC).unwrap().suspected);
        self.gaps.extend(suspicions(PUBLIC, suspected, Position { epoch: 0, stamp: from }));
        self.relied[usize::try_from(durable.as_micros()).unwrap()..].fill([false; 3]);
        self.pass(length, false);
        self.relied[usize::try_from(self.last_line.min(durable.as_micros())).unwrap()..].fill([false; 3]);
        self.tracker = GapTracker::default();
        self.tracker.open(PUBLIC, from, if unsynced.is_some() { GapKind::Killed } else { GapKind::Stopped }, "");
        (self.is_live, self.mute) = (false, BTreeSet::new());
    }
}

proptest! {
    /// Invariant: each moment of each stream was received, or lies in a gap.
    #[test]
    fn records_and_gaps_cover_all_time(history in prop::collection::vec((happening(), 1u64..40), 1..60)) {
        let mut truth = Truth::new();
        for (happening, length) in &history {
            truth.happen(happening, *length);
        }
        let end = stamp(truth.now);
        let rest = truth.tracker.finish(PUBLIC, end, end);
        truth.gaps.extend(rest);
        for (at, relied) in truth.relied.iter().enumerate() {
            for (index, stream) in STREAMS.iter().enumerate() {
                let covering = truth.gaps.iter().filter(|gap| {
                    let affects = gap.only.as_ref().is_none_or(|only| only.iter().any(|name| name == stream));
                    affects && gap.from.as_micros() <= at as u64 && (at as u64) < gap.to.as_micros()
                });
                let count = covering.count();
                prop_assert!(relied[index] || count > 0, "{stream} at {at}: {:#?}", truth.gaps);
                // Only a crash puts moments in doubt that may have a gap already.
                let is_doubted = truth.gaps.iter().any(|gap| gap.kind == GapKind::Killed);
                prop_assert!(count <= 1 || is_doubted, "twice: {at} {:#?}", truth.gaps);
            }
        }
    }
}
