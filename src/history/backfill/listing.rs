//! The first day of a pair's history on the exchange, from two answers that must agree. Pure.
//!
//! ```text
//! months ──the oldest──▶ days of that month ──the oldest──▶ listed since that day
//!   ▲ └ none                └ none, or one of an earlier month
//!   └────── after a pause ──────┴──▶ doubted: not recorded
//! ```
//!
//! Without it, every piece of the years before would cost a request, thousands in all; a list of months cut short would
//! hide the earlier history forever. The two questions go to different endpoints, and the days must confirm the months.

use crate::history::claim::PAUSES;
use crate::rest::answer::Mismatch;
use crate::rest::client::request::Request;
use crate::rest::client::verdict::Page;
use crate::rest::quotation::{CANDLES_PER_PAGE, CandlePage, candles};
use crate::upbit::series::{Unit, moment};
use jiff::ToSpan;
use jiff::tz::Offset;
use std::time::Duration;

/// The result of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Send the next request.
    More,
    /// Repeat the request after a pause.
    Again(Duration),
    /// The first day; `None`: there are more months than one answer holds.
    Known(Option<i64>),
    /// The answers contradict each other or known data; the month is the earliest one that they show.
    Doubted(Option<i64>),
}

/// The state machine of one pair. Times are milliseconds since the Unix epoch.
#[derive(Debug)]
pub(super) struct Listing {
    market: String,
    /// Known data lies before this time.
    exists_before: Option<i64>,
    /// The month whose days are requested.
    month: Option<i64>,
    /// The earliest time in any answer.
    earliest: Option<i64>,
    /// Answers that contradicted each other or known data.
    doubts: usize,
}

impl Listing {
    /// Starts the query for a pair.
    pub(super) fn new(market: String, exists_before: Option<i64>) -> Self {
        Self { market, exists_before, month: None, earliest: None, doubts: 0 }
    }

    /// The pair.
    pub(super) fn market(&self) -> &str {
        &self.market
    }

    /// The next request, made at `now`.
    pub(super) fn request(&self, now: i64) -> Request {
        // The count varies, so that a cache with another request's answer is bypassed.
        let count = CANDLES_PER_PAGE - self.doubts;
        match self.month {
            None => candles(Unit::MONTH, &self.market, CandlePage { to: None, count }),
            Some(month) => {
                let to = Some(end_of_month(month).min(now));
                candles(Unit::DAY, &self.market, CandlePage { to, count })
            }
        }
    }

    /// Handles the page requested at `now`.
    ///
    /// # Errors
    /// The page does not answer the request.
    pub(super) fn handle(&mut self, page: Page, now: i64) -> Result<Step, Mismatch> {
        let request = self.request(now);
        let is_full = page.len() >= CANDLES_PER_PAGE - self.doubts;
        let items = match &request.question {
            Some(question) => question.items(page, now)?,
            None => Vec::new(),
        };
        let oldest = items.iter().map(|item| item.time).min();
        let month = oldest.map(|time| Unit::MONTH.start_of(time));
        self.earliest = self.earliest.into_iter().chain(month).min();
        let Some((oldest, month)) = oldest.zip(month) else { return Ok(self.doubt()) };
        if self.exists_before.is_some_and(|before| oldest >= before) {
            return Ok(self.doubt());
        }
        match self.month {
            None if is_full => Ok(Step::Known(None)),
            None => {
                self.month = Some(month);
                Ok(Step::More)
            }
            Some(wanted) if month == wanted => Ok(Step::Known(Some(oldest))),
            Some(_) => Ok(self.doubt()),
        }
    }

    /// The exchange refuses the days: the month is unconfirmed.
    pub(super) fn handle_refusal(&self) -> Option<Step> {
        self.month.map(|month| Step::Doubted(Some(month)))
    }

    fn doubt(&mut self) -> Step {
        self.month = None;
        self.doubts += 1;
        PAUSES.get(self.doubts - 1).map_or(Step::Doubted(self.earliest), |pause| Step::Again(*pause))
    }
}

