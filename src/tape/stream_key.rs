//! The name of a stream, which is also the name of its file: `<code>_<type>`, or `<type>` where there is no code.
//!
//! ```text
//! wire  {"code":"KRW-BTC","type":"trade"} ──WireName::parse──▶ KRW-BTC_trade ◀──StreamKey::from_stem── KRW-BTC_trade.jsonl
//! ```
//!
//! Input from the wire is hostile until it has passed [`WireName::parse`], the only constructor of a key from it, so no
//! frame can name a file outside its directory, or one of the recorder's own.

use crate::upbit::series::Series;
use crate::upbit::types::{PRIVATE_TYPES, PUBLIC_TYPES};
use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// The longest code or type: two of them, a time and the endings stay well below the 255 bytes of a file name.
const MAX_PART: usize = 64;

/// Names that the recorder uses for files of its own.
const RESERVED: [&str; 4] = ["recorder", "misc", "manifest", "day"];

/// The ending of the type of a stream that holds objects missed in gaps.
const HEALED: &str = ".healed";

/// The ending of a stream of objects of the REST interface.
const REST: &str = ".rest";

/// Endings of types that the recorder gives to data it fetched itself.
const RESERVED_ENDINGS: [&str; 2] = [HEALED, REST];

/// A stream's name as the exchange gave it, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireName<'a> {
    kind: &'a str,
    code: Option<&'a str>,
}

impl<'a> WireName<'a> {
    /// Checks the names in a frame; `None` where they may not name a stream.
    pub fn parse(kind: &'a str, code: Option<&'a str>) -> Option<Self> {
        let own = is_any_of(&RESERVED, kind) || RESERVED_ENDINGS.iter().any(|ending| ends_with(kind, ending));
        let fits = !own && is_part(kind) && code.is_none_or(is_part);
        (fits && !is_misspelt(kind, code)).then_some(Self { kind, code })
    }

    /// Replaces `stem` with the name of the stream.
    pub fn write_stem(self, stem: &mut String) {
        stem.clear();
        if let Some(code) = self.code {
            stem.push_str(code);
            stem.push('_');
        }
        stem.push_str(self.kind);
    }
}

/// The name of a stream: safe as a file name, unique within a tree.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamKey(Arc<str>);

impl StreamKey {
    /// The stream of the recorder's own events.
    pub fn recorder() -> Self {
        Self("recorder".into())
    }

    /// The stream of a pair's series; `None` where its name cannot be one.
    pub fn of(market: &str, series: Series) -> Option<Self> {
        WireName::parse(&series.stream_type(), Some(market)).map(Self::from)
    }

    /// The stream of everything that belongs to no other.
    pub fn misc() -> Self {
        Self("misc".into())
    }

    /// The stream of what the exchange says of its pairs.
    pub fn market_objects() -> Self {
        Self("market.rest".into())
    }

    /// The stream of what the exchange says of how pairs are traded.
    pub fn instrument_objects() -> Self {
        Self("instrument.rest".into())
    }

    /// The name before the ending of a file that the recorder wrote; `None` where it cannot have written it.
    pub fn from_stem(stem: &str) -> Option<Self> {
        let (code, kind) = match stem.rsplit_once('_') {
            Some((code, kind)) => (Some(code), kind),
            None => (None, stem),
        };
        let taken = is_any_of(&["manifest", "day"], stem);
        let fits = !taken && is_part(kind) && code.is_none_or(is_part);
        (fits && !is_misspelt(kind.strip_suffix(HEALED).unwrap_or(kind), code)).then(|| Self(stem.into()))
    }

    /// The stream of objects missed in gaps of this one: `KRW-BTC_trade.healed`; `None` where its name would be too
    /// long.
    pub fn healed(&self) -> Option<Self> {
        Self::from_stem(&format!("{self}{HEALED}"))
    }

    /// Whether it holds objects missed by another one: lines that did not come over a connection.
    pub fn is_healed(&self) -> bool {
        self.0.ends_with(HEALED)
    }

    /// Whether its lines were fetched over REST: missed by a stream, or objects of their own.
    pub fn is_fetched(&self) -> bool {
        self.is_healed() || self.0.ends_with(REST)
    }

    /// Whether its lines came over a connection and name a stream of the exchange.
    pub fn is_recorded(&self) -> bool {
        !self.is_fetched() && *self != Self::recorder() && *self != Self::misc()
    }

    /// `KRW-BTC_trade`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `KRW-BTC`, where there is one.
    pub fn code(&self) -> Option<&str> {
        self.0.split_once('_').map(|(code, _)| code)
    }

    /// `trade`.
    pub fn kind(&self) -> &str {
        self.0.split_once('_').map_or(&self.0, |(_, kind)| kind)
    }
}

impl From<WireName<'_>> for StreamKey {
    fn from(name: WireName<'_>) -> Self {
        let mut stem = String::new();
        name.write_stem(&mut stem);
        Self(stem.into())
    }
}

