//! One piece of one market's history, asked for backwards as the exchange answers. Pure.
//!
//! ```text
//! from                                  to
//! ├───────────────┼───────┼─────────────┤
//!   …    page 3     page 2    page 1          each ends where the oldest of the one before begins
//!
//! page ─▶ older objects ─▶ More ─▶ … ─▶ back at the start ──────────────▶ Done
//!     └─▶ none, or fewer than a page holds ─▶ Ends ─judge─▶ Again ─▶ … ─▶ Done, or Doubted
//! ```
//!
//! A piece is whole when a page reaches back to its start, or when the exchange has said twice, asked in different ways,
//! that there is nothing before; only then is it handed on, oldest first. Nothing relies on the order of objects within a
//! page or of their identifiers: what came before is dropped.

use super::coverage::Span;
use super::doubt::{Claim, Judgement, PAUSES};
use crate::rest::answer::{Item, Mismatch, Question, is_near_midnight};
use crate::rest::client::request::Request;
use crate::rest::client::verdict::Page;
use crate::rest::quotation::{self, CANDLES_PER_PAGE, CandlePage, TRADES_PER_PAGE, TradePage};
use crate::upbit::series::{DAY, Series, day_of};
use std::collections::BTreeSet;
use std::time::Duration;

/// The exchange's order of trades is that of time but for so much, in milliseconds.
const DISORDER: i64 = 2_000;

/// So many trades more come again for each answer that is to be confirmed.
const OVERLAP: usize = 20;

/// A candle of a week, a month or a year begins within so much more, in milliseconds.
const LONG: i64 = 31 * DAY;

/// What came of a page.
#[derive(Debug)]
pub(super) enum Step {
    /// Ask on.
    More,
    /// Ask after a pause.
    Again(Duration),
    /// The answer says that there is nothing more: to be judged by what is known.
    Ends(Claim),
    /// The piece is whole; oldest first.
    Done(Vec<Item>),
    /// The exchange says again and again what cannot be. What is newer than its claim is whole; oldest first.
    Doubted(Claim, Span, Vec<Item>),
    /// The answer is not one to this question.
    Strange(Mismatch),
    /// The exchange has it no longer: a day began meanwhile.
    Gone,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Walk {
    market: String,
    series: Series,
    span: Span,
    /// Everything from here on has come; the next page is of what is before.
    to: i64,
    /// Pages that held something.
    pages: i64,
    /// The trade behind which the next page begins.
    cursor: Option<u64>,
    /// What was asked last, and for how many objects.
    question: Option<Question>,
    count: usize,
    /// The day on which the last request was made: `days_ago` counts from there.
    asked_on: i64,
    /// Newest first.
    items: Vec<Item>,
    seen: BTreeSet<(i64, u64)>,
    /// Answers in a row that said that nothing more is there.
    ends: usize,
    /// A page that is judged.
    judged: Vec<Item>,
    /// A page that ended before this was short, and what is before it is not certain yet.
    short_from: Option<i64>,
    /// It turned out that short pages say nothing here.
    gives_short_pages: bool,
}

impl Walk {
    /// A piece of `market`'s history.
    pub(super) fn new(market: String, series: Series, span: Span) -> Self {
        let (items, seen, judged) = Default::default();
        let (cursor, question, short_from) = Default::default();
        Self {
            market,
            series,
            span,
            to: span.to,
            pages: 0,
            cursor,
            question,
            count: 0,
            asked_on: 0,
            items,
            seen,
            ends: 0,
            judged,
            short_from,
            gives_short_pages: false,
        }
    }

    /// What it is a piece of.
    pub(super) fn market(&self) -> &str {
        &self.market
    }

    /// What of it is walked.
    pub(super) fn series(&self) -> Series {
        self.series
    }

    /// Which piece it is.
    pub(super) fn span(&self) -> Span {
        self.span
    }

    /// Whether the exchange has it no longer. Candles of seconds it forgets one by one, and gives those that are left.
    pub(super) fn is_gone(&self, now: i64) -> bool {
        self.series == Series::Trades && self.series.reach(now).is_some_and(|reach| self.span.from < reach)
    }

    /// Objects in memory.
    pub(super) fn held(&self) -> usize {
        self.items.len()
    }

    /// Over how much time a page reached, in milliseconds; `None` where there was nothing.
    pub(super) fn per_page(&self) -> Option<i64> {
        (self.pages > 0).then(|| (self.span.to - self.to) / self.pages)
    }

    /// The next request, made at `now` (milliseconds since the epoch). Where an answer is to be confirmed it is another
    /// question, which overlaps with what has come: a cache would give the same answer again.
    pub(super) fn request(&mut self, now: i64) -> Request {
        let request = match self.series {
            Series::Candles(unit) => {
                self.count = CANDLES_PER_PAGE - self.ends;
                let again = i64::try_from(self.ends).unwrap_or(i64::MAX);
                let to = Some(self.to + again * unit.length().unwrap_or(LONG));
                quotation::candles_of(unit, &self.market, CandlePage { to, count: self.count })
            }
            Series::Trades => {
                self.count = TRADES_PER_PAGE - self.ends;
                self.asked_on = day_of(now);
                let (day, asked_on, count) = (day_of(self.span.from), self.asked_on, self.count);
                let (to, cursor) = (self.span.to, self.overlapping_cursor());
                quotation::trades(&self.market, TradePage { day, asked_on, to, cursor, count })
            }
        };
        self.question.clone_from(&request.question);
        request
    }

