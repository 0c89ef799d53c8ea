//! What the exchange's endpoints of candles and trades take, and how much they give. Pure.
//!
//! ```text
//! candles/minutes/1?market=KRW-BTC&to=2026-11-22T00:00:00Z&count=200
//! trades/ticks?market=KRW-BTC&count=500&days_ago=1&to=235959&cursor=17732400590950000
//! ```
//!
//! Both answer newest first, and `to` is exclusive. Times are milliseconds since the epoch. Source: docs.upbit.com,
//! "Candles" and "Recent trades".

use super::answer::{Question, Scope};
use super::client::request::Request;
use crate::upbit::series::{DAY, Unit, day_of, moment};

/// The most candles of one answer.
pub const CANDLES_PER_PAGE: usize = 200;

/// The most trades of one answer.
pub const TRADES_PER_PAGE: usize = 500;

/// Which candles of a pair.
#[derive(Clone, Copy, Debug)]
pub struct CandlePage {
    /// Those before this; `None`: the newest.
    pub to: Option<i64>,
    /// At most so many.
    pub count: usize,
}

/// Some candles of a unit. The answer is held against this.
pub fn candles(unit: Unit, market: &str, page: CandlePage) -> Request {
    let CandlePage { to, count } = page;
    let scope = Scope::Candles { unit, to: to.unwrap_or(i64::MAX) };
    let request = Request::new(unit.path()).with("market", market);
    let request = match to {
        Some(to) => request.with("to", moment(to).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
        None => request,
    };
    request.with("count", count.to_string()).expecting(Question { market: market.to_owned(), scope })
}

/// Which trades of a pair.
#[derive(Clone, Copy, Debug)]
pub struct TradePage {
    /// When the day begins that they are of.
    pub day: i64,
    /// When the day begins on which it is asked.
    pub asked_on: i64,
    /// Those before this, where it lies on the day; whole seconds are asked for.
    pub to: i64,
    /// Those behind this trade, by its id.
    pub cursor: Option<u64>,
    /// At most so many.
    pub count: usize,
}

/// Some trades of a day. The answer is held against this.
pub fn trades(market: &str, page: TradePage) -> Request {
    let TradePage { day, asked_on, to, cursor, count } = page;
    let mut request = Request::new("trades/ticks").with("market", market).with("count", count.to_string());
    let days_ago = (asked_on - day) / DAY;
    if days_ago > 0 {
        request = request.with("days_ago", days_ago.to_string());
    }
    let is_on_day = day_of(to) == day;
    if is_on_day {
        request = request.with("to", moment(to).strftime("%H%M%S").to_string());
    }
    if let Some(cursor) = cursor {
        request = request.with("cursor", cursor.to_string());
    }
    let to = if is_on_day { to } else { i64::MAX };
    let scope = Scope::Trades { day, asked_on, to, is_behind_cursor: cursor.is_some() };
    request.expecting(Question { market: market.to_owned(), scope })
}
