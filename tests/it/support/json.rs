//! JSON as the tests read and write it: lines of the tape, events, messages to the exchange.

use serde_json::Value;
use std::path::Path;

/// A text that must be JSON.
pub(crate) fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A number that must be one.
pub(crate) fn number(object: &Value, key: &str) -> u64 {
    object[key].as_u64().unwrap_or_else(|| panic!("{key} of {object}"))
}

/// The lines of a file that is still written to, as far as they are whole; none where there is no file.
pub(crate) fn lines_so_far(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// A line as documented: an object as it was received, with its stamp as one more key in front.
pub(crate) struct Stamped {
    /// When it was received, µs since the epoch.
    pub(crate) stamp: u64,
    /// The object, byte for byte.
    pub(crate) object: Vec<u8>,
}

impl Stamped {
    /// `None` where it is no such line; between the braces may be anything.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        let rest = line.strip_prefix(b"{\"ts_recv\":").filter(|rest| rest.ends_with(b"}"))?;
        let comma = rest.iter().position(|byte| *byte == b',')?;
        let stamp = std::str::from_utf8(&rest[..comma]).ok()?.parse().ok()?;
        Some(Self { stamp, object: [b"{", &rest[comma + 1..]].concat() })
    }
}

/// The stamp of a line.
pub(crate) fn stamp_of(line: &str) -> u64 {
    Stamped::parse(line.as_bytes()).unwrap().stamp
}

/// The object of a line, as it was received.
pub(crate) fn object_of(line: &str) -> String {
    String::from_utf8(Stamped::parse(line.as_bytes()).unwrap().object).unwrap()
}

/// An object with one more key in front, its own bytes as they are.
pub(crate) fn prefixed(key: &str, number: u64, object: &str) -> String {
    format!("{{\"{key}\":{number},{}", object.strip_prefix('{').unwrap())
}

/// Whether a message to the exchange asks what is subscribed.
pub(crate) fn asks_for_list(message: &str) -> bool {
    entries(message).iter().any(|entry| entry["method"] == "LIST_SUBSCRIPTIONS")
}

/// The codes of the first entry that has any; `None` where a message asks for no streams.
pub(crate) fn requested_codes(message: &str) -> Option<Value> {
    entries(message).iter().find_map(|entry| entry.get("codes").cloned())
}

/// The entries of a message to the exchange; none of what is no request, as of `PING`.
fn entries(message: &str) -> Vec<Value> {
    serde_json::from_str(message).unwrap_or_default()
}
