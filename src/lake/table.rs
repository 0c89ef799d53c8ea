//! What the files of each type hold: their columns, with the names of the format DEFAULT and of the REST interface. Pure.
//!
//! Scales: the exchange prints prices and sizes with eight decimals at most, sums of their products with sixteen, rates with
//! ten. What has more is kept as text beside its column.

use crate::tape::stream_key::StreamKey;
use crate::upbit::series::UNITS;
use std::fmt;
use std::str::FromStr;

/// A type of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Trades, recorded and healed.
    Trades,
    /// Tickers.
    Tickers,
    /// Candles of a unit, recorded and healed.
    Candles(&'static str),
    /// Books, with a list for each side's prices and sizes.
    Books,
    /// Books with so many levels in columns of their own.
    FlatBooks(u16),
}

/// The most levels of a flat book: the exchange has no more.
pub const MOST_LEVELS: u16 = 30;

/// How the values of a column are read and kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Milliseconds since the epoch.
    Millis,
    /// `2026-11-22T05:14:00`, UTC.
    DateTime,
    /// An integer of 64 bits.
    Int,
    /// A decimal of this scale.
    Decimal(u32),
    /// A string.
    Text,
    /// `true` or `false`.
    Flag,
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    /// Its name, which is that in the format DEFAULT.
    pub(super) name: &'static str,
    /// The name in the REST interface; empty: it has none.
    pub(super) rest: &'static str,
    pub(super) kind: Kind,
}

const fn column(name: &'static str, rest: &'static str, kind: Kind) -> Column {
    Column { name, rest, kind }
}

/// A value that streams alone have.
const fn streamed(name: &'static str, kind: Kind) -> Column {
    column(name, "", kind)
}

/// A value that has one name everywhere.
const fn both(name: &'static str, kind: Kind) -> Column {
    column(name, name, kind)
}

/// The scale of prices and sizes.
pub(super) const SCALE: u32 = 8;

const PRICE: Kind = Kind::Decimal(SCALE);
const SIZE: Kind = Kind::Decimal(SCALE);
const SUM: Kind = Kind::Decimal(16);
const RATE: Kind = Kind::Decimal(16);

const TRADES: [Column; 18] = [
    column("trade_timestamp", "timestamp", Kind::Millis),
    both("sequential_id", Kind::Int),
    both("trade_price", PRICE),
    both("trade_volume", SIZE),
    both("ask_bid", Kind::Text),
    streamed("best_ask_price", PRICE),
    streamed("best_ask_size", SIZE),
    streamed("best_bid_price", PRICE),
    streamed("best_bid_size", SIZE),
    both("prev_closing_price", PRICE),
    streamed("change", Kind::Text),
    both("change_price", PRICE),
    column("trade_date", "trade_date_utc", Kind::Text),
    column("trade_time", "trade_time_utc", Kind::Text),
    streamed("timestamp", Kind::Millis),
    streamed("stream_type", Kind::Text),
    column("gap", "gap", Kind::Int),
    column("gap_epoch", "gap_epoch", Kind::Int),
];

const TICKERS: [Column; 33] = [
    streamed("timestamp", Kind::Millis),
    streamed("trade_timestamp", Kind::Millis),
    streamed("trade_price", PRICE),
    streamed("trade_volume", SIZE),
    streamed("ask_bid", Kind::Text),
    streamed("opening_price", PRICE),
    streamed("high_price", PRICE),
    streamed("low_price", PRICE),
    streamed("prev_closing_price", PRICE),
    streamed("change", Kind::Text),
    streamed("change_price", PRICE),
    streamed("signed_change_price", PRICE),
    streamed("change_rate", RATE),
    streamed("signed_change_rate", RATE),
    streamed("acc_trade_volume", SUM),
    streamed("acc_trade_volume_24h", SUM),
    streamed("acc_trade_price", SUM),
    streamed("acc_trade_price_24h", SUM),
    streamed("acc_ask_volume", SUM),
    streamed("acc_bid_volume", SUM),
    streamed("highest_52_week_price", PRICE),
    streamed("highest_52_week_date", Kind::Text),
    streamed("lowest_52_week_price", PRICE),
    streamed("lowest_52_week_date", Kind::Text),
    streamed("trade_date", Kind::Text),
    streamed("trade_time", Kind::Text),
    streamed("trade_status", Kind::Text),
    streamed("market_state", Kind::Text),
    streamed("market_state_for_ios", Kind::Text),
    streamed("is_trading_suspended", Kind::Flag),
    streamed("delisting_date", Kind::Text),
    streamed("market_warning", Kind::Text),
    streamed("stream_type", Kind::Text),
];

