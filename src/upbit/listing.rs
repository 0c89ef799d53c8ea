//! The exchange's list of subscriptions: the request `LIST_SUBSCRIPTIONS` and its reply.
//!
//! ```text
//! [{"ticket":"…"},{"method":"LIST_SUBSCRIPTIONS"},{"format":"DEFAULT"}]
//! {"method":"LIST_SUBSCRIPTIONS","result":[{"type":"trade","codes":["KRW-BTC"]},…],"ticket":"…"}
//! ```
//!
//! Source: docs.upbit.com, "List subscriptions". The format in the request switches the running streams' format, and a
//! missing one means DEFAULT, so the request repeats the one that stands.

use crate::printable;
use crate::upbit::subscription::{Format, Request};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Replies longer than this are not read: a thousand pairs in each of the exchange's twelve types take a third of it,
/// and parsed JSON takes many times the memory of its text.
const READ_BYTES: usize = 512 * 1024;

/// The frame that asks for the list.
pub fn to_frame(ticket: &str, format: Format) -> String {
    json!([{"ticket": ticket}, {"method": "LIST_SUBSCRIPTIONS"}, {"format": format.as_str()}]).to_string()
}

/// Types with the codes they are subscribed for; no codes: the type as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing(BTreeMap<String, BTreeSet<String>>);

/// How two listings differ, streams as `CODE_type` or `type`, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Asked for, but not subscribed.
    pub missing: Vec<String>,
    /// Subscribed, but not asked for.
    pub unexpected: Vec<String>,
}

impl Listing {
    /// Reads a reply; `None` where it holds no list, or one longer than any exchange's.
    pub fn from_reply(object: &[u8]) -> Option<Self> {
        if object.len() > READ_BYTES {
            return None;
        }
        let reply: Value = serde_json::from_slice(object).ok()?;
        let list = reply.get("result").or_else(|| reply.get("rslt"))?.as_array()?;
        let mut listing = Self::default();
        for entry in list {
            let of = |keys: &[&str]| keys.iter().find_map(|key| entry.get(key));
            let kind = of(&["type", "ty"])?.as_str()?;
            let codes = of(&["codes", "cds", "cd"]).and_then(Value::as_array).into_iter().flatten();
            listing.add(kind, codes.filter_map(Value::as_str));
        }
        Some(listing)
    }

    /// The listing that a request should lead to.
    pub fn of(request: &Request) -> Self {
        let mut listing = Self::default();
        for subscription in &request.subscriptions {
            listing.add(&subscription.kind, subscription.codes.iter().map(String::as_str));
        }
        listing
    }

    /// How `subscribed` differs from the request. A type requested as a whole may be listed with any codes.
    pub fn compare(&self, subscribed: &Self) -> Difference {
        let unexpected = subscribed.without(self).filter(|(kind, _)| !self.is_whole(kind));
        Difference {
            missing: self.without(subscribed).filter(|(kind, code)| code.is_some() || !subscribed.has(kind)).names(),
            // These are the exchange's text, unchecked.
            unexpected: unexpected.names().iter().map(|name| printable::line(name, printable::NAME)).collect(),
        }
    }

    fn add<'a>(&mut self, kind: &str, codes: impl Iterator<Item = &'a str>) {
        // An order book's code may come back with its count: KRW-BTC.15.
        let codes = codes.map(|code| code.split('.').next().unwrap_or(code).to_owned());
        self.0.entry(kind.to_owned()).or_default().extend(codes);
    }

    fn has(&self, kind: &str) -> bool {
        self.0.contains_key(kind)
    }

    fn is_whole(&self, kind: &str) -> bool {
        self.0.get(kind).is_some_and(BTreeSet::is_empty)
    }

    /// The streams of this listing that the other has not.
    fn without<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
        self.0.iter().flat_map(move |(kind, codes)| {
            let theirs = other.0.get(kind);
            let lacks = move |code: &&String| !theirs.is_some_and(|theirs| theirs.contains(*code));
            let whole = (codes.is_empty() && theirs.is_none()).then_some((kind.as_str(), None));
            whole.into_iter().chain(codes.iter().filter(lacks).map(|code| (kind.as_str(), Some(code.as_str()))))
        })
    }
}

/// The name of a stream as its files have it.
pub fn stream_name(kind: &str, code: Option<&str>) -> String {
    code.map_or_else(|| kind.to_owned(), |code| format!("{code}_{kind}"))
}

trait Names {
    fn names(self) -> Vec<String>;
}

impl<'a, I: Iterator<Item = (&'a str, Option<&'a str>)>> Names for I {
    fn names(self) -> Vec<String> {
        let mut names: Vec<String> = self.map(|(kind, code)| stream_name(kind, code)).collect();
        names.sort_unstable();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upbit::subscription::Subscription;

    fn listing(entries: &[(&str, &[&str])]) -> Listing {
        let mut listing = Listing::default();
        for (kind, codes) in entries {
            listing.add(kind, codes.iter().copied());
        }
        listing
    }

    #[test]
    fn the_request_repeats_the_format() {
        let frame = to_frame("t", Format::SimpleList);
        assert_eq!(frame, r#"[{"ticket":"t"},{"method":"LIST_SUBSCRIPTIONS"},{"format":"SIMPLE_LIST"}]"#);
    }

    #[test]
    fn a_reply_is_read_in_both_spellings() {
        let long = br#"{"method":"LIST_SUBSCRIPTIONS","result":[{"type":"ticker","codes":["KRW-BTC"]},{"type":"orderbook","codes":["KRW-BTC.15"],"level":0}],"ticket":"t"}"#;
        let short = br#"{"mthd":"LIST_SUBSCRIPTIONS","rslt":[{"ty":"ticker","cds":["KRW-BTC"]},{"ty":"orderbook","cds":["KRW-BTC"]}],"tckt":"t"}"#;
        let expected = listing(&[("ticker", &["KRW-BTC"]), ("orderbook", &["KRW-BTC"])]);
        assert_eq!(Listing::from_reply(long), Some(expected.clone()));
        assert_eq!(Listing::from_reply(short), Some(expected));
        assert_eq!(Listing::from_reply(br#"{"method":"LIST_SUBSCRIPTIONS"}"#), None);
    }

    #[test]
    fn differences_go_both_ways() {
        let subscription = |kind: &str, codes: &[&str]| Subscription {
            kind: kind.into(),
            codes: codes.iter().map(|&code| code.into()).collect(),
            ..Subscription::default()
        };
        let subscriptions = vec![subscription("trade", &["KRW-BTC", "KRW-ETH"]), subscription("myOrder", &[])];
        let wanted = Listing::of(&Request { subscriptions, format: Format::Default });
        assert_eq!(wanted.compare(&wanted), Difference::default());
        let subscribed = listing(&[("trade", &["KRW-BTC", "KRW-XRP"]), ("ticker", &["A-B"])]);
        let difference = wanted.compare(&subscribed);
        assert_eq!(difference.missing, ["KRW-ETH_trade", "myOrder"]);
        assert_eq!(difference.unexpected, ["A-B_ticker", "KRW-XRP_trade"]);
        let all = listing(&[("trade", &["KRW-BTC", "KRW-ETH"]), ("myOrder", &["KRW-BTC"])]);
        assert_eq!(wanted.compare(&all), Difference::default());
    }
}
