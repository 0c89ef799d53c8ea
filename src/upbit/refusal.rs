//! The exchange's "no", understood: what it objects to, and how it says so.
//!
//! ```text
//! {"error":{"name":"NO_CODES","message":"…"}}    HTTP 401, 429, 418 on the upgrade
//!        └─ Credentials: the keys                   └─ Limit: too much, come back later
//!        └─ Request: what was asked for
//! ```
//!
//! The reason is text of the exchange's for people, cut and freed of control characters. The spelling of the rate
//! limit's two names is not settled, so they are matched loosely. A name nobody knows counts as an objection to the request
//! here; the session knows what was said last and may find it to be about something else.

use crate::upbit::limits::{self, Answer};
use crate::upbit::message::{self, Part};
use serde_json::Value;
use std::time::Duration;

/// Characters of the exchange's text that are kept: a sentence or two.
const REASON_CHARS: usize = 200;

/// Error objects longer than this are not read for their reason: nothing to explain takes as much.
const READ_BYTES: usize = 64 * 1024;

/// Names of errors that mean the keys, over the stream and over HTTP, in lower case.
const CREDENTIALS: [&str; 7] = [
    "invalid_auth",
    "jwt_verification",
    "invalid_access_key",
    "expired_access_key",
    "no_authorization_ip",
    "out_of_scope",
    "invalid_query_payload",
];

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is objected to.
    pub kind: Objection,
    /// The exchange's own words.
    pub reason: String,
}

/// What a refusal objects to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objection {
    /// The keys: expired, unknown, not from this address, without the permission.
    Credentials,
    /// What was asked for.
    Request,
    /// How often it was asked.
    Limit {
        /// How long to stay away.
        pause: Duration,
    },
    /// The text `PING`, which this venue does not know.
    Keepalive,
    /// `LIST_SUBSCRIPTIONS`, which this venue does not know.
    Listing,
    /// Nothing that was said: a trouble of the exchange's own.
    Unclear,
}

impl Refusal {
    /// Reads an error object of the stream.
    pub fn from_object(object: &[u8]) -> Self {
        let (name, message) = error_in(object).unwrap_or_default();
        Self { kind: objection(&name, &message), reason: given(reason(&name, &message)) }
    }

    /// Whether an object that names no stream is an error.
    pub fn is_error(object: &[u8]) -> bool {
        let mut error = false;
        message::parse(object, &mut |part| error |= matches!(part, Part::Error { .. }));
        error
    }

    /// Reads a failed upgrade; `None` where it is no refusal of ours but a trouble of the exchange's.
    pub fn from_answer(answer: &Answer) -> Option<Self> {
        let kind = match (answer.status, answer.pause()) {
            (_, Some(pause)) => Objection::Limit { pause },
            (401, None) => Objection::Credentials,
            _ => return None,
        };
        let reason = match error_in(&answer.body) {
            Some((name, message)) => reason(&name, &message),
            None => clean(&String::from_utf8_lossy(&answer.body[..answer.body.len().min(READ_BYTES)])),
        };
        // A nonce that was seen before is an accident of one attempt; the next has another.
        let transient = kind == Objection::Credentials && reason.to_lowercase().contains("nonce_used");
        (!transient).then(|| Self { kind, reason: given(reason) })
    }
}

fn objection(name: &str, message: &str) -> Objection {
    let name = name.to_lowercase().replace(' ', "_");
    let blocked = name.contains("teapot") || name == "418";
    if blocked || name.contains("too_many") || name == "429" {
        Objection::Limit { pause: limits::pause_in(message, blocked) }
    } else if CREDENTIALS.contains(&name.as_str()) {
        Objection::Credentials
    } else {
        Objection::Request
    }
}

