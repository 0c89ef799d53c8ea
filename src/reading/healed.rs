//! The trades of a pair in the order of their own time, each once: those of the stream, and those that it missed.
//!
//! ```text
//! KRW-BTC_trade         ──▶ waiting, for a minute of trade time ─┐
//! (of other recorders)  ──▶                                      ├─▶ the earliest, unless it was given ──▶ HealedLine
//! KRW-BTC_trade.healed  ──▶ keys, sorted; lines a chunk at a time ┘
//! ```
//!
//! What was missed is written newest page first and up to a week later, so it is read once for its keys and once more
//! for each chunk of lines. A span is one of trade time: a trade of 23:59:59.9 is given with its own day.

use super::remembered::Remembered;
use super::trade::TradeKey;
use crate::clock::Stamp;
use crate::tape::line::Line;
use crate::tape::reader::{Lines, Tape, TapeError};
use crate::tape::stream_key::StreamKey;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

/// Trade time for which a recorded trade waits for earlier ones, in milliseconds: within a stream they come in order, but
/// for those of two connections that overlap, which are seconds apart. A pair's busiest minute is some MiB.
const SLACK: i64 = 60_000;

/// How far a receive time may be before the trade's, by a clock that is wrong.
const CLOCK_ERROR: Duration = Duration::from_secs(600);

/// Lines of missed trades that are held at a time: some 20 MiB.
const CHUNK: usize = 1 << 16;

/// Ids that are remembered: repeats follow their trade at once, but for the snapshots of a pair that hardly trades.
const REMEMBERED: usize = 4_096;

/// A trade.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HealedLine {
    /// Its time and id.
    pub key: TradeKey,
    /// Whether it was missed and fetched.
    pub is_fetched: bool,
    /// Its line, of the stream or of the healed one.
    pub line: Line,
}

/// See the module.
#[derive(Debug)]
pub struct HealedTrades {
    span: Range<i64>,
    recorded: Vec<Recorded>,
    waiting: BinaryHeap<Reverse<HealedLine>>,
    missed: Missed,
    given: Remembered,
    faults: VecDeque<TapeError>,
}

/// A recorder's stream.
#[derive(Debug)]
struct Recorded {
    lines: Lines,
    /// The latest trade time so far.
    newest: i64,
    is_over: bool,
}

impl HealedTrades {
    /// The trades of `stream` that happened in a span, of one recorder or of several.
    ///
    /// # Errors
    /// A tape cannot be listed. A later error is an item.
    pub fn new(tapes: &[Tape], stream: &StreamKey, span: &RangeInclusive<Stamp>) -> Result<Self, TapeError> {
        // What a snapshot brings may be hours older than its line, so the end is found by the trades.
        let from = span.start().before(CLOCK_ERROR)..=Stamp::MAX;
        let recorded = tapes
            .iter()
            .map(|tape| Ok(Recorded { lines: tape.lines(stream, from.clone())?, newest: i64::MIN, is_over: false }));
        let recorded = recorded.collect::<Result<_, TapeError>>()?;
        // Milliseconds that begin in the span.
        let millis = |stamp: &Stamp| stamp.as_millis() + i64::from(!stamp.as_micros().is_multiple_of(1_000));
        let span = millis(span.start())..span.end().as_millis().saturating_add(1);
        let (mut faults, healed) = (VecDeque::new(), stream.healed());
        let sources = tapes.iter().cloned().zip(healed.into_iter().cycle()).collect();
        let missed = Missed::new(sources, from, span.clone(), &mut faults)?;
        Ok(Self { span, recorded, waiting: BinaryHeap::new(), missed, given: Remembered::new(REMEMBERED), faults })
    }

