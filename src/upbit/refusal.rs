//! The exchange's "no", understood: what it objects to, and how it says so.
//!
//! ```text
//! {"error":{"name":"NO_CODES","message":"…"}}    HTTP 401, 429, 418 on the upgrade
//!        └─ Credentials: the keys                   └─ Limit: too much, come back later
//!        └─ Request: what was asked for
//! ```
//!
//! The reason is text of the exchange's for people, cut and freed of control characters; on the private connection it is
//! a name that is known here and what that means, for no byte received there may be shown. The spelling of the rate limit's
//! two names is not settled, so they are matched loosely. A name nobody knows counts as an objection to the request here;
//! the session knows what was said last and may find it to be about something else.

use crate::upbit::limits::{self, Answer};
use crate::upbit::message::{self, Part};
use serde_json::Value;
use std::time::Duration;

/// Characters of the exchange's text that are kept: a sentence or two.
const REASON_CHARS: usize = 200;

/// Error objects longer than this are not read for their reason: nothing to explain takes as much.
const READ_BYTES: usize = 64 * 1024;

/// A name longer than this is none.
const NAME_CHARS: usize = 40;

/// Names of errors over the stream and over HTTP, in lower case, and what they mean.
const KNOWN: [(&str, &str); 14] = [
    ("invalid_auth", "the keys are not accepted"),
    ("jwt_verification", "the signature is wrong: does the secret key belong to the access key?"),
    ("invalid_access_key", "the access key is not known"),
    ("expired_access_key", "the access key has expired"),
    ("no_authorization_ip", "the keys may not be used from this address"),
    ("out_of_scope", "the keys lack the permission"),
    ("invalid_query_payload", "the token is not understood"),
    (NONCE_USED, "the token was used before"),
    ("wrong_format", "the request is not understood"),
    ("no_ticket", "the request has no ticket"),
    ("no_type", "the request has no type"),
    ("no_codes", "the request has no codes"),
    ("invalid_param", "the request has a parameter that is not allowed"),
    ("too_many_requests", "more than the exchange allows"),
];

/// So many of [`KNOWN`], from the first, mean the keys.
const CREDENTIALS: usize = 7;

const NONCE_USED: &str = "nonce_used";

/// How much of the exchange's text may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// All of it: the public connection.
    Shown,
    /// Names alone: the private connection, of which no byte may be shown.
    Withheld,
}

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
    pub fn from_object(object: &[u8], words: Words) -> Self {
        let (name, message) = error_in(object).unwrap_or_default();
        let reason = match words {
            Words::Shown => given(reason(&name, &message)),
            Words::Withheld => {
                meaning(&name).unwrap_or_else(|| "an error that is not known here: see private/misc.jsonl".to_owned())
            }
        };
        Self { kind: objection(&name, &message), reason }
    }

    /// Whether an object that names no stream is an error.
    pub fn is_error(object: &[u8]) -> bool {
        let mut error = false;
        message::parse(object, &mut |part| error |= matches!(part, Part::Error { .. }));
        error
    }

    /// Reads a failed upgrade; `None` where it is no refusal of ours but a trouble of the exchange's.
    pub fn from_answer(answer: &Answer, words: Words) -> Option<Self> {
        let kind = match (answer.status, answer.pause()) {
            (_, Some(pause)) => Objection::Limit { pause },
            (401, None) => Objection::Credentials,
            _ => return None,
        };
        let error = error_in(&answer.body);
        // A nonce that was seen before is an accident of one attempt; the next has another.
        let is_transient = error.as_ref().is_some_and(|(name, _)| name.eq_ignore_ascii_case(NONCE_USED));
        if kind == Objection::Credentials && is_transient {
            return None;
        }
        let reason = match (error, words) {
            (Some((name, message)), Words::Shown) => reason(&name, &message),
            (None, Words::Shown) => clean(&String::from_utf8_lossy(&answer.body[..answer.body.len().min(READ_BYTES)])),
            // The answer may repeat what it was asked with, and that is a token; it has digits and dots.
            (Some((name, _)), Words::Withheld) => {
                meaning(&name).or_else(|| is_plain(&name).then_some(name)).unwrap_or_default()
            }
            (None, Words::Withheld) => String::new(),
        };
        Some(Self { kind, reason: given(reason) })
    }
}

