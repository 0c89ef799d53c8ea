//! The scope of a fetch. Pure.

use crate::history::span::Span;
use crate::upbit::series::Series;

/// The scope of a fetch.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The pairs.
    pub markets: Vec<String>,
    /// Candles of a unit, or trades.
    pub series: Series,
    /// The span of time.
    pub span: Span,
}

/// An unfetched span of a pair.
#[derive(Clone, Debug)]
pub(super) struct Missing {
    /// The pair.
    pub(super) market: String,
    /// The span of time.
    pub(super) span: Span,
}
