//! One pair of the sample market: its book and its trades at any moment, all following from the seed.

use super::book::{Book, Level};
use super::chance::{Beat, Path, SLOT_MILLIS, Seed, Tape};
use super::listing::{Listing, Quote};
use super::sums::{Candle, HOUR_MILLIS, Hours};
use super::ticks::{UNIT, above, round_down};
use super::trade::{Side, Trade, identifier};

/// The delay from an event to its frame, in milliseconds; the frame's timestamp lies between the two.
pub(crate) const LAG_MILLIS: u64 = 60;

/// One pair.
#[derive(Debug)]
pub(crate) struct Instrument {
    /// Its names and approximate price.
    pub(crate) listing: Listing,
    /// When it trades.
    pub(crate) tape: Tape,
    /// Cached sums of whole hours.
    hours: Hours,
    seed: Seed,
    path: Path,
}

impl Instrument {
    /// A pair; `seed` is its own.
    pub(crate) fn new(listing: Listing, tape: Tape, seed: Seed) -> Self {
        let path = Path::new(seed.part(0), listing.price);
        Self { listing, tape, hours: Hours::default(), seed, path }
    }

    /// The trades of one beat, oldest first.
    pub(crate) fn trades(&self, beat: Beat) -> impl DoubleEndedIterator<Item = Trade> {
        let bid = self.best_bid(beat.slot);
        let ask = above(self.listing.quote, bid);
        let seed = self.seed.part(1).part(beat.slot);
        (0..beat.trades).map(move |index| {
            let seed = seed.part(index);
            let side = if seed.below(0, 2) == 0 { Side::Ask } else { Side::Bid };
            let price = if side == Side::Ask { bid } else { ask };
            let millis = beat.slot * SLOT_MILLIS + index * SLOT_MILLIS / beat.trades;
            Trade { millis, price, volume: self.volume(price, seed.unit(1)), side, id: identifier(millis, index, seed) }
        })
    }

    /// The trades of `from..to`, in milliseconds since the epoch, oldest first. Both ends must lie on the grid of slots.
    pub(crate) fn trades_between(&self, from: u64, to: u64) -> impl Iterator<Item = Trade> {
        let beats = self.tape.beats(from / SLOT_MILLIS, to.div_ceil(SLOT_MILLIS));
        beats.flat_map(move |beat| self.trades(beat))
    }

    /// The candle of `from..to`; `None` where nothing was traded. Whole hours are computed once.
    pub(crate) fn candle(&self, from: u64, to: u64) -> Option<Candle> {
        let (first, last) = (from.div_ceil(HOUR_MILLIS), to / HOUR_MILLIS);
        if first >= last {
            return self.summed(from, to);
        }
        let before = self.summed(from, first * HOUR_MILLIS);
        let hour = |hour: u64| self.hours.get(hour, || self.summed(hour * HOUR_MILLIS, (hour + 1) * HOUR_MILLIS));
        let whole = (first..last).map(hour).fold(before, Candle::joined);
        Candle::joined(whole, self.summed(last * HOUR_MILLIS, to))
    }

    /// The book as it stands in a slot, all 30 pairs.
    pub(crate) fn book(&self, slot: u64) -> Book {
        let bid = self.best_bid(slot);
        Book::around(bid, self.listing.quote, |price, side| {
            let is_best = price == bid || price == above(self.listing.quote, bid);
            (is_best || !self.is_empty(price)).then(|| self.level(slot, price, side))
        })
    }

    /// The best ask and the best bid of a slot.
    pub(crate) fn best(&self, slot: u64) -> (Level, Level) {
        let bid = self.best_bid(slot);
        let ask = above(self.listing.quote, bid);
        (self.level(slot, ask, Side::Ask), self.level(slot, bid, Side::Bid))
    }

    /// The slot whose book is current at `slot`: that of the last beat before its end.
    pub(crate) fn book_slot(&self, slot: u64) -> u64 {
        self.tape.beats_before(slot + 1).next().map_or(0, |beat| beat.slot)
    }

    /// The last trade before a slot; `None` within the first cells after the epoch.
    pub(crate) fn last_trade_before(&self, slot: u64) -> Option<Trade> {
        // A beat without a trade is common, a hundred of them in a row do not happen.
        let beats = self.tape.beats_before(slot).take(1_000);
        beats.filter(|beat| beat.trades > 0).find_map(|beat| self.trades(beat).next_back())
    }

    /// The lower and upper bound of the price, in units of 10^-8.
    pub(crate) fn bounds(&self) -> (u64, u64) {
        let (low, high) = self.path.bounds();
        let quote = self.listing.quote;
        (round_down(quote, low), above(quote, round_down(quote, high)))
    }

    fn summed(&self, from: u64, to: u64) -> Option<Candle> {
        self.trades_between(from, to).fold(None, |candle, trade| Some(Candle::grown(candle, trade)))
    }

    /// The best bid of a slot.
    fn best_bid(&self, slot: u64) -> u64 {
        round_down(self.listing.quote, self.path.at(slot * SLOT_MILLIS))
    }

    /// The volume offered at a price: it changes every 1.6 s, with a phase of its own for each price.
    fn level(&self, slot: u64, price: u64, side: Side) -> Level {
        let seed = self.seed.part(2).part(price).part(side as u64);
        let era = (slot + seed.below(0, 16)) / 16;
        Level { price, size: self.volume(price, seed.unit(era + 1)) * 4 }
    }

    /// Books have holes: a third of the prices, always the same ones, but never the best.
    fn is_empty(&self, price: u64) -> bool {
        self.seed.part(3).below(price, 3) == 0
    }

    /// A volume worth between about 4 and 4,000 dollars, evenly over the powers of ten.
    fn volume(&self, price: u64, chance: f64) -> u64 {
        let smallest = match self.listing.quote {
            Quote::Krw => 5_000.0,
            Quote::Btc => 0.000_05,
            Quote::Usdt => 4.0,
        };
        let worth = smallest * 10f64.powf(3.0 * chance);
        ((worth / (price as f64 / UNIT as f64) * UNIT as f64) as u64).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::market::Market;

    #[test]
    fn over_hours_a_candle_is_still_the_sum_of_its_trades() {
        let opened = 1_795_317_064_000;
        let market = Market::new(1, 60.0, 1, opened);
        let instrument = market.instrument(0);
        let (from, to) = (opened - 5 * HOUR_MILLIS, opened + HOUR_MILLIS / 2);
        let candle = instrument.candle(from, to);
        assert!(candle.is_some());
        assert_eq!(candle, instrument.summed(from, to));
        assert_eq!(candle, instrument.candle(from, to));
    }
}
