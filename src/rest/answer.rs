//! Validates an answer against its question: the one place that defines a valid answer. Pure.
//!
//! ```text
//! Question ─(rides on the request)─▶ client: check ──another market, unit or time──▶ failed, retried
//!                                      └──▶ walk: items ──▶ time, id, object
//! ```
//!
//! A cache or a proxy in between can return another question's answer with status 200. Only the fields in use are
//! required of an object: its time, and the id of a trade. `market` and `unit` invalidate an answer if they are present
//! and differ; missing, `null` or of another type they prove nothing.

use super::client::verdict::Page;
use crate::upbit::series::{DAY, Series, Unit, day_of};
use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// This close to midnight the exchange's clock may show another day than ours, in milliseconds.
const NEAR_MIDNIGHT: i64 = 10_000;

/// A trade may be this much later than the requested second, in milliseconds: its time of day is printed to the second,
/// and the exchange documents neither time as the exact one.
const LATER: i64 = 2_000;

/// This many candles that all begin at boundaries of a coarser unit are of that unit: candles of seconds do so by
/// chance once in 60^8.
const COARSE: usize = 8;

/// Characters shown of a wrong market's code.
const SHOWN: usize = 24;

/// The expected content of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The pair.
    pub market: String,
    /// The series and the time.
    pub scope: Scope,
}

/// The series and the time of a question. Times are milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Candles of a unit that begin before `to`.
    Candles {
        /// The unit.
        unit: Unit,
        /// Exclusive; `i64::MAX` for no bound.
        to: i64,
    },
    /// Trades of a day.
    Trades {
        /// The start of the day.
        day: i64,
        /// The day of the request: `days_ago` is relative to it.
        asked_on: i64,
        /// Exclusive; `i64::MAX` if it is not within the day.
        to: i64,
        /// The request continues after a trade of an earlier page, so that its page may begin on another day.
        is_behind_cursor: bool,
    },
}

/// The key of an object: unique within its series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The start of its period, or the time of the trade: milliseconds since the Unix epoch.
    pub time: i64,
    /// Unique among objects of the same time.
    pub id: u64,
}

/// A candle or a trade.
#[derive(Clone, Debug)]
pub struct Item {
    /// The start of its period, or the time of the trade: milliseconds since the Unix epoch.
    pub time: i64,
    /// Unique among objects of the same time.
    pub id: u64,
    /// The object, verbatim.
    pub object: Box<RawValue>,
}

/// Why an answer does not match its question.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// It is of another market.
    #[error("it is about `{0}`")]
    Market(String),
    /// Its candles are of another unit.
    #[error("its candles are of another unit")]
    Unit,
    /// It holds times outside the request.
    #[error("it is about another time")]
    Time,
    /// It holds an object without a time or an id, or one that cannot be stored as a line.
    #[error("it holds something else than {0}")]
    Object(&'static str),
}

#[derive(Deserialize)]
struct CandleRow {
    candle_date_time_utc: DateTime,
    #[serde(default)]
    market: Value,
    #[serde(default)]
    unit: Value,
    #[serde(default)]
    first_day_of_period: Value,
}

#[derive(Deserialize)]
struct TradeRow {
    timestamp: i64,
    sequential_id: u64,
    #[serde(default)]
    market: Value,
}

impl Question {
    /// Validates a page received at `now`.
    ///
    /// # Errors
    /// The page does not match the question.
    pub fn check(&self, page: &Page, now: i64) -> Result<(), Mismatch> {
        self.keys(page, now).map(drop)
    }

    /// The objects of a page received at `now`, in the page's order.
    ///
    /// # Errors
    /// The page does not match the question.
    pub fn items(&self, page: Page, now: i64) -> Result<Vec<Item>, Mismatch> {
        let keys = self.keys(&page, now)?;
        Ok(keys.into_iter().zip(page).map(|(Key { time, id }, object)| Item { time, id, object }).collect())
    }

    fn keys(&self, page: &Page, now: i64) -> Result<Vec<Key>, Mismatch> {
        let keys = page.iter().map(|object| self.key(object)).collect::<Result<Vec<_>, _>>()?;
        let times = || keys.iter().map(|key| key.time);
        match self.scope {
            Scope::Candles { unit, to } => {
                let is_of = |unit: Unit| times().all(|time| unit.start_of(time) == time);
                let is_coarse = keys.len() >= COARSE && unit.coarser().is_some_and(is_of);
                if is_coarse || !is_of(unit) {
                    return Err(Mismatch::Unit);
                }
                if times().any(|time| time >= to) {
                    return Err(Mismatch::Time);
                }
            }
            Scope::Trades { day, asked_on, to, is_behind_cursor } => {
                // Around midnight, or if it passed in flight, `days_ago` may have meant another day: the walk repeats
                // the request.
                let is_certain = asked_on == day_of(now) && !is_near_midnight(now);
                let last = day.saturating_add(DAY).min(to.saturating_add(LATER));
                let is_later = times().any(|time| time >= last);
                let is_earlier = !is_behind_cursor && times().max().is_some_and(|newest| newest < day);
                if is_certain && (is_later || is_earlier) {
                    return Err(Mismatch::Time);
                }
            }
        }
        Ok(keys)
    }

