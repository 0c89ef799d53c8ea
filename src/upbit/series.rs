//! The exchange's history of a pair: candles of a unit, or trades. Its calendar, and how far back it reaches. Pure.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;
use jiff::{Timestamp, ToSpan};
use serde_json::Value;
use std::fmt;
use std::str::FromStr;

/// A day in milliseconds; the exchange's days are those of UTC.
pub const DAY: i64 = 86_400_000;

/// Trades can be asked for of today and so many days before.
pub const TRADE_DAYS: i64 = 7;

/// Trades of the last seconds may not all be there yet, nor be in the candle of a period that has just ended.
const SETTLE: i64 = 10_000;

/// The units of candles. No two differ by case alone: each names files, and directories can be case-insensitive.
pub const UNITS: [&str; 13] =
    ["1s", "1m", "3m", "5m", "10m", "15m", "30m", "60m", "240m", "1day", "1week", "1month", "1year"];

/// A kind of history of a pair: objects with a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Series {
    /// Candles: one object a period.
    Candles(Unit),
    /// Trades, each once.
    Trades,
}

/// The unit of a candle, as on the command line and in the name of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit(&'static str);

impl FromStr for Unit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = UNITS.into_iter().find(|unit| *unit == text);
        known.map(Self).ok_or_else(|| match meant(text) {
            Some(unit) => format!("`{text}` is no unit: write {unit}"),
            None => format!("`{text}` is no unit: {}", UNITS.join(", ")),
        })
    }
}

