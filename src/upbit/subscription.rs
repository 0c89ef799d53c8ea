//! The request of a connection, in force until the next one replaces it.
//!
//! ```text
//! [{"ticket":"…"},{"type":"trade","codes":["KRW-BTC"]},{"type":"orderbook","codes":["KRW-BTC.15"],"level":0},{"format":"SIMPLE"}]
//!  once            one Subscription each                                                              Request::format
//! ```
//!
//! Source: docs.upbit.com, "WebSocket guide". The exchange acknowledges nothing: the first answer is data or an error.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};
use std::fmt;
use std::str::FromStr;

/// How the exchange spells its frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// One object a frame, long keys.
    #[default]
    Default,
    /// One object a frame, short keys.
    Simple,
    /// Lists of objects, long keys.
    JsonList,
    /// Lists of objects, short keys.
    SimpleList,
}

impl Format {
    /// All formats, in the order of the exchange's documentation.
    pub const ALL: [Self; 4] = [Self::Default, Self::Simple, Self::JsonList, Self::SimpleList];

    /// The name on the wire and in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "DEFAULT",
            Self::Simple => "SIMPLE",
            Self::JsonList => "JSON_LIST",
            Self::SimpleList => "SIMPLE_LIST",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A format name that the exchange does not know.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no format: expected DEFAULT, SIMPLE, JSON_LIST or SIMPLE_LIST")]
pub struct UnknownFormat(String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        let known = Self::ALL.into_iter().find(|format| format.as_str() == name);
        known.ok_or_else(|| UnknownFormat(name.to_owned()))
    }
}

/// One entry of a request: a type and the codes it is wanted for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscription {
    /// `trade`, `orderbook`, `ticker`, `candle.1m`, `myOrder`, …
    pub kind: String,
    /// Market codes such as `KRW-BTC`, upper case; empty: none are sent (private types: everything).
    pub codes: Vec<String>,
    /// Pairs of an order book: 1, 5, 15 or 30. Sent as the suffix `CODE.count`; the answers come without it.
    pub count: Option<u8>,
    /// Price grouping of an order book; `None` leaves the key out.
    pub level: Option<Number>,
    /// Only the snapshot, no realtime frames.
    pub only_snapshot: bool,
    /// Only realtime frames, no snapshot.
    pub only_realtime: bool,
    /// Whatever else the exchange takes with this type, handed on as it is.
    pub options: Map<String, Value>,
}

impl Subscription {
    /// The entry as it goes over the wire.
    pub fn to_json(&self) -> String {
        to_json(&self.wire())
    }

    /// The entry narrowed to one of its codes, as it would go over the wire.
    pub fn narrowed(&self, code: Option<&str>) -> String {
        let codes = code.map(str::to_owned).into_iter().collect();
        Self { codes, ..self.without_codes() }.to_json()
    }

    /// The entry without its codes, because there may be thousands.
    pub fn without_codes(&self) -> Self {
        Self {
            kind: self.kind.clone(),
            codes: Vec::new(),
            count: self.count,
            level: self.level.clone(),
            only_snapshot: self.only_snapshot,
            only_realtime: self.only_realtime,
            options: self.options.clone(),
        }
    }

    /// The entry with the options that are sent unless it has them: a body that an announcement came without cannot be
    /// asked for later.
    pub fn completed(&self) -> Self {
        let mut completed = self.clone();
        if completed.kind == "announcement" {
            completed.options.entry("include_body").or_insert(true.into());
        }
        completed
    }

    fn wire(&self) -> WireEntry<'_> {
        WireEntry::Subscription {
            kind: &self.kind,
            codes: self.codes.iter().map(|code| self.wire_code(code)).collect(),
            level: self.level.as_ref(),
            is_only_snapshot: self.only_snapshot,
            is_only_realtime: self.only_realtime,
            options: &self.options,
        }
    }

    fn wire_code(&self, code: &str) -> String {
        match self.count {
            Some(count) => format!("{code}.{count}"),
            None => code.to_owned(),
        }
    }
}

/// Everything that one connection should have subscribed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// One entry per type and set of options.
    pub subscriptions: Vec<Subscription>,
    /// How the frames are to be spelt.
    pub format: Format,
}

impl Request {
    /// The frame that asks for it; `ticket` identifies the asker.
    pub fn to_frame(&self, ticket: &str) -> String {
        let mut entries = vec![WireEntry::Ticket { ticket }];
        entries.extend(self.subscriptions.iter().map(Subscription::wire));
        entries.push(WireEntry::Format { format: self.format.as_str() });
        to_json(&entries)
    }