const CANDLES: [Column; 13] = [
    both("candle_date_time_utc", Kind::DateTime),
    both("candle_date_time_kst", Kind::Text),
    both("opening_price", PRICE),
    both("high_price", PRICE),
    both("low_price", PRICE),
    both("trade_price", PRICE),
    both("candle_acc_trade_volume", SUM),
    both("candle_acc_trade_price", SUM),
    both("timestamp", Kind::Millis),
    streamed("stream_type", Kind::Text),
    column("unit", "unit", Kind::Int),
    column("gap", "gap", Kind::Int),
    column("gap_epoch", "gap_epoch", Kind::Int),
];

const BOOKS: [Column; 5] = [
    streamed("timestamp", Kind::Millis),
    streamed("total_ask_size", SUM),
    streamed("total_bid_size", SUM),
    streamed("level", PRICE),
    streamed("stream_type", Kind::Text),
];

impl Table {
    /// The tables that a stream's lines go to by default; `None`: none.
    pub fn of(stream: &StreamKey) -> Option<Self> {
        let kind = stream.kind();
        let table: Self = kind.strip_suffix(".healed").unwrap_or(kind).parse().ok()?;
        (!matches!(table, Self::FlatBooks(_))).then_some(table)
    }

    /// The type of its streams.
    pub fn kind(self) -> String {
        match self {
            Self::FlatBooks(_) => Self::Books.to_string(),
            _ => self.to_string(),
        }
    }

    /// Whether the exchange gives what was missed, so that there are healed lines.
    pub(super) fn has_history(self) -> bool {
        matches!(self, Self::Trades | Self::Candles(_))
    }

    /// Its columns between those that all tables have.
    pub(super) fn columns(self) -> &'static [Column] {
        match self {
            Self::Trades => &TRADES,
            Self::Tickers => &TICKERS,
            Self::Candles(_) => &CANDLES,
            Self::Books | Self::FlatBooks(_) => &BOOKS,
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trades => f.write_str("trade"),
            Self::Tickers => f.write_str("ticker"),
            Self::Candles(unit) => write!(f, "candle.{unit}"),
            Self::Books => f.write_str("orderbook"),
            Self::FlatBooks(levels) => write!(f, "book_snapshot_{levels}"),
        }
    }
}

impl FromStr for Table {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let candles = |unit| UNITS.into_iter().find(|known| *known == unit).map(Self::Candles);
        let flat = |levels: &str| {
            let levels = levels.parse().ok().filter(|levels| (1..=MOST_LEVELS).contains(levels))?;
            Some(Self::FlatBooks(levels))
        };
        let table = match text {
            "trade" => Some(Self::Trades),
            "ticker" => Some(Self::Tickers),
            "orderbook" => Some(Self::Books),
            _ => (text.strip_prefix("candle.").and_then(candles))
                .or_else(|| text.strip_prefix("book_snapshot_").and_then(flat)),
        };
        let known =
            "trade, ticker, orderbook, book_snapshot_1 to book_snapshot_30, and candle.1s, candle.1m and so on are";
        table.ok_or_else(|| format!("`{text}` is no type that is exported: {known}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_found_by_its_name_and_by_its_streams() {
        for name in ["trade", "ticker", "orderbook", "candle.1m", "candle.1month", "book_snapshot_5"] {
            assert_eq!(name.parse::<Table>().unwrap().to_string(), name);
        }
        for name in ["trades", "candle.2m", "book_snapshot_0", "book_snapshot_31", "myOrder", ""] {
            assert!(name.parse::<Table>().is_err(), "{name}");
        }
        let of = |stream: &str| Table::of(&StreamKey::from_stem(stream).unwrap());
        assert_eq!(of("KRW-BTC_trade.healed"), Some(Table::Trades));
        assert_eq!(of("KRW-BTC_candle.1s"), Some(Table::Candles("1s")));
        assert_eq!((of("misc"), of("market.rest"), of("KRW-BTC_myOrder")), (None, None, None));
    }

    #[test]
    fn every_short_name_leads_to_a_column_once() {
        for table in [Table::Trades, Table::Tickers, Table::Candles("1s"), Table::Books] {
            let mut names: Vec<&str> = table.columns().iter().map(|column| column.name).collect();
            names.sort_unstable();
            let count = names.len();
            names.dedup();
            assert_eq!(names.len(), count, "{table}");
        }
    }
}
