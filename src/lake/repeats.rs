//! Trades that another row has: what a snapshot repeats, and what was healed twice.

use crate::clock::Stamp;
use crate::reading::remembered::Remembered;
use crate::reading::trade::TradeKey;
use crate::tape::reader::{Tape, TapeError};
use crate::tape::stream_key::StreamKey;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Ids that are remembered, in 6 MiB: those of some hours of the busiest pair. A repeat follows within seconds, and what was
/// healed within minutes.
const REMEMBERED: usize = 1 << 18;

/// How far a receive time may be from the trade's, by a clock that is wrong.
const CLOCK_ERROR: Duration = Duration::from_secs(600);

/// How far back it is looked whether a day before had the trade that a snapshot brings, beside the time of the trade itself, or
/// that was healed.
const LOOKED_BACK: Duration = Duration::from_secs(2 * 86_400);

/// How a trade came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// As it happened.
    Live,
    /// As the last one when a connection began.
    Snapshot,
    /// It was missed, and fetched.
    Healed,
}

/// The trades of a day that were seen.
#[derive(Debug)]
pub(super) struct Repeats {
    tape: Tape,
    stream: StreamKey,
    /// When the day begins.
    begin: Stamp,
    seen: Remembered,
    /// What was healed on the days before, read once it is asked for.
    healed_before: Option<Remembered>,
}

impl Repeats {
    pub(super) fn new(tape: Tape, stream: StreamKey, begin: Stamp) -> Self {
        Self { tape, stream, begin, seen: Remembered::new(REMEMBERED), healed_before: None }
    }

    /// Whether a trade was there before, on this day or an earlier one.
    pub(super) fn holds(&mut self, trade: TradeKey, came: Came) -> Result<bool, TapeError> {
        if !self.seen.add(trade.id) {
            return Ok(true);
        }
        // A clock that is behind has received it on the day before its own time.
        let is_older = trade.time < self.begin.after(CLOCK_ERROR).as_millis();
        match came {
            Came::Snapshot if is_older => self.is_recorded(trade),
            Came::Healed if is_older => self.is_healed_before(trade.id),
            _ => Ok(false),
        }
    }

    /// Whether it was healed on a day before: around midnight a gap may be healed once more.
    fn is_healed_before(&mut self, id: u64) -> Result<bool, TapeError> {
        if self.healed_before.is_none() {
            let mut found = Remembered::new(REMEMBERED);
            let span = self.begin.before(LOOKED_BACK)..=self.begin.previous();
            if let Some(healed) = self.stream.healed() {
                let lines = self.tape.lines(&healed, span)?.flatten();
                for trade in lines.filter_map(|line| TradeKey::healed(line.text())) {
                    found.add(trade.id);
                }
            }
            self.healed_before = Some(found);
        }
        Ok(self.healed_before.as_ref().is_some_and(|found| found.holds(id)))
    }

    /// Whether a day before has it, recorded or healed.
    fn is_recorded(&self, trade: TradeKey) -> Result<bool, TapeError> {
        let micros = u64::try_from(trade.time.saturating_mul(1_000)).unwrap_or_default();
        let Some(moment) = Stamp::from_micros(micros) else { return Ok(false) };
        let last = self.begin.previous();
        let (near, recent) =
            (moment.before(CLOCK_ERROR)..=moment.after(CLOCK_ERROR).min(last), self.begin.before(LOOKED_BACK));
        let spans = match near.end() < &recent {
            true => vec![near, recent..=last],
            false => vec![*near.start()..=last],
        };
        for span in spans {
            if self.has(&span, trade)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn has(&self, span: &RangeInclusive<Stamp>, trade: TradeKey) -> Result<bool, TapeError> {
        let of = |stream: &StreamKey, key: fn(&[u8]) -> Option<TradeKey>| -> Result<bool, TapeError> {
            // What is damaged there is told where that day is read.
            let mut lines = self.tape.lines(stream, span.clone())?.flatten();
            Ok(lines.any(|line| key(line.text()).is_some_and(|key| key.id == trade.id)))
        };
        Ok(of(&self.stream, TradeKey::recorded)?
            || self.stream.healed().map_or(Ok(false), |healed| of(&healed, TradeKey::healed))?)
    }
}
