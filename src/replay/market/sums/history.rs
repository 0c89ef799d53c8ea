//! Queries of history: candles and trades before a time, newest first.

use super::candle::Candle;
use crate::replay::market::chance::SLOT_MILLIS;
use crate::replay::market::instrument::Instrument;
use crate::replay::market::trade::Trade;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// How far back the market's history reaches from its opening: more than a year, so that 200 days and a yearly candle
/// can be queried, and little enough to be summed within a second.
pub(crate) const HISTORY_MILLIS: u64 = 400 * 86_400_000;

/// The length of a candle over REST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Period {
    /// Some seconds, counted from the epoch.
    Seconds(u64),
    /// From Monday, UTC.
    Week,
    /// From the first of a month, UTC.
    Month,
    /// From the first of January, UTC.
    Year,
}

impl Period {
    /// One day.
    pub(crate) const DAY: Self = Self::Seconds(86_400);

    /// When the period that a moment lies in began, both in milliseconds since the epoch.
    pub(crate) fn start_of(self, millis: u64) -> u64 {
        /// The epoch was a Thursday: the first Monday came four days later.
        const WEEK: u64 = 7 * 86_400_000;
        const MONDAY: u64 = 4 * 86_400_000;
        match self {
            Self::Seconds(seconds) => millis - millis % (seconds * 1_000),
            Self::Week => millis - (millis + WEEK - MONDAY) % WEEK,
            Self::Month => civil(millis, |at| (at.year(), at.month())),
            Self::Year => civil(millis, |at| (at.year(), 1)),
        }
    }
}

/// The first of the month that `first` finds for a moment.
fn civil(millis: u64, first: impl Fn(DateTime) -> (i16, i8)) -> u64 {
    let timestamp = jiff::Timestamp::from_millisecond(i64::try_from(millis).unwrap_or(i64::MAX));
    let (year, month) = first(Offset::UTC.to_datetime(timestamp.unwrap_or(jiff::Timestamp::MAX)));
    let start = Offset::UTC.to_timestamp(jiff::civil::date(year, month, 1).into());
    start.map_or(0, |start| u64::try_from(start.as_millisecond()).unwrap_or(0))
}

/// The trades before `to` and not before `from`, in milliseconds since the epoch, newest first.
pub(crate) fn trades_before(instrument: &Instrument, from: u64, to: u64) -> impl Iterator<Item = Trade> {
    let beats = instrument.tape.beats_before(to.div_ceil(SLOT_MILLIS));
    let beats = beats.take_while(move |beat| beat.slot >= from / SLOT_MILLIS);
    let trades = beats.flat_map(|beat| instrument.trades(beat).rev());
    trades.skip_while(move |trade| trade.millis >= to).take_while(move |trade| trade.millis >= from)
}

/// A query for candles; times are in milliseconds since the epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CandleQuery {
    /// The length of each.
    pub(crate) period: Period,
    /// None begins before it.
    pub(crate) from: u64,
    /// All begin before it.
    pub(crate) to: u64,
    /// Trades from here on have not happened yet.
    pub(crate) now: u64,
    /// How many, at most.
    pub(crate) count: usize,
}

/// Candles of whole periods, newest first, each with its start. Periods without a trade have none.
pub(crate) fn candles_before(instrument: &Instrument, query: &CandleQuery) -> Vec<(u64, Candle)> {
    let CandleQuery { period, from, to, now, count } = *query;
    let mut candles: Vec<(u64, Candle)> = Vec::new();
    // A candle that begins before `to` may end after it.
    let end = match period.start_of(to) {
        start if start == to => to,
        start => next_start(period, start),
    };
    for trade in trades_before(instrument, from, end.min(now)) {
        let start = period.start_of(trade.millis);
        let is_full = candles.len() == count;
        match candles.last_mut() {
            Some((of, candle)) if *of == start => candle.add_earlier(&trade),
            _ if is_full => break,
            _ => candles.push((start, Candle::of(trade))),
        }
    }
    candles
}

fn next_start(period: Period, start: u64) -> u64 {
    // The longest of each: the start of the period that this moment lies in is the next one's.
    let days = match period {
        Period::Seconds(seconds) => return start + seconds * 1_000,
        Period::Week => 7,
        Period::Month => 31,
        Period::Year => 366,
    };
    period.start_of(start + days * 86_400_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::market::Market;

    const NOW: u64 = 1_795_317_064_154;

    fn millis(text: &str) -> u64 {
        text.parse::<jiff::Timestamp>().unwrap().as_millisecond() as u64
    }

    fn minutes(to: u64, count: usize) -> CandleQuery {
        CandleQuery { period: Period::Seconds(60), from: 0, to, now: NOW, count }
    }

    #[test]
    fn periods_begin_where_the_calendar_says() {
        let at = millis("2026-11-22T03:11:04Z");
        assert_eq!(Period::Seconds(60).start_of(at), millis("2026-11-22T03:11:00Z"));
        assert_eq!(Period::DAY.start_of(at), millis("2026-11-22T00:00:00Z"));
        assert_eq!(Period::Week.start_of(at), millis("2026-11-16T00:00:00Z"));
        assert_eq!(Period::Month.start_of(at), millis("2026-11-01T00:00:00Z"));
        assert_eq!(Period::Year.start_of(at), millis("2026-01-01T00:00:00Z"));
        assert_eq!(next_start(Period::Month, millis("2026-02-01T00:00:00Z")), millis("2026-03-01T00:00:00Z"));
        assert_eq!(next_start(Period::Year, millis("2026-01-01T00:00:00Z")), millis("2027-01-01T00:00:00Z"));
    }

    #[test]
    fn asked_backwards_a_candle_is_the_same_as_summed_forwards() {
        let market = Market::new(2, 40.0, 1, NOW);
        let instrument = market.instrument(1);
        let candles = candles_before(instrument, &minutes(NOW, 50));
        assert_eq!(candles.len(), 50);
        for (start, candle) in candles.into_iter().skip(1) {
            assert_eq!(instrument.candle(start, start + 60_000), Some(candle));
        }
    }

    #[test]
    fn paging_by_the_oldest_leaves_nothing_out() {
        let market = Market::new(1, 40.0, 1, NOW);
        let page = |to, count| candles_before(market.instrument(0), &minutes(to, count));
        let whole = page(NOW, 30);
        let first = page(NOW, 10);
        let second = page(first[9].0, 20);
        assert_eq!([first, second].concat(), whole);
    }
}
