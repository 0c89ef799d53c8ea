//! What lines say, as exact numbers: trades, candles, and what trades sum up to. Pure.

pub(super) mod candle;
pub(super) mod decimal;
pub(super) mod sum;
pub(super) mod total;
pub(super) mod trade;
