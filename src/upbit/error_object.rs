//! The exchange's error objects, over the stream and over REST, classified by their names.
//!
//! ```text
//! {"error":{"name":"NO_CODES","message":"…"}}   {"err":{"nm":"NO_CODES"}}   {"error":"NO_CODES"}   {"error":null}
//!
//! name ──▶ About: the keys, the nonce, the request, the rate, a trouble of the exchange's own, or unknown
//! ```
//!
//! The name is text on the stream, a number in quotations, and its spelling varies: `NO_CODES`, `No codes` and `noCode`
//! are one name here. Only listed names blame this client; an unknown one does not.

use super::limits;
use serde_json::Value;
use std::time::Duration;

/// Error objects longer than this are not read: no explanation takes as much.
const READ_BYTES: usize = 64 * 1024;

/// A name longer than this is none.
const NAME_CHARS: usize = 64;

/// An error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorObject {
    /// As received; empty where there is none.
    pub name: String,
    /// For people, as received; empty where there is none.
    pub message: String,
}

/// The subject of an error, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The keys; `may_have_expired`: that they are a year old would explain it.
    Keys {
        /// Whether new keys could help.
        may_have_expired: bool,
    },
    /// A nonce that was seen before: an accident of one attempt, the next has another.
    Nonce,
    /// The request.
    Request,
    /// The rate of requests.
    Rate {
        /// The pause before the next request.
        pause: Duration,
        /// Blocked, not only too fast.
        blocked: bool,
    },
    /// The exchange's own state.
    Exchange,
    /// Not known.
    Unknown,
}

/// A name that is known.
#[derive(Debug)]
pub struct Known {
    /// As it is spelt here.
    pub name: &'static str,
    /// Its meaning, for people.
    pub meaning: &'static str,
    about: KnownAbout,
}

#[derive(Clone, Copy, Debug)]
enum KnownAbout {
    Keys { may_have_expired: bool },
    Nonce,
    Request,
    Rate,
}

const OLD_KEYS: KnownAbout = KnownAbout::Keys { may_have_expired: true };
const OTHER_KEYS: KnownAbout = KnownAbout::Keys { may_have_expired: false };

const KNOWN: [Known; 15] = [
    known("invalid_auth", OLD_KEYS, "the keys are not accepted"),
    known("jwt_verification", OLD_KEYS, "the signature is wrong: does the secret key belong to the access key?"),
    known("invalid_access_key", OLD_KEYS, "the access key is not known"),
    known("expired_access_key", OLD_KEYS, "the access key has expired"),
    known("no_authorization_ip", OTHER_KEYS, "the keys may not be used from this address"),
    known("out_of_scope", OTHER_KEYS, "the keys lack the permission"),
    known("invalid_query_payload", OTHER_KEYS, "the token is not understood"),
    known("nonce_used", KnownAbout::Nonce, "the token was used before"),
    known("wrong_format", KnownAbout::Request, "the request is not understood"),
    known("no_ticket", KnownAbout::Request, "the request has no ticket"),
    known("no_type", KnownAbout::Request, "the request has no type"),
    known("no_codes", KnownAbout::Request, "the request has no codes"),
    known("invalid_param", KnownAbout::Request, "the request has a parameter that is not allowed"),
    known("invalid_parameter", KnownAbout::Request, "the request has a parameter that is not allowed"),
    known("too_many_requests", KnownAbout::Rate, "more than the exchange allows"),
];

const fn known(name: &'static str, about: KnownAbout, meaning: &'static str) -> Known {
    Known { name, meaning, about }
}

/// Parts of names, without separators, that blame the server.
const OWN_TROUBLES: [&str; 7] =
    ["internal", "servererror", "unavailable", "maintenance", "timeout", "gateway", "overload"];

impl ErrorObject {
    /// The error in an object, or in the body of an HTTP answer, which may have the sizes of its chunks around the
    /// object; `None` where there is none.
    pub fn find(object: &[u8]) -> Option<Self> {
        if object.len() > READ_BYTES {
            return None;
        }
        let begin = object.iter().position(|&byte| byte == b'{')?;
        let end = object.iter().rposition(|&byte| byte == b'}')?;
        let value: Value = serde_json::from_slice(object.get(begin..=end)?).ok()?;
        let error = value.get("error").or_else(|| value.get("err"))?;
        let text = |keys: [&str; 2]| keys.iter().find_map(|key| error.get(key)).map(text_of).unwrap_or_default();
        Some(match error {
            Value::Object(_) => Self { name: text(["name", "nm"]), message: text(["message", "msg"]) },
            other => Self { name: text_of(other), message: String::new() },
        })
    }