impl Borrow<str> for StreamKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether `name` is one of `names` in a case-insensitive directory.
fn is_any_of(names: &[&str], name: &str) -> bool {
    names.iter().any(|taken| taken.eq_ignore_ascii_case(name))
}

/// Whether `kind` ends so in a case-insensitive directory.
fn ends_with(kind: &str, ending: &str) -> bool {
    let end = kind.len().checked_sub(ending.len()).and_then(|at| kind.get(at..));
    end.is_some_and(|end| end.eq_ignore_ascii_case(ending))
}

/// Whether this is the name of a stream that can be subscribed, but for its case: in a case-insensitive directory it
/// would take that stream's file.
fn is_misspelt(kind: &str, code: Option<&str>) -> bool {
    let mut types = PUBLIC_TYPES.iter().chain(&PRIVATE_TYPES);
    let Some(known) = types.find(|known| known.eq_ignore_ascii_case(kind)) else { return false };
    *known != kind || code.is_some_and(|code| code.bytes().any(|byte| byte.is_ascii_lowercase()))
}

fn is_part(part: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
    (1..=MAX_PART).contains(&part.len()) && !part.starts_with('.') && part.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(kind: &str, code: Option<&str>) -> Option<String> {
        WireName::parse(kind, code).map(|name| StreamKey::from(name).as_str().to_owned())
    }

    #[test]
    fn the_exchanges_names_become_file_names() {
        assert_eq!(key("trade", Some("KRW-BTC")).as_deref(), Some("KRW-BTC_trade"));
        assert_eq!(key("candle.1s", Some("KRW-1INCH")).as_deref(), Some("KRW-1INCH_candle.1s"));
        assert_eq!(key("myAsset", None).as_deref(), Some("myAsset"));
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for kind in ["", ".", "..", "../../x", "a/b", "a_b", "a\0", "recorder", "misc", "manifest", "day", "거래"] {
            assert_eq!(key(kind, Some("KRW-BTC")), None, "{kind}");
        }
        for code in ["", "..", "KRW/BTC", "KRW_BTC", ".KRW", "KRW BTC", "KRW-BTC\n"] {
            assert_eq!(key("trade", Some(code)), None, "{code}");
        }
        assert_eq!(key("trade.healed", Some("KRW-BTC")), None);
        assert_eq!(key("trade.rest", None), None);
        for kind in ["Recorder", "MISC", "maniFest", "Day", "trade.Healed", "trade.REST"] {
            assert_eq!(key(kind, Some("KRW-BTC")), None, "{kind}");
        }
        assert_eq!(key(&"x".repeat(65), None), None);
    }

    #[test]
    fn another_case_of_a_name_that_can_be_subscribed_is_none() {
        for (kind, code) in
            [("Trade", "KRW-BTC"), ("candle.1M", "KRW-BTC"), ("MYORDER", "KRW-BTC"), ("trade", "krw-BTC")]
        {
            assert_eq!(key(kind, Some(code)), None, "{kind} {code}");
            for ending in ["", HEALED] {
                assert_eq!(StreamKey::from_stem(&format!("{code}_{kind}{ending}")), None, "{kind} {code}");
            }
        }
        for (kind, code) in [("trade", "KRW-BTC"), ("myOrder", "KRW-BTC"), ("candle.1month", "KRW-BTC"), ("news", "a")]
        {
            assert!(key(kind, Some(code)).is_some(), "{kind} {code}");
        }
        assert!(key("myasset", None).is_none() && key("myAsset", None).is_some());
    }

    #[test]
    fn a_key_falls_apart_where_it_was_joined() {
        let key = StreamKey::from_stem("KRW-BTC_candle.1m").unwrap();
        assert_eq!((key.code(), key.kind()), (Some("KRW-BTC"), "candle.1m"));
        assert_eq!(StreamKey::misc().code(), None);
        assert_eq!(StreamKey::from_stem("a_b_c"), None);
        assert_eq!(StreamKey::from_stem("manifest"), None);
    }

    #[test]
    fn what_was_missed_has_a_stream_of_its_own() {
        let trades = StreamKey::from_stem("KRW-BTC_trade").unwrap();
        let healed = trades.healed().unwrap();
        assert_eq!(
            (healed.as_str(), healed.code(), healed.kind()),
            ("KRW-BTC_trade.healed", Some("KRW-BTC"), "trade.healed")
        );
        assert!(healed.is_healed() && !trades.is_healed());
        assert_eq!(StreamKey::from_stem(&"x".repeat(60)).unwrap().healed(), None);
    }

    proptest! {
        #[test]
        fn no_wire_name_leaves_its_directory(kind in ".{0,70}", code in proptest::option::of(".{0,70}")) {
            if let Some(name) = WireName::parse(&kind, code.as_deref()) {
                let key = StreamKey::from(name);
                prop_assert!(!key.as_str().contains(['/', '\0', '\n']) && !key.as_str().starts_with('.'));
                prop_assert_eq!((key.kind(), key.code()), (&*kind, code.as_deref()));
                prop_assert_eq!(StreamKey::from_stem(key.as_str()), Some(key));
            }
        }
    }
}
