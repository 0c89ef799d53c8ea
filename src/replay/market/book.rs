//! A whole order book: 30 asks above the best bid, 30 bids from it down.

use super::instrument::Side;
use super::listing::Quote;
use super::ticks::{above, below};

/// How many price levels a side of the exchange's books has.
pub(crate) const DEPTH: usize = 30;

/// How many prices are looked at for the 30 that have offers: with a third of them empty, 30 are found long before.
const REACH: usize = 200;

/// A price and what is offered there, in units of 10^-8; all zero where a thin side ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Level {
    /// The price.
    pub(crate) price: u64,
    /// The volume.
    pub(crate) size: u64,
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
    /// The book whose best bid is `bid`; `level` tells what is offered at a price.
    pub(crate) fn around(bid: u64, quote: Quote, level: impl Fn(u64, Side) -> Option<Level>) -> Self {
        let asks = std::iter::successors(Some(above(quote, bid)), |price| Some(above(quote, *price)));
        let bids = std::iter::successors(Some(bid), |price| below(quote, *price));
        Self {
            asks: filled(asks.take(REACH), |price| level(price, Side::Ask)),
            bids: filled(bids.take(REACH), |price| level(price, Side::Bid)),
        }
    }

    /// What the asks and the bids offer in all.
    pub(crate) fn totals(&self) -> (u128, u128) {
        let total = |side: &[Level]| side.iter().map(|level| u128::from(level.size)).sum();
        (total(&self.asks), total(&self.bids))
    }
}

/// The first levels that exist, padded with zeros; the best price always exists.
fn filled(prices: impl Iterator<Item = u64>, level: impl Fn(u64) -> Option<Level>) -> [Level; DEPTH] {
    let mut side = [Level::default(); DEPTH];
    let offers = prices.enumerate().filter_map(|(rank, price)| match level(price) {
        None if rank == 0 => Some(Level { price, size: 1 }),
        offer => offer,
    });
    side.iter_mut().zip(offers).for_each(|(place, offer)| *place = offer);
    side
}
