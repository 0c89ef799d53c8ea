//! The sample market: up to 855 pairs that trade, all of it computed from a seed on demand.
//!
//! ```text
//!  seed ─▶ path ─▶ best bid of a slot ─▶ book (30 levels a side)
//!       └▶ tape ─▶ beats ─▶ trades ─▶ candles, days, tickers: sums of these trades and nothing else
//!                            └──────▶ the account: it takes part in some of them
//! ```
//!
//! Nothing is stored, so a slow client, a second client and a query of last month all see the same tape.

mod account;
mod book;
mod chance;
mod instrument;
mod listing;
mod sums;
mod ticks;
mod trade;

pub(crate) use account::{AccountEvent, Holding, Order, OrderState};
pub(crate) use book::{Book, BookView, DEPTH, Level};
pub(crate) use chance::{Beat, SLOT_MILLIS};
pub(crate) use instrument::{Instrument, LAG_MILLIS};
pub use listing::MAX_PAIRS;
pub(crate) use listing::Quote;
pub(crate) use sums::{
    Candle, CandleQuery, DAY_MILLIS, Period, Rolling, candles_before, previous_close, trades_before,
};
pub(crate) use ticks::tick;
pub(crate) use trade::{Trade, millis_of};

use account::Account;
use chance::{Pace, Seed, Tape};
use std::collections::BTreeMap;
use sums::HISTORY_MILLIS;

/// All pairs, and one account.
#[derive(Debug)]
pub struct Market {
    instruments: Vec<Instrument>,
    by_code: BTreeMap<String, usize>,
    account: Account,
    opened: u64,
}

impl Market {
    /// A market of the first `codes` pairs (at most [`MAX_PAIRS`]) whose history ends and whose live trading begins
    /// around `opened`, in milliseconds since the epoch. `rate` is the number of frames per second for a client that
    /// subscribes trades, order books and tickers of all of them.
    pub fn new(codes: usize, rate: f64, seed: u64, opened: u64) -> Self {
        let seed = Seed::new(seed);
        let listings = listing::first(codes, seed.part(0));
        let pace = Pace::for_rate(rate, listings.len());
        let instruments: Vec<Instrument> = (1..)
            .zip(listings)
            .map(|(index, listing)| {
                let seed = seed.part(index);
                Instrument::new(listing, Tape::new(seed.part(0), opened / SLOT_MILLIS, pace), seed.part(1))
            })
            .collect();
        let by_code = instruments.iter().zip(0..).map(|(pair, index)| (pair.listing.code.clone(), index)).collect();
        Self { instruments, by_code, account: Account::new(seed.part(u64::MAX)), opened }
    }

    /// The place of a code; `None` for an unknown one, and codes are case-sensitive.
    pub(crate) fn find(&self, code: &str) -> Option<usize> {
        self.by_code.get(code).copied()
    }

    /// The pair at a place that [`Market::find`] gave.
    pub(crate) fn instrument(&self, index: usize) -> &Instrument {
        &self.instruments[index]
    }

    /// All pairs, in the exchange's order.
    pub(crate) fn instruments(&self) -> &[Instrument] {
        &self.instruments
    }

    /// The account's events in a slot, in order.
    pub(crate) fn account_events(&self, slot: u64) -> Vec<AccountEvent> {
        self.account.events(&self.instruments, slot)
    }

    /// Where history begins, in milliseconds since the epoch.
    pub(crate) fn listed(&self) -> u64 {
        self.opened.saturating_sub(HISTORY_MILLIS)
    }
}
