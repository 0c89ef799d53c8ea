//! One pair of the sample market: its book and its trades at any moment, all following from the seed.

use super::book::{Book, Level};
use super::chance::{Beat, MAX_TRADES, Path, SLOT_MILLIS, Seed, Tape};
use super::listing::{Listing, Quote};
use super::sums::Hours;
use super::ticks::{UNIT, above, round_down};

/// How long after it happened something is sent, in milliseconds; the frame's own time lies between the two.
pub(crate) const LAG_MILLIS: u64 = 60;

/// Which side took the trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// A seller took the best bid.
    Ask,
    /// A buyer took the best ask.
    Bid,
}

impl Side {
    /// The name on the wire.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ask => "ASK",
            Self::Bid => "BID",
        }
    }
}

/// One trade; price and volume in units of 10^-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trade {
    /// When it happened, in milliseconds since the epoch.
    pub(crate) millis: u64,
    /// What was paid.
    pub(crate) price: u64,
    /// How much changed hands.
    pub(crate) volume: u64,
    /// Who took it.
    pub(crate) side: Side,
    /// Unique per pair, above 2^53, and now and then not in order.
    pub(crate) id: u64,
}

/// One pair.
#[derive(Debug)]
pub(crate) struct Instrument {
    /// What it is called and about what it costs.
    pub(crate) listing: Listing,
    /// When it trades.
    pub(crate) tape: Tape,
    /// What was summed up before.
    pub(super) hours: Hours,
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

    /// The slot whose book stands at `slot`: that of the last beat before its end.
    pub(crate) fn book_slot(&self, slot: u64) -> u64 {
        self.tape.beats_before(slot + 1).next().map_or(0, |beat| beat.slot)
    }

    /// The last trade before a slot; `None` within the first cells after the epoch.
    pub(crate) fn last_trade_before(&self, slot: u64) -> Option<Trade> {
        // A beat without a trade is common, a hundred of them in a row do not happen.
        let beats = self.tape.beats_before(slot).take(1_000);
        beats.filter(|beat| beat.trades > 0).find_map(|beat| self.trades(beat).next_back())
    }

    /// What the price can never exceed, and never fall below, in units of 10^-8.
    pub(crate) fn bounds(&self) -> (u64, u64) {
        let (low, high) = self.path.bounds();
        let quote = self.listing.quote;
        (round_down(quote, low), above(quote, round_down(quote, high)))
    }

    /// The best bid of a slot.
    fn best_bid(&self, slot: u64) -> u64 {
        round_down(self.listing.quote, self.path.at(slot * SLOT_MILLIS))
    }

    /// What is offered at a price: it changes every 1.6 s, for each price at its own moment.
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

/// Milliseconds and a running number, as the exchange does it; one in fifty claims to be 1.5 s older than it is.
fn identifier(millis: u64, index: u64, seed: Seed) -> u64 {
    let late = seed.below(3, 50) == 0;
    if late { (millis - 1_500) * 10_000 + MAX_TRADES + index } else { millis * 10_000 + index }
}

/// When a trade with this identifier happened, in milliseconds.
pub(crate) fn millis_of(id: u64) -> u64 {
    let late = id % 10_000 >= MAX_TRADES;
    id / 10_000 + if late { 1_500 } else { 0 }
}
