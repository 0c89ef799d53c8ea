//! Objects from one spelling of their names into the other: DEFAULT and SIMPLE. Only names change: a value is the bytes
//! that it was, whatever number that is.
//!
//! Source: docs.upbit.com, the tables of each type in the WebSocket reference, and frames captured from the live service.

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Names of all types, each in full and short.
const NAMES: &[(&str, &str)] = &[
    ("type", "ty"),
    ("code", "cd"),
    ("timestamp", "tms"),
    ("stream_type", "st"),
    ("trade_price", "tp"),
    ("trade_volume", "tv"),
    ("trade_time", "ttm"),
    ("trade_timestamp", "ttms"),
    ("ask_bid", "ab"),
    ("opening_price", "op"),
    ("high_price", "hp"),
    ("low_price", "lp"),
    ("prev_closing_price", "pcp"),
    ("change", "c"),
    ("change_price", "cp"),
    ("change_rate", "cr"),
    ("signed_change_price", "scp"),
    ("signed_change_rate", "scr"),
];

const TICKER: &[(&str, &str)] = &[
    ("trade_date", "tdt"),
    ("acc_trade_volume", "atv"),
    ("acc_trade_volume_24h", "atv24h"),
    ("acc_trade_price", "atp"),
    ("acc_trade_price_24h", "atp24h"),
    ("acc_ask_volume", "aav"),
    ("acc_bid_volume", "abv"),
    ("highest_52_week_price", "h52wp"),
    ("highest_52_week_date", "h52wdt"),
    ("lowest_52_week_price", "l52wp"),
    ("lowest_52_week_date", "l52wdt"),
    ("trade_status", "ts"),
    ("market_state", "ms"),
    ("market_state_for_ios", "msfi"),
    ("is_trading_suspended", "its"),
    ("delisting_date", "dd"),
    ("market_warning", "mw"),
];

const TRADE: &[(&str, &str)] = &[
    ("trade_date", "td"),
    ("sequential_id", "sid"),
    ("best_ask_price", "bap"),
    ("best_ask_size", "bas"),
    ("best_bid_price", "bbp"),
    ("best_bid_size", "bbs"),
];

const BOOK: &[(&str, &str)] = &[
    ("total_ask_size", "tas"),
    ("total_bid_size", "tbs"),
    ("orderbook_units", "obu"),
    ("level", "lv"),
    ("ask_price", "ap"),
    ("bid_price", "bp"),
    ("ask_size", "as"),
    ("bid_size", "bs"),
];

const CANDLE: &[(&str, &str)] = &[
    ("candle_date_time_utc", "cdttmu"),
    ("candle_date_time_kst", "cdttmk"),
    ("candle_acc_trade_volume", "catv"),
    ("candle_acc_trade_price", "catp"),
];

const ORDER: &[(&str, &str)] = &[
    ("uuid", "uid"),
    ("order_type", "ot"),
    ("state", "s"),
    ("trade_uuid", "tuid"),
    ("price", "p"),
    ("avg_price", "ap"),
    ("volume", "v"),
    ("remaining_volume", "rv"),
    ("executed_volume", "ev"),
    ("trades_count", "tc"),
    ("reserved_fee", "rsf"),
    ("remaining_fee", "rmf"),
    ("paid_fee", "pf"),
    ("locked", "l"),
    ("executed_funds", "ef"),
    ("time_in_force", "tif"),
    ("trade_fee", "tf"),
    ("is_maker", "im"),
    ("identifier", "id"),
    ("smp_type", "smpt"),
    ("prevented_volume", "pv"),
    ("prevented_locked", "pl"),
    ("order_timestamp", "otms"),
];

const ASSET: &[(&str, &str)] = &[
    ("asset_uuid", "astuid"),
    ("assets", "ast"),
    ("currency", "cu"),
    ("balance", "b"),
    ("locked", "l"),
    ("asset_timestamp", "asttms"),
];

const ANNOUNCEMENT: &[(&str, &str)] = &[
    ("event_type", "et"),
    ("uuid", "uid"),
    ("title", "tt"),
    ("category", "ct"),
    ("first_listed_at", "fla"),
    ("listed_at", "la"),
];

/// An object of the stream: its names, in the order received, and its values as they are spelt.
#[derive(Debug)]
pub(crate) struct Spelt<'a> {
    pairs: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Spelt<'a> {
    /// Reads an object; `None`: it is none.
    pub(crate) fn parse(text: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    /// Its names and values.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.pairs.iter().map(|(name, value)| (&**name, value.get()))
    }

    /// Whether its names are the short ones.
    pub(crate) fn is_short(&self) -> bool {
        self.pairs.iter().any(|(name, _)| name == "ty")
    }

    /// A value by its long name, whichever way it is spelt; texts without their quotes.
    pub(crate) fn get(&self, long: &str) -> Option<&'a str> {
        let kind = self.kind();
        let short = short_of(kind, long).unwrap_or(long);
        let found = self.pairs.iter().find(|(name, _)| name == long || name == short);
        found.map(|(_, value)| value.get().trim_matches('"'))
    }

    /// The same with short names, or long ones.
    pub(crate) fn respelt(&self, short: bool) -> String {
        let mut out = String::new();
        write(&mut out, self.kind(), &self.pairs, short);
        out
    }

    fn kind(&self) -> &'a str {
        let found = self.pairs.iter().find(|(name, _)| name == "type" || name == "ty");
        found.map_or("", |(_, value)| value.get().trim_matches('"'))
    }
}