    fn key(&self, object: &RawValue) -> Result<Key, Mismatch> {
        let text = object.get();
        let is_line = text.starts_with('{') && !text.contains(['\n', '\r']);
        let (key, market) = match self.scope {
            Scope::Candles { unit, .. } => {
                let candle = serde_json::from_str::<CandleRow>(text).ok().filter(|_| is_line);
                let candle = candle.ok_or(Mismatch::Object("candles"))?;
                if unit.is_denied_by(&candle.unit, &candle.first_day_of_period) {
                    return Err(Mismatch::Unit);
                }
                (candle.key().ok_or(Mismatch::Time)?, candle.market)
            }
            Scope::Trades { .. } => {
                let trade = serde_json::from_str::<TradeRow>(text).ok().filter(|_| is_line);
                let trade = trade.ok_or(Mismatch::Object("trades"))?;
                (trade.key(), trade.market)
            }
        };
        match market.as_str().filter(|market| *market != self.market) {
            Some(other) => Err(Mismatch::Market(shown(other))),
            None => Ok(key),
        }
    }
}

impl CandleRow {
    fn key(&self) -> Option<Key> {
        let time = Offset::UTC.to_timestamp(self.candle_date_time_utc).ok()?.as_millisecond();
        Some(Key { time, id: u64::try_from(time).ok()? })
    }
}

impl TradeRow {
    fn key(&self) -> Key {
        Key { time: self.timestamp, id: self.sequential_id }
    }
}

/// The key of an object, or of the line that stores it; `None` if the text is neither.
pub fn key(series: Series, text: &str) -> Option<Key> {
    match series {
        Series::Candles(_) => serde_json::from_str::<CandleRow>(text).ok()?.key(),
        Series::Trades => serde_json::from_str::<TradeRow>(text).ok().map(|trade| trade.key()),
    }
}

/// Whether the exchange's clock may be on another day than ours.
pub fn is_near_midnight(now: i64) -> bool {
    now - day_of(now) < NEAR_MIDNIGHT || day_of(now) + DAY - now < NEAR_MIDNIGHT
}

