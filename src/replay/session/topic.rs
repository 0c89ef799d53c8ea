//! One kind of frame of one code, as a request names it.

use crate::replay::market::{BookView, DEPTH, Instrument, Quote, tick};
use crate::replay::wire::CandleUnit;
use crate::replay::wire::request::Subscription;

/// One kind of frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    /// Trades.
    Trade,
    /// Tickers.
    Ticker,
    /// Order books of this depth and grouping.
    Book(BookView),
    /// Candles of this period.
    Candle(CandleUnit),
}

impl Topic {
    /// The topic of a subscription for one of its codes; `None` where the exchange stays silent: a level that the pair
    /// does not support, and any level on a pair that is not quoted in KRW.
    pub(super) fn of(
        subscription: &Subscription,
        suffix: Option<&str>,
        instrument: &Instrument,
        slot: u64,
    ) -> Option<Self> {
        Some(match subscription.kind.as_str() {
            "trade" => Self::Trade,
            "ticker" => Self::Ticker,
            "orderbook" => {
                let level = subscription.level.map_or(Some(0), |level| supported(level, instrument, slot))?;
                Self::Book(BookView { depth: suffix.map_or(DEPTH, depth), level })
            }
            candle => Self::Candle(CandleUnit::of(candle)?),
        })
    }

    /// The type's name.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Trade => "trade",
            Self::Ticker => "ticker",
            Self::Book(_) => "orderbook",
            Self::Candle(unit) => unit.name,
        }
    }
}

/// The levels that the suffix of a code asks for; 30 for an unknown suffix.
fn depth(suffix: &str) -> usize {
    match suffix {
        "1" => 1,
        "5" => 5,
        "15" => 15,
        _ => DEPTH,
    }
}

/// A grouping in units of 10^-8 if the pair has it: none, or 10 to 100,000 ticks.
fn supported(level: f64, instrument: &Instrument, slot: u64) -> Option<u64> {
    if instrument.listing.quote != Quote::Krw {
        return None;
    }
    let level = (level * 1e8).round() as u64;
    let price = instrument.best(slot).1.price;
    let tick = tick(instrument.listing.quote, price);
    let is_known = level == 0 || (1..=5).any(|power| level == tick * 10u64.pow(power));
    is_known.then_some(level)
}
