//! Trades and tickers as CSV, in either format and as the REST interface has them. Numbers are not touched. Pure.
//!
//! ```text
//! {"ts_recv":N,"type":"trade","code":"KRW-BTC","trade_price":1.16539E8,…}   ──▶ N,KRW-BTC,…,1.16539E8,…
//! {"ts_recv":N,"ty":"trade","cd":"KRW-BTC","tp":1.16539E8,…}                ──▶ the same
//! ```
//!
//! Source of the names in the REST interface: docs.upbit.com, "Recent trades".

use crate::tape::stream_key::StreamKey;
use crate::upbit::names::short_of;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// A column: its name, which is that in the format DEFAULT, and that in the REST interface, where there is one.
struct Column {
    name: &'static str,
    rest: &'static str,
}

const fn column(name: &'static str, rest: &'static str) -> Column {
    Column { name, rest }
}

const TRADE: [Column; 18] = [
    column("code", "market"),
    column("trade_timestamp", "timestamp"),
    column("sequential_id", "sequential_id"),
    column("trade_price", "trade_price"),
    column("trade_volume", "trade_volume"),
    column("ask_bid", "ask_bid"),
    column("best_ask_price", ""),
    column("best_ask_size", ""),
    column("best_bid_price", ""),
    column("best_bid_size", ""),
    column("prev_closing_price", "prev_closing_price"),
    column("change", ""),
    column("change_price", "change_price"),
    column("trade_date", "trade_date_utc"),
    column("trade_time", "trade_time_utc"),
    column("timestamp", ""),
    column("stream_type", ""),
    column("gap", "gap"),
];

const TICKER: [Column; 32] = [
    column("code", ""),
    column("timestamp", ""),
    column("trade_timestamp", ""),
    column("trade_price", ""),
    column("trade_volume", ""),
    column("ask_bid", ""),
    column("opening_price", ""),
    column("high_price", ""),
    column("low_price", ""),
    column("prev_closing_price", ""),
    column("change", ""),
    column("change_price", ""),
    column("signed_change_price", ""),
    column("change_rate", ""),
    column("signed_change_rate", ""),
    column("acc_trade_volume", ""),
    column("acc_trade_volume_24h", ""),
    column("acc_trade_price", ""),
    column("acc_trade_price_24h", ""),
    column("acc_ask_volume", ""),
    column("acc_bid_volume", ""),
    column("highest_52_week_price", ""),
    column("highest_52_week_date", ""),
    column("lowest_52_week_price", ""),
    column("lowest_52_week_date", ""),
    column("trade_date", ""),
    column("trade_time", ""),
    column("market_state", ""),
    column("is_trading_suspended", ""),
    column("delisting_date", ""),
    column("market_warning", ""),
    column("stream_type", ""),
];

/// A table that lines are written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Of trades.
    Trades,
    /// Of tickers.
    Tickers,
}

impl Table {
    /// The table that a stream's lines go to; `None`: there is none.
    pub fn of(stream: &StreamKey) -> Option<Self> {
        match stream.kind() {
            "trade" | "trade.healed" => Some(Self::Trades),
            "ticker" => Some(Self::Tickers),
            _ => None,
        }
    }

    fn columns(self) -> &'static [Column] {
        match self {
            Self::Trades => &TRADE,
            Self::Tickers => &TICKER,
        }
    }

    /// The type of its lines.
    fn kind(self) -> &'static str {
        match self {
            Self::Trades => "trade",
            Self::Tickers => "ticker",
        }
    }

    /// Writes the names of the columns.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_header(self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "ts_recv")?;
        self.columns().iter().try_for_each(|column| write!(out, ",{}", column.name))?;
        writeln!(out)
    }

    /// Writes a line of a stream, and returns whether it is one of these.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_row(self, out: &mut dyn Write, line: &[u8], is_fetched: bool) -> io::Result<bool> {
        let Ok(fields) = serde_json::from_slice::<BTreeMap<Cow<'_, str>, &RawValue>>(line) else { return Ok(false) };
        let value = |name: &str| fields.get(name).map_or("", |value| value.get());
        write!(out, "{}", value("ts_recv"))?;
        for Column { name, rest } in self.columns() {
            let value = match is_fetched {
                true => value(rest),
                false => match value(name) {
                    "" => short_of(self.kind(), name).map_or("", value),
                    value => value,
                },
            };
            write!(out, ",")?;
            write_value(out, value)?;
        }
        writeln!(out)?;
        Ok(true)
    }
}

fn write_value(out: &mut dyn Write, json: &str) -> io::Result<()> {
    if json == "null" {
        return Ok(());
    }
    let text = if json.starts_with('"') { serde_json::from_str(json).ok() } else { None };
    let text: Cow<'_, str> = text.map_or(Cow::Borrowed(json), Cow::<str>::Owned);
    match text.contains([',', '"', '\n', '\r']) {
        true => write!(out, "\"{}\"", text.replace('"', "\"\"")),
        false => write!(out, "{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(table: Table, line: &str, is_fetched: bool) -> String {
        let mut out = Vec::new();
        assert!(table.write_row(&mut out, line.as_bytes(), is_fetched).unwrap());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn both_formats_and_the_rest_interface_make_the_same_columns() {
        let mut header = Vec::new();
        Table::Trades.write_header(&mut header).unwrap();
        assert!(header.starts_with(b"ts_recv,code,trade_timestamp,sequential_id,trade_price,trade_volume,ask_bid,"));
        let long = r#"{"ts_recv":9,"type":"trade","code":"KRW-BTC","trade_timestamp":5,"sequential_id":17732400590950000,"trade_price":1.16539E8,"trade_volume":0.00100000,"ask_bid":"BID"}"#;
        let short = r#"{"ts_recv":9,"ty":"trade","cd":"KRW-BTC","ttms":5,"sid":17732400590950000,"tp":1.16539E8,"tv":0.00100000,"ab":"BID"}"#;
        let fetched = r#"{"ts_recv":9,"gap":7,"market":"KRW-BTC","timestamp":5,"sequential_id":17732400590950000,"trade_price":1.16539E8,"trade_volume":0.00100000,"ask_bid":"BID"}"#;
        let begin = "9,KRW-BTC,5,17732400590950000,1.16539E8,0.00100000,BID,";
        assert_eq!(row(Table::Trades, long, false), format!("{begin},,,,,,,,,,,\n"));
        assert_eq!(row(Table::Trades, short, false), row(Table::Trades, long, false));
        assert_eq!(row(Table::Trades, fetched, true), format!("{begin},,,,,,,,,,,7\n"));
    }

    #[test]
    fn what_a_comma_would_break_is_quoted() {
        let line = r#"{"ts_recv":9,"code":"A,\"B","change":null,"market_state":"휴장"}"#;
        let row = row(Table::Tickers, line, false);
        assert!(row.starts_with("9,\"A,\"\"B\",,") && row.contains(",휴장,"), "{row}");
        let columns = |line: &str| line.matches(',').count();
        let mut header = Vec::new();
        Table::Tickers.write_header(&mut header).unwrap();
        assert_eq!(columns(&row), columns(&String::from_utf8(header).unwrap()) + 1);
    }
}
