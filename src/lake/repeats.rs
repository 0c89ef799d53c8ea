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

/// How far back it is looked whether a day before had the trade that a snapshot brings, beside the time of the trade itself.
const LOOKED_BACK: Duration = Duration::from_secs(2 * 86_400);

/// The trades of a day that were seen.
#[derive(Debug)]
pub(super) struct Repeats {
    tape: Tape,
    stream: StreamKey,
    /// When the day begins.
    begin: Stamp,
    seen: Remembered,
}

impl Repeats {
    pub(super) fn new(tape: Tape, stream: StreamKey, begin: Stamp) -> Self {
        Self { tape, stream, begin, seen: Remembered::new(REMEMBERED) }
    }

    /// Whether a trade was there before, on this day or an earlier one.
    pub(super) fn holds(&mut self, trade: TradeKey, is_snapshot: bool) -> Result<bool, TapeError> {
        if !self.seen.add(trade.id) {
            return Ok(true);
        }
        let is_older = trade.time < self.begin.as_millis();
        if is_snapshot && is_older { self.is_recorded(trade) } else { Ok(false) }
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
            for line in self.tape.lines(stream, span.clone())? {
                if key(line?.text()).is_some_and(|key| key.id == trade.id) {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        Ok(of(&self.stream, TradeKey::recorded)?
            || self.stream.healed().map_or(Ok(false), |healed| of(&healed, TradeKey::healed))?)
    }
}
