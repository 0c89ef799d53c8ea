//! What is left to chance, and can be looked up at any time: numbers, prices, the moments of trades.

mod path;
mod seed;
mod tape;

pub(crate) use path::Path;
pub(crate) use seed::Seed;
pub(crate) use tape::{Beat, MAX_TRADES, Pace, SLOT_MILLIS, Tape};