/// The unit meant by another common spelling; months and minutes are one letter there, too.
fn meant(text: &str) -> Option<String> {
    let letters = text.strip_prefix('1').unwrap_or(text).trim_start();
    let singular = letters.strip_suffix('s').filter(|rest| !rest.is_empty()).unwrap_or(letters);
    match singular.to_ascii_lowercase().as_str() {
        _ if singular == "M" => Some("1month, or 1m for minutes".to_owned()),
        "d" | "day" => Some("1day".to_owned()),
        "w" | "week" => Some("1week".to_owned()),
        "mo" | "mon" | "month" => Some("1month".to_owned()),
        "y" | "year" => Some("1year".to_owned()),
        _ => UNITS.into_iter().find(|unit| unit.eq_ignore_ascii_case(text)).map(str::to_owned),
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Unit {
    /// Candles of a day.
    pub const DAY: Self = Self("1day");
    /// Candles of a month.
    pub const MONTH: Self = Self("1month");

    /// The path of its endpoint.
    pub fn path(self) -> String {
        match self.0 {
            "1s" => "candles/seconds".to_owned(),
            "1day" => "candles/days".to_owned(),
            "1week" => "candles/weeks".to_owned(),
            "1month" => "candles/months".to_owned(),
            "1year" => "candles/years".to_owned(),
            minutes => format!("candles/minutes/{}", minutes.trim_end_matches('m')),
        }
    }

    /// Its length in milliseconds; `None` where the calendar decides.
    pub fn length(self) -> Option<i64> {
        match self.0 {
            "1s" => Some(1_000),
            "1day" => Some(DAY),
            "1week" => Some(7 * DAY),
            "1month" | "1year" => None,
            minutes => minutes.trim_end_matches('m').parse::<i64>().ok().map(|minutes| minutes * 60_000),
        }
    }

    /// The next coarser unit, for units that their candles do not state; `None`: candles of minutes do.
    pub fn coarser(self) -> Option<Self> {
        match self.0 {
            "1s" => Some(Self("1m")),
            "1day" => Some(Self("1week")),
            "1month" => Some(Self("1year")),
            _ => None,
        }
    }

    /// Whether these fields of a candle prove that it is of another unit: `unit` is the number of minutes, and weeks,
    /// months and years have a first day of the period. Missing or malformed fields prove nothing.
    pub fn is_denied_by(self, unit: &Value, first_day_of_period: &Value) -> bool {
        match self.0 {
            "1week" | "1month" | "1year" => false,
            "1day" => first_day_of_period.is_string(),
            _ => unit
                .as_i64()
                .zip(self.length())
                .is_some_and(|(found, length)| length > 1_000 && found.checked_mul(60_000) != Some(length)),
        }
    }

    /// When the period that `moment` lies in began.
    pub fn start_of(self, moment: i64) -> i64 {
        /// The epoch was a Thursday: the first Monday came four days later.
        const MONDAY: i64 = 4 * DAY;
        let date = date_of(moment);
        match self.0 {
            "1month" => millis_of(date.first_of_month().to_datetime(Time::midnight())),
            "1year" => millis_of(date.first_of_year().to_datetime(Time::midnight())),
            "1week" => moment - (moment - MONDAY).rem_euclid(7 * DAY),
            _ => moment - moment.rem_euclid(self.length().unwrap_or(1)),
        }
    }
}

impl Series {
    /// The series that a stream of this type holds; `None`: the exchange keeps nothing of it.
    pub fn of_type(stream_type: &str) -> Option<Self> {
        match stream_type.strip_prefix("candle.") {
            Some(unit) => unit.parse().ok().map(Self::Candles),
            None => (stream_type == "trade").then_some(Self::Trades),
        }
    }

    /// The type of the stream that holds it.
    pub fn stream_type(self) -> String {
        match self {
            Self::Candles(unit) => format!("candle.{unit}"),
            Self::Trades => "trade".to_owned(),
        }
    }

    /// The first moment that the exchange still has something of; `None`: all since the pair was listed.
    pub fn reach(self, now: i64) -> Option<i64> {
        match self {
            Self::Trades => Some(day_of(now) - TRADE_DAYS * DAY),
            Self::Candles(Unit("1s")) => {
                let (date, of_day) = (date_of(now), now.rem_euclid(DAY));
                let date = date.checked_sub(3.months()).unwrap_or(date);
                Some(millis_of(date.to_datetime(Time::midnight())) + of_day)
            }
            Self::Candles(_) => None,
        }
    }

    /// The end of the complete periods: a period that still runs has no final candle.
    pub fn settled(self, now: i64) -> i64 {
        match self {
            Self::Candles(unit) => unit.start_of(now - SETTLE),
            Self::Trades => (now - SETTLE) / 1_000 * 1_000,
        }
    }

    /// The first start of a period that is not before `from`.
    pub fn align(self, from: i64) -> i64 {
        match self {
            Self::Candles(unit) => match (unit.start_of(from), unit.length()) {
                (start, Some(length)) if start < from => start + length,
                (start, Some(_)) => start,
                (_, None) => from,
            },
            Self::Trades => from,
        }
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

fn date_of(millis: i64) -> Date {
    moment(millis).date()
}

fn millis_of(civil: DateTime) -> i64 {
    Offset::UTC.to_timestamp(civil).map_or(0, Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn periods_begin_where_the_calendar_says() {
        let at = millis("2026-11-22T03:11:04.5Z");
        for (unit, start) in [
            ("1s", "2026-11-22T03:11:04Z"),
            ("15m", "2026-11-22T03:00:00Z"),
            ("240m", "2026-11-22T00:00:00Z"),
            ("1week", "2026-11-16T00:00:00Z"),
            ("1month", "2026-11-01T00:00:00Z"),
            ("1year", "2026-01-01T00:00:00Z"),
        ] {
            assert_eq!(unit.parse::<Unit>().unwrap().start_of(at), millis(start), "{unit}");
        }
        assert_eq!(Series::Candles(Unit("1m")).align(at), millis("2026-11-22T03:12:00Z"));
        assert_eq!(Unit("60m").path(), "candles/minutes/60");
        assert!("2m".parse::<Unit>().is_err());
    }

    #[test]
    fn no_two_units_differ_by_case_alone() {
        let folded: std::collections::BTreeSet<String> = UNITS.iter().map(|unit| unit.to_ascii_lowercase()).collect();
        assert_eq!(folded.len(), UNITS.len());
        for (text, hint) in [
            ("1M", "write 1month, or 1m for minutes"),
            ("M", "write 1month"),
            ("1d", "write 1day"),
            ("1W", "write 1week"),
            ("years", "write 1year"),
            ("1Month", "write 1month"),
            ("60M", "write 60m"),
            ("2m", "1s, 1m, 3m"),
        ] {
            let refused = text.parse::<Unit>().unwrap_err();
            assert!(refused.contains(hint), "{refused}");
        }
        for unit in UNITS {
            assert_eq!(unit.parse::<Unit>().unwrap().to_string(), unit);
        }
        assert_eq!(Unit::MONTH.path(), "candles/months");
        assert_eq!(Unit::DAY.length(), Some(DAY));
    }

    #[test]
    fn seconds_reach_back_three_months_and_trades_seven_days() {
        let now = millis("2026-05-31T03:11:04Z");
        assert_eq!(Series::Candles(Unit("1s")).reach(now), Some(millis("2026-02-28T03:11:04Z")));
        assert_eq!(Series::Trades.reach(now), Some(millis("2026-05-24T00:00:00Z")));
        assert_eq!(Series::Candles(Unit("1m")).reach(now), None);
    }

    #[test]
    fn what_the_exchange_keeps_nothing_of_is_no_series() {
        for stream_type in ["orderbook", "ticker", "myOrder", "trade.healed", "candle.2m"] {
            assert_eq!(Series::of_type(stream_type), None, "{stream_type}");
        }
    }
}
