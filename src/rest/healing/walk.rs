//! From the newest trade that can be missing back to the oldest, page by page. Pure.
//!
//! ```text
//!  floor                         ceiling
//!  ├──────┬───────────┬───────────┤        pages of 500, by the cursor; a day of the exchange at a time
//!  … page 3   page 2      page 1
//! ```
//!
//! The walk ends with the page that reaches behind the floor, or where the exchange keeps nothing more. What is missing
//! is handed on page by page, oldest first within it: a long gap is never in memory as a whole.

use super::evidence::Evidence;
use super::record::{Fetched, Healable};
use crate::rest::client::request::Request;
use crate::rest::client::verdict::Page;
use crate::rest::quotation::{self, DAY, TRADE_DAYS, day_of};
use serde_json::value::RawValue;
use std::collections::VecDeque;

/// A page may repeat the millisecond of the one before, and none that is older comes up again.
const OVERLAP: i64 = 60_000;

/// Pages of a walk are taken to be in the order of time but for so much.
const DISORDER: i64 = 2_000;

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
}

impl Walk {
    /// A walk over what may be missing of `market`, begun at `now`. What is newer than `resume` was written before.
    pub fn new(market: &str, evidence: &Evidence, (resume, now): (Option<i64>, i64)) -> Self {
        let ceiling = evidence.ceiling().unwrap_or(i64::MAX).min(resume.unwrap_or(i64::MAX));
        // Where our clock is slow, something may have happened tomorrow.
        let day = day_of(ceiling.min(now));
        Self { market: market.to_owned(), floor: evidence.floor(), ceiling, day, cursor: None, asked_on: day }
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
        // Exclusive, to the second: the next one after the ceiling.
        let to = self.ceiling.saturating_add(2_000);
        Some(quotation::trades(&self.market, (self.day, self.asked_on), to, self.cursor))
    }

    /// Whether a page holds anything that is not on disk as far as `evidence` goes.
    pub fn has_news(&self, page: &Page, evidence: &Evidence) -> bool {
        let fetched = page.iter().filter_map(|object| Fetched::parse(Healable::Trades, object.get().as_bytes()));
        fetched.into_iter().any(|fetched| self.is_missing(fetched, evidence))
    }

    /// Takes the page that was asked for, at `now`. What was missing is put into `missing`, and counts as on disk from
    /// here on.
    pub fn handle(&mut self, page: Page, now: i64, (evidence, missing): (&mut Evidence, &mut Vec<Missing>)) -> Step {
        if day_of(now) != self.asked_on {
            // Midnight passed, and `days_ago` may have meant another day when it was answered.
            return Step::More;
        }
        let Some(page) = page.into_iter().map(parse).collect::<Option<Vec<_>>>() else { return Step::Astray };
        let times = || page.iter().map(|(fetched, _)| fetched.time);
        let Some((oldest, newest)) = times().min().zip(times().max()) else { return self.day_before() };
        if newest >= self.day + DAY || (newest < self.day && self.cursor.is_none()) {
            return Step::Astray;
        }
        let last = page.last().map(|(fetched, _)| fetched.id);
        let is_stuck = self.cursor == last;
        let begin = missing.len();
        for (fetched, object) in page {
            if self.is_missing(fetched, evidence) {
                evidence.wrote(fetched.id, fetched.time, oldest.saturating_add(OVERLAP));
                missing.push(Missing { time: fetched.time, object });
            }
        }
        missing[begin..].reverse();
        missing[begin..].sort_by_key(|missing| missing.time);
        if oldest < self.floor {
            return Step::Done;
        }
        if is_stuck {
            return self.day_before();
        }
        self.cursor = last;
        Step::More
    }

    fn is_missing(&self, fetched: Fetched, evidence: &Evidence) -> bool {
        (self.floor..=self.ceiling).contains(&fetched.time) && !evidence.knows(fetched.id)
    }

    /// There is nothing more of this day.
    fn day_before(&mut self) -> Step {
        if self.day <= self.floor {
            return Step::Done;
        }
        (self.day, self.cursor) = (self.day - DAY, None);
        if self.asked_on - self.day > TRADE_DAYS * DAY { Step::Gone } else { Step::More }
    }
}

/// An object and what is needed of it; `None` where it is no trade or could not stand in a line.
fn parse(object: Box<RawValue>) -> Option<(Fetched, Box<RawValue>)> {
    let fetched = Fetched::parse(Healable::Trades, object.get().as_bytes())?;
    super::fits_a_line(&object).then_some((fetched, object))
}

#[cfg(test)]
mod tests;
