//! One piece of one market's history, asked for backwards as the exchange answers. Pure.
//!
//! ```text
//! from                                  to
//! ├───────────────┼───────┼─────────────┤
//!   …    page 3     page 2    page 1          each ends where the oldest of the one before begins
//! ```
//!
//! A piece is whole when a page is empty or reaches back to its start; only then is it handed on, oldest first.

use super::coverage::Span;
use super::unit::Kind;
use crate::rest::client::request::Request;
use crate::rest::client::verdict::Page;
use crate::rest::quotation::{self, DAY, day_of};
use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeSet;

/// So close to midnight the exchange's clock may show another day than ours.
const NEAR_MIDNIGHT: i64 = 10_000;

/// A candle or a trade.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// When its period began, or when it happened: milliseconds since the epoch.
    pub(super) time: i64,
    /// What tells it from others of the same time.
    pub(super) id: u64,
    /// The object, verbatim.
    pub(super) object: Box<RawValue>,
}

#[derive(Deserialize)]
struct Candle {
    candle_date_time_utc: DateTime,
}

#[derive(Deserialize)]
struct Trade {
    timestamp: i64,
    sequential_id: u64,
}

impl Item {
    /// Reads as much of an object as is needed; `None` where it is not what was asked for, or could not stand in a line.
    pub(super) fn parse(kind: Kind, object: Box<RawValue>) -> Option<Self> {
        let (time, id) = Self::key(kind, object.get())?;
        (!object.get().contains('\n')).then_some(Self { time, id, object })
    }

    /// Time and id of an object.
    pub(super) fn key(kind: Kind, object: &str) -> Option<(i64, u64)> {
        match kind {
            Kind::Candles(_) => {
                let candle: Candle = serde_json::from_str(object).ok()?;
                let time = Offset::UTC.to_timestamp(candle.candle_date_time_utc).ok()?.as_millisecond();
                Some((time, u64::try_from(time).ok()?))
            }
            Kind::Trades => {
                let trade: Trade = serde_json::from_str(object).ok()?;
                Some((trade.timestamp, trade.sequential_id))
            }
        }
    }
}

/// What came of a page.
#[derive(Debug)]
pub(super) enum Step {
    /// Ask on.
    More,
    /// The piece is whole; oldest first.
    Done(Vec<Item>),
    /// The answer is not one to this question.
    Strange,
    /// The exchange has it no longer: a day began meanwhile.
    Gone,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Walk {
    market: String,
    kind: Kind,
    span: Span,
    /// Where the next page ends.
    to: i64,
    /// Pages that held something.
    pages: i64,
    /// The oldest trade so far.
    cursor: Option<u64>,
    /// The day on which the last request was made: `days_ago` counts from there.
    asked_on: i64,
    /// Newest first.
    items: Vec<Item>,
    seen: BTreeSet<(i64, u64)>,
}

impl Walk {
    /// A piece of `market`'s history.
    pub(super) fn new(market: String, kind: Kind, span: Span) -> Self {
        let (items, seen) = Default::default();
        Self { market, kind, span, to: span.to, pages: 0, cursor: None, asked_on: 0, items, seen }
    }

    /// What it is a piece of.
    pub(super) fn market(&self) -> &str {
        &self.market
    }

    /// Which piece it is.
    pub(super) fn span(&self) -> Span {
        self.span
    }

    /// Whether the exchange has it no longer. Candles of seconds it forgets one by one, and gives those that are left.
    pub(super) fn is_gone(&self, now: i64) -> bool {
        self.kind == Kind::Trades && self.kind.reach(now).is_some_and(|reach| self.span.from < reach)
    }

    /// Objects in memory.
    pub(super) fn held(&self) -> usize {
        self.items.len()
    }

    /// Over how much time a page reached, in milliseconds; `None` where there was nothing.
    pub(super) fn per_page(&self) -> Option<i64> {
        (self.pages > 0).then(|| (self.span.to - self.to) / self.pages)
    }

