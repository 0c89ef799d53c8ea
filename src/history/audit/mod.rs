//! Compares a day of the tape with the exchange's own one-minute candles.
//!
//! ```text
//! <code>_trade ─┐                      ┌─ gaps of recorder.jsonl that touch the minute
//! <code>_trade.healed ─▶ Trade ─▶ Sum ─┤
//! rest/<code>_candle.1m ──────▶ Candle ┴─▶ Finding ─▶ StreamAudit ─▶ Certificate, and the command's output
//! ```
//!
//! Numbers are exact decimals of the bytes as sent, without floats: prices are equal or not, and sums may differ by the
//! exchange's rounding when it prints them. One stream is audited at a time: 1,440 sums, and the ids of its trades,
//! since each trade counts once.

mod certificate;
mod day;
mod figures;
mod finding;
mod gaps;
mod precision;
mod stream;
#[cfg(test)]
mod tests;

pub use certificate::{Certificate, Totals};
pub use day::Day;
pub use gaps::Gaps;
pub use stream::{AuditError, Auditor};
