//! A client's request, parsed as leniently as the exchange does.
//!
//! ```text
//! [{"ticket":"…"}, {"type":"trade","codes":["KRW-BTC"]}, …, {"format":"SIMPLE"}]      Ask::Subscribe
//! [{"ticket":"…"}, {"method":"LIST_SUBSCRIPTIONS"}, {"format":"SIMPLE"}]              Ask::List
//! ```
//!
//! The parts may stand in any order, flags may be written in camel case, unknown keys are ignored. An invalid
//! request is a [`Refusal`] with the exchange's own names.

use super::candle_unit::CandleUnit;
use serde_json::{Map, Value};

/// Which of the exchange's two streams a client is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Market data.
    Public,
    /// The account's events.
    Private,
}

/// The encoding of frames: keys and lists.
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

/// One subscribed type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Subscription {
    /// The type's name.
    pub(crate) kind: String,
    /// The codes as sent, with suffixes.
    pub(crate) codes: Vec<String>,
    /// The grouping of an order book's prices, if requested.
    pub(crate) level: Option<f64>,
    /// The first frame of each code.
    pub(crate) snapshot: bool,
    /// The frames after it.
    pub(crate) realtime: bool,
}

/// A request that can be answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    /// The client's ticket, echoed in the answer to a method.
    pub(crate) ticket: String,
    /// The format of all later answers.
    pub(crate) format: Format,
    /// The operation.
    pub(crate) ask: Ask,
}

/// The operation of a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ask {
    /// These types, instead of all earlier ones.
    Subscribe(Vec<Subscription>),
    /// A list of the subscriptions.
    List,
}

/// Why a request is not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The error's name, one of the exchange's.
    pub(crate) name: &'static str,
    /// Its human-readable text.
    pub(crate) message: String,
}

impl Refusal {
    /// A refusal by name.
    pub(crate) fn new(name: &'static str, message: impl Into<String>) -> Self {
        Self { name, message: message.into() }
    }

    fn wrong_format() -> Self {
        Self::new("WRONG_FORMAT", "Format 이 맞지 않습니다.")
    }

    /// Its frame.
    pub(crate) fn to_frame(&self) -> String {
        serde_json::json!({"error": {"name": self.name, "message": self.message}}).to_string()
    }
}

/// Reads a request of a client on `endpoint`.
pub(crate) fn parse(text: &str, endpoint: Endpoint) -> Result<Request, Refusal> {
    let Ok(Value::Array(parts)) = serde_json::from_str(text) else {
        return Err(Refusal::wrong_format());
    };
    let (mut ticket, mut format, mut subscriptions, mut lists) = (String::new(), Format::default(), Vec::new(), false);
    for part in &parts {
        let part = part.as_object().ok_or_else(Refusal::wrong_format)?;
        if let Some(text) = part.get("ticket") {
            ticket = text.as_str().unwrap_or_default().to_owned();
        }
        if let Some(name) = part.get("format") {
            format = name.as_str().and_then(Format::named).ok_or_else(Refusal::wrong_format)?;
        }
        if let Some(method) = part.get("method") {
            lists = true;
            if method != "LIST_SUBSCRIPTIONS" {
                return Err(Refusal::new("INVALID_PARAM", format!("{method} 은 지원하지 않는 메서드입니다.")));
            }
        }
        if let Some(kind) = part.get("type") {
            subscriptions.push(subscription(kind, part, endpoint)?);
        }
    }
    if ticket.is_empty() {
        return Err(Refusal::new("NO_TICKET", "티켓이 존재하지 않거나, 유효하지 않습니다."));
    }
    if lists {
        return Ok(Request { ticket, format, ask: Ask::List });
    }
    if subscriptions.is_empty() {
        return Err(Refusal::new("NO_TYPE", "type 필드가 존재하지 않습니다."));
    }
    Ok(Request { ticket, format, ask: Ask::Subscribe(subscriptions) })
}

fn subscription(kind: &Value, part: &Map<String, Value>, endpoint: Endpoint) -> Result<Subscription, Refusal> {
    let kind = kind.as_str().ok_or_else(Refusal::wrong_format)?;
    let codes: Vec<String> = match part.get("codes") {
        None => Vec::new(),
        Some(Value::Array(codes)) => codes.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(_) => return Err(Refusal::wrong_format()),
    };
    let has_codes = part.contains_key("codes");
    match (kind, endpoint) {
        ("ticker" | "trade" | "orderbook", Endpoint::Public) if !codes.is_empty() => {}
        (candle, Endpoint::Public) if CandleUnit::of(candle).is_some() && !codes.is_empty() => {}
        ("ticker" | "trade" | "orderbook", Endpoint::Public) => return Err(no_codes()),
        (candle, Endpoint::Public) if CandleUnit::of(candle).is_some() => return Err(no_codes()),
        ("myAsset", Endpoint::Private) if has_codes => return Err(Refusal::wrong_format()),
        ("myOrder" | "myAsset" | "announcement", Endpoint::Private) => {}
        ("myOrder" | "myAsset" | "announcement", Endpoint::Public) => {
            return Err(Refusal::new("INVALID_AUTH", "인증 정보가 올바르지 않습니다."));
        }
        _ => return Err(Refusal::new("INVALID_PARAM", format!("{kind} 은 지원하지 않는 타입입니다."))),
    }
    let flag = |names: [&str; 2]| names.iter().any(|name| part.get(*name) == Some(&Value::Bool(true)));
    let only_snapshot = flag(["is_only_snapshot", "isOnlySnapshot"]);
    let only_realtime = flag(["is_only_realtime", "isOnlyRealtime"]);
    let level = part.get("level").and_then(Value::as_f64);
    Ok(Subscription { kind: kind.to_owned(), codes, level, snapshot: !only_realtime, realtime: !only_snapshot })
}

