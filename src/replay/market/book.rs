//! A whole order book: 30 asks above the best bid, 30 bids from it down.

use super::listing::Quote;
use super::ticks::{above, below};
use super::trade::Side;

/// How many price levels a side of the exchange's books has.
pub(crate) const DEPTH: usize = 30;

/// How many prices are searched for the 30 that have offers: with a third of them empty, 30 are found long before.
const REACH: usize = 200;

/// A price and the volume offered there, in units of 10^-8; all zero where a thin side ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Level {
    /// The price.
    pub(crate) price: u64,
    /// The volume.
    pub(crate) size: u64,
}

/// How much of a book is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BookView {
    /// Price levels a side.
    pub(crate) depth: usize,
    /// The grouping of the prices in units of 10^-8; 0: none.
    pub(crate) level: u64,
}

/// Both sides, best first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Book {
    /// Offers to sell, the cheapest first.
    pub(crate) asks: [Level; DEPTH],
    /// Offers to buy, the dearest first.
    pub(crate) bids: [Level; DEPTH],
}

impl Book {
    /// The book whose best bid is `bid`; `level` is the offer at a price.
    pub(crate) fn around(bid: u64, quote: Quote, level: impl Fn(u64, Side) -> Option<Level>) -> Self {
        let asks = std::iter::successors(Some(above(quote, bid)), |price| Some(above(quote, *price)));
        let bids = std::iter::successors(Some(bid), |price| below(quote, *price));
        Self {
            asks: filled(asks.take(REACH), |price| level(price, Side::Ask)),
            bids: filled(bids.take(REACH), |price| level(price, Side::Bid)),
        }
    }

    /// The book with prices that are multiples of `step` only: asks rounded up, bids down, equal prices merged. A
    /// `step` of 0 groups nothing.
    pub(crate) fn grouped(self, step: u64) -> Self {
        if step == 0 {
            return self;
        }
        Self {
            asks: merged(&self.asks, |price| price.next_multiple_of(step)),
            bids: merged(&self.bids, |price| price - price % step),
        }
    }

    /// The total volumes of the asks and the bids.
    pub(crate) fn totals(&self) -> (u128, u128) {
        let total = |side: &[Level]| side.iter().map(|level| u128::from(level.size)).sum();
        (total(&self.asks), total(&self.bids))
    }
}

/// The first levels that exist, padded with zeros.
fn filled(prices: impl Iterator<Item = u64>, level: impl Fn(u64) -> Option<Level>) -> [Level; DEPTH] {
    let mut side = [Level::default(); DEPTH];
    side.iter_mut().zip(prices.filter_map(level)).for_each(|(place, offer)| *place = offer);
    side
}

fn merged(side: &[Level], round: impl Fn(u64) -> u64) -> [Level; DEPTH] {
    let mut merged = [Level::default(); DEPTH];
    let mut used = 0;
    for level in side.iter().filter(|level| level.size > 0) {
        let price = round(level.price);
        if used > 0 && merged[used - 1].price == price {
            merged[used - 1].size += level.size;
        } else {
            merged[used] = Level { price, size: level.size };
            used += 1;
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thin_side_is_padded_with_zeros() {
        let book = Book::around(3, Quote::Btc, |price, _| Some(Level { price, size: 7 }));
        let prices: Vec<u64> = book.bids.iter().map(|level| level.price).collect();
        assert_eq!(prices[..4], [3, 2, 1, 0]);
        assert_eq!(book.asks[29].price, 33);
        assert_eq!(book.totals(), (30 * 7, 3 * 7));
    }

    #[test]
    fn grouping_keeps_the_sum_and_rounds_away_from_the_middle() {
        let book = Book::around(105, Quote::Btc, |price, _| Some(Level { price, size: 1 }));
        let totals = book.totals();
        let grouped = book.grouped(10);
        assert_eq!(grouped.totals(), totals);
        assert_eq!(grouped.asks[0], Level { price: 110, size: 5 });
        assert_eq!(grouped.bids[0], Level { price: 100, size: 6 });
    }
}
