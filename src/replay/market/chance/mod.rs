//! Randomness with random access in time: numbers, prices, the times of trades.

mod path;
mod seed;
mod tape;

pub(crate) use path::Path;
pub(crate) use seed::Seed;
pub(crate) use tape::{Beat, MAX_TRADES, Pace, SLOT_MILLIS, Tape};
