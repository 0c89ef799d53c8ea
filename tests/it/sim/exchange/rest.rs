//! The exchange's history as healing is answered: real pages, and everything that can go wrong with an answer.

use super::market::{Market, PageOf};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::value::RawValue;
use std::time::Duration;
use upbit_recorder::clock::{Clock, sleep_until};
use upbit_recorder::history::healing::{Fetch, Fetched};
use upbit_recorder::rest::FetchError;
use upbit_recorder::rest::client::budget::BudgetError;
use upbit_recorder::rest::client::request::Request;
use upbit_recorder::rest::client::verdict::Page;
use upbit_recorder::rest::client::{Denial, RestError};
use upbit_recorder::upbit::series::{DAY, TRADE_DAYS, day_of};

/// The exchange as one life of a recorder asks it.
pub(crate) struct Rest {
    market: Market,
    rng: StdRng,
    /// Nothing goes wrong.
    is_kind: bool,
    /// The last page was not whole: one wrong answer is to be found out, two in a row are not.
    was_wrong: bool,
}

impl Rest {
    pub(crate) fn new(market: Market, seed: u64, is_kind: bool) -> Self {
        Self { market, rng: StdRng::seed_from_u64(seed ^ 0x7265_7374), is_kind, was_wrong: false }
    }

    fn draw(&mut self, request: &Request, clock: Clock) -> Result<Page, RestError> {
        let denial = |reason: &str| Denial { what: request.describe(), reason: reason.to_owned() };
        let unavailable = |reason: &str| RestError::Unavailable { attempts: 4, denial: denial(reason) };
        let turn = if self.is_kind { 99 } else { self.rng.random_range(0..60) };
        match turn {
            0..4 => return Err(unavailable("502")),
            4 => return Err(RestError::Refused(denial("404 Code not found"))),
            5 | 6 => {
                let until = clock.stamp().after(Duration::from_secs(15));
                return Err(BudgetError::Spent { until }.into());
            }
            _ => {}
        }
        let mut page = self.page(request).ok_or_else(|| RestError::Refused(denial("400 days_ago")))?;
        let is_wrong = (7..17).contains(&turn) && !self.was_wrong;
        self.was_wrong = is_wrong;
        if is_wrong {
            // None, or those of the newest.
            let kept = if turn < 12 { 0 } else { self.rng.random_range(0..=page.len()) };
            page.truncate(kept);
        }
        // The client holds each page against its question.
        let mismatch = request.question.as_ref().and_then(|it| it.check(&page, clock.stamp().as_millis()).err());
        mismatch.map_or(Ok(page), |mismatch| Err(unavailable(&mismatch.to_string())))
    }

    /// The right answer; `None`: the exchange keeps nothing of that day.
    fn page(&self, request: &Request) -> Option<Page> {
        assert_eq!(request.path, "trades/ticks");
        let query = request.query.plain();
        let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let number = |name: &str| value(name).map(|text| text.parse::<u64>().unwrap());
        let days_ago = i64::try_from(number("days_ago").unwrap_or_default()).unwrap();
        if days_ago > TRADE_DAYS {
            return None;
        }
        let day = day_of(self.market.now().as_millis()) - days_ago * DAY;
        let seconds = value("to").map(|text| {
            let [hours, minutes, seconds] = [0, 2, 4].map(|at| text[at..at + 2].parse::<i64>().unwrap());
            (hours * 60 + minutes) * 60 + seconds
        });
        let to = day + seconds.map_or(DAY, |seconds| seconds * 1_000);
        let count = usize::try_from(number("count").unwrap()).unwrap();
        let of = PageOf { code: value("market").unwrap(), day, to, cursor: number("cursor"), count };
        Some(self.market.page(&of).into_iter().map(|object| RawValue::from_string(object).unwrap()).collect())
    }
}

impl Fetch for Rest {
    async fn fetch(&mut self, request: Request, clock: Clock) -> Fetched {
        let longest = if !self.is_kind && self.rng.random_ratio(1, 10) { 20_000 } else { 200 };
        let pause = Duration::from_millis(self.rng.random_range(5..longest));
        sleep_until(Some(clock.now() + pause)).await;
        // Where it had to wait for its turn, it asked twice.
        let requests = 1 + u64::from(longest > 200);
        Fetched { requests, outcome: self.draw(&request, clock).map_err(FetchError::from) }
    }
}
