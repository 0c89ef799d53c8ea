//! Aggregates of trades: candles, days, the last 24 hours.

mod candle;
mod history;
mod hours;
mod rolling;

pub(crate) use candle::Candle;
pub(crate) use history::{CandleQuery, HISTORY_MILLIS, Period, candles_before, trades_before};
pub(crate) use hours::{HOUR_MILLIS, Hours};
pub(crate) use rolling::{DAY_MILLIS, Rolling, previous_close};
