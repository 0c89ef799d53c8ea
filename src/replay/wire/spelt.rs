//! Objects from one spelling of their names into the other: DEFAULT and SIMPLE. Only names change: a value is the bytes
//! that it was, whatever number that is.

use crate::upbit::names::{long_of, short_of};
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

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
}
