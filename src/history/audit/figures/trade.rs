//! A trade on the tape. Pure.
//!
//! ```text
//! DEFAULT  {"ts_recv":N,…,"trade_price":1.16539E8,"trade_volume":0.004,"trade_timestamp":…,"sequential_id":…}
//! SIMPLE   {"ts_recv":N,…,"tp":1.16539E8,"tv":0.004,"ttms":…,"sid":…}
//! healed   {"ts_recv":N,"gap":G,…,"trade_price":116539000.00000000,"trade_volume":0.00400000,"timestamp":…,"sequential_id":…}
//! ```
//!
//! `timestamp` is the time of the frame on the stream, and the time of the trade in REST.

use super::decimal;
use crate::tape::line::Line;
use bigdecimal::BigDecimal;
use serde::Deserialize;
use serde_json::value::RawValue;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::history::audit) struct Trade {
    /// Unique within its pair, with neither order nor numeric meaning.
    pub(in crate::history::audit) id: u128,
    /// The time of the trade: milliseconds since the epoch.
    pub(in crate::history::audit) millis: i64,
    /// The unit price.
    pub(in crate::history::audit) price: BigDecimal,
    /// The volume.
    pub(in crate::history::audit) volume: BigDecimal,
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(alias = "tp", borrow)]
    trade_price: &'a RawValue,
    #[serde(alias = "tv", borrow)]
    trade_volume: &'a RawValue,
    #[serde(alias = "ttms", borrow)]
    trade_timestamp: Option<&'a RawValue>,
    #[serde(borrow)]
    timestamp: Option<&'a RawValue>,
    #[serde(alias = "sid", borrow)]
    sequential_id: &'a RawValue,
}

impl Trade {
    /// Parses a line of a trade stream, recorded or healed; `None` where it is none, such as a torn line.
    pub(in crate::history::audit) fn parse(line: &Line) -> Option<Self> {
        let fields: Fields<'_> = serde_json::from_slice(line.text()).ok()?;
        Some(Self {
            id: fields.sequential_id.get().trim_matches('"').parse().ok()?,
            millis: decimal::integer(fields.trade_timestamp.or(fields.timestamp)?)?,
            price: decimal::parse(fields.trade_price)?,
            volume: decimal::parse(fields.trade_volume)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<Trade> {
        Trade::parse(&Line::parse(0, line.as_bytes()).unwrap())
    }

    #[test]
    fn a_trade_is_the_same_however_it_came() {
        let default = read(
            r#"{"ts_recv":9,"type":"trade","trade_price":1.16539E8,"trade_volume":0.004,"trade_timestamp":1773240059095,"timestamp":1773240059188,"sequential_id":17732400590950000,"stream_type":"REALTIME"}"#,
        );
        let simple = read(
            r#"{"ts_recv":9,"ty":"trade","tp":116539000,"tv":4E-3,"ttms":1773240059095,"tms":1773240059188,"sid":17732400590950000}"#,
        );
        let healed = read(
            r#"{"ts_recv":9,"gap":8,"market":"KRW-BTC","timestamp":1773240059095,"trade_price":116539000.00000000,"trade_volume":0.00400000,"sequential_id":17732400590950000}"#,
        );
        assert!(default.is_some() && default == simple && simple == healed, "{default:?} {simple:?} {healed:?}");
        assert_eq!(default.map(|trade| (trade.id, trade.millis)), Some((17_732_400_590_950_000, 1_773_240_059_095)));
    }

    #[test]
    fn a_key_that_is_not_used_costs_no_trade() {
        for (time, millis) in [
            (r#""ttms":7,"timestamp":"soon""#, Some(7)),
            (r#""ttms":1.773240059095E12,"timestamp":{}"#, Some(1_773_240_059_095)),
            (r#""timestamp":7.0"#, Some(7)),
            (r#""ttms":null,"timestamp":8"#, Some(8)),
            // The time of the frame is not the time of the trade.
            (r#""ttms":"soon","timestamp":8"#, None),
            (r#""ttms":7.5"#, None),
            (r#""ttms":1E90"#, None),
        ] {
            let line = format!(r#"{{"ts_recv":9,"tp":1,"tv":1,"sid":5,"ab":7,"st":null,{time}}}"#);
            assert_eq!(read(&line).map(|trade| trade.millis), millis, "{time}");
        }
    }

    #[test]
    fn ids_beyond_every_float_stay_apart_and_torn_lines_are_none() {
        let with =
            |id: &str| read(&format!(r#"{{"ts_recv":9,"tp":1,"tv":1,"ttms":1,"sid":{id}}}"#)).map(|trade| trade.id);
        assert_eq!(with("340282366920938463463374607431768211455"), Some(u128::MAX));
        assert_ne!(with("9007199254740993"), with("9007199254740992"));
        assert_eq!([with("1.5E3"), with("-1"), with("null")], [None; 3]);
        assert_eq!(read(r#"{"ts_recv":9,"tp":1,"tv":1,"ttms":1,"si"#), None);
    }
}
