//! The sums behind the ticker of a pair: the day since midnight UTC and the last 24 hours, kept trade by trade.

use super::candle::{Candle, Volumes};
use crate::replay::market::chance::SLOT_MILLIS;
use crate::replay::market::instrument::Instrument;
use crate::replay::market::trade::Trade;

/// A day, in milliseconds.
pub(crate) const DAY_MILLIS: u64 = 86_400_000;

/// The sums behind one pair's ticker.
#[derive(Clone, Debug)]
pub(crate) struct Rolling {
    /// The last trade before midnight UTC: the base of all changes.
    pub(crate) previous_close: u64,
    /// The trades since midnight UTC.
    pub(crate) today: Option<Candle>,
    /// The last trade of all.
    pub(crate) last: Option<Trade>,
    /// The trades of the last 24 hours, to the slot.
    pub(crate) last_24h: Volumes,
    day: u64,
    /// The first slot whose trades are still counted in `last_24h`.
    tail: u64,
}

impl Rolling {
    /// The sums as they stand at the beginning of a slot.
    pub(crate) fn at(instrument: &Instrument, slot: u64) -> Self {
        let now = slot * SLOT_MILLIS;
        let midnight = now - now % DAY_MILLIS;
        let today = instrument.candle(midnight, now);
        let last_24h = instrument.candle(now - DAY_MILLIS, now).map(|candle| candle.volumes).unwrap_or_default();
        let last = instrument.last_trade_before(slot);
        let tail = slot - DAY_MILLIS / SLOT_MILLIS;
        Self {
            previous_close: previous_close(instrument, midnight),
            today,
            last,
            last_24h,
            day: now / DAY_MILLIS,
            tail,
        }
    }

    /// Today's candle; where nothing was traded yet, all its prices are that of the last trade.
    pub(crate) fn today_or_quiet(&self, last: &Trade) -> Candle {
        self.today.unwrap_or_else(|| Candle::of(Trade { volume: 0, ..*last }))
    }

    /// Counts the next trade.
    pub(crate) fn add(&mut self, instrument: &Instrument, trade: Trade) {
        let day = trade.millis / DAY_MILLIS;
        if day > self.day {
            self.day = day;
            self.previous_close = self.last.map_or(self.previous_close, |last| last.price);
            self.today = None;
        }
        let tail = trade.millis / SLOT_MILLIS - DAY_MILLIS / SLOT_MILLIS;
        if tail > self.tail {
            instrument
                .trades_between(self.tail * SLOT_MILLIS, tail * SLOT_MILLIS)
                .for_each(|old| self.last_24h.remove(&old));
            self.tail = tail;
        }
        self.today = Some(Candle::grown(self.today, trade));
        self.last_24h.add(&trade);
        self.last = Some(trade);
    }
}

/// The last price before a midnight.
pub(crate) fn previous_close(instrument: &Instrument, midnight: u64) -> u64 {
    let slot = midnight / SLOT_MILLIS;
    instrument.last_trade_before(slot).map_or_else(|| instrument.best(slot).1.price, |trade| trade.price)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::market::Market;

    #[test]
    fn kept_trade_by_trade_the_sums_are_those_of_the_tape() {
        let midnight = 1_795_305_600_000;
        let market = Market::new(3, 90.0, 1, midnight - 600_000);
        let instrument = market.instrument(1);
        let mut rolling = Rolling::at(instrument, (midnight - 600_000) / SLOT_MILLIS);
        for trade in instrument.trades_between(midnight - 600_000, midnight + 600_000) {
            rolling.add(instrument, trade);
        }
        let last_slot = rolling.last.unwrap().millis / SLOT_MILLIS;
        let fresh = Rolling::at(instrument, last_slot + 1);
        assert_eq!(rolling.previous_close, fresh.previous_close);
        assert_eq!(rolling.today, fresh.today);
        // The fresh sums have left the slot exactly a day before the last trade.
        let left = (last_slot - 864_000) * SLOT_MILLIS;
        instrument.trades_between(left, left + SLOT_MILLIS).for_each(|trade| rolling.last_24h.remove(&trade));
        assert_eq!(rolling.last_24h, fresh.last_24h);
    }
}
