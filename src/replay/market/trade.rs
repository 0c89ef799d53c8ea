//! A trade, its side and its identifier.

use super::chance::{MAX_TRADES, Seed};

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
    /// The price.
    pub(crate) price: u64,
    /// The volume.
    pub(crate) volume: u64,
    /// The taker's side.
    pub(crate) side: Side,
    /// Unique per pair, above 2^53, and now and then not in order.
    pub(crate) id: u64,
}

/// Milliseconds and a running number, as the exchange does it; one in fifty claims to be 1.5 s older than it is.
pub(super) fn identifier(millis: u64, index: u64, seed: Seed) -> u64 {
    let late = seed.below(3, 50) == 0;
    if late { (millis - 1_500) * 10_000 + MAX_TRADES + index } else { millis * 10_000 + index }
}

/// When a trade with this identifier happened, in milliseconds.
pub(crate) fn millis_of(id: u64) -> u64 {
    let late = id % 10_000 >= MAX_TRADES;
    id / 10_000 + if late { 1_500 } else { 0 }
}
