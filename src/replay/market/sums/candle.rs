//! Sums of trades: a candle, a day, the last 24 hours.

use crate::replay::market::trade::{Side, Trade};

/// The sum of the trades of a period. Prices are in units of 10^-8, volumes too, values in units of 10^-16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candle {
    /// The first price.
    pub(crate) open: u64,
    /// The highest price.
    pub(crate) high: u64,
    /// The lowest price.
    pub(crate) low: u64,
    /// The last trade.
    pub(crate) last: Trade,
    /// The volume and value taken by each side.
    pub(crate) volumes: Volumes,
}

/// Volume and value, each side for itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Volumes {
    /// Volume taken by sellers.
    pub(crate) ask: u128,
    /// Volume taken by buyers.
    pub(crate) bid: u128,
    /// Price times volume of both.
    pub(crate) value: u128,
}

impl Volumes {
    /// Both sides together.
    pub(crate) fn volume(&self) -> u128 {
        self.ask + self.bid
    }

    /// Counts a trade.
    pub(crate) fn add(&mut self, trade: &Trade) {
        let volume = u128::from(trade.volume);
        match trade.side {
            Side::Ask => self.ask += volume,
            Side::Bid => self.bid += volume,
        }
        self.value += u128::from(trade.price) * volume;
    }

    /// Takes back a trade that was counted.
    pub(crate) fn remove(&mut self, trade: &Trade) {
        let volume = u128::from(trade.volume);
        match trade.side {
            Side::Ask => self.ask -= volume,
            Side::Bid => self.bid -= volume,
        }
        self.value -= u128::from(trade.price) * volume;
    }
}

impl Candle {
    /// The candle of a first trade.
    pub(crate) fn of(trade: Trade) -> Self {
        let mut volumes = Volumes::default();
        volumes.add(&trade);
        Self { open: trade.price, high: trade.price, low: trade.price, last: trade, volumes }
    }

    /// Counts a later trade.
    pub(crate) fn add(&mut self, trade: Trade) {
        self.high = self.high.max(trade.price);
        self.low = self.low.min(trade.price);
        self.last = trade;
        self.volumes.add(&trade);
    }

    /// Counts an earlier trade.
    pub(crate) fn add_earlier(&mut self, trade: &Trade) {
        self.open = trade.price;
        self.high = self.high.max(trade.price);
        self.low = self.low.min(trade.price);
        self.volumes.add(trade);
    }

    /// Two candles that follow each other, as one.
    pub(crate) fn joined(earlier: Option<Self>, later: Option<Self>) -> Option<Self> {
        let (Some(earlier), Some(later)) = (earlier, later) else {
            return earlier.or(later);
        };
        let volumes = Volumes {
            ask: earlier.volumes.ask + later.volumes.ask,
            bid: earlier.volumes.bid + later.volumes.bid,
            value: earlier.volumes.value + later.volumes.value,
        };
        let (high, low) = (earlier.high.max(later.high), earlier.low.min(later.low));
        Some(Self { open: earlier.open, high, low, last: later.last, volumes })
    }

    /// A candle, or the one begun by this trade.
    pub(crate) fn grown(candle: Option<Self>, trade: Trade) -> Self {
        match candle {
            None => Self::of(trade),
            Some(mut candle) => {
                candle.add(trade);
                candle
            }
        }
    }
}
