//! A minute as its trades sum up to. Pure.

use super::total::Total;
use super::trade::Trade;
use bigdecimal::BigDecimal;
use std::collections::BTreeSet;

/// What the trades of a minute sum up to.
#[derive(Clone, Debug)]
pub(in crate::history::audit) struct Sum {
    /// How many they are.
    pub(in crate::history::audit) trades: u64,
    /// Volume, in the asset.
    pub(in crate::history::audit) volume: Total,
    /// Price times volume, in the money.
    pub(in crate::history::audit) value: Total,
    /// The highest price.
    pub(in crate::history::audit) high: BigDecimal,
    /// The lowest price.
    pub(in crate::history::audit) low: BigDecimal,
    /// The first price.
    pub(in crate::history::audit) open: Edge,
    /// The last price.
    pub(in crate::history::audit) close: Edge,
}

/// The first or the last price of a minute. Which of the trades of one millisecond that is, nothing tells: ids have no
/// order, and neither has the stream, so each of their prices may be meant.
#[derive(Clone, Debug)]
pub(in crate::history::audit) struct Edge {
    millis: i64,
    /// The one that came first, or last.
    pub(in crate::history::audit) shown: BigDecimal,
    prices: BTreeSet<BigDecimal>,
}

impl Sum {
    /// The sum of one trade.
    pub(in crate::history::audit) fn of(trade: Trade) -> Self {
        let (volume, value) = (Total::of(&trade.volume), Total::of(&(&trade.price * &trade.volume)));
        let Trade { millis, price, .. } = trade;
        let edge = Edge { millis, shown: price.clone(), prices: BTreeSet::from([price.clone()]) };
        Self { trades: 1, volume, value, high: price.clone(), low: price, open: edge.clone(), close: edge }
    }

    /// Counts a trade; trades come in the order of the tape.
    pub(in crate::history::audit) fn add(&mut self, trade: Trade) {
        self.trades += 1;
        self.volume.add(&trade.volume);
        self.value.add(&(&trade.price * &trade.volume));
        if trade.price > self.high {
            self.high = trade.price.clone();
        }
        if trade.price < self.low {
            self.low = trade.price.clone();
        }
        let Trade { millis, price, .. } = trade;
        if millis <= self.open.millis {
            self.open.take(millis, &price, false);
        }
        if millis >= self.close.millis {
            self.close.take(millis, &price, true);
        }
    }
}

impl Edge {
    /// Whether a price may be the one.
    pub(in crate::history::audit) fn may_be(&self, price: &BigDecimal) -> bool {
        self.prices.contains(price)
    }

    fn take(&mut self, millis: i64, price: &BigDecimal, shows_latest: bool) {
        let is_tie = millis == self.millis;
        if !is_tie {
            self.millis = millis;
            self.prices.clear();
        }
        if !is_tie || shows_latest {
            self.shown = price.clone();
        }
        self.prices.insert(price.clone());
    }
}