/// The characters of a text that can be part of a market code, cut to `SHOWN`.
fn shown(text: &str) -> String {
    text.chars().filter(|char| char.is_ascii_alphanumeric() || "-._".contains(*char)).take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;
    const NOON: i64 = 100 * DAY + DAY / 2;

    fn page(objects: &[&str]) -> Page {
        objects.iter().map(|object| RawValue::from_string((*object).to_owned()).unwrap()).collect()
    }

    fn candles(unit: &str, to: i64) -> Question {
        Question { market: "KRW-BTC".into(), scope: Scope::Candles { unit: unit.parse().unwrap(), to } }
    }

    fn trades(day: i64, is_behind_cursor: bool) -> Question {
        let scope = Scope::Trades { day, asked_on: 100 * DAY, to: i64::MAX, is_behind_cursor };
        Question { market: "KRW-BTC".into(), scope }
    }

    fn check(question: &Question, objects: &[&str]) -> Result<(), Mismatch> {
        question.check(&page(objects), NOON)
    }

    #[test]
    fn only_the_fields_that_are_used_are_required() {
        let question = candles("1m", 9 * MINUTE);
        for extra in ["", r#","market":null,"unit":null"#, r#","market":7,"unit":"x""#, r#","opening_price":[{}]"#] {
            let object = format!(r#"{{"candle_date_time_utc":"1970-01-01T00:08:00"{extra}}}"#);
            let items = question.items(page(&[&object]), NOON).unwrap();
            assert_eq!((items[0].time, items[0].id, items[0].object.get()), (8 * MINUTE, 480_000, object.as_str()));
        }
        for extra in ["", r#","market":null,"trade_price":"x""#] {
            let object = format!(r#"{{"timestamp":{NOON},"sequential_id":17732400590950000{extra}}}"#);
            assert_eq!(check(&trades(100 * DAY, false), &[&object]), Ok(()), "{extra}");
        }
    }

    #[test]
    fn an_answer_about_another_market_or_unit_is_none() {
        let question = candles("1m", 9 * MINUTE);
        let of = |extra: &str| format!(r#"{{"candle_date_time_utc":"1970-01-01T00:08:00",{extra}}}"#);
        assert_eq!(check(&question, &[&of(r#""market":"KRW-BTC","unit":1"#)]), Ok(()));
        let other = check(&question, &[&of(r#""unit":1"#), &of(r#""market":"KRW-ETH\u001b[2J""#)]);
        assert_eq!(other, Err(Mismatch::Market("KRW-ETH2J".into())));
        assert_eq!(check(&question, &[&of(r#""unit":3"#)]), Err(Mismatch::Unit));
        let off = r#"{"candle_date_time_utc":"1970-01-01T00:08:01"}"#;
        assert_eq!(check(&question, &[off]), Err(Mismatch::Unit));
        let trade = format!(r#"{{"timestamp":{NOON},"sequential_id":1,"market":"KRW-ETH"}}"#);
        assert_eq!(check(&trades(100 * DAY, false), &[&trade]), Err(Mismatch::Market("KRW-ETH".into())));
    }

    #[test]
    fn candles_of_a_coarser_unit_without_a_unit_are_noticed() {
        let minutes = |count: i64| -> Vec<String> {
            let second = |minute| crate::upbit::series::moment(minute * MINUTE).strftime("%FT%T").to_string();
            (0..count).map(|minute| format!(r#"{{"candle_date_time_utc":"{}"}}"#, second(minute))).collect()
        };
        let check = |unit: &str, objects: &[String]| {
            let objects: Vec<&str> = objects.iter().map(String::as_str).collect();
            check(&candles(unit, DAY), &objects)
        };
        assert_eq!(check("1s", &minutes(7)), Ok(()));
        assert_eq!(check("1s", &minutes(8)), Err(Mismatch::Unit));
        assert_eq!(check("1m", &minutes(8)), Ok(()));
        let week = r#"{"candle_date_time_utc":"1970-01-05T00:00:00","first_day_of_period":"1970-01-05"}"#;
        let question = |unit| candles(unit, NOON);
        assert_eq!(question("1day").check(&page(&[week]), NOON), Err(Mismatch::Unit));
        assert_eq!(question("1week").check(&page(&[week]), NOON), Ok(()));
    }

    #[test]
    fn rows_of_another_time_and_other_things_are_noticed() {
        let late = r#"{"candle_date_time_utc":"1970-01-01T00:09:00"}"#;
        assert_eq!(check(&candles("1m", 9 * MINUTE), &[late]), Err(Mismatch::Time));
        let ancient = r#"{"candle_date_time_utc":"1969-01-01T00:09:00"}"#;
        assert_eq!(check(&candles("1m", 9 * MINUTE), &[ancient]), Err(Mismatch::Time));
        for object in ["7", "null", "{}", "{\"candle_date_time_utc\":\n\"1970-01-01T00:08:00\"}"] {
            assert_eq!(check(&candles("1m", 9 * MINUTE), &[object]), Err(Mismatch::Object("candles")), "{object}");
        }
        let trade = |time: i64| format!(r#"{{"timestamp":{time},"sequential_id":1}}"#);
        let yesterday = 99 * DAY;
        assert_eq!(check(&trades(yesterday, false), &[&trade(100 * DAY)]), Err(Mismatch::Time));
        assert_eq!(check(&trades(yesterday, false), &[&trade(yesterday - 1)]), Err(Mismatch::Time));
        assert_eq!(check(&trades(yesterday, true), &[&trade(yesterday - 1)]), Ok(()));
        assert_eq!(check(&trades(yesterday, false), &[&trade(yesterday), &trade(yesterday - 1)]), Ok(()));
        let mut until = trades(yesterday, false);
        until.scope = Scope::Trades { day: yesterday, asked_on: 100 * DAY, to: yesterday + 5, is_behind_cursor: false };
        assert_eq!(check(&until, &[&trade(yesterday + 5 + LATER)]), Err(Mismatch::Time));
    }

    #[test]
    fn around_midnight_the_day_of_trades_is_left_to_the_walk() {
        let trade = page(&[&format!(r#"{{"timestamp":{},"sequential_id":1}}"#, 98 * DAY)]);
        for now in [100 * DAY + 1, 101 * DAY - 1, 101 * DAY + DAY / 2] {
            assert_eq!(trades(99 * DAY, false).check(&trade, now), Ok(()), "{now}");
        }
        assert_eq!(trades(99 * DAY, false).check(&trade, NOON), Err(Mismatch::Time));
    }
}
