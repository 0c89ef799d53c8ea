//! The tapes of several recorders of one venue as one: each trade once, and each other frame once.
//!
//! ```text
//! recorder A ──Merged──▶ ┐
//! recorder B ──Merged──▶ ┴─▶ by receive time ──▶ did another one have it? ──▶ UnionLine
//!                            trades, recorded or healed: by code and sequential_id
//!                            books, tickers, the rest: by the received bytes, within some seconds
//! ```
//!
//! Epochs of two directories are not comparable: what follows a step back of a clock is given as soon as it is next.

use super::remembered::Remembered;
use super::streams::Named;
use super::trade::TradeKey;
use crate::clock::Stamp;
use crate::tape::line::Line;
use crate::tape::reader::{Lines, Merged, MergedLine, TapeError};
use crate::tape::stream_key::StreamKey;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// How far apart two recorders receive one frame, clocks included. Two equal frames of one stream that are further apart
/// are two. At 10,000 lines a second some MiB are held.
pub const APART: Duration = Duration::from_secs(5);

/// Trades that are remembered, in 60 MiB: those of an hour and a half of the whole exchange, at 200 a second. What a recorder
/// has missed is healed minutes after another one has recorded or healed it.
const REMEMBERED: usize = 1 << 20;

/// A line that is given, and the place of its stream in the list of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnionLine {
    /// The stream's place.
    pub place: usize,
    /// The line, of the recorder that had it first.
    pub line: Line,
}

/// See the module.
#[derive(Debug)]
pub struct Union {
    streams: Vec<Named>,
    /// Of each stream the place of the one whose trades it has: a healed one has those of another.
    owners: Vec<usize>,
    recorders: Vec<Recorder>,
    seen: Seen,
}

#[derive(Debug)]
struct Recorder {
    lines: Merged,
    /// The place of each of its streams in the list of all.
    places: Vec<usize>,
    next: Option<Result<MergedLine, TapeError>>,
}

impl Union {
    /// The lines of recorders, of the streams of each.
    pub fn new(recorders: Vec<Vec<(Named, Lines)>>) -> Self {
        let mut streams: Vec<Named> = recorders.iter().flatten().map(|(named, _)| named.clone()).collect();
        streams.sort_unstable();
        streams.dedup();
        let recorders = recorders.into_iter().map(|own| {
            let (named, lines): (Vec<Named>, Vec<Lines>) = own.into_iter().unzip();
            let places = named.iter().filter_map(|named| streams.binary_search(named).ok()).collect();
            let mut lines = Merged::new(lines);
            let next = lines.next();
            Recorder { lines, places, next }
        });
        let recorders = recorders.collect();
        Self { owners: owners(&streams), streams, recorders, seen: Seen::default() }
    }

    /// All streams, in order.
    pub fn streams(&self) -> &[Named] {
        &self.streams
    }

    /// The recorder whose next line was received first; faults come before lines.
    fn first(&self) -> Option<usize> {
        let next = self.recorders.iter().enumerate().filter_map(|(place, recorder)| {
            let stamp = recorder.next.as_ref()?.as_ref().map_or(Stamp::default(), |item| item.line.stamp());
            Some((stamp, place))
        });
        next.min().map(|(_, place)| place)
    }
}

impl Iterator for Union {
    type Item = Result<UnionLine, TapeError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let recorder = self.first()?;
            let Recorder { lines, places, next } = &mut self.recorders[recorder];
            let following = lines.next();
            let MergedLine { place, line } = match std::mem::replace(next, following)? {
                Ok(item) => item,
                Err(fault) => return Some(Err(fault)),
            };
            let place = places[place];
            let frame = Frame { place, owner: self.owners[place], stream: &self.streams[place].stream, line: &line };
            if self.seen.is_new(recorder, frame) {
                return Some(Ok(UnionLine { place, line }));
            }
        }
    }
}

/// Of each stream the place of the one that it was healed for, if that is there, else its own.
fn owners(streams: &[Named]) -> Vec<usize> {
    let own = |(place, named): (usize, &Named)| {
        let owner = named.stream.as_str().strip_suffix(".healed").and_then(StreamKey::from_stem);
        owner.and_then(|stream| streams.binary_search(&Named { stream, ..*named }).ok()).unwrap_or(place)
    };
    streams.iter().enumerate().map(own).collect()
}