    /// The known name that this one is a spelling of.
    pub fn known(&self) -> Option<&'static Known> {
        let name = spelling(&self.name);
        // An empty name is the spelling of none.
        let is_name = |known: &&Known| !name.is_empty() && spelling(known.name) == name;
        KNOWN.iter().find(is_name)
    }

    /// Its subject.
    pub fn about(&self) -> About {
        let name = spelling(&self.name);
        let blocked = name.contains("teapot") || name == "418";
        let rate = || About::Rate { pause: limits::pause_in(&self.message, blocked), blocked };
        match self.known().map(|known| known.about) {
            _ if blocked || name.contains("toomany") || name == "429" => rate(),
            Some(KnownAbout::Keys { may_have_expired }) => About::Keys { may_have_expired },
            Some(KnownAbout::Nonce) => About::Nonce,
            Some(KnownAbout::Request) => About::Request,
            Some(KnownAbout::Rate) => rate(),
            None if is_own_trouble(&name) || (name.is_empty() && self.message.is_empty()) => About::Exchange,
            None => About::Unknown,
        }
    }
}

fn is_own_trouble(name: &str) -> bool {
    let is_status = |status: u16| matches!(status, 408 | 425 | 500..600);
    OWN_TROUBLES.iter().any(|part| name.contains(part)) || name.parse().is_ok_and(is_status)
}

/// A name without case, separators, the path of a class in front of it, and the plural.
fn spelling(name: &str) -> String {
    let name = name.rsplit("::").next().unwrap_or_default();
    let letters = name.chars().take(NAME_CHARS).filter(|char| char.is_alphanumeric());
    let spelling: String = letters.flat_map(char::to_lowercase).collect();
    spelling.trim_end_matches('s').to_owned()
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(object: &str) -> About {
        ErrorObject::find(object.as_bytes()).unwrap().about()
    }

    #[test]
    fn names_are_known_in_every_spelling() {
        for name in ["WRONG_FORMAT", "wrong format", "WrongFormat", "wrong-format", "Wrong.Format"] {
            assert_eq!(about(&format!(r#"{{"error":{{"name":"{name}"}}}}"#)), About::Request, "{name}");
        }
        for name in
            ["NO_TICKET", "No Type", "NO_CODE", "no_codes", "INVALID_PARAMS", "V1::Exceptions::InvalidParameter"]
        {
            assert_eq!(about(&format!(r#"{{"err":{{"nm":"{name}"}}}}"#)), About::Request, "{name}");
        }
        assert_eq!(about(r#"{"error":"INVALID_AUTH"}"#), About::Keys { may_have_expired: true });
        assert_eq!(about(r#"{"error":{"name":"out_of_scope"}}"#), About::Keys { may_have_expired: false });
        assert_eq!(about(r#"{"error":{"name":"nonce_used"}}"#), About::Nonce);
    }

    #[test]
    fn what_is_not_known_to_be_about_us_is_not() {
        for object in [
            r#"{"error":{"name":"INTERNAL_SERVER_ERROR","message":"WRONG_FORMAT"}}"#,
            r#"{"error":{"name":"SERVICE_UNAVAILABLE"}}"#,
            r#"{"error":null}"#,
            r#"{"error":{}}"#,
            r#"{"error":[]}"#,
            r#"{"error":{"name":""}}"#,
            r#"{"error":{"name":502}}"#,
            r#"{"error":503}"#,
        ] {
            assert_eq!(about(object), About::Exchange, "{object}");
        }
        for name in ["\"MY_FORMAT_IS_WRONG\"", "404", "\"한글\"", "\"s\""] {
            let object = format!(r#"{{"error":{{"name":{name},"message":"x"}}}}"#);
            assert_eq!(about(&object), About::Unknown, "{object}");
        }
    }

    #[test]
    fn the_rate_has_its_pause_in_whatever_words() {
        let rate = |seconds, blocked| About::Rate { pause: Duration::from_secs(seconds), blocked };
        for name in ["\"Too Many Requests\"", "\"TOO_MANY_REQUEST\"", "\"too_many_requests\"", "429"] {
            assert_eq!(about(&format!(r#"{{"error":{{"name":{name},"message":"slow"}}}}"#)), rate(2, false), "{name}");
        }
        let teapot = r#"{"error":{"name":"I'm a teapot","message":"blocked for 20 seconds"}}"#;
        assert_eq!(about(teapot), rate(21, true));
    }

    #[test]
    fn errors_are_found_between_the_sizes_of_chunks_alone() {
        let chunked = b"1f\r\n{\"error\":{\"name\":\"out_of_scope\"}}\r\n0\r\n\r\n";
        assert_eq!(ErrorObject::find(chunked).unwrap().name, "out_of_scope");
        let deep = format!(r#"{{"error":{}{}}}"#, "[".repeat(1000), "]".repeat(1000));
        for none in ["", "}{", "<html>{}</html>", r#"{"status":"UP"}"#, &deep] {
            assert_eq!(ErrorObject::find(none.as_bytes()), None, "{none}");
        }
    }
}
