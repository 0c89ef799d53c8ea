//! One span of a pair's history, asked for backwards, page by page. A pure state machine.
//!
//! ```text
//! from                                  to
//! ├───────────────┼───────┼─────────────┤
//!   …    page 3     page 2    page 1          each ends where the oldest object of the page before begins
//!
//! page ─▶ older objects ─▶ More ─▶ … ─▶ back at the start ────────────────▶ Done
//!     └─▶ none, or fewer than a page holds ─▶ Ends ─judge─▶ Again ─▶ … ─▶ Done, or Doubted
//! ```
//!
//! Trades are walked a day of the exchange at a time, from the newest day back, behind a cursor within the day. The walk is
//! done when a page reaches back to its start, or when the exchange has said twice, asked in two ways, that there is nothing
//! before. Neither the order of objects within a page nor that of their identifiers is relied on: what came before is dropped.

use super::claim::{Claim, Judgement, PAUSES};
use super::span::Span;
use crate::rest::answer::{Item, Key, Mismatch, Question, is_near_midnight};
use crate::rest::client::request::Request;
use crate::rest::client::verdict::Page;
use crate::rest::quotation::{self, CANDLES_PER_PAGE, CandlePage, TRADES_PER_PAGE, TradePage};
use crate::upbit::series::{DAY, Series, TRADE_DAYS, day_of};
use std::collections::BTreeSet;
use std::time::Duration;

/// The exchange's order of trades is that of time but for so much, in milliseconds.
pub(super) const DISORDER: i64 = 2_000;

/// So many trades more come again for each answer that is to be confirmed.
const OVERLAP: usize = 20;

/// Trades of a page may come again in pages that reach back by so much, in milliseconds, and not later.
const REPEATED: i64 = 20_000;

/// Confirming questions in a row.
const MOST_ENDS: i64 = PAUSES.len() as i64;

/// A candle of a week, a month or a year begins within so much more, in milliseconds.
const LONG: i64 = 31 * DAY;

/// What came of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Ask on.
    More,
    /// Ask after a pause.
    Again(Duration),
    /// The answer claims that there is nothing more: to be judged by what is known.
    Ends(Claim),
    /// Everything of the span has come.
    Done,
    /// The exchange repeats a claim that is contradicted. What is left of the items is everything of a part of the span.
    Doubted {
        /// The claim.
        claim: Claim,
        /// The part.
        whole: Span,
    },
    /// The answer is not one to this question.
    Strange(Mismatch),
    /// Around midnight: the exchange may have answered for another day.
    OtherDay,
    /// The exchange has it no longer.
    Gone,
}

/// How much wider than its span trades are walked, in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slack {
    /// A page has to reach back by more than this before the span.
    pub(super) older: i64,
    /// Pages are asked for from so much behind the span on.
    pub(super) newer: i64,
}

/// See the module. Times are milliseconds since the epoch.
#[derive(Debug)]
pub(super) struct PageWalk {
    market: String,
    series: Series,
    span: Span,
    slack: Slack,
    /// The beginning of the day whose trades are asked for.
    day: i64,
    /// Everything from here on has come, of trades everything of the day; the next page is of what is before.
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
    /// Objects of the span that were not taken yet, newest first, as they came.
    items: Vec<Item>,
    /// Their keys, or those of the page that was taken last: what confirming questions overlap with.
    tail: Vec<Key>,
    /// What may come again.
    seen: BTreeSet<(i64, u64)>,
    /// Answers in a row that claimed that nothing more is there.
    ends: usize,
    /// A page that is judged.
    judged: Vec<Item>,
    /// A page that ended before this was short, and what is before it is in doubt.
    short_from: Option<i64>,
    /// A short page turned out to claim nothing.
    gives_short_pages: bool,
}

impl PageWalk {
    /// A walk over a span of `market`'s history, begun at `now`. A span of trades that is asked for within a day of the
    /// exchange has that day's pages alone.
    pub(super) fn new(market: String, series: Series, span: Span, slack: Slack, now: i64) -> Self {
        // Where our clock is slow, something may have happened tomorrow.
        let day = day_of(span.to.saturating_sub(1).min(now));
        let to = if series == Series::Trades { span.to.min(day + DAY) } else { span.to };
        Self {
            market,
            series,
            span,
            slack,
            day,
            to,
            pages: 0,
            cursor: None,
            question: None,
            count: 0,
            asked_on: day,
            items: Vec::new(),
            tail: Vec::new(),
            seen: BTreeSet::new(),
            ends: 0,
            judged: Vec::new(),
            short_from: None,
            gives_short_pages: false,
        }
    }