struct Frame<'a> {
    place: usize,
    owner: usize,
    stream: &'a StreamKey,
    line: &'a Line,
}

/// What makes two frames one: their stream and their bytes.
type Key = (usize, [u8; 16]);

/// What was given a while ago, or dropped.
#[derive(Debug, Default)]
struct Seen {
    /// Frames of each recorder that no other one has matched yet, oldest first.
    frames: HashMap<Key, VecDeque<(usize, Stamp)>>,
    /// All of them, as they are forgotten.
    order: VecDeque<(Stamp, Key)>,
    trades: Trades,
}

/// The trades that were given last, by stream and id.
#[derive(Debug)]
struct Trades {
    ids: Remembered<(usize, u64)>,
    /// The highest id of each stream, which a snapshot repeats however much later.
    last: HashMap<usize, u64>,
}

impl Default for Trades {
    fn default() -> Self {
        Self { ids: Remembered::new(REMEMBERED), last: HashMap::new() }
    }
}

impl Trades {
    fn is_new(&mut self, stream: usize, id: u64) -> bool {
        let last = self.last.entry(stream).or_default();
        if *last == id || !self.ids.add((stream, id)) {
            return false;
        }
        *last = id.max(*last);
        true
    }
}

impl Seen {
    fn is_new(&mut self, recorder: usize, frame: Frame<'_>) -> bool {
        let (stamp, stream) = (frame.line.stamp(), frame.stream);
        self.forget(stamp);
        // The events of a recorder are its own.
        if *stream == StreamKey::recorder() {
            return true;
        }
        let id = match stream.kind() {
            "trade" => TradeKey::recorded(frame.line.text()),
            "trade.healed" => TradeKey::healed(frame.line.text()),
            _ => None,
        };
        match id {
            Some(TradeKey { id, .. }) => self.trades.is_new(frame.owner, id),
            None => self.is_new_frame(recorder, (frame.place, digest(frame.line)), stamp),
        }
    }

    /// Two equal frames of one recorder are two, and another one's are the same two.
    fn is_new_frame(&mut self, recorder: usize, key: Key, stamp: Stamp) -> bool {
        let waiting = self.frames.entry(key).or_default();
        if let Some(place) = waiting.iter().position(|(other, _)| *other != recorder) {
            waiting.remove(place);
            return false;
        }
        waiting.push_back((recorder, stamp));
        self.order.push_back((stamp, key));
        true
    }

    fn forget(&mut self, now: Stamp) {
        while let Some((at, key)) = self.pop_apart(now) {
            if let Some(waiting) = self.frames.get_mut(&key) {
                waiting.retain(|(_, stamp)| *stamp > at);
                if waiting.is_empty() {
                    self.frames.remove(&key);
                }
            }
        }
    }

    /// The first frame, if it cannot be the same as one of `now`: it is older, or a clock was set back behind it.
    fn pop_apart(&mut self, now: Stamp) -> Option<(Stamp, Key)> {
        let (stamp, _) = self.order.front()?;
        let is_apart = now.since(*stamp).max(stamp.since(now)) > APART;
        if is_apart { self.order.pop_front() } else { None }
    }
}