fn end_of_month(month: i64) -> i64 {
    let date = moment(month);
    let next = date.checked_add(1.month()).ok();
    next.and_then(|next| Offset::UTC.to_timestamp(next).ok()).map_or(month, |next| next.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::RawValue;

    const NOW: i64 = 1_795_000_000_000;

    fn page(dates: &[&str]) -> Page {
        let object = |date: &&str| format!(r#"{{"candle_date_time_utc":"{date}T00:00:00","market":"KRW-BTC"}}"#);
        dates.iter().map(|date| RawValue::from_string(object(date)).unwrap()).collect()
    }

    fn millis(date: &str) -> i64 {
        format!("{date}T00:00:00Z").parse::<jiff::Timestamp>().unwrap().as_millisecond()
    }

    /// Feeds several answers in turn; returns the last step.
    fn ask(listing: &mut Listing, answers: &[&[&str]]) -> Step {
        let steps = answers.iter().map(|answer| listing.handle(page(answer), NOW).unwrap());
        steps.last().unwrap()
    }

    fn listing() -> Listing {
        Listing::new("KRW-BTC".into(), None)
    }

    #[test]
    fn months_and_days_have_to_agree() {
        let mut listing = listing();
        assert_eq!(listing.request(NOW).describe(), "candles/months?market=KRW-BTC&count=200");
        assert_eq!(ask(&mut listing, &[&["2026-05-01", "2026-03-01"]]), Step::More);
        let days = "candles/days?market=KRW-BTC&to=2026-04-01T00:00:00Z&count=200";
        assert_eq!(listing.request(NOW).describe(), days);
        assert_eq!(ask(&mut listing, &[&["2026-03-31", "2026-03-17"]]), Step::Known(Some(millis("2026-03-17"))));
    }

    #[test]
    fn a_list_of_months_that_lacks_its_end_is_noticed_by_the_days() {
        let mut listing = listing();
        let step = ask(&mut listing, &[&["2026-05-01", "2026-03-01"], &["2026-03-02", "2026-02-27"]]);
        assert_eq!(step, Step::Again(PAUSES[0]));
        assert!(listing.request(NOW).describe().ends_with("count=199"), "another question than before");
        let whole: [&[&str]; 2] = [&["2026-02-01", "2025-11-01"], &["2025-11-09"]];
        assert_eq!(ask(&mut listing, &whole), Step::Known(Some(millis("2025-11-09"))));
    }

    #[test]
    fn empty_answers_never_become_knowledge() {
        let mut empty = listing();
        let pauses: Vec<Step> = (0..4).map(|_| ask(&mut empty, &[&[]])).collect();
        let expected = [PAUSES[0], PAUSES[1], PAUSES[2]].map(Step::Again);
        assert_eq!((&pauses[..3], pauses[3]), (&expected[..], Step::Doubted(None)));
        let mut without_days = listing();
        let round: [&[&str]; 2] = [&["2026-03-01"], &[]];
        let last = (0..4).map(|_| ask(&mut without_days, &round)).last();
        assert_eq!(last.unwrap(), Step::Doubted(Some(millis("2026-03-01"))));
    }

    #[test]
    fn what_is_known_to_be_earlier_speaks_against_both() {
        let mut listing = Listing::new("KRW-BTC".into(), Some(millis("2026-02-02")));
        assert_eq!(ask(&mut listing, &[&["2026-05-01", "2026-03-01"]]), Step::Again(PAUSES[0]));
    }

    #[test]
    fn a_full_page_of_months_says_nothing() {
        let many: Vec<String> = (0..200).map(|n| format!("{}-{:02}-01", 2000 + n / 12, n % 12 + 1)).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(ask(&mut listing(), &[&many]), Step::Known(None));
        let mut listing = listing();
        assert_eq!(listing.handle_refusal(), None);
        ask(&mut listing, &[&["2026-03-01"]]);
        assert_eq!(listing.handle_refusal(), Some(Step::Doubted(Some(millis("2026-03-01")))));
    }
}
