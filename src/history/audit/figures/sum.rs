//! The sum of a minute's trades. Pure.

use super::total::Total;
use super::trade::Trade;
use bigdecimal::BigDecimal;
use std::collections::BTreeSet;

/// The sum of a minute's trades.
#[derive(Clone, Debug)]
pub(in crate::history::audit) struct Sum {
    /// Number of trades.
    pub(in crate::history::audit) trades: u64,
    /// Volume, in the base asset.
    pub(in crate::history::audit) volume: Total,
    /// Value, price times volume, in the quote asset.
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

/// The first or the last price of a minute. Trades of one millisecond are ambiguous, since neither ids nor the stream
/// have an order: any of their prices may be the one.
#[derive(Clone, Debug)]
pub(in crate::history::audit) struct Edge {
    millis: i64,
    /// The price of the trade first, or last, on the tape.
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

    /// Adds a trade; trades come in tape order.
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
    /// Whether a price may be the first, or the last, one.
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