    /// The next request, made at `now` (milliseconds since the epoch).
    pub(super) fn request(&mut self, now: i64) -> Request {
        match self.kind {
            Kind::Candles(unit) => quotation::candles(unit.path(), &self.market, self.to),
            Kind::Trades => self.trades(now),
        }
    }

    /// Takes the page that was asked for, at `now`.
    pub(super) fn handle(&mut self, page: Page, now: i64) -> Step {
        let is_candle = self.kind != Kind::Trades;
        if self.is_gone(now) {
            return Step::Gone;
        }
        if !is_candle && day_of(now) != self.asked_on {
            // Midnight passed, and `days_ago` meant another day when it was answered.
            return Step::More;
        }
        let is_end = page.is_empty();
        let Some(items) = page.into_iter().map(|object| Item::parse(self.kind, object)).collect::<Option<Vec<_>>>()
        else {
            return Step::Strange;
        };
        if !is_candle && !self.is_of_the_day(&items, now) {
            return if is_near_midnight(now) { Step::More } else { Step::Strange };
        }
        let Some((oldest, last)) = items.iter().map(|item| item.time).min().zip(items.last().map(|item| item.id))
        else {
            return if is_end { self.finish() } else { Step::Strange };
        };
        if is_candle && oldest >= self.to {
            return Step::Strange;
        }
        self.pages += 1;
        let known = self.seen.len();
        for item in items {
            if (self.span.from..self.span.to).contains(&item.time) && self.seen.insert((item.time, item.id)) {
                self.items.push(item);
            }
        }
        let is_stuck = !is_candle && self.cursor == Some(last) && self.seen.len() == known;
        (self.to, self.cursor) = (oldest, Some(last));
        if oldest <= self.span.from && (is_candle || oldest < self.span.from) || is_stuck {
            return self.finish();
        }
        Step::More
    }

    /// Whether an answer can be one about the day that was meant. Around midnight it takes trades of that day to show it.
    fn is_of_the_day(&self, items: &[Item], now: i64) -> bool {
        let of = day_of(self.span.from);
        let is_later = items.iter().any(|item| item.time >= of + DAY);
        let is_shown = !items.is_empty() && items.iter().all(|item| day_of(item.time) == of);
        !is_later && (!is_near_midnight(now) || is_shown)
    }

    fn trades(&mut self, now: i64) -> Request {
        self.asked_on = day_of(now);
        quotation::trades(&self.market, (day_of(self.span.from), self.asked_on), self.span.to, self.cursor)
    }

