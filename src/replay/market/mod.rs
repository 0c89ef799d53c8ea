//! The sample market: up to 855 pairs that trade, all of it computed from a seed when it is asked for.
//!
//! ```text
//!  seed ─▶ path ─▶ best bid of a slot ─▶ book (30 levels a side)
//!       └▶ tape ─▶ beats ─▶ trades ─▶ candles, days, tickers: sums of these trades and nothing else
//! ```
//!
//! Nothing is stored, so a slow client, a second client and a question about last month all see one and the same tape.

mod book;
mod candle;
mod instrument;
mod listing;
mod path;
mod rolling;
mod seed;
mod tape;
mod ticks;

pub(crate) use book::{Book, Level};
pub(crate) use candle::Candle;
pub(crate) use instrument::{Instrument, LAG_MILLIS, Trade};
pub use listing::MAX_PAIRS;
pub(crate) use rolling::{DAY_MILLIS, Rolling, previous_close};
pub(crate) use tape::{Beat, SLOT_MILLIS};

use seed::Seed;
use std::collections::BTreeMap;
use tape::{Pace, Tape};

/// All pairs.
#[derive(Debug)]
pub struct Market {
    instruments: Vec<Instrument>,
    by_code: BTreeMap<String, usize>,
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
        Self { instruments, by_code }
    }

    /// The place of a code; `None` for an unknown one, and codes are case-sensitive.
    pub(crate) fn find(&self, code: &str) -> Option<usize> {
        self.by_code.get(code).copied()
    }

    /// The pair at a place that [`Market::find`] gave.
    pub(crate) fn instrument(&self, index: usize) -> &Instrument {
        &self.instruments[index]
    }
}