    /// Reads a line of the stream that is behind.
    fn advance(&mut self, place: usize) {
        let Recorded { lines, newest, is_over } = &mut self.recorded[place];
        let line = match lines.next() {
            None => return *is_over = true,
            Some(Err(fault)) => return self.faults.push_back(fault),
            Some(Ok(line)) => line,
        };
        // A line that a crash tore is none.
        let Some(key) = TradeKey::recorded(line.text()) else { return };
        *newest = key.time.max(*newest);
        *is_over = key.time >= self.span.end.saturating_add(SLACK);
        if self.span.contains(&key.time) {
            self.waiting.push(Reverse(HealedLine { key, is_fetched: false, line }));
        }
    }

    /// The earliest trade that is known.
    fn pop(&mut self) -> Result<Option<HealedLine>, TapeError> {
        let missed = self.missed.first();
        let is_recorded = self.waiting.peek().is_some_and(|Reverse(first)| missed.is_none_or(|key| first.key <= key));
        if is_recorded { Ok(self.waiting.pop().map(|Reverse(line)| line)) } else { self.missed.pop() }
    }

    fn earliest(&self) -> Option<TradeKey> {
        self.waiting.peek().map(|Reverse(line)| line.key).into_iter().chain(self.missed.first()).min()
    }
}

impl Iterator for HealedTrades {
    type Item = Result<HealedLine, TapeError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(fault) = self.faults.pop_front() {
                return Some(Err(fault));
            }
            let running = self.recorded.iter().enumerate().filter(|(_, recorded)| !recorded.is_over);
            let behind = running.map(|(place, recorded)| (recorded.newest, place)).min();
            let first = self.earliest();
            match (behind, first) {
                (Some((newest, place)), first) if first.is_none_or(|key| newest < key.time.saturating_add(SLACK)) => {
                    self.advance(place);
                }
                (_, None) => return None,
                (_, Some(_)) => match self.pop() {
                    Ok(Some(line)) if self.given.add(line.key.id) => return Some(Ok(line)),
                    Ok(_) => {}
                    Err(fault) => return Some(Err(fault)),
                },
            }
        }
    }
}

/// Missed trades, in order.
#[derive(Debug)]
struct Missed {
    sources: Vec<(Tape, StreamKey)>,
    from: RangeInclusive<Stamp>,
    /// Those that are not given yet.
    keys: VecDeque<TradeKey>,
    /// The lines of the first of them.
    lines: BTreeMap<TradeKey, Line>,
}

impl Missed {
    fn new(
        sources: Vec<(Tape, StreamKey)>,
        from: RangeInclusive<Stamp>,
        span: Range<i64>,
        faults: &mut VecDeque<TapeError>,
    ) -> Result<Self, TapeError> {
        let mut missed = Self { sources, from, keys: VecDeque::new(), lines: BTreeMap::new() };
        let mut keys = BTreeSet::new();
        missed.scan(faults, |key, _| {
            if span.contains(&key.time) {
                keys.insert(key);
            }
        })?;
        missed.keys = keys.into_iter().collect();
        Ok(missed)
    }

    fn first(&self) -> Option<TradeKey> {
        self.keys.front().copied()
    }

    fn pop(&mut self) -> Result<Option<HealedLine>, TapeError> {
        let Some(key) = self.keys.pop_front() else { return Ok(None) };
        if !self.lines.contains_key(&key) {
            let last = self.keys.iter().take(CHUNK).next_back().copied().unwrap_or(key);
            let mut lines = BTreeMap::new();
            // Told by the first reading.
            let mut faults = VecDeque::new();
            self.scan(&mut faults, |found, line| {
                if (key..=last).contains(&found) {
                    lines.entry(found).or_insert_with(|| line.clone());
                }
            })?;
            self.lines = lines;
        }
        Ok(self.lines.remove(&key).map(|line| HealedLine { key, is_fetched: true, line }))
    }

