//! History fetched over REST after the fact: by span, to heal a gap, or to compare with the tape.
//!
//! ```text
//! backfill: wanted spans ──────────┐                                           ┌─▶ rest/KRW-BTC_candle.1m.jsonl
//! healing:  gaps on record ────────┴─▶ page_walk ⇄ rest::client ─▶ new objects ┴─▶ KRW-BTC_trade.healed.jsonl
//!                                          └ claims of "nothing more" ─▶ judged by the data on disk
//! ```
//!
//! Both walk the missing part of a span backwards and write it once. They differ in the source of the spans, the files
//! written, and the priority of their requests.

pub mod audit;
pub mod backfill;
mod claim;
pub mod healing;
mod page_walk;
pub mod span;