/// Name and message of the error in an object, whichever spelling it has.
fn error_in(object: &[u8]) -> Option<(String, String)> {
    if object.len() > READ_BYTES {
        return None;
    }
    // The body of an HTTP answer may have the sizes of its chunks around the object.
    let begin = object.iter().position(|&byte| byte == b'{')?;
    let end = object.iter().rposition(|&byte| byte == b'}')?;
    let value: Value = serde_json::from_slice(object.get(begin..=end)?).ok()?;
    let error = value.get("error").or_else(|| value.get("err"))?;
    let text = |keys: [&str; 2]| match keys.iter().find_map(|key| error.get(key)) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    match error {
        Value::String(name) => Some((name.clone(), String::new())),
        _ => Some((text(["name", "nm"]), text(["message", "msg"]))),
    }
}

fn reason(name: &str, message: &str) -> String {
    match (clean(name), clean(message)) {
        (name, message) if message.is_empty() || name == message => name,
        (name, message) if name.is_empty() => message,
        (name, message) => format!("{name}: {message}"),
    }
}

fn given(reason: String) -> String {
    if reason.is_empty() { "no reason given".to_owned() } else { reason }
}

fn clean(text: &str) -> String {
    let printable = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    printable.take(REASON_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(object: &str) -> Objection {
        Refusal::from_object(object.as_bytes()).kind
    }

    #[test]
    fn errors_of_the_stream_are_told_apart() {
        let credentials = r#"{"error":{"name":"INVALID_AUTH","message":"인증 정보가 올바르지 않습니다."}}"#;
        assert_eq!(kind(credentials), Objection::Credentials);
        assert_eq!(kind(r#"{"error":{"message":"x","name":"NO_CODES"}}"#), Objection::Request);
        assert_eq!(kind(r#"{"error":{"name":"unheard of"}}"#), Objection::Request);
        for name in ["Too Many Requests", "TOO_MANY_REQUEST", "too_many_requests"] {
            let object = format!(r#"{{"error":{{"name":"{name}","message":"slow"}}}}"#);
            assert_eq!(kind(&object), Objection::Limit { pause: Duration::from_secs(2) });
        }
        let teapot = r#"{"error":{"name":"I'm a teapot","message":"blocked for 20 seconds"}}"#;
        assert_eq!(kind(teapot), Objection::Limit { pause: Duration::from_secs(21) });
    }

    #[test]
    fn the_reason_is_the_exchanges_own_and_fit_to_print() {
        let refusal = Refusal::from_object(b"{\"error\":{\"name\":\"WRONG_FORMAT\",\"message\":\"a\\u0000b\\nc\"}}");
        assert_eq!(refusal.reason, "WRONG_FORMAT: a b c");
        let deep = format!(r#"{{"error":{}{}}}"#, "[".repeat(1000), "]".repeat(1000));
        assert_eq!(Refusal::from_object(deep.as_bytes()).reason, "no reason given");
        let long = format!(r#"{{"error":{{"name":"X","message":"{}"}}}}"#, "y".repeat(10_000));
        assert!(Refusal::from_object(long.as_bytes()).reason.len() < 300);
    }

    #[test]
    fn a_failed_upgrade_is_a_refusal_only_where_it_is_about_us() {
        let answer = |status, body: &str| Answer { status, body: body.into(), ..Answer::default() };
        let expired = answer(401, r#"{"error":{"name":"expired_access_key","message":"The key expired."}}"#);
        let refusal = Refusal::from_answer(&expired).unwrap();
        assert_eq!((refusal.kind, &*refusal.reason), (Objection::Credentials, "expired_access_key: The key expired."));
        let chunked = answer(401, "1f\r\n{\"error\":{\"name\":\"out_of_scope\"}}\r\n0\r\n\r\n");
        assert_eq!(Refusal::from_answer(&chunked).unwrap().reason, "out_of_scope");
        assert_eq!(Refusal::from_answer(&answer(401, "}{")).unwrap().reason, "}{");
        assert_eq!(Refusal::from_answer(&answer(401, "")).unwrap().reason, "no reason given");
        assert_eq!(Refusal::from_answer(&answer(401, r#"{"error":{"name":"nonce_used"}}"#)), None);
        assert_eq!(Refusal::from_answer(&answer(503, "maintenance")), None);
        let busy = Refusal::from_answer(&answer(429, "Too Many Requests")).unwrap();
        assert_eq!(busy.kind, Objection::Limit { pause: Duration::from_secs(2) });
    }
}