    /// Oldest first; of one millisecond, in the order opposite to the exchange's.
    fn finish(&mut self) -> Step {
        let mut items = std::mem::take(&mut self.items);
        items.reverse();
        items.sort_by_key(|item| item.time);
        Step::Done(items)
    }
}

fn is_near_midnight(now: i64) -> bool {
    now - day_of(now) < NEAR_MIDNIGHT || day_of(now) + DAY - now < NEAR_MIDNIGHT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rest::quotation::moment;

    const MINUTE: i64 = 60_000;

    fn page(minutes: &[i64]) -> Page {
        let object = |minute: &i64| {
            let time = moment(minute * MINUTE).strftime("%Y-%m-%dT%H:%M:%S");
            RawValue::from_string(format!("{{\"candle_date_time_utc\":\"{time}\"}}")).unwrap()
        };
        minutes.iter().map(object).collect()
    }

    fn walk(from: i64, to: i64) -> Walk {
        let kind = Kind::Candles("1m".parse().unwrap());
        Walk::new("KRW-BTC".into(), kind, Span { from: from * MINUTE, to: to * MINUTE })
    }

    fn minutes(step: Step) -> Vec<i64> {
        let Step::Done(items) = step else { panic!("not done: {step:?}") };
        items.iter().map(|item| item.time / MINUTE).collect()
    }

    #[test]
    fn a_piece_is_walked_backwards_and_handed_on_oldest_first() {
        let mut walk = walk(10, 20);
        assert_eq!(walk.request(0).query.plain(), "market=KRW-BTC&to=1970-01-01T00:20:00Z&count=200");
        assert!(matches!(walk.handle(page(&[19, 17, 15]), 0), Step::More));
        assert_eq!(walk.request(0).query.plain(), "market=KRW-BTC&to=1970-01-01T00:15:00Z&count=200");
        assert_eq!(minutes(walk.handle(page(&[12, 9, 3]), 0)), [12, 15, 17, 19]);
        assert_eq!(walk.per_page(), Some(17 * MINUTE / 2));
    }

    #[test]
    fn the_start_of_history_ends_a_piece_and_an_answer_to_another_question_is_noticed() {
        assert_eq!(minutes(walk(10, 20).handle(page(&[]), 0)), [0; 0]);
        assert!(matches!(walk(10, 20).handle(page(&[25, 20]), 0), Step::Strange));
        let nonsense = vec![RawValue::from_string("{\"x\":1}".into()).unwrap()];
        assert!(matches!(walk(10, 20).handle(nonsense, 0), Step::Strange));
    }

    const TODAY: i64 = 100 * DAY;
    const HOUR: i64 = 60 * MINUTE;

    fn trades(times: &[i64]) -> Page {
        let object = |time: &i64| format!("{{\"timestamp\":{time},\"sequential_id\":{time}}}");
        times.iter().map(|time| RawValue::from_string(object(time)).unwrap()).collect()
    }

    /// The last hour but one of so many days ago.
    fn hour_of(days: i64) -> Walk {
        let from = TODAY - days * DAY + 22 * HOUR;
        Walk::new("KRW-BTC".into(), Kind::Trades, Span { from, to: from + HOUR })
    }

    #[test]
    fn trades_are_asked_for_by_day_and_hour_and_midnight_is_noticed() {
        let (mut walk, noon) = (hour_of(1), TODAY + 12 * HOUR);
        let from = walk.span().from;
        assert_eq!(walk.request(noon).query.plain(), "market=KRW-BTC&count=500&days_ago=1&to=230000");
        assert!(matches!(walk.handle(trades(&[from + 5]), noon + DAY), Step::More));
        assert_eq!(walk.request(noon + DAY).query.plain(), "market=KRW-BTC&count=500&days_ago=2&to=230000");
        assert!(matches!(walk.handle(trades(&[from + 5]), noon + DAY), Step::More));
        assert!(walk.request(noon + DAY).query.plain().ends_with(&format!("&cursor={}", from + 5)));
        let Step::Done(items) = walk.handle(trades(&[from - 1]), noon + DAY) else { panic!("not done") };
        assert_eq!((items.len(), walk.per_page()), (1, Some((HOUR + 1) / 2)));
    }

    #[test]
    fn what_the_exchange_forgets_at_midnight_is_gone_and_no_error() {
        let mut walk = hour_of(7);
        let before = TODAY + DAY - MINUTE;
        assert!(walk.request(before).query.plain().contains("days_ago=7"));
        assert!(matches!(walk.handle(trades(&[walk.span().from + 5]), before), Step::More));
        walk.request(before);
        assert!(matches!(walk.handle(trades(&[]), TODAY + DAY + 1), Step::Gone));
    }

    #[test]
    fn around_midnight_only_an_answer_that_shows_its_day_is_believed() {
        for now in [TODAY + 1, TODAY + DAY - 1] {
            let mut walk = hour_of(1);
            let from = walk.span().from;
            // The exchange's clock showed the day before, or after.
            for other in [vec![], vec![from + DAY], vec![from - DAY]] {
                walk.request(now);
                assert!(matches!(walk.handle(trades(&other), now), Step::More), "{other:?}");
            }
            assert!(!walk.request(now).query.plain().contains("cursor"));
            let Step::Done(items) = walk.handle(trades(&[from + 5, from - 5]), now) else { panic!("not done") };
            assert_eq!(items.len(), 1);
        }
        let mut walk = hour_of(1);
        let noon = TODAY + 12 * HOUR;
        walk.request(noon);
        assert!(matches!(walk.handle(trades(&[walk.span().from + DAY]), noon), Step::Strange));
    }
}