    /// The pair.
    pub(super) fn market(&self) -> &str {
        &self.market
    }

    /// What of it is walked.
    pub(super) fn series(&self) -> Series {
        self.series
    }

    /// When.
    pub(super) fn span(&self) -> Span {
        self.span
    }

    /// Whether the exchange has it no longer. Candles of seconds it forgets one by one, and gives those that are left.
    pub(super) fn is_gone(&self, now: i64) -> bool {
        self.series == Series::Trades && day_of(now) - self.day > TRADE_DAYS * DAY
    }

    /// Objects in memory.
    pub(super) fn held(&self) -> usize {
        self.items.len()
    }

    /// Over how much time a page reached, in milliseconds; `None` where there was nothing.
    pub(super) fn per_page(&self) -> Option<i64> {
        (self.pages > 0).then(|| (self.span.to - self.to) / self.pages)
    }

    /// Nothing from `to` on is looked for, now that this is known.
    pub(super) fn end_at(&mut self, to: i64) {
        (self.span.to, self.to) = (self.span.to.min(to), self.to.min(to));
    }

    /// The next request, made at `now`. A claim is confirmed by another question, which overlaps with what has come: a cache
    /// would answer the same question the same.
    pub(super) fn request(&mut self, now: i64) -> Request {
        let request = match self.series {
            Series::Candles(unit) => {
                self.count = CANDLES_PER_PAGE - self.ends;
                let again = i64::try_from(self.ends).unwrap_or(i64::MAX);
                let page = CandlePage { to: Some(self.to + again * self.overlap()), count: self.count };
                quotation::candles(unit, &self.market, page)
            }
            Series::Trades => {
                self.count = TRADES_PER_PAGE - self.ends;
                self.asked_on = day_of(now);
                let (to, cursor) = (self.asked_to(), self.overlapping_cursor());
                let page = TradePage { day: self.day, asked_on: self.asked_on, to, cursor, count: self.count };
                quotation::trades(&self.market, page)
            }
        };
        self.question.clone_from(&request.question);
        request
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
            Series::Trades if self.is_of_another_day(&items, now) => Step::OtherDay,
            Series::Trades => self.handle_trades(items),
        }
    }

    /// Goes on from the claim of [`Step::Ends`].
    pub(super) fn judge(&mut self, claim: Claim, judgement: Judgement) -> Step {
        let items = std::mem::take(&mut self.judged);
        match judgement {
            Judgement::Contradicted => {
                self.ends += 1;
                PAUSES.get(self.ends - 1).map_or_else(|| self.doubt(claim), |pause| Step::Again(*pause))
            }
            Judgement::Believed => {
                self.take(items);
                Step::Done
            }
            Judgement::Plausible | Judgement::Ignored if claim.before < self.to => {
                let is_relied_on = judgement == Judgement::Plausible;
                self.short_from = is_relied_on.then_some(self.to);
                self.take(items);
                match self.advance(claim.before) {
                    Step::More if is_relied_on => self.confirm(1),
                    step => step,
                }
            }
            Judgement::Plausible | Judgement::Ignored => self.confirm(self.ends + 1),
        }
    }

    /// The objects of the span that have come since the last call, oldest first; of one millisecond, in the order opposite
    /// to the exchange's.
    pub(super) fn take_items(&mut self) -> Vec<Item> {
        let mut items = std::mem::take(&mut self.items);
        items.reverse();
        items.sort_by_key(|item| item.time);
        drop(self.seen.split_off(&(self.comes_again_before(), 0)));
        items
    }

    /// What is not older than this does not come again.
    pub(super) fn comes_again_before(&self) -> i64 {
        let newest = self.tail.iter().map(|key| key.time).max().unwrap_or(self.to);
        newest.saturating_add(self.overlap() * MOST_ENDS)
    }

    fn handle_candles(&mut self, items: Vec<Item>) -> Step {
        let older = items.iter().filter(|item| item.time < self.to);
        let (objects, oldest) = (older.clone().count(), older.map(|item| item.time).min());
        let Some(oldest) = oldest else { return self.claim(0, self.to) };
        if self.short_from.is_none() && !self.gives_short_pages && items.len() < self.count {
            self.judged = items;
            return self.claim(objects, oldest);
        }
        self.take(items);
        let step = self.advance(oldest);
        if let Some(from) = self.short_from.take() {
            // The short page had claimed that nothing was before it, and something may be missing within it as well.
            (self.to, self.gives_short_pages) = (from, true);
            return Step::More;
        }
        step
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
            return self.claim(0, self.to);
        };
        self.cursor = Some(id);
        self.advance(oldest)
    }

    /// A page has reached back to `oldest`.
    fn advance(&mut self, oldest: i64) -> Step {
        (self.to, self.pages, self.ends) = (oldest.min(self.to), self.pages + 1, 0);
        let is_done = match self.series {
            Series::Candles(_) => oldest <= self.span.from,
            Series::Trades => oldest < self.span.from - self.slack.older,
        };
        if is_done { Step::Done } else { Step::More }
    }

    fn claim(&self, objects: usize, before: i64) -> Step {
        let since = match self.series {
            Series::Candles(_) => self.span.from,
            Series::Trades => self.day,
        };
        Step::Ends(Claim { since, to: self.to, objects, before })
    }

    /// So many answers in a row claimed that nothing is before; the second one was to another question than the first.
    fn confirm(&mut self, ends: usize) -> Step {
        self.ends = ends;
        if ends > 1 { self.end_question() } else { Step::Again(PAUSES[0]) }
    }

    /// There is nothing more of what is asked for: of trades, of this day.
    fn end_question(&mut self) -> Step {
        if self.series != Series::Trades || self.day <= self.span.from {
            return Step::Done;
        }
        (self.to, self.day) = (self.day, self.day - DAY);
        (self.cursor, self.ends) = (None, 0);
        self.tail.clear();
        self.seen.clear();
        if self.is_gone(self.asked_on) { Step::Gone } else { Step::More }
    }

    /// What is newer than the claim. Of the oldest millisecond of trades there may be more.
    fn doubt(&mut self, claim: Claim) -> Step {
        let from = match self.series {
            Series::Trades if self.to < self.span.to => self.to + 1,
            _ => self.to,
        };
        self.items.retain(|item| item.time >= from);
        Step::Doubted { claim, whole: Span { from, to: self.span.to } }
    }

    /// Whether there was anything new among these. What is not of the span is not kept.
    fn take(&mut self, mut items: Vec<Item>) -> bool {
        let to = self.asked_to();
        items.retain(|item| item.time < to && self.seen.insert((item.time, item.id)));
        let has_news = !items.is_empty();
        if has_news && self.items.is_empty() {
            self.tail.clear();
        }
        items.retain(|item| self.span.contains(item.time));
        self.tail.extend(items.iter().map(|item| Key { time: item.time, id: item.id }));
        self.items.extend(items);
        has_news
    }

    /// Around midnight it takes trades of the day that was meant to show that it was understood.
    fn is_of_another_day(&self, items: &[Item], now: i64) -> bool {
        is_near_midnight(now) && (items.is_empty() || items.iter().any(|item| day_of(item.time) != self.day))
    }

    fn asked_to(&self) -> i64 {
        self.span.to.saturating_add(self.slack.newer)
    }

    /// Behind the oldest trade, or, to confirm a claim, behind one that came a little before it.
    fn overlapping_cursor(&self) -> Option<u64> {
        let before = self.tail.len().checked_sub(1 + self.ends * OVERLAP).map(|at| self.tail[at].id);
        before.filter(|_| self.ends > 0).or(self.cursor)
    }

    /// By how much a confirming question overlaps with what has come.
    fn overlap(&self) -> i64 {
        match self.series {
            Series::Candles(unit) => unit.length().unwrap_or(LONG),
            Series::Trades => REPEATED,
        }
    }
}

#[cfg(test)]
mod tests;
