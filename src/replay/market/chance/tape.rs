//! When trades happen: time is cut into slots of 100 ms, slots into cells, and each cell has one beat.
//!
//! ```text
//!  │········●···│··●·········│ … │●··│·●·│··●│··●│      ● a beat: the book moves, then nothing or a few trades
//!    6,000 slots a cell │ 300 slots a cell    │ live: as the rate demands
//!             30 days before               opened
//! ```
//!
//! Which slot of a cell has the beat, and how many trades it brings, follows from the seed alone, so every stretch of
//! the tape can be read at any time in both directions and nothing is kept.

use super::seed::Seed;

/// The length of a slot, in milliseconds: the grid of the exchange's order books.
pub(crate) const SLOT_MILLIS: u64 = 100;

/// The most trades one beat brings; identifiers have room for twice as many.
pub(crate) const MAX_TRADES: u64 = 5_000;

/// How long before the opening the tape is as dense as [`Pace::RECENT`], in slots.
const RECENT_SLOTS: u64 = 30 * 86_400_000 / SLOT_MILLIS;

/// How often the beats come, and how much they bring.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pace {
    slots_per_beat: u64,
    trades_per_beat: f64,
}

impl Pace {
    /// In the month before the market opened: a beat in 30 s, so that its minutes have their trades.
    const RECENT: Self = Self { slots_per_beat: 300, trades_per_beat: 0.8 };

    /// Earlier: a beat in ten minutes, so that a year of candles is summed in a blink.
    const OLD: Self = Self { slots_per_beat: 6_000, trades_per_beat: 2.0 };

    /// The pace at which `codes` pairs together give `rate` frames a second to a client that subscribes their trades,
    /// order books and tickers: a beat gives one book frame, each of its trades a trade and a ticker frame.
    pub(crate) fn for_rate(rate: f64, codes: usize) -> Self {
        let slots_per_second = 1_000 / SLOT_MILLIS;
        let frames_per_slot = (rate / (codes.max(1) as f64 * slots_per_second as f64)).max(1e-6);
        // Three frames a beat is the least that still shows a trade with every change of the book.
        let slots_per_beat = (3.0 / frames_per_slot).floor().max(1.0);
        let trades_per_beat = ((frames_per_slot * slots_per_beat - 1.0) / 2.0).max(0.0);
        Self { slots_per_beat: slots_per_beat as u64, trades_per_beat }
    }
}

/// One beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Beat {
    /// The slot it falls into, counted from the epoch.
    pub(crate) slot: u64,
    /// How many trades it brings.
    pub(crate) trades: u64,
}

/// All beats of one pair.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tape {
    seed: Seed,
    opened: u64,
    /// Where the recent past begins.
    recent: u64,
    live: Pace,
}

/// A stretch of slots that has exactly one beat.
#[derive(Clone, Copy)]
struct Cell {
    start: u64,
    length: u64,
    beat: Beat,
}

impl Tape {
    /// A tape that changes from the pace of history to `live` at slot `opened`. History does not depend on it, so that
    /// after a restart with the same seed yesterday is still the same.
    pub(crate) fn new(seed: Seed, opened: u64, live: Pace) -> Self {
        let recent = opened.saturating_sub(RECENT_SLOTS);
        // The old cells are a multiple of the recent ones, so this is a boundary of both.
        Self { seed, opened, recent: recent - recent % Pace::OLD.slots_per_beat, live }
    }

    /// The beats in `from..to`, oldest first.
    pub(crate) fn beats(self, from: u64, to: u64) -> impl Iterator<Item = Beat> {
        let first = self.cell_of(from);
        let cells = std::iter::successors(Some(first), move |cell| Some(self.cell_of(cell.start + cell.length)));
        let beats = cells.take_while(move |cell| cell.start < to).map(|cell| cell.beat);
        beats.filter(move |beat| (from..to).contains(&beat.slot))
    }

    /// The beats before `slot`, newest first, back to the epoch.
    pub(crate) fn beats_before(self, slot: u64) -> impl Iterator<Item = Beat> {
        let first = slot.checked_sub(1).map(|last| self.cell_of(last));
        let earlier = move |cell: &Cell| cell.start.checked_sub(1).map(|last| self.cell_of(last));
        let beats = std::iter::successors(first, earlier).map(|cell| cell.beat);
        beats.filter(move |beat| beat.slot < slot)
    }

    fn cell_of(self, slot: u64) -> Cell {
        let (pace, origin, end, part) = match slot {
            live if live >= self.opened => (self.live, self.opened, u64::MAX, 2),
            recent if recent >= self.recent => (Pace::RECENT, 0, self.opened, 1),
            _ => (Pace::OLD, 0, self.recent, 0),
        };
        let index = (slot - origin) / pace.slots_per_beat;
        let start = origin + index * pace.slots_per_beat;
        // The opening cuts the last cell of history short.
        let length = pace.slots_per_beat.min(end - start);
        let seed = self.seed.part(part).part(index);
        // Between half and one and a half times the mean, then rounded up or down so that the mean stays.
        let trades = pace.trades_per_beat * (0.5 + seed.unit(1)) + seed.unit(2);
        let beat = Beat { slot: start + seed.below(0, length), trades: (trades as u64).min(MAX_TRADES) };
        Cell { start, length, beat }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENED: u64 = 17_953_170_600;

    fn tape(rate: f64) -> Tape {
        Tape::new(Seed::new(1), OPENED, Pace::for_rate(rate, 10))
    }

    #[test]
    fn the_rate_is_the_sum_of_books_trades_and_tickers() {
        for rate in [1.0, 30.0, 299.0, 301.0, 5_000.0] {
            // Long enough for a hundred beats at the slowest of these rates.
            let slots = 40_000;
            let frames: u64 = tape(rate).beats(OPENED, OPENED + slots).map(|beat| 1 + 2 * beat.trades).sum();
            let expected = rate / 10.0 * slots as f64 / 10.0;
            assert!((frames as f64 / expected - 1.0).abs() < 0.1, "{frames} of {expected} at {rate}");
        }
    }

    #[test]
    fn the_tape_reads_the_same_backwards_across_changes_of_pace() {
        for middle in [OPENED, OPENED - RECENT_SLOTS, OPENED - RECENT_SLOTS + 700] {
            let (from, to) = (middle - 100_000, middle + 100_000);
            let forwards: Vec<Beat> = tape(50.0).beats(from, to).collect();
            let mut backwards: Vec<Beat> = tape(50.0).beats_before(to).take_while(|beat| beat.slot >= from).collect();
            backwards.reverse();
            assert!(forwards.len() > 300);
            assert_eq!(forwards, backwards);
        }
    }

    #[test]
    fn history_depends_neither_on_the_rate_nor_on_the_opening() {
        let history = |opened, rate| {
            let tape = Tape::new(Seed::new(1), opened, Pace::for_rate(rate, 10));
            tape.beats(OPENED - 9_000, OPENED - 301).collect::<Vec<_>>()
        };
        assert_eq!(history(OPENED, 1.0), history(OPENED + 12_345, 50_000.0));
    }
}