    fn scan(&self, faults: &mut VecDeque<TapeError>, mut each: impl FnMut(TradeKey, &Line)) -> Result<(), TapeError> {
        for (tape, stream) in &self.sources {
            for line in tape.lines(stream, self.from.clone())? {
                match line {
                    Ok(line) => drop(TradeKey::healed(line.text()).map(|key| each(key, &line))),
                    Err(fault) => faults.push_back(fault),
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::disk::Disk;
    use std::fs;
    use std::path::Path;

    /// 2026-11-22T00:00:00Z, in milliseconds.
    const MIDNIGHT: i64 = 1_795_305_600_000;

    fn recorded(received: i64, trade: i64) -> String {
        let (received, time) = ((MIDNIGHT + received) * 1_000, MIDNIGHT + trade);
        format!("{{\"ts_recv\":{received},\"ttms\":{time},\"sid\":{}}}\n", time * 10)
    }

    fn missed(received: i64, trade: i64) -> String {
        let (received, time) = ((MIDNIGHT + received) * 1_000, MIDNIGHT + trade);
        format!("{{\"ts_recv\":{received},\"gap\":1,\"timestamp\":{time},\"sequential_id\":{}}}\n", time * 10)
    }

    fn tape(directory: &Path, stream: &[String], healed: &[String]) -> Tape {
        fs::create_dir_all(directory).unwrap();
        fs::write(directory.join("KRW-BTC_trade.jsonl"), stream.concat()).unwrap();
        fs::write(directory.join("KRW-BTC_trade.healed.jsonl"), healed.concat()).unwrap();
        Tape::new(Disk::readable(directory).unwrap(), directory)
    }

    fn times(tapes: &[Tape], span: Range<i64>) -> Vec<(i64, bool)> {
        let stamp = |millis: i64| Stamp::from_micros(u64::try_from((MIDNIGHT + millis) * 1_000).unwrap()).unwrap();
        let stream = StreamKey::from_stem("KRW-BTC_trade").unwrap();
        let trades = HealedTrades::new(tapes, &stream, &(stamp(span.start)..=stamp(span.end).previous())).unwrap();
        trades.map(|trade| trade.unwrap()).map(|trade| (trade.key.time - MIDNIGHT, trade.is_fetched)).collect()
    }

    #[test]
    fn trades_are_in_their_own_order_and_each_once() {
        let directory = tempfile::tempdir().unwrap();
        let hour = 3_600_000;
        // A gap from 2 to 9; the snapshot behind it is of 9, and repeated hours later when nothing more has come.
        let stream = [(1, 0), (2, 1), (12, 9), (13, 12), (14, 13), (5 * hour, 13), (5 * hour + 9, 5 * hour)];
        let stream = stream.map(|(received, trade)| recorded(received, trade));
        let healed = [(900, 6), (901, 7), (902, 3), (903, 4)].map(|(received, trade)| missed(received, trade));
        let tapes = [tape(directory.path(), &stream, &healed)];
        let all = [(0, false), (1, false), (3, true), (4, true), (6, true), (7, true), (9, false), (12, false)];
        assert_eq!(times(&tapes, 0..13), all);
        assert_eq!(times(&tapes, 3..7), all[2..5]);
        assert_eq!(times(&tapes, 13..6 * hour), [(13, false), (5 * hour, false)]);
        // The day before, by receive time, and a trade of the last moment before midnight.
        assert_eq!(times(&tapes, -hour..0), []);
    }

    #[test]
    fn two_recorders_are_one() {
        let directory = tempfile::tempdir().unwrap();
        let of = |name: &str, trades: &[i64], healed: &[i64]| {
            let stream: Vec<_> = trades.iter().map(|trade| recorded(trade + 5, *trade)).collect();
            let healed: Vec<_> = healed.iter().map(|trade| missed(trade + 900, *trade)).collect();
            tape(&directory.path().join(name), &stream, &healed)
        };
        let first = of("first", &[0, 1, 2, 9, 10], &[3, 4]);
        let second = of("second", &[0, 1, 4, 5, 6, 7, 8, 9, 10, 70_000], &[2, 3]);
        let found = times(&[first, second], 0..100_000);
        let wanted: Vec<_> = (0..11).map(|time| (time, time == 3)).chain([(70_000, false)]).collect();
        assert_eq!(found, wanted);
    }
}
