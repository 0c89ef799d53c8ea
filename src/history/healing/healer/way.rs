//! The way back over what may be missing: of trades or of candles.

use crate::history::healing::candles::CandleWalk;
use crate::history::healing::evidence::Evidence;
use crate::history::healing::plan::{End, Task};
use crate::history::healing::walk::{Missing, Step, Walk};
use crate::rest::client::request::Request;
use crate::rest::client::verdict::Page;
use crate::upbit::series::Series;

/// See the module.
pub(super) enum Way {
    Trades(Walk),
    Candles(CandleWalk),
}

impl Way {
    pub(super) fn new(task: &Task, evidence: &Evidence, (resume, now): (Option<i64>, i64)) -> Self {
        let market = task.stream.code().unwrap_or_default();
        match task.series {
            Series::Trades => Self::Trades(Walk::new(market, evidence, (resume, now))),
            Series::Candles(unit) => Self::Candles(CandleWalk::new((market, unit), evidence, now)),
        }
    }

    pub(super) fn request(&mut self, now: i64) -> Option<Request> {
        match self {
            Self::Trades(walk) => walk.request(now),
            Self::Candles(walk) => walk.request(),
        }
    }

    /// How it ended where there is nothing more to be asked for.
    pub(super) fn end(&self) -> End {
        match self {
            Self::Trades(_) => End::Partial,
            Self::Candles(_) => End::Complete,
        }
    }

    /// Candles are not held against the stream, whose last record of a period stands beside them.
    pub(super) fn has_news(&self, page: &Page, evidence: &Evidence) -> bool {
        match self {
            Self::Trades(walk) => walk.has_news(page, evidence),
            Self::Candles(_) => false,
        }
    }

    pub(super) fn lower_ceiling(&mut self, ceiling: Option<i64>) {
        if let (Self::Trades(walk), Some(ceiling)) = (self, ceiling) {
            walk.lower_ceiling(ceiling);
        }
    }

    pub(super) fn handle(
        &mut self,
        page: Page,
        now: i64,
        (evidence, missing): (&mut Evidence, &mut Vec<Missing>),
    ) -> Step {
        match self {
            Self::Trades(walk) => walk.handle(page, now, (evidence, missing)),
            Self::Candles(walk) => walk.handle(page, now, (evidence, missing)),
        }
    }
}
