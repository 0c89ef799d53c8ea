//! What a client asks for, read as leniently as the exchange reads it.
//!
//! ```text
//! [{"ticket":"…"}, {"type":"trade","codes":["KRW-BTC"]}, …, {"format":"SIMPLE"}]
//! ```
//!
//! The entries may stand in any order, flags may be written in camel case, unknown keys are passed over. What cannot be
//! accepted is a [`Refusal`] with the exchange's own names.

use serde_json::{Map, Value};

/// How frames are spelt and packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Format {
    /// Short keys.
    pub(crate) short: bool,
    /// Lists of objects.
    pub(crate) list: bool,
}

impl Format {
    fn named(name: &str) -> Option<Self> {
        let (short, list) = match name {
            "DEFAULT" => (false, false),
            "SIMPLE" => (true, false),
            "JSON_LIST" => (false, true),
            "SIMPLE_LIST" => (true, true),
            _ => return None,
        };
        Some(Self { short, list })
    }
}

/// One type that is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// The type's name.
    pub(crate) kind: String,
    /// The codes as sent, with suffixes.
    pub(crate) codes: Vec<String>,
    /// The grouping of an order book's prices, where one was asked for.
    pub(crate) level: Option<f64>,
    /// The first frame of each code.
    pub(crate) snapshot: bool,
    /// The frames after it.
    pub(crate) realtime: bool,
}

/// A request that can be answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    /// The client's mark; it comes back in the answer to a method.
    pub(crate) ticket: String,
    /// The types, in the order asked for.
    pub(crate) entries: Vec<Entry>,
    /// How the answers are spelt.
    pub(crate) format: Format,
}

/// Why a request is not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The error's name, one of the exchange's.
    pub(crate) name: &'static str,
    /// What it says to people.
    pub(crate) message: String,
}

impl Refusal {
    fn new(name: &'static str, message: impl Into<String>) -> Self {
        Self { name, message: message.into() }
    }

    fn wrong_format() -> Self {
        Self::new("WRONG_FORMAT", "Format 이 맞지 않습니다.")
    }

    /// The frame that tells it.
    pub(crate) fn to_frame(&self) -> String {
        serde_json::json!({"error": {"name": self.name, "message": self.message}}).to_string()
    }
}

/// Reads a request.
pub(crate) fn parse(text: &str) -> Result<Request, Refusal> {
    let Ok(Value::Array(parts)) = serde_json::from_str(text) else {
        return Err(Refusal::wrong_format());
    };
    let mut request = Request { ticket: String::new(), entries: Vec::new(), format: Format::default() };
    for part in &parts {
        let Value::Object(part) = part else {
            return Err(Refusal::wrong_format());
        };
        if let Some(ticket) = part.get("ticket") {
            request.ticket = ticket.as_str().unwrap_or_default().to_owned();
        }
        if let Some(name) = part.get("format") {
            request.format = name.as_str().and_then(Format::named).ok_or_else(Refusal::wrong_format)?;
        }
        if let Some(kind) = part.get("type") {
            request.entries.push(entry(kind, part)?);
        }
    }
    if request.ticket.is_empty() {
        return Err(Refusal::new("NO_TICKET", "티켓이 존재하지 않거나, 유효하지 않습니다."));
    }
    if request.entries.is_empty() {
        return Err(Refusal::new("NO_TYPE", "type 필드가 존재하지 않습니다."));
    }
    Ok(request)
}

/// The types of the public stream, but for the candles.
const TYPES: [&str; 3] = ["ticker", "trade", "orderbook"];

fn entry(kind: &Value, part: &Map<String, Value>) -> Result<Entry, Refusal> {
    let kind = kind.as_str().ok_or_else(Refusal::wrong_format)?;
    if !TYPES.contains(&kind) && CandleUnit::of(kind).is_none() {
        return Err(Refusal::new("INVALID_PARAM", format!("{kind} 은 지원하지 않는 타입입니다.")));
    }
    let codes: Vec<String> = match part.get("codes") {
        None => Vec::new(),
        Some(Value::Array(codes)) => codes.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(_) => return Err(Refusal::wrong_format()),
    };
    if codes.is_empty() {
        return Err(Refusal::new("NO_CODES", "codes 필드가 존재하지 않습니다."));
    }
    let flag =
        |names: [&str; 2]| names.iter().any(|name| part.get(*name).is_some_and(|value| value == &Value::Bool(true)));
    let only_snapshot = flag(["is_only_snapshot", "isOnlySnapshot"]);
    let only_realtime = flag(["is_only_realtime", "isOnlyRealtime"]);
    let level = part.get("level").and_then(Value::as_f64);
    Ok(Entry { kind: kind.to_owned(), codes, level, snapshot: !only_realtime, realtime: !only_snapshot })
}

/// The periods of the candles on the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CandleUnit {
    /// The type's name.
    pub(crate) name: &'static str,
    /// The period in milliseconds.
    pub(crate) millis: u64,
}

impl CandleUnit {
    const ALL: [(&'static str, u64); 9] = [
        ("candle.1s", 1),
        ("candle.1m", 60),
        ("candle.3m", 180),
        ("candle.5m", 300),
        ("candle.10m", 600),
        ("candle.15m", 900),
        ("candle.30m", 1_800),
        ("candle.60m", 3_600),
        ("candle.240m", 14_400),
    ];

    /// The period a type's name stands for.
    pub(crate) fn of(kind: &str) -> Option<Self> {
        let (name, seconds) = Self::ALL.into_iter().find(|(name, _)| *name == kind)?;
        Some(Self { name, millis: seconds * 1_000 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> &'static str {
        parse(text).unwrap_err().name
    }

    #[test]
    fn the_format_may_stand_anywhere_and_flags_in_camel_case() {
        let text = r#"[{"ticket":"t"},{"format":"SIMPLE"},{"type":"trade","codes":["BTC-ARK"],"isOnlyRealtime":true,"x":1},
            {"type":"orderbook","codes":["KRW-BTC.15"],"level":10000,"is_only_snapshot":true}]"#;
        let request = parse(text).unwrap();
        assert_eq!(request.format, Format { short: true, list: false });
        assert!(!request.entries[0].snapshot && request.entries[0].realtime);
        assert!(request.entries[1].snapshot && !request.entries[1].realtime);
        assert_eq!(request.entries[1].level, Some(10_000.0));
        assert_eq!(request.entries[1].codes, ["KRW-BTC.15"]);
    }

    #[test]
    fn what_cannot_be_answered_has_the_exchanges_name() {
        assert_eq!(refused("hello"), "WRONG_FORMAT");
        assert_eq!(refused(r#"{"ticket":"t"}"#), "WRONG_FORMAT");
        assert_eq!(refused(r#"[{"ticket":"t"},5]"#), "WRONG_FORMAT");
        assert_eq!(refused(r#"[{"type":"trade","codes":["KRW-BTC"]}]"#), "NO_TICKET");
        assert_eq!(refused(r#"[{"ticket":"t"}]"#), "NO_TYPE");
        assert_eq!(refused(r#"[{"ticket":"t"},{"type":"trade"}]"#), "NO_CODES");
        assert_eq!(refused(r#"[{"ticket":"t"},{"type":"nope","codes":["KRW-BTC"]}]"#), "INVALID_PARAM");
        assert_eq!(refused(r#"[{"ticket":"t"},{"type":"trade","codes":["A-B"]},{"format":"X"}]"#), "WRONG_FORMAT");
    }
}
