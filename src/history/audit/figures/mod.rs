//! Figures of lines as exact numbers: trades, candles, and the sums of trades. Pure.

pub(super) mod candle;
pub(super) mod decimal;
pub(super) mod sum;
pub(super) mod total;
pub(super) mod trade;
