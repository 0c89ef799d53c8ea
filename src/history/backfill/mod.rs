//! History over REST: complete pieces of candles or trades, each fetched once over any number of runs.
//!
//! ```text
//! coverage ─▶ missing spans ─▶ pieces ─▶ walks (a few at a time) ─▶ client ─▶ store, in the order of the pieces
//!                                        └ claims of "nothing more" ─▶ holdings: plausible, contradicted, believed
//! ```
//!
//! Pieces are fetched concurrently, because an answer takes longer than the rate limit's interval, and committed in
//! order, so that the candles of a run are stored oldest first.

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
