//! What the reading verbs make of a tape: which streams and times are meant, and their lines as bytes, as CSV, as trades
//! with what was healed, and two recorders' as one.
//!
//! ```text
//! streams, times ──▶ Tape ──▶ lines ──▶ healed: trades by their own time, each once ──▶ raw, csv, or as they are
//!                                  └──▶ union: several recorders' lines, each once ───┘
//! ```
//!
//! Lines are streamed: what is held of them is bounded in each of these files.

pub mod csv;
pub mod gaps;
pub mod healed;
pub mod listing;
pub mod pairs;
pub mod raw;
pub mod remembered;
pub mod streams;
pub mod times;
pub mod trade;
pub mod union;
