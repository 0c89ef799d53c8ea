//! What to fetch. Pure.

use crate::history::span::Span;
use crate::upbit::series::Series;

/// What to fetch.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The pairs.
    pub markets: Vec<String>,
    /// What of them.
    pub series: Series,
    /// When.
    pub span: Span,
}

/// A span of a pair that was not fetched.
#[derive(Clone, Debug)]
pub(super) struct Missing {
    /// The pair.
    pub(super) market: String,
    /// When.
    pub(super) span: Span,
}
