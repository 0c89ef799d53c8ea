//! The search for missing objects of a stream: the walk over its pages, and the objects on them that the tape lacks.
//! Pure.
//!
//! ```text
//! evidence ─▶ span ─▶ request ⇄ page ─▶ objects not on the tape ─▶ written
//!                └──── claim of no more objects ─▶ the tape has one of that time: contradicted
//! ```
//!
//! Candles are fetched from the period of the last record before the gap on. The period running at the first record
//! after the gap is left to the stream: its records show the whole candle. So is the running period where no record has
//! followed. Missing objects are handed on page by page, so that a long gap is never in memory as a whole.

use super::evidence::Evidence;
use super::plan::End;
use crate::clock::Position;
use crate::history::claim::Judgement;
use crate::history::page_walk::{PageWalk, Slack, Step};
use crate::history::span::Span;
use crate::rest::answer::{self, Item};
use crate::rest::client::request::Request;
use crate::rest::client::verdict::Page;
use crate::upbit::series::Series;

/// Trades are requested by whole seconds, from the next one after the last possibly missing trade; the floor comes from
/// the evidence, with a margin.
const TRADES: Slack = Slack { older: 0, newer: 1_999 };

/// See the module.
#[derive(Debug)]
pub(super) struct Search {
    walk: PageWalk,
    evidence: Evidence,
    /// The tape was scanned late enough that no record of the span was still on its way to it.
    is_settled: bool,
}

impl Search {
    /// A search of `market`, begun at `now`. Trades newer than `resume` are on disk.
    pub(super) fn new(market: &str, series: Series, evidence: Evidence, resume: Option<i64>, now: Position) -> Self {
        // Candles are not compared with the stream: its last record of a period may stand beside a fetched one.
        let is_settled = series != Series::Trades || evidence.is_settled(now);
        let now = now.stamp.as_millis();
        let span = match series {
            Series::Trades => {
                let newest = evidence.ceiling().unwrap_or(i64::MAX).min(resume.unwrap_or(i64::MAX));
                Span { from: evidence.floor(), to: newest.saturating_add(1) }
            }
            Series::Candles(unit) => {
                let last = evidence.first_after().map_or(now, |first| first.time);
                Span { from: unit.start_of(evidence.last_before()), to: unit.start_of(last) }
            }
        };
        let slack = if series == Series::Trades { TRADES } else { Slack::default() };
        Self { walk: PageWalk::new(market.to_owned(), series, span, slack, now), evidence, is_settled }
    }

    /// The next request, made at `now`.
    ///
    /// # Errors
    /// Nothing is left to request.
    pub(super) fn request(&mut self, now: i64) -> Result<Request, End> {
        match self.walk.series() {
            Series::Trades if self.walk.is_gone(now) => Err(End::Partial),
            Series::Candles(_) if self.walk.span().length() == 0 => Err(End::Complete),
            _ => Ok(self.walk.request(now)),
        }
    }

    /// Whether the tape has to be scanned again before this page is handled: objects on it may have arrived over the
    /// stream since.
    pub(super) fn needs_scan(&self, page: &Page) -> bool {
        let is_missing = |key: answer::Key| self.walk.span().contains(key.time) && !self.evidence.knows(key.id);
        let mut keys = page.iter().filter_map(|object| answer::key(self.walk.series(), object.get()));
        !self.is_settled && keys.any(is_missing)
    }

    /// Continues with the evidence of another scan.
    pub(super) fn settle(&mut self, evidence: Evidence) {
        if let Some(ceiling) = evidence.ceiling() {
            self.walk.end_at(ceiling.saturating_add(1));
        }
        (self.evidence, self.is_settled) = (evidence, true);
    }

    /// Handles the requested page, at `now`. [`Step::Ends`] is a claim that the tape contradicts.
    pub(super) fn handle(&mut self, page: Page, now: i64) -> Step {
        match self.walk.handle(page, now) {
            Step::Ends(claim) if !self.evidence.knows_within(claim.since..claim.before) => {
                let judgement = if claim.objects == 0 { Judgement::Plausible } else { Judgement::Ignored };
                self.walk.judge(claim, judgement)
            }
            step => step,
        }
    }

    /// Takes the missing objects of the pages since the last call, oldest first; from here on they count as on disk.
    pub(super) fn take_missing(&mut self) -> Vec<Item> {
        let comes_again_before = self.walk.comes_again_before();
        let mut items = self.walk.take_items();
        items.retain(|item| {
            let is_missing = !self.evidence.knows(item.id);
            if is_missing {
                self.evidence.wrote(item.id, item.time, comes_again_before);
            }
            is_missing
        });
        items
    }
}

#[cfg(test)]
mod tests;
