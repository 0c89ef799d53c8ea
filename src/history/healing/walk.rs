//! From the newest trade that can be missing back to the oldest, page by page. Pure.
//!
//! ```text
//!  floor                         ceiling
//!  ├──────┬───────────┬───────────┤        pages of 500, by the cursor; a day of the exchange at a time
//!  … page 3   page 2      page 1
//! ```
//!
//! The walk ends with the page that reaches behind the floor, or where the exchange keeps nothing more. That it does not is
//! believed when it says so twice, asked in two ways, and nothing on the tape speaks against it: what the stream brought of
//! that time would have to be there. What is missing is handed on page by page, oldest first within it: a long gap is never
//! in memory as a whole.

use super::evidence::Evidence;
use super::record::Fetched;
use crate::rest::answer::{Item, Question, is_near_midnight};
use crate::rest::client::request::Request;
use crate::rest::client::verdict::Page;
use crate::rest::quotation::{self, TRADES_PER_PAGE, TradePage};
use crate::upbit::series::{DAY, Series, TRADE_DAYS, day_of};
use serde_json::value::RawValue;
use std::collections::VecDeque;
use std::time::Duration;

/// A page may repeat the millisecond of the one before, and none that is older comes up again.
const OVERLAP: i64 = 60_000;

/// Pages of a walk are taken to be in the order of time but for so much.
const DISORDER: i64 = 2_000;

/// So many trades come again where an answer is to be confirmed.
const AGAIN: usize = 20;

/// The pause before an answer that ends a walk is confirmed: a fault of a moment is over.
pub const CONFIRM: Duration = Duration::from_secs(2);

/// An object that was missing.
#[derive(Clone, Debug)]
pub struct Missing {
    /// When it happened, or when its period began.
    pub time: i64,
    /// The object, verbatim.
    pub object: Box<RawValue>,
}

/// What came of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask on.
    More,
    /// Ask on after [`CONFIRM`]: there seems to be nothing more.
    Again,
    /// The exchange says that there is nothing where the tape has something.
    Doubted,
    /// Everything that was missing was handed on.
    Done,
    /// The exchange keeps nothing that is older, and it did not reach far enough back.
    Gone,
    /// The answer is not one to this question, as around midnight where the exchange's day is not ours.
    Astray,
}

/// From where on everything missing was written by earlier processes, by the times of what they wrote.
///
/// Each began where everything newer was written, and wrote page after page, newer pages first. Of its last page the rest
/// may be missing, and that is not more than a page's length of lines; what stands before those in its part is complete.
#[derive(Debug)]
pub struct Complete {
    page: usize,
    last: VecDeque<i64>,
    oldest: Option<i64>,
}

impl Complete {
    /// Of pages of at most this length.
    pub fn of_pages(page: usize) -> Self {
        Self { page, last: VecDeque::new(), oldest: None }
    }

    /// What follows was written by another process.
    pub fn next_process(&mut self) {
        self.last.clear();
    }

    /// The time of the next object in the file.
    pub fn add(&mut self, time: i64) {
        self.last.push_back(time);
        if self.last.len() > self.page
            && let Some(time) = self.last.pop_front()
        {
            self.oldest = Some(self.oldest.map_or(time, |oldest| oldest.min(time)));
        }
    }

    /// Nothing newer has to be looked for; `None`: everything has.
    pub fn until(&self) -> Option<i64> {
        self.oldest.map(|oldest| oldest + DISORDER)
    }
}

/// See the module.
#[derive(Debug)]
pub struct Walk {
    market: String,
    floor: i64,
    ceiling: i64,
    /// The beginning of the day that is asked for.
    day: i64,
    cursor: Option<u64>,
    /// The day on which the last request was made: `days_ago` counts from there.
    asked_on: i64,
    question: Option<Question>,
    /// The oldest time of this day that came.
    reached: i64,
    /// The identifiers of the last page, in its order.
    last: Vec<u64>,
    /// The answer that nothing more is there is being confirmed.
    is_confirming: bool,
}

impl Walk {
    /// A walk over what may be missing of `market`, begun at `now`. What is newer than `resume` was written before.
    pub fn new(market: &str, evidence: &Evidence, (resume, now): (Option<i64>, i64)) -> Self {
        let ceiling = evidence.ceiling().unwrap_or(i64::MAX).min(resume.unwrap_or(i64::MAX));
        // Where our clock is slow, something may have happened tomorrow.
        let day = day_of(ceiling.min(now));
        let (market, floor) = (market.to_owned(), evidence.floor());
        let (cursor, question, last) = Default::default();
        let (reached, is_confirming) = (i64::MAX, false);
        Self { market, floor, ceiling, day, cursor, asked_on: day, question, reached, last, is_confirming }
    }

