//! A backward walk over one span of a pair's history, page by page. A pure state machine.
//!
//! ```text
//! from                                  to
//! ├───────────────┼───────┼─────────────┤
//!   …    page 3     page 2    page 1          each ends at the oldest object of the page before it
//!
//! page ─▶ older objects ─▶ More ─▶ … ─▶ back at the start ────────────────▶ Done
//!     └─▶ none, or fewer than a page holds ─▶ Ends ─judge─▶ Again ─▶ … ─▶ Done, or Doubted
//! ```
//!
//! Trades are walked by the exchange's days, newest day first, with a cursor within the day. The walk is done when a
//! page reaches the start of the span, or when two different requests both claim that nothing lies before. Neither the
//! order of objects in a page nor that of their ids is relied on: objects seen before are dropped.

use super::claim::{Claim, Judgement, PAUSES};
use super::span::Span;
use crate::rest::answer::{Item, Key, Mismatch, Question, is_near_midnight};
use crate::rest::client::request::Request;
use crate::rest::client::verdict::Page;
use crate::rest::quotation::{self, CANDLES_PER_PAGE, CandlePage, TRADES_PER_PAGE, TradePage};
use crate::upbit::series::{DAY, Series, TRADE_DAYS, day_of};
use std::collections::BTreeSet;
use std::time::Duration;

/// The exchange's trades are ordered by time up to this many milliseconds.
pub(super) const DISORDER: i64 = 2_000;

/// Trades of overlap with the last page, for each claim to confirm.
const OVERLAP: usize = 20;

/// A trade may be repeated in pages that reach back by up to this many milliseconds, and not later.
const REPEATED: i64 = 20_000;

/// The most confirming requests in a row.
const MOST_ENDS: i64 = PAUSES.len() as i64;

/// The length of a calendar period counts as this, in milliseconds.
const LONG: i64 = 31 * DAY;

/// The result of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Send the next request.
    More,
    /// Send it after a pause.
    Again(Duration),
    /// The answer claims that nothing lies before; the caller judges the claim.
    Ends(Claim),
    /// The span is complete.
    Done,
    /// The exchange repeats a contradicted claim. The remaining items are complete for a part of the span.
    Doubted {
        /// The claim.
        claim: Claim,
        /// The part.
        whole: Span,
    },
    /// The page does not answer the request.
    Strange(Mismatch),
    /// Around midnight: the exchange may have answered for another day.
    OtherDay,
    /// The exchange no longer keeps it.
    Gone,
}

/// The margins around a span of trades, in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slack {
    /// A page must reach back by more than this before the span.
    pub(super) older: i64,
    /// Pages are requested from this much after the span.
    pub(super) newer: i64,
}

/// The state machine. Times are milliseconds since the Unix epoch.
#[derive(Debug)]
pub(super) struct PageWalk {
    market: String,
    series: Series,
    span: Span,
    slack: Slack,
    /// The start of the day whose trades are requested.
    day: i64,
    /// Everything from here on was received, for trades all of the day; the next page lies before it.
    to: i64,
    /// Pages with objects.
    pages: i64,
    /// The trade after which the next page begins.
    cursor: Option<u64>,
    /// The last request's question, and its count.
    question: Option<Question>,
    count: usize,
    /// The day of the last request: `days_ago` is relative to it.
    asked_on: i64,
    /// Objects of the span, not taken yet, newest first as received.
    items: Vec<Item>,
    /// Their keys, or those of the page taken last: confirming requests overlap with them.
    tail: Vec<Key>,
    /// Keys that may be repeated.
    seen: BTreeSet<(i64, u64)>,
    /// Claims of "nothing more" in a row.
    ends: usize,
    /// The page whose claim is being judged.
    judged: Vec<Item>,
    /// A short page ended before this time, and its claim is not confirmed yet.
    short_from: Option<i64>,
    /// A short page was disproved: such pages claim nothing any more.
    gives_short_pages: bool,
}