fn objection(name: &str, message: &str) -> Objection {
    let name = name.to_lowercase().replace(' ', "_");
    let blocked = name.contains("teapot") || name == "418";
    if blocked || name.contains("too_many") || name == "429" {
        Objection::Limit { pause: limits::pause_in(message, blocked) }
    } else if KNOWN[..CREDENTIALS].iter().any(|(known, _)| *known == name) {
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

/// The name as it is spelt here, and what it means; `None` where it is not known.
fn meaning(name: &str) -> Option<String> {
    let name = name.to_lowercase();
    let (name, meaning) = KNOWN.iter().find(|(known, _)| *known == name)?;
    Some(format!("{name}: {meaning}"))
}

fn is_plain(name: &str) -> bool {
    name.len() <= NAME_CHARS && name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
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
        Refusal::from_object(object.as_bytes(), Words::Shown).kind
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
        let refusal = Refusal::from_object(
            b"{\"error\":{\"name\":\"WRONG_FORMAT\",\"message\":\"a\\u0000b\\nc\"}}",
            Words::Shown,
        );
        assert_eq!(refusal.reason, "WRONG_FORMAT: a b c");
        let deep = format!(r#"{{"error":{}{}}}"#, "[".repeat(1000), "]".repeat(1000));
        assert_eq!(Refusal::from_object(deep.as_bytes(), Words::Shown).reason, "no reason given");
        let long = format!(r#"{{"error":{{"name":"X","message":"{}"}}}}"#, "y".repeat(10_000));
        assert!(Refusal::from_object(long.as_bytes(), Words::Shown).reason.len() < 300);
    }

    #[test]
    fn a_failed_upgrade_is_a_refusal_only_where_it_is_about_us() {
        let answer = |status, body: &str| Answer { status, body: body.into(), ..Answer::default() };
        let shown = |answer: &Answer| Refusal::from_answer(answer, Words::Shown);
        let expired = answer(401, r#"{"error":{"name":"expired_access_key","message":"The key expired."}}"#);
        let refusal = shown(&expired).unwrap();
        assert_eq!((refusal.kind, &*refusal.reason), (Objection::Credentials, "expired_access_key: The key expired."));
        let chunked = answer(401, "1f\r\n{\"error\":{\"name\":\"out_of_scope\"}}\r\n0\r\n\r\n");
        assert_eq!(shown(&chunked).unwrap().reason, "out_of_scope");
        assert_eq!(shown(&answer(401, "}{")).unwrap().reason, "}{");
        assert_eq!(shown(&answer(401, "")).unwrap().reason, "no reason given");
        assert_eq!(shown(&answer(401, r#"{"error":{"name":"nonce_used"}}"#)), None);
        assert_eq!(shown(&answer(503, "maintenance")), None);
        let busy = shown(&answer(429, "Too Many Requests")).unwrap();
        assert_eq!(busy.kind, Objection::Limit { pause: Duration::from_secs(2) });
    }
    #[test]
    fn of_the_private_connection_only_names_are_shown() {
        let on_stream = |object: &str| Refusal::from_object(object.as_bytes(), Words::Withheld);
        let expired = on_stream(r#"{"error":{"name":"EXPIRED_ACCESS_KEY","message":"of user 17"}}"#);
        assert_eq!(
            (expired.kind, &*expired.reason),
            (Objection::Credentials, "expired_access_key: the access key has expired")
        );
        for unknown in [r#"{"error":{"name":"KRW","message":"1300"}}"#, r#"{"error":"1300"}"#] {
            assert_eq!(on_stream(unknown).reason, "an error that is not known here: see private/misc.jsonl");
        }
        let over_http = |body: &str| {
            let answer = Answer { status: 401, body: body.into(), ..Answer::default() };
            Refusal::from_answer(&answer, Words::Withheld).unwrap().reason
        };
        assert_eq!(over_http(r#"{"error":{"name":"locked_account","message":"of user 17"}}"#), "locked_account");
        for echo in ["Bearer eyJhbGciOiJIUzUxMiJ9.e30.x", r#"{"error":"eyJhbGciOiJIUzUxMiJ9"}"#] {
            assert_eq!(over_http(echo), "no reason given");
        }
    }
}