    /// Reads a frame that [`to_frame`](Self::to_frame) made; `None` where it did not.
    pub fn from_frame(frame: &str) -> Option<Self> {
        let entries: Vec<ReadEntry> = serde_json::from_str(frame).ok()?;
        let mut request = Self::default();
        for entry in entries {
            if let Some(format) = &entry.format {
                request.format = format.parse().ok()?;
            } else if entry.kind.is_some() {
                request.subscriptions.push(entry.into_subscription()?);
            }
        }
        Some(request)
    }
}

/// Any entry of a request.
#[derive(Deserialize)]
struct ReadEntry {
    format: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    codes: Vec<String>,
    level: Option<Number>,
    #[serde(default)]
    is_only_snapshot: bool,
    #[serde(default)]
    is_only_realtime: bool,
    #[serde(flatten)]
    options: Map<String, Value>,
}

impl ReadEntry {
    fn into_subscription(self) -> Option<Subscription> {
        let count_of = |code: &str| code.rsplit_once('.').and_then(|(_, count)| count.parse().ok());
        let count = self.codes.first().and_then(|code| count_of(code));
        let plain = |code: String| match count {
            Some(_) => code.rsplit_once('.').map_or(code.clone(), |(plain, _)| plain.to_owned()),
            None => code,
        };
        Some(Subscription {
            kind: self.kind?,
            codes: self.codes.into_iter().map(plain).collect(),
            count,
            level: self.level,
            only_snapshot: self.is_only_snapshot,
            only_realtime: self.is_only_realtime,
            options: self.options,
        })
    }
}

/// The entries of a request in the order of keys that the exchange's documentation shows.
#[derive(Serialize)]
#[serde(untagged)]
enum WireEntry<'a> {
    Ticket {
        ticket: &'a str,
    },
    Subscription {
        #[serde(rename = "type")]
        kind: &'a str,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        codes: Vec<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        level: Option<&'a Number>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        is_only_snapshot: bool,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        is_only_realtime: bool,
        #[serde(flatten)]
        options: &'a Map<String, Value>,
    },
    Format {
        format: &'static str,
    },
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("strings, numbers and flags always serialise")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_spelt_as_the_documentation_shows_it() {
        let request = Request {
            subscriptions: vec![
                Subscription {
                    kind: "trade".into(),
                    codes: vec!["KRW-BTC".into(), "KRW-ETH".into()],
                    ..Subscription::default()
                },
                Subscription {
                    kind: "orderbook".into(),
                    codes: vec!["KRW-BTC".into()],
                    count: Some(15),
                    level: Some(0.into()),
                    only_realtime: true,
                    ..Subscription::default()
                },
                Subscription { kind: "myAsset".into(), ..Subscription::default() },
            ],
            format: Format::SimpleList,
        };
        assert_eq!(Request::from_frame(&request.to_frame("t")), Some(request.clone()));
        assert_eq!(
            request.to_frame("t"),
            r#"[{"ticket":"t"},{"type":"trade","codes":["KRW-BTC","KRW-ETH"]},{"type":"orderbook","codes":["KRW-BTC.15"],"level":0,"is_only_realtime":true},{"type":"myAsset"},{"format":"SIMPLE_LIST"}]"#
        );
    }

    #[test]
    fn a_narrowed_entry_keeps_its_options() {
        let books = Subscription {
            kind: "orderbook".into(),
            codes: vec!["KRW-BTC".into(), "KRW-ETH".into()],
            count: Some(5),
            ..Subscription::default()
        };
        assert_eq!(books.narrowed(Some("KRW-ETH")), r#"{"type":"orderbook","codes":["KRW-ETH.5"]}"#);
    }

    #[test]
    fn options_go_over_the_wire_and_come_back_as_they_are() {
        let options = r#"{"categories":["general","listing"],"depth":{"a":[1,-2,0.1,null]},"include_body":true}"#;
        let options = serde_json::from_str(options).unwrap();
        let news = Subscription { kind: "announcement".into(), options, ..Subscription::default() };
        let wire = r#"{"type":"announcement","categories":["general","listing"],"depth":{"a":[1,-2,0.1,null]},"include_body":true}"#;
        assert_eq!((news.to_json().as_str(), news.narrowed(None).as_str()), (wire, wire));
        let request = Request { subscriptions: vec![news], format: Format::Default };
        assert_eq!(Request::from_frame(&request.to_frame("t")), Some(request));
    }

    #[test]
    fn every_format_is_known_by_its_name() {
        for format in Format::ALL {
            assert_eq!(format.as_str().parse::<Format>().unwrap(), format);
        }
        assert!("default".parse::<Format>().is_err());
    }
}
