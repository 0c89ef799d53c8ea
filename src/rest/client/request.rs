//! A request to the exchange, and the two encodings of its query. Pure.
//!
//! ```text
//! market=KRW-BTC&to=2026-01-01T00:00:00Z          plain: hashed and signed
//! market=KRW-BTC&to=2026-01-01T00%3A00%3A00Z      encoded: sent
//! ```

use crate::rest::answer::Question;
use std::fmt::Write;

/// A GET request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The path relative to the API's base URL: `candles/minutes/1`.
    pub path: String,
    /// Its query.
    pub query: Query,
    /// The question that validates the answer; `None`: every page is valid.
    pub question: Option<Question>,
}

impl Request {
    /// A request without a query.
    pub fn new(path: impl Into<String>) -> Self {
        Self { path: path.into(), query: Query::default(), question: None }
    }

    /// Adds a query parameter.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.0.push((name.to_owned(), value.into()));
        self
    }

    /// Validates the answer against `question`: a mismatch counts as a failure.
    pub fn expecting(mut self, question: Question) -> Self {
        self.question = Some(question);
        self
    }

    /// The first segment of the path: `candles`. The exchange counts requests by group, and all paths below one such
    /// segment are in one group.
    pub fn family(&self) -> &str {
        self.path.split('/').next().unwrap_or_default()
    }

    /// The request in human-readable form, for the log.
    pub fn describe(&self) -> String {
        match self.query.plain() {
            query if query.is_empty() => self.path.clone(),
            query => format!("{}?{query}", self.path),
        }
    }
}

/// Names and values in the order of sending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// The form that is hashed: nothing is encoded.
    pub fn plain(&self) -> String {
        self.join(|text| text.to_owned())
    }

    /// The form that is sent. A `+` in particular must not arrive as a space.
    pub fn encoded(&self) -> String {
        self.join(encode)
    }

    fn join(&self, spell: impl Fn(&str) -> String) -> String {
        let pairs: Vec<String> =
            self.0.iter().map(|(name, value)| format!("{}={}", spell(name), spell(value))).collect();
        pairs.join("&")
    }
}

/// Percent-encodes all but the unreserved characters of RFC 3986.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("writing to a string cannot fail");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_hashed_plain_and_sent_encoded() {
        let request =
            Request::new("candles/minutes/1").with("market", "KRW-BTC").with("to", "2026-01-01T00:00:00+09:00");
        assert_eq!(request.query.plain(), "market=KRW-BTC&to=2026-01-01T00:00:00+09:00");
        assert_eq!(request.query.encoded(), "market=KRW-BTC&to=2026-01-01T00%3A00%3A00%2B09%3A00");
        assert_eq!(request.family(), "candles");
        let korean = Request::new("orders").with("states[]", "원, x");
        assert_eq!(korean.query.encoded(), "states%5B%5D=%EC%9B%90%2C%20x");
    }
}