    /// Nothing newer than this is looked for, now that it is known.
    pub fn lower_ceiling(&mut self, ceiling: i64) {
        self.ceiling = self.ceiling.min(ceiling);
    }

    /// The next request, made at `now`; `None`: there is nothing to be asked for any more.
    pub fn request(&mut self, now: i64) -> Option<Request> {
        self.asked_on = day_of(now);
        if self.asked_on - self.day > TRADE_DAYS * DAY {
            return None;
        }
        let (day, asked_on, to) = (self.day, self.asked_on, self.to());
        let (cursor, count) = match self.is_confirming {
            // A cache would give the same answer to the same question.
            true => (self.last.iter().rev().nth(AGAIN).copied().or(self.cursor), TRADES_PER_PAGE - 1),
            false => (self.cursor, TRADES_PER_PAGE),
        };
        let request = quotation::trades(&self.market, TradePage { day, asked_on, to, cursor, count });
        self.question.clone_from(&request.question);
        Some(request)
    }

    /// Whether a page holds anything that is not on disk as far as `evidence` goes.
    pub fn has_news(&self, page: &Page, evidence: &Evidence) -> bool {
        let fetched = page.iter().filter_map(|object| Fetched::parse(Series::Trades, object.get().as_bytes()));
        fetched.into_iter().any(|fetched| self.is_missing(fetched.id, fetched.time, evidence))
    }

    /// Takes the page that was asked for, at `now`. What was missing is put into `missing`, and counts as on disk from
    /// here on.
    pub fn handle(&mut self, page: Page, now: i64, (evidence, missing): (&mut Evidence, &mut Vec<Missing>)) -> Step {
        if day_of(now) != self.asked_on {
            // Midnight passed, and `days_ago` may have meant another day when it was answered.
            return Step::More;
        }
        let Some(question) = self.question.take() else { return Step::More };
        let Ok(items) = question.items(page, now) else { return Step::Astray };
        let of_day = items.iter().filter(|item| day_of(item.time) == self.day).count();
        let is_later = items.iter().any(|item| item.time >= self.day + DAY);
        if is_near_midnight(now) && (is_later || of_day == 0 && self.cursor.is_none()) {
            // The exchange's day may not be ours.
            return Step::Astray;
        }
        let is_full = items.len() >= TRADES_PER_PAGE - usize::from(self.is_confirming);
        let has_news = items.iter().any(|item| !self.last.contains(&item.id));
        let oldest = items.iter().min_by_key(|item| item.time).map(|item| (item.time, item.id));
        let Some((oldest, id)) = oldest.filter(|_| has_news) else {
            if is_full && !self.is_confirming && self.cursor != self.last.last().copied() {
                // Behind the oldest trade came only such as were known: the exchange has another order.
                self.cursor = self.last.last().copied();
                return Step::More;
            }
            return self.end_of_day(evidence);
        };
        self.last = items.iter().map(|item| item.id).collect();
        (self.cursor, self.reached, self.is_confirming) = (Some(id), self.reached.min(oldest), false);
        self.pick(items, oldest, (evidence, missing));
        if oldest < self.floor { Step::Done } else { Step::More }
    }

    fn pick(&self, items: Vec<Item>, oldest: i64, (evidence, missing): (&mut Evidence, &mut Vec<Missing>)) {
        let begin = missing.len();
        for Item { time, id, object } in items {
            if self.is_missing(id, time, evidence) {
                evidence.wrote(id, time, oldest.saturating_add(OVERLAP));
                missing.push(Missing { time, object });
            }
        }
        missing[begin..].reverse();
        missing[begin..].sort_by_key(|missing| missing.time);
    }

    /// Exclusive, to the second: the next one after the ceiling.
    fn to(&self) -> i64 {
        self.ceiling.saturating_add(2_000)
    }

    fn is_missing(&self, id: u64, time: i64, evidence: &Evidence) -> bool {
        (self.floor..=self.ceiling).contains(&time) && !evidence.knows(id)
    }

    /// The exchange says that there is nothing more of this day.
    fn end_of_day(&mut self, evidence: &Evidence) -> Step {
        let to = self.reached.min(self.ceiling).min(self.day + DAY);
        if evidence.knows_within(self.day..to) {
            return Step::Doubted;
        }
        if !self.is_confirming {
            self.is_confirming = true;
            return Step::Again;
        }
        self.day_before()
    }

    fn day_before(&mut self) -> Step {
        if self.day <= self.floor {
            return Step::Done;
        }
        (self.day, self.cursor, self.reached, self.is_confirming) = (self.day - DAY, None, i64::MAX, false);
        self.last.clear();
        if self.asked_on - self.day > TRADE_DAYS * DAY { Step::Gone } else { Step::More }
    }
}

#[cfg(test)]
mod tests;