/// A part of the SHA-256 of what was received: enough that no two frames of seconds have the same.
fn digest(line: &Line) -> [u8; 16] {
    let comma = memchr::memchr(b',', line.text()).unwrap_or_default();
    let hash = Sha256::digest(&line.text()[comma..]);
    let mut digest = [0; 16];
    digest.copy_from_slice(&hash[..16]);
    digest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::disk::Disk;
    use crate::reading::streams::Place;
    use crate::tape::reader::Tape;
    use std::fs;

    /// 2026-11-22T00:00:00Z.
    const MIDNIGHT: u64 = 1_795_305_600_000_000;

    /// A stream, and its lines as seconds and text.
    type File<'a> = (&'a str, &'a [(u64, &'a str)]);

    /// The union of recorders with these files each.
    fn union(recorders: &[&[File<'_>]]) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        let recorders = recorders.iter().enumerate().map(|(number, files)| {
            let own = directory.path().join(number.to_string());
            fs::create_dir(&own).unwrap();
            for (stream, lines) in *files {
                let text = lines.iter().map(|(second, text)| {
                    format!("{{\"ts_recv\":{},{text}}}\n", MIDNIGHT + second * 1_000_000 + number as u64)
                });
                fs::write(own.join(format!("{stream}.jsonl")), text.collect::<String>()).unwrap();
            }
            let tape = Tape::new(Disk::readable(&own).unwrap(), &own);
            let lines = tape.lines_of(&|_| true, Stamp::default()..=Stamp::MAX).unwrap();
            let named = |(stream, lines)| (Named { place: Place::Public, stream }, lines);
            lines.into_iter().map(named).collect()
        });
        let union = Union::new(recorders.collect());
        let shown = union.map(|item| {
            let line = item.unwrap().line;
            let second = (line.stamp().as_micros() - MIDNIGHT) / 1_000_000;
            format!("{second} {}", String::from_utf8(line.object()).unwrap())
        });
        shown.collect()
    }

    #[test]
    fn a_frame_of_both_is_one_and_two_of_one_are_two() {
        let book = "KRW-BTC_orderbook";
        let found = union(&[
            &[(book, &[(1, "\"a\":1"), (2, "\"a\":1"), (9, "\"a\":2"), (30, "\"a\":1")])],
            &[(book, &[(1, "\"a\":1"), (3, "\"a\":1"), (5, "\"a\":9"), (11, "\"a\":2"), (50, "\"a\":1")])],
        ]);
        let wanted = ["1 {\"a\":1}", "2 {\"a\":1}", "5 {\"a\":9}", "9 {\"a\":2}", "30 {\"a\":1}", "50 {\"a\":1}"];
        assert_eq!(found, wanted);
        let (one, two, same) = ([1, 2], [3, 4, 5], "\"a\":1");
        let found =
            union(&[&[(book, &one.map(|second| (second, same)))], &[(book, &two.map(|second| (second, same)))]]);
        assert_eq!(found, ["1 {\"a\":1}", "2 {\"a\":1}", "5 {\"a\":1}"], "one had two of them, the other three");
    }

    #[test]
    fn a_trade_is_one_recorded_or_healed_however_late() {
        let (trade, healed) = ("KRW-BTC_trade", "KRW-BTC_trade.healed");
        let (first, missed) = ("\"ttms\":1,\"sid\":1", "\"gap\":9,\"timestamp\":2,\"sequential_id\":2");
        let found = union(&[
            // One has missed a trade that the other has recorded, and both have missed another one.
            &[(trade, &[(1, first)]), (healed, &[(300, missed)])],
            &[(trade, &[]), (healed, &[(1_500, missed), (1_501, "\"gap\":9,\"timestamp\":1,\"sequential_id\":1")])],
        ]);
        assert_eq!(found, [format!("1 {{{first}}}"), format!("300 {{{missed}}}")]);
    }

    #[test]
    fn nothing_is_held_behind_a_step_back() {
        let mut seen = Seen::default();
        let book = StreamKey::from_stem("KRW-BTC_orderbook").unwrap();
        for second in (0..1_000).map(|second| second + 7_200).chain(0..7_000) {
            let text = format!("{{\"ts_recv\":{},\"a\":{second}}}", MIDNIGHT + second * 1_000_000);
            let line = Line::parse(0, text.as_bytes()).unwrap();
            assert!(seen.is_new(0, Frame { place: 0, owner: 0, stream: &book, line: &line }));
        }
        assert!(seen.order.len() < 10 && seen.frames.len() < 10, "{}", seen.order.len());
    }

    #[test]
    fn a_trade_is_one_by_its_id_whoever_spelt_it() {
        let trade = "KRW-BTC_trade";
        let found = union(&[
            &[(trade, &[(1, "\"ttms\":1,\"sid\":1"), (4, "\"ttms\":4,\"sid\":4"), (7_000, "\"ttms\":4,\"sid\":4")])],
            &[
                (
                    trade,
                    &[
                        (2, "\"trade_timestamp\":1,\"sequential_id\":1"),
                        (3, "\"trade_timestamp\":3,\"sequential_id\":3"),
                    ],
                ),
                ("recorder", &[(2, "\"event\":\"live\"")]),
            ],
        ]);
        let wanted = [
            "1 {\"ttms\":1,\"sid\":1}",
            "2 {\"event\":\"live\"}",
            "3 {\"trade_timestamp\":3,\"sequential_id\":3}",
            "4 {\"ttms\":4,\"sid\":4}",
        ];
        assert_eq!(found, wanted);
    }
}
