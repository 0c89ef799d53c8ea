//! A day of the tape held against the exchange's own candles of a minute.
//!
//! ```text
//! <code>_trade ─┐                      ┌─ gaps of recorder.jsonl that touch the minute
//! <code>_trade.healed ─▶ Trade ─▶ Sum ─┤
//! rest/<code>_candle.1m ──────▶ Candle ┴─▶ Finding ─▶ StreamAudit ─▶ Certificate, and what the command prints
//! ```
//!
//! Numbers are exact decimals of the bytes as sent, and no float decides anything: prices are equal or not, and sums may
//! differ by what the exchange rounds when it prints them. One stream is audited at a time: 1,440 sums, and the ids of its
//! trades, for each of them counts once.

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