/// The long name of a type's name; itself where there is no other.
pub(crate) fn long_of<'a>(kind: &str, name: &'a str) -> &'a str {
    tables(kind).into_iter().flatten().find(|(_, short)| *short == name).map_or(name, |(long, _)| long)
}

fn short_of(kind: &str, name: &str) -> Option<&'static str> {
    tables(kind).into_iter().flatten().find(|(long, _)| *long == name).map(|(_, short)| *short)
}

/// The type's own names first: `td` is another date than `tdt`.
fn tables(kind: &str) -> [&'static [(&'static str, &'static str)]; 2] {
    let own: &[(&str, &str)] = match kind {
        "ticker" => TICKER,
        "trade" => TRADE,
        "orderbook" => BOOK,
        "myOrder" => ORDER,
        "myAsset" => ASSET,
        "announcement" => ANNOUNCEMENT,
        candle if candle.starts_with("candle") => CANDLE,
        _ => &[],
    };
    [own, NAMES]
}

fn write(out: &mut String, kind: &str, pairs: &[(Cow<'_, str>, &RawValue)], short: bool) {
    out.push('{');
    for (index, (name, value)) in pairs.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        let respelt = if short { short_of(kind, name).unwrap_or(name) } else { long_of(kind, name) };
        out.push_str(&serde_json::to_string(respelt).expect("a text has a JSON form"));
        out.push(':');
        match serde_json::from_str::<Vec<Spelt<'_>>>(value.get()) {
            // The levels of a book, the currencies of an account.
            Ok(parts) if !parts.is_empty() => {
                for (index, part) in parts.iter().enumerate() {
                    out.push(if index == 0 { '[' } else { ',' });
                    write(out, kind, &part.pairs, short);
                }
                out.push(']');
            }
            _ => out.push_str(value.get()),
        }
    }
    out.push('}');
}

impl<'de> Deserialize<'de> for Spelt<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Spelt<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Spelt<'de>, M::Error> {
                let mut pairs = Vec::new();
                while let Some((Name(name), value)) = map.next_entry()? {
                    pairs.push((name, value));
                }
                Ok(Spelt { pairs })
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

/// A name, borrowed where it has no escapes.
#[derive(Deserialize, PartialEq, Eq, Hash)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_change_and_numbers_do_not() {
        let long = r#"{"type":"trade","code":"KRW-BTC","trade_date":"2026-11-22","trade_price":1.16539E8,"x":1386929.37231066771348207123,"sequential_id":16186782620000012,"stream_type":"SNAPSHOT"}"#;
        let short = r#"{"ty":"trade","cd":"KRW-BTC","td":"2026-11-22","tp":1.16539E8,"x":1386929.37231066771348207123,"sid":16186782620000012,"st":"SNAPSHOT"}"#;
        let (one, other) = (Spelt::parse(long.as_bytes()).unwrap(), Spelt::parse(short.as_bytes()).unwrap());
        assert_eq!((one.respelt(true), other.respelt(false)), (short.to_owned(), long.to_owned()));
        assert_eq!((one.respelt(false), other.respelt(true)), (long.to_owned(), short.to_owned()));
        assert!(other.is_short() && !one.is_short());
        assert_eq!([one.get("trade_date"), other.get("trade_date")], [Some("2026-11-22"); 2]);
        assert_eq!(other.get("sequential_id"), Some("16186782620000012"));
    }

    #[test]
    fn a_name_means_what_its_type_says() {
        let book = r#"{"ty":"orderbook","obu":[{"ap":1.0,"bp":5.0E-4,"as":2,"bs":3},{"ap":6E-8}],"lv":0}"#;
        let long = r#"{"type":"orderbook","orderbook_units":[{"ask_price":1.0,"bid_price":5.0E-4,"ask_size":2,"bid_size":3},{"ask_price":6E-8}],"level":0}"#;
        assert_eq!(Spelt::parse(book.as_bytes()).unwrap().respelt(false), long);
        let order = Spelt::parse(br#"{"ty":"myOrder","ap":5,"s":"wait"}"#).unwrap().respelt(false);
        assert_eq!(order, r#"{"type":"myOrder","avg_price":5,"state":"wait"}"#);
        let ticker = Spelt::parse(br#"{"ty":"ticker","tdt":"20261122"}"#).unwrap().respelt(false);
        assert_eq!(ticker, r#"{"type":"ticker","trade_date":"20261122"}"#);
        assert!(Spelt::parse(b"[1]").is_none());
    }

    #[test]
    fn no_name_of_a_type_stands_for_two() {
        for kind in ["ticker", "trade", "orderbook", "candle.1s", "myOrder", "myAsset", "announcement"] {
            let mut shorts: Vec<&str> = tables(kind).into_iter().flatten().map(|(_, short)| *short).collect();
            let count = shorts.len();
            shorts.sort_unstable();
            shorts.dedup();
            assert_eq!(shorts.len(), count, "{kind}");
        }
    }
}