impl PageWalk {
    /// A walk over a span of `market`'s history, begun at `now`. A span of trades within one day of the exchange needs
    /// that day's pages only.
    pub(super) fn new(market: String, series: Series, span: Span, slack: Slack, now: i64) -> Self {
        // If our clock is slow, the span may reach into tomorrow.
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

    /// Candles of a unit, or trades.
    pub(super) fn series(&self) -> Series {
        self.series
    }

    /// The span to walk.
    pub(super) fn span(&self) -> Span {
        self.span
    }

    /// Whether the exchange no longer keeps it. Candles of seconds expire one by one, so that a walk gets the rest.
    pub(super) fn is_gone(&self, now: i64) -> bool {
        self.series == Series::Trades && day_of(now) - self.day > TRADE_DAYS * DAY
    }

    /// Objects in memory.
    pub(super) fn held(&self) -> usize {
        self.items.len()
    }

    /// The mean reach of a page in milliseconds; `None` without a page that held objects.
    pub(super) fn per_page(&self) -> Option<i64> {
        (self.pages > 0).then(|| (self.span.to - self.to) / self.pages)
    }

    /// Shortens the walk to end at `to`.
    pub(super) fn end_at(&mut self, to: i64) {
        (self.span.to, self.to) = (self.span.to.min(to), self.to.min(to));
    }

    /// The next request, made at `now`. A claim is confirmed by a different request, which overlaps with received
    /// objects: a cache would answer an identical request identically.
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

    /// Handles the requested page, at `now`.
    pub(super) fn handle(&mut self, page: Page, now: i64) -> Step {
        if self.is_gone(now) {
            return Step::Gone;
        }
        if self.series == Series::Trades && day_of(now) != self.asked_on {
            // Midnight passed in flight, so `days_ago` is relative to another day.
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

    /// Continues after the claim of [`Step::Ends`].
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

    /// The objects of the span received since the last call, oldest first; within one millisecond, in reverse of the
    /// exchange's order.
    pub(super) fn take_items(&mut self) -> Vec<Item> {
        let mut items = std::mem::take(&mut self.items);
        items.reverse();
        items.sort_by_key(|item| item.time);
        drop(self.seen.split_off(&(self.comes_again_before(), 0)));
        items
    }

    /// The upper bound of times that may be repeated.
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
            // The short page's claim was wrong, and the page itself may have holes.
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
                // Only known trades followed the oldest one: the exchange orders them differently, so its own last
                // trade is the cursor.
                self.cursor = last;
                return Step::More;
            }
            return self.claim(0, self.to);
        };
        self.cursor = Some(id);
        self.advance(oldest)
    }

    /// A page reached back to `oldest`.
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

    /// Counts claims of "nothing before" in a row; the second one answers a different request.
    fn confirm(&mut self, ends: usize) -> Step {
        self.ends = ends;
        if ends > 1 { self.end_question() } else { Step::Again(PAUSES[0]) }
    }

    /// The request's range is exhausted: for trades, this day.
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

    /// Keeps the objects newer than the claim. The oldest millisecond of trades may be incomplete.
    fn doubt(&mut self, claim: Claim) -> Step {
        let from = match self.series {
            Series::Trades if self.to < self.span.to => self.to + 1,
            _ => self.to,
        };
        self.items.retain(|item| item.time >= from);
        Step::Doubted { claim, whole: Span { from, to: self.span.to } }
    }

    /// Whether any of these is new. Objects outside the span are not kept.
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

    /// Around midnight, only trades of the requested day prove that the exchange meant that day.
    fn is_of_another_day(&self, items: &[Item], now: i64) -> bool {
        is_near_midnight(now) && (items.is_empty() || items.iter().any(|item| day_of(item.time) != self.day))
    }

    fn asked_to(&self) -> i64 {
        self.span.to.saturating_add(self.slack.newer)
    }

    /// The oldest trade, or, to confirm a claim, one received a little before it.
    fn overlapping_cursor(&self) -> Option<u64> {
        let before = self.tail.len().checked_sub(1 + self.ends * OVERLAP).map(|at| self.tail[at].id);
        before.filter(|_| self.ends > 0).or(self.cursor)
    }

    /// The overlap of a confirming request with received objects.
    fn overlap(&self) -> i64 {
        match self.series {
            Series::Candles(unit) => unit.length().unwrap_or(LONG),
            Series::Trades => REPEATED,
        }
    }
}

#[cfg(test)]
mod tests;