fn no_codes() -> Refusal {
    Refusal::new("NO_CODES", "codes 필드가 존재하지 않습니다.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscriptions(text: &str) -> Vec<Subscription> {
        match parse(text, Endpoint::Public).unwrap().ask {
            Ask::Subscribe(subscriptions) => subscriptions,
            Ask::List => panic!("{text}"),
        }
    }

    fn refused(text: &str, endpoint: Endpoint) -> &'static str {
        parse(text, endpoint).unwrap_err().name
    }

    #[test]
    fn the_format_may_stand_anywhere_and_flags_in_camel_case() {
        let text = r#"[{"ticket":"t"},{"format":"SIMPLE"},{"type":"trade","codes":["BTC-ARK"],"isOnlyRealtime":true,"x":1},
            {"type":"orderbook","codes":["KRW-BTC.15"],"level":10000,"is_only_snapshot":true}]"#;
        assert_eq!(parse(text, Endpoint::Public).unwrap().format, Format { short: true, list: false });
        let subscriptions = subscriptions(text);
        assert!(!subscriptions[0].snapshot && subscriptions[0].realtime);
        assert!(subscriptions[1].snapshot && !subscriptions[1].realtime);
        assert_eq!(subscriptions[1].level, Some(10_000.0));
        assert_eq!(subscriptions[1].codes, ["KRW-BTC.15"]);
    }

    #[test]
    fn what_cannot_be_answered_has_the_exchanges_name() {
        let refused = |text| refused(text, Endpoint::Public);
        assert_eq!(refused("hello"), "WRONG_FORMAT");
        assert_eq!(refused(r#"{"ticket":"t"}"#), "WRONG_FORMAT");
        assert_eq!(refused(r#"[{"ticket":"t"},5]"#), "WRONG_FORMAT");
        assert_eq!(refused(r#"[{"type":"trade","codes":["KRW-BTC"]}]"#), "NO_TICKET");
        assert_eq!(refused(r#"[{"ticket":"t"}]"#), "NO_TYPE");
        assert_eq!(refused(r#"[{"ticket":"t"},{"type":"trade"}]"#), "NO_CODES");
        assert_eq!(refused(r#"[{"ticket":"t"},{"type":"candle.1m","codes":[]}]"#), "NO_CODES");
        assert_eq!(refused(r#"[{"ticket":"t"},{"type":"nope","codes":["KRW-BTC"]}]"#), "INVALID_PARAM");
        assert_eq!(refused(r#"[{"ticket":"t"},{"method":"NOPE"}]"#), "INVALID_PARAM");
        assert_eq!(refused(r#"[{"ticket":"t"},{"type":"trade","codes":["A-B"]},{"format":"X"}]"#), "WRONG_FORMAT");
        assert_eq!(refused(r#"[{"ticket":"t"},{"type":"myAsset"}]"#), "INVALID_AUTH");
    }

    #[test]
    fn the_private_types_and_their_codes() {
        let ask = |part: &str| parse(&format!(r#"[{{"ticket":"t"}},{part}]"#), Endpoint::Private);
        assert!(ask(r#"{"type":"myOrder"}"#).is_ok());
        assert!(ask(r#"{"type":"myOrder","codes":["KRW-BTC"]}"#).is_ok());
        assert!(ask(r#"{"type":"announcement"}"#).is_ok());
        assert_eq!(ask(r#"{"type":"myAsset","codes":["KRW-BTC"]}"#).unwrap_err().name, "WRONG_FORMAT");
        assert_eq!(ask(r#"{"type":"trade","codes":["KRW-BTC"]}"#).unwrap_err().name, "INVALID_PARAM");
    }

    #[test]
    fn a_list_without_a_format_means_default() {
        let request = parse(r#"[{"ticket":"t"},{"method":"LIST_SUBSCRIPTIONS"}]"#, Endpoint::Public).unwrap();
        assert_eq!(request, Request { ticket: "t".into(), format: Format::default(), ask: Ask::List });
    }
}
