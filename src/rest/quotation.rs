//! The requests for candles and trades, and their page sizes. Pure.
//!
//! ```text
//! candles/minutes/1?market=KRW-BTC&to=2026-11-22T00:00:00Z&count=200
//! trades/ticks?market=KRW-BTC&count=500&days_ago=1&to=235959&cursor=17732400590950000
//! ```
//!
//! Both answer newest first, and `to` is exclusive. Times are milliseconds since the Unix epoch. Source:
//! docs.upbit.com, "Candles" and "Recent trades".

use super::answer::{Question, Scope};
use super::client::request::Request;
use crate::upbit::series::{DAY, Unit, day_of, moment};

/// The most candles of one answer.
pub const CANDLES_PER_PAGE: usize = 200;

/// The most trades of one answer.
pub const TRADES_PER_PAGE: usize = 500;

/// The range of a candles request.
#[derive(Clone, Copy, Debug)]
pub struct CandlePage {
    /// The end, exclusive; `None`: the newest candles.
    pub to: Option<i64>,
    /// The most candles.
    pub count: usize,
}

/// A request for candles of a unit, with the question that validates its answer.
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

/// The range of a trades request.
#[derive(Clone, Copy, Debug)]
pub struct TradePage {
    /// The start of the requested day.
    pub day: i64,
    /// The start of the day of the request.
    pub asked_on: i64,
    /// The end, exclusive, if it is within the day; it is sent in whole seconds.
    pub to: i64,
    /// The page continues after the trade with this id.
    pub cursor: Option<u64>,
    /// The most trades.
    pub count: usize,
}

/// A request for trades of a day, with the question that validates its answer.
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
