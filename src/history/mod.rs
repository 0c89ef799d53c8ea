//! History, asked for afterwards over REST: by span, where a gap missed it, or to be compared with the tape.
//!
//! ```text
//! backfill: spans that are wanted ─┐                                           ┌─▶ rest/KRW-BTC_candle.1m.jsonl
//! healing:  gaps on record ────────┴─▶ page_walk ⇄ rest::client ─▶ what is not ┴─▶ KRW-BTC_trade.healed.jsonl
//!                                          └ claims of nothing more ─▶ judged by what is on disk
//! ```
//!
//! Both have one job: what of a span is not on disk is asked for backwards and written once. They differ in where spans
//! come from, where lines are written, and which requests go first.

pub mod audit;
pub mod backfill;
mod claim;
pub mod healing;
mod page_walk;
pub mod span;