    /// Behind the oldest trade, or, to confirm that nothing is there, behind one that came a little before it.
    fn overlapping_cursor(&self) -> Option<u64> {
        let before = self.items.len().checked_sub(1 + self.ends * OVERLAP).and_then(|at| self.items.get(at));
        before.map(|item| item.id).filter(|_| self.ends > 0).or(self.cursor)
    }

    /// Takes the page that was asked for, at `now`.
    pub(super) fn handle(&mut self, page: Page, now: i64) -> Step {
        if self.is_gone(now) {
            return Step::Gone;
        }
        if self.series == Series::Trades && day_of(now) != self.asked_on {
            // Midnight passed, and `days_ago` meant another day when it was answered.
            return Step::More;
        }
        let Some(question) = self.question.take() else { return Step::More };
        let items = match question.items(page, now) {
            Ok(items) => items,
            Err(mismatch) => return Step::Strange(mismatch),
        };
        match self.series {
            Series::Candles(_) => self.handle_candles(items),
            Series::Trades if self.is_of_another_day(&items, now) => Step::More,
            Series::Trades => self.handle_trades(items),
        }
    }

    /// Goes on with what the answer said of which [`Step::Ends`] told.
    pub(super) fn judge(&mut self, claim: Claim, judgement: Judgement) -> Step {
        let items = std::mem::take(&mut self.judged);
        match judgement {
            Judgement::Contradicted => {
                self.ends += 1;
                match PAUSES.get(self.ends - 1) {
                    Some(pause) => Step::Again(*pause),
                    None => self.doubt(claim),
                }
            }
            Judgement::Believed => {
                self.take(items);
                self.finish()
            }
            Judgement::Plausible if claim.before < self.to => {
                self.short_from = Some(self.to);
                self.take(items);
                (self.to, self.pages) = (claim.before, self.pages + 1);
                if self.to <= self.span.from { self.finish() } else { self.confirm(1) }
            }
            Judgement::Plausible => self.confirm(self.ends + 1),
        }
    }

    /// So many answers in a row said that nothing is before; the second one is to another question than the first.
    fn confirm(&mut self, ends: usize) -> Step {
        self.ends = ends;
        if ends > 1 { self.finish() } else { Step::Again(PAUSES[0]) }
    }

    fn handle_candles(&mut self, items: Vec<Item>) -> Step {
        let older = items.iter().filter(|item| item.time < self.to);
        let (objects, oldest) = (older.clone().count(), older.map(|item| item.time).min());
        let Some(oldest) = oldest else { return Step::Ends(Claim { to: self.to, objects: 0, before: self.to }) };
        if self.short_from.is_none() && !self.gives_short_pages && items.len() < self.count {
            self.judged = items;
            return Step::Ends(Claim { to: self.to, objects, before: oldest });
        }
        self.take(items);
        (self.to, self.pages, self.ends) = (oldest, self.pages + 1, 0);
        if let Some(from) = self.short_from.take() {
            // The short page had said that nothing was before it, and something may be missing within it as well.
            (self.to, self.gives_short_pages) = (from, true);
            return Step::More;
        }
        if oldest <= self.span.from { self.finish() } else { Step::More }
    }

    fn handle_trades(&mut self, items: Vec<Item>) -> Step {
        let is_full = items.len() >= self.count;
        let oldest = items.iter().min_by_key(|item| item.time).map(|item| (item.time, item.id));
        let last = items.last().map(|item| item.id);
        let Some((oldest, id)) = oldest.filter(|_| self.take(items)) else {
            if is_full && self.ends == 0 && last != self.cursor {
                // Behind the oldest trade came only such as were known: the exchange has another order.
                self.cursor = last;
                return Step::More;
            }
            return Step::Ends(Claim { to: self.to, objects: 0, before: self.to });
        };
        (self.to, self.cursor) = (oldest.min(self.to), Some(id));
        (self.pages, self.ends) = (self.pages + 1, 0);
        if oldest < self.span.from - DISORDER { self.finish() } else { Step::More }
    }

    /// Whether there was anything new among these, but for what is newer. What is not of the piece is not kept.
    fn take(&mut self, items: Vec<Item>) -> bool {
        let mut has_news = false;
        for item in items {
            if item.time < self.span.to && self.seen.insert((item.time, item.id)) {
                has_news = true;
                if item.time >= self.span.from {
                    self.items.push(item);
                }
            }
        }
        has_news
    }

    /// Around midnight it takes trades of the day that was meant to show that it was understood.
    fn is_of_another_day(&self, items: &[Item], now: i64) -> bool {
        let day = day_of(self.span.from);
        is_near_midnight(now) && (items.is_empty() || items.iter().any(|item| day_of(item.time) != day))
    }

    /// What is newer than the claim. Of the oldest millisecond of trades there may be more.
    fn doubt(&mut self, claim: Claim) -> Step {
        let begin = match self.series {
            Series::Trades if self.to < self.span.to => self.to + 1,
            _ => self.to,
        };
        let Step::Done(mut items) = self.finish() else { return Step::More };
        items.retain(|item| item.time >= begin);
        Step::Doubted(claim, Span { from: begin, to: self.span.to }, items)
    }

    /// Oldest first; of one millisecond, in the order opposite to the exchange's.
    fn finish(&mut self) -> Step {
        let mut items = std::mem::take(&mut self.items);
        items.reverse();
        items.sort_by_key(|item| item.time);
        Step::Done(items)
    }
}

#[cfg(test)]
mod tests;
