//! Fields that healing reads from lines of the tape and from the exchange's answers. Pure.
//!
//! ```text
//! KRW-BTC_trade         {"ts_recv":…,"type":"trade",…,"trade_timestamp":…,"sequential_id":…,"stream_type":"SNAPSHOT"}
//! KRW-BTC_candle.1m     {"ts_recv":…,"type":"candle.1m",…,"candle_date_time_utc":…,"timestamp":…}
//! KRW-BTC_trade.healed  {"ts_recv":…,"gap":…,"market":…,"timestamp":…,"sequential_id":…}
//! ```
//!
//! Identifiers are compared for equality only: they have neither order nor arithmetic. Times are the exchange's own, in
//! milliseconds since the epoch, so that an error of our clock does no harm.

use crate::clock::{Position, Stamp};
use crate::tape::healed::{HealedCandle, HealedTrade};
use crate::upbit::series::Series;
use jiff::tz::Offset;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A line of a stream, as the exchange sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// When it was received.
    pub position: Position,
    /// Unique within its stream.
    pub id: u64,
    /// The time of its trade, or of the last trade in its candle.
    pub time: i64,
    /// Shows the state before the subscription.
    pub is_snapshot: bool,
}

/// An object fetched, or available, to heal a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Unique within its stream.
    pub id: u64,
    /// The time of the trade, or the beginning of the candle's period.
    pub time: i64,
    /// The gap it was fetched for: its epoch and its id, which is 0 until it is written.
    pub gap: Position,
}

#[derive(Deserialize)]
struct Trade<'a> {
    #[serde(alias = "sid")]
    sequential_id: u64,
    #[serde(alias = "ttms")]
    trade_timestamp: i64,
    #[serde(alias = "st", borrow)]
    stream_type: Option<&'a str>,
}

#[derive(Deserialize)]
struct Candle<'a> {
    #[serde(alias = "cdttmu", borrow)]
    candle_date_time_utc: &'a RawValue,
    #[serde(alias = "tms")]
    timestamp: i64,
    #[serde(alias = "catv", borrow)]
    candle_acc_trade_volume: &'a RawValue,
    #[serde(alias = "st", borrow)]
    stream_type: Option<&'a str>,
}

impl Record {
    /// Parses a line of a stream, or its object; `None` where it is no record, such as a torn line.
    pub fn parse(series: Series, position: Position, line: &[u8]) -> Option<Self> {
        let is_snapshot = |stream_type: Option<&str>| stream_type == Some("SNAPSHOT");
        match series {
            Series::Trades => {
                let trade: Trade<'_> = serde_json::from_slice(line).ok()?;
                let (id, time) = (trade.sequential_id, trade.trade_timestamp);
                Some(Self { position, id, time, is_snapshot: is_snapshot(trade.stream_type) })
            }
            Series::Candles(_) => {
                let candle: Candle<'_> = serde_json::from_slice(line).ok()?;
                let mut hasher = DefaultHasher::new();
                let volume = candle.candle_acc_trade_volume.get();
                (candle.candle_date_time_utc.get(), candle.timestamp, volume).hash(&mut hasher);
                let is_snapshot = is_snapshot(candle.stream_type);
                Some(Self { position, id: hasher.finish(), time: candle.timestamp, is_snapshot })
            }
        }
    }
}

impl Fetched {
    /// Parses an object of the REST interface, or the line of `epoch` that holds it; `None` where it is of another kind.
    pub fn parse(series: Series, epoch: u64, object: &[u8]) -> Option<Self> {
        let named = |gap, gap_epoch: Option<u64>| {
            Some(Position { epoch: gap_epoch.unwrap_or(epoch), stamp: Stamp::from_micros(gap)? })
        };
        match series {
            Series::Trades => {
                let HealedTrade { gap, gap_epoch, timestamp, sequential_id } = serde_json::from_slice(object).ok()?;
                Some(Self { id: sequential_id, time: timestamp, gap: named(gap, gap_epoch)? })
            }
            Series::Candles(_) => {
                let candle: HealedCandle = serde_json::from_slice(object).ok()?;
                let time = Offset::UTC.to_timestamp(candle.candle_date_time_utc).ok()?.as_millisecond();
                let gap = named(candle.gap, candle.gap_epoch)?;
                Some(Self { id: u64::try_from(time).ok()?, time, gap })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candles() -> Series {
        Series::of_type("candle.1m").unwrap()
    }

    #[test]
    fn trades_are_read_in_both_spellings() {
        let long = br#"{"ts_recv":7,"type":"trade","trade_timestamp":5,"sequential_id":17732400590950000,"stream_type":"SNAPSHOT"}"#;
        let short = br#"{"ty":"trade","sid":17732400590950000,"tms":9,"ttms":5,"st":"SNAPSHOT"}"#;
        let position = Position::default();
        let record = Record { position, id: 17_732_400_590_950_000, time: 5, is_snapshot: true };
        assert_eq!(Record::parse(Series::Trades, position, long), Some(record));
        assert_eq!(Record::parse(Series::Trades, position, short), Some(record));
        assert_eq!(Record::parse(Series::Trades, position, br#"{"ts_recv":7,"type":"tra"#), None);
    }

    #[test]
    fn a_candle_is_another_record_when_anything_was_traded() {
        let line = |time: u32, volume: &str| {
            format!(
                r#"{{"candle_date_time_utc":"2026-11-22T05:12:00","timestamp":{time},"candle_acc_trade_volume":{volume}}}"#
            )
        };
        let id = |line: String| Record::parse(candles(), Position::default(), line.as_bytes()).unwrap().id;
        assert_eq!(id(line(1, "2.0")), id(line(1, "2.0")));
        assert_ne!(id(line(1, "2.0")), id(line(1, "3.0")));
        assert_ne!(id(line(1, "2.0")), id(line(2, "2.0")));
    }

    #[test]
    fn fetched_objects_are_read_from_answers_and_from_lines() {
        let line = br#"{"ts_recv":7,"gap":3,"market":"KRW-BTC","timestamp":5,"sequential_id":9}"#;
        let gap = |epoch, id| Position { epoch, stamp: Stamp::from_micros(id).unwrap() };
        assert_eq!(Fetched::parse(Series::Trades, 2, line), Some(Fetched { id: 9, time: 5, gap: gap(2, 3) }));
        let older = br#"{"ts_recv":7,"gap":3,"gap_epoch":1,"market":"KRW-BTC","timestamp":5,"sequential_id":9}"#;
        assert_eq!(Fetched::parse(Series::Trades, 2, older), Some(Fetched { id: 9, time: 5, gap: gap(1, 3) }));
        let candle = br#"{"market":"KRW-BTC","candle_date_time_utc":"1970-01-01T00:01:00"}"#;
        assert_eq!(Fetched::parse(candles(), 0, candle), Some(Fetched { id: 60_000, time: 60_000, gap: gap(0, 0) }));
        assert_eq!(Fetched::parse(Series::Trades, 0, candle), None);
    }
}
