//! History over REST: whole pieces of candles or trades, each once, over any number of runs.
//!
//! ```text
//! coverage ─▶ what is missing ─▶ pieces ─▶ walks (a few at a time) ─▶ client ─▶ store, in the order of the pieces
//!                                            └ claims of nothing more ─▶ holdings: plausible, contradicted, believed
//! ```
//!
//! Pieces are fetched side by side, because answers take longer than the limit's pace, and committed one after another,
//! so that the candles of a run stand oldest to newest in their stream.

mod checkpoint;
mod error;
mod fetch;
mod holdings;
mod listing;
mod outage;
mod piece;
mod plan;
mod store;
mod summary;
mod wanted;
mod work;

pub use error::BackfillError;
pub use fetch::{Fetched, fetch, fetched};
pub use summary::{Incomplete, Progress, StreamSummary, Summary};
pub use wanted::Wanted;
