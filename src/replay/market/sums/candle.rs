//! Sums of trades: what a candle, a day or a rolling day says.

use crate::replay::market::chance::SLOT_MILLIS;
use crate::replay::market::instrument::{Instrument, Side, Trade};

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
    /// What sellers took, and what buyers took.
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

impl Instrument {
    /// The trades of `from..to`, in milliseconds since the epoch, oldest first. Both ends must lie on the grid of slots.
    pub(crate) fn trades_between(&self, from: u64, to: u64) -> impl Iterator<Item = Trade> {
        let beats = self.tape.beats(from / SLOT_MILLIS, to.div_ceil(SLOT_MILLIS));
        beats.flat_map(move |beat| self.trades(beat))
    }

    /// The candle of `from..to`; `None` where nothing was traded.
    pub(crate) fn candle(&self, from: u64, to: u64) -> Option<Candle> {
        self.trades_between(from, to).fold(None, |candle, trade| Some(Candle::grown(candle, trade)))
    }
}
