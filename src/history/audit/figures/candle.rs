//! The exchange's candle of a minute. Pure.

use super::decimal;
use crate::tape::line::Line;
use bigdecimal::BigDecimal;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde::Deserialize;
use serde_json::value::RawValue;

/// A candle of the exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::history::audit) struct Candle {
    /// The beginning of its minute: milliseconds since the epoch.
    pub(in crate::history::audit) start: i64,
    /// Volume, in the base asset.
    pub(in crate::history::audit) volume: BigDecimal,
    /// Value, price times volume, in the quote asset.
    pub(in crate::history::audit) value: BigDecimal,
    /// The first price.
    pub(in crate::history::audit) open: BigDecimal,
    /// The highest price.
    pub(in crate::history::audit) high: BigDecimal,
    /// The lowest price.
    pub(in crate::history::audit) low: BigDecimal,
    /// The last price.
    pub(in crate::history::audit) close: BigDecimal,
}

#[derive(Deserialize)]
struct Fields<'a> {
    candle_date_time_utc: DateTime,
    #[serde(borrow)]
    opening_price: &'a RawValue,
    #[serde(borrow)]
    high_price: &'a RawValue,
    #[serde(borrow)]
    low_price: &'a RawValue,
    #[serde(borrow)]
    trade_price: &'a RawValue,
    #[serde(borrow)]
    candle_acc_trade_price: &'a RawValue,
    #[serde(borrow)]
    candle_acc_trade_volume: &'a RawValue,
}

impl Candle {
    /// Parses a line of a fetched candle stream; `None` where it is none.
    pub(in crate::history::audit) fn parse(line: &Line) -> Option<Self> {
        let fields: Fields<'_> = serde_json::from_slice(line.text()).ok()?;
        Some(Self {
            start: Offset::UTC.to_timestamp(fields.candle_date_time_utc).ok()?.as_millisecond(),
            volume: decimal::parse(fields.candle_acc_trade_volume)?,
            value: decimal::parse(fields.candle_acc_trade_price)?,
            open: decimal::parse(fields.opening_price)?,
            high: decimal::parse(fields.high_price)?,
            low: decimal::parse(fields.low_price)?,
            close: decimal::parse(fields.trade_price)?,
        })
    }
}
