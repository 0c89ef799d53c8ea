//! What the exchange's endpoints of candles and trades take, and how much they give. Pure.
//!
//! ```text
//! candles/minutes/1?market=KRW-BTC&to=2026-11-22T00:00:00Z&count=200
//! trades/ticks?market=KRW-BTC&count=500&days_ago=1&to=235959&cursor=17732400590950000
//! ```
//!
//! Both answer newest first, and `to` is exclusive. Times are milliseconds since the epoch. Source: docs.upbit.com,
//! "Candles" and "Recent trades".

use super::client::request::Request;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// The most candles of one answer.
pub const CANDLES_PER_PAGE: usize = 200;

/// The most trades of one answer.
pub const TRADES_PER_PAGE: usize = 500;

/// Trades can be asked for of today and so many days before.
pub const TRADE_DAYS: i64 = 7;

/// A day; the exchange's days are those of UTC.
pub const DAY: i64 = 86_400_000;

/// The candles at `path` before `to`.
pub fn candles(path: String, market: &str, to: i64) -> Request {
    Request::new(path)
        .with("market", market)
        .with("to", moment(to).strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
        .with("count", CANDLES_PER_PAGE.to_string())
}

/// The trades of the day that begins at `day`, asked for on the day that begins at `today`: before `to` where that lies
/// on the day, and behind `cursor`, the id of the last trade of the page before.
pub fn trades(market: &str, (day, today): (i64, i64), to: i64, cursor: Option<u64>) -> Request {
    let mut request = Request::new("trades/ticks").with("market", market).with("count", TRADES_PER_PAGE.to_string());
    let days_ago = (today - day) / DAY;
    if days_ago > 0 {
        request = request.with("days_ago", days_ago.to_string());
    }
    if day_of(to) == day {
        request = request.with("to", moment(to).strftime("%H%M%S").to_string());
    }
    match cursor {
        Some(cursor) => request.with("cursor", cursor.to_string()),
        None => request,
    }
}

/// When the day of a moment begins.
pub fn day_of(millis: i64) -> i64 {
    millis - millis.rem_euclid(DAY)
}

/// A moment as the exchange writes it, UTC.
pub fn moment(millis: i64) -> DateTime {
    Offset::UTC.to_datetime(Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH))
}
