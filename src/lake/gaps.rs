//! The gaps of a day, stream by stream: which rows have one in front of them. Pure.

use super::metadata::GapNote;
use crate::clock::{Position, Stamp};
use crate::tape::day_summary::span;
use crate::tape::gap::{GapRecord, Touched};
use crate::tape::reader::{SealedStream, ToldGap, ToldGaps};
use crate::tape::stream_key::StreamKey;
use crate::upbit::feed::Feed;
use jiff::civil::Date;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Days before a day of which it is known where a stream ended. A stream without a line in a month has been closed, and its
/// first row is behind each gap since.
pub(super) const LOOKED_BACK: u32 = 31;

/// How long before what is needed gaps are read: stamps of another epoch may be earlier by what a clock was set back.
const BEFORE: Duration = DAY;

const DAY: Duration = Duration::from_secs(86_400);

/// The gaps that a day's rows may have in front of them.
#[derive(Debug)]
pub(super) struct Gaps {
    begin: Stamp,
    end: Stamp,
    known: Vec<Known>,
}

#[derive(Debug)]
struct Known {
    epoch: u64,
    gap: GapRecord,
    streams: Touched,
}

/// The same of one stream.
#[derive(Clone, Debug, Default)]
pub(super) struct StreamGaps {
    /// Where the stream ended before the day.
    pub(super) before: Option<Position>,
    /// Those that touch the day.
    pub(super) notes: Vec<GapNote>,
    /// The ends of those that no row was behind yet, in order.
    ends: VecDeque<Position>,
}

/// Since when gaps have to be read at least.
pub(super) fn near(date: Date) -> Stamp {
    span(date).map_or(Stamp::default(), |(begin, _)| begin.before(BEFORE))
}

/// Since when gaps have to be read for a day: since the ends of its streams before it.
pub(super) fn needed_since(
    date: Date,
    streams: &BTreeMap<StreamKey, SealedStream>,
    ends: &BTreeMap<StreamKey, Position>,
) -> Stamp {
    let begin = span(date).map_or(Stamp::default(), |(begin, _)| begin);
    let mut own = streams.iter().filter(|(stream, sealed)| stream.healed().is_some() && sealed.begin().is_some());
    let first = match own.all(|(stream, _)| ends.contains_key(stream)) {
        true => ends.values().map(|end| end.stamp).min().map_or(begin, |first| first.min(begin)),
        false => begin.before(DAY * LOOKED_BACK),
    };
    first.before(BEFORE)
}

impl Gaps {
    pub(super) fn of(told: &ToldGaps, date: Date, since: Stamp) -> Self {
        let (begin, end) = span(date).unwrap_or((Stamp::MAX, Stamp::MAX));
        let near = |told: &ToldGap<'_>| told.gap.from < end && since <= told.gap.to;
        let known = told.of_feed(Feed::Public).filter(near).map(|ToldGap { epoch, gap }| Known {
            epoch,
            gap: gap.clone(),
            streams: gap.touched(),
        });
        Self { begin, end, known: known.collect() }
    }

    /// Those of a stream, and where it ended before the day, if that is known.
    pub(super) fn of_stream(&self, stream: &str, before: Option<Position>) -> StreamGaps {
        let own = || self.known.iter().filter(|known| known.streams.holds(stream));
        let touching = own().filter(|known| known.gap.from < self.end && self.begin <= known.gap.to);
        let ends = own().map(|known| Position { epoch: known.epoch, stamp: known.gap.to });
        let mut ends: Vec<Position> = ends.filter(|end| before.is_none_or(|before| before < *end)).collect();
        ends.sort_unstable();
        let notes = touching.map(|known| GapNote::of(known.epoch, &known.gap)).collect();
        StreamGaps { before, notes, ends: ends.into() }
    }
}

impl StreamGaps {
    /// Whether a gap ended between the row before and the one at `position`.
    pub(super) fn pass(&mut self, position: Position) -> bool {
        let mut is_behind = false;
        while self.ends.front().is_some_and(|end| *end <= position) {
            self.ends.pop_front();
            is_behind = true;
        }
        is_behind
    }
}
