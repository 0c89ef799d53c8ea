//! Refusals of the exchange, classified by the cause that they object to.
//!
//! ```text
//! {"error":{"name":"NO_CODES","message":"…"}}    HTTP 401, 429, 418 on the upgrade
//!        ├─ Credentials: the keys                   └─ Limit: too much, come back later
//!        ├─ Request: its type, codes or format
//!        └─ Unclear: anything else, which a changed request would not mend
//! ```
//!
//! The reason is the exchange's text for people, cut and freed of control characters; on the private connection it is a
//! known name with its meaning, since no byte received there may be shown. The session knows which message an error
//! answers, and whether that was accepted before.

use crate::upbit::error_object::{About, ErrorObject};
use crate::upbit::excerpt::excerpt;
use crate::upbit::limits::Answer;
use crate::upbit::message::{self, Part};
use std::time::Duration;

/// Characters of the exchange's text that are kept: a sentence or two.
const REASON_CHARS: usize = 200;

/// A name longer than this is none.
const NAME_CHARS: usize = 40;

/// How much of the exchange's text may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redaction {
    /// All of it: the public connection.
    None,
    /// Names alone: on the private connection no received byte may be shown.
    NamesOnly,
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its cause.
    pub kind: Objection,
    /// The exchange's own words.
    pub reason: String,
    /// Keys that have expired would explain it: they are valid for a year.
    pub may_have_expired: bool,
}

/// The cause of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objection {
    /// The keys: expired, unknown, not from this address, without the permission.
    Credentials,
    /// Keys that this process has seen accepted: they may have expired, and it may be an accident.
    WorkingCredentials,
    /// The request.
    Request,
    /// A request that this process has seen served, so that the fault is hardly in it.
    ServedRequest,
    /// The rate of requests.
    Limit {
        /// The pause before the next request.
        pause: Duration,
    },
    /// The text `PING`, which this venue does not know.
    Keepalive,
    /// `LIST_SUBSCRIPTIONS`, which this venue does not know.
    Listing,
    /// No message of this client: a trouble of the exchange's own.
    Unclear,
}

impl Refusal {
    /// Reads an error object of the stream.
    pub fn from_object(object: &[u8], redaction: Redaction) -> Self {
        let error = ErrorObject::find(object).unwrap_or_default();
        let reason = match (redaction, error.known(), error.about()) {
            (Redaction::None, ..) => given(reason(&error)),
            (Redaction::NamesOnly, Some(known), _) => format!("{}: {}", known.name, known.meaning),
            (Redaction::NamesOnly, None, About::Exchange) => {
                "a trouble of the exchange's own: see private/misc.jsonl".to_owned()
            }
            (Redaction::NamesOnly, None, _) => "an error that is not known here: see private/misc.jsonl".to_owned(),
        };
        let (kind, may_have_expired) = match error.about() {
            About::Keys { may_have_expired } => (Objection::Credentials, may_have_expired),
            About::Request => (Objection::Request, false),
            About::Rate { pause, .. } => (Objection::Limit { pause }, false),
            About::Nonce | About::Exchange | About::Unknown => (Objection::Unclear, false),
        };
        Self { kind, reason, may_have_expired }
    }

    /// Whether an object that names no stream is an error.
    pub fn is_error(object: &[u8]) -> bool {
        let mut error = false;
        message::parse(object, &mut |part| error |= matches!(part, Part::Error { .. }));
        error
    }

    /// Reads a failed upgrade; `None` where it is a trouble of the exchange's own. An upgrade that was not `signed`
    /// cannot be refused for its keys, whatever the answer claims.
    pub fn from_answer(answer: &Answer, redaction: Redaction, signed: bool) -> Option<Self> {
        let error = ErrorObject::find(&answer.body);
        let (kind, may_have_expired) = match (answer.pause(), error.as_ref().map(ErrorObject::about)) {
            (Some(pause), _) | (None, Some(About::Rate { pause, .. })) => (Objection::Limit { pause }, false),
            (None, Some(About::Keys { may_have_expired })) if signed => (Objection::Credentials, may_have_expired),
            (None, Some(About::Nonce | About::Exchange)) => return None,
            (None, _) if signed && answer.status == 401 => (Objection::Credentials, true),
            (None, _) => return None,
        };
        let reason = match (error, redaction) {
            (Some(error), Redaction::None) => reason(&error),
            (None, Redaction::None) => excerpt(&answer.body, REASON_CHARS),
            // The answer may repeat the token of the request, which has digits and dots.
            (Some(error), Redaction::NamesOnly) => match error.known() {
                Some(known) => format!("{}: {}", known.name, known.meaning),
                None if is_plain(&error.name) => error.name,
                None => String::new(),
            },
            (None, Redaction::NamesOnly) => String::new(),
        };
        Some(Self { kind, reason: given(reason), may_have_expired })
    }
}

fn reason(error: &ErrorObject) -> String {
    match (excerpt(error.name.as_bytes(), REASON_CHARS), excerpt(error.message.as_bytes(), REASON_CHARS)) {
        (name, message) if message.is_empty() || name == message => name,
        (name, message) if name.is_empty() => message,
        (name, message) => format!("{name}: {message}"),
    }
}

fn is_plain(name: &str) -> bool {
    name.len() <= NAME_CHARS && name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
}

fn given(reason: String) -> String {
    if reason.is_empty() { "no reason given".to_owned() } else { reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(object: &str) -> Objection {
        Refusal::from_object(object.as_bytes(), Redaction::None).kind
    }

    #[test]
    fn errors_of_the_stream_are_told_apart() {
        let credentials = r#"{"error":{"name":"INVALID_AUTH","message":"인증 정보가 올바르지 않습니다."}}"#;
        assert_eq!(kind(credentials), Objection::Credentials);
        assert_eq!(kind(r#"{"error":{"message":"x","name":"NO_CODES"}}"#), Objection::Request);
        for name in ["\"unheard of\"", "\"INTERNAL_SERVER_ERROR\"", "\"\"", "500", "null", "\"nonce_used\""] {
            assert_eq!(kind(&format!(r#"{{"error":{{"name":{name},"message":"x"}}}}"#)), Objection::Unclear, "{name}");
        }
        assert_eq!(kind(r#"{"error":null}"#), Objection::Unclear);
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
            Redaction::None,
        );
        assert_eq!(refusal.reason, r"WRONG_FORMAT: a\u0000b c");
        let deep = format!(r#"{{"error":{}{}}}"#, "[".repeat(1000), "]".repeat(1000));
        assert_eq!(Refusal::from_object(deep.as_bytes(), Redaction::None).reason, "no reason given");
        let long = format!(r#"{{"error":{{"name":"X","message":"{}"}}}}"#, "y".repeat(10_000));
        assert!(Refusal::from_object(long.as_bytes(), Redaction::None).reason.len() < 300);
    }

    #[test]
    fn a_failed_upgrade_is_a_refusal_only_where_it_is_about_us() {
        let answer = |status, body: &str| Answer { status, body: body.into(), ..Answer::default() };
        let shown = |answer: &Answer| Refusal::from_answer(answer, Redaction::None, true);
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
    fn an_answer_is_about_the_keys_only_where_they_were_sent() {
        let keys = r#"{"error":{"name":"no_authorization_ip"}}"#;
        let front = "<html><title>403 Forbidden</title><hr>CloudFront</html>";
        for (status, body, signed, refused) in [
            (401, keys, true, true),
            (403, keys, true, true),
            (400, keys, true, true),
            (401, "", true, true),
            (401, "", false, false),
            (401, keys, false, false),
            (403, keys, false, false),
            (403, front, true, false),
            (403, front, false, false),
            (401, r#"{"error":{"name":"INTERNAL_SERVER_ERROR"}}"#, true, false),
            (301, "", true, false),
            (200, front, true, false),
        ] {
            let answer = Answer { status, body: body.into(), ..Answer::default() };
            let refusal = Refusal::from_answer(&answer, Redaction::None, signed);
            let kind = refusal.map(|refusal| refusal.kind);
            assert_eq!(kind, refused.then_some(Objection::Credentials), "{status} {body} {signed}");
        }
    }

    #[test]
    fn of_the_private_connection_only_names_are_shown() {
        let on_stream = |object: &str| Refusal::from_object(object.as_bytes(), Redaction::NamesOnly);
        let expired = on_stream(r#"{"error":{"name":"EXPIRED_ACCESS_KEY","message":"of user 17"}}"#);
        assert_eq!(
            (expired.kind, &*expired.reason),
            (Objection::Credentials, "expired_access_key: the access key has expired")
        );
        let own = on_stream(r#"{"error":{"name":"INTERNAL_SERVER_ERROR 1300","message":"1300"}}"#);
        assert_eq!(own.reason, "a trouble of the exchange's own: see private/misc.jsonl");
        for unknown in [r#"{"error":{"name":"KRW","message":"1300"}}"#, r#"{"error":"1300"}"#] {
            assert_eq!(on_stream(unknown).reason, "an error that is not known here: see private/misc.jsonl");
        }
        let over_http = |body: &str| {
            let answer = Answer { status: 401, body: body.into(), ..Answer::default() };
            Refusal::from_answer(&answer, Redaction::NamesOnly, true).unwrap().reason
        };
        assert_eq!(over_http(r#"{"error":{"name":"locked_account","message":"of user 17"}}"#), "locked_account");
        for echo in ["Bearer eyJhbGciOiJIUzUxMiJ9.e30.x", r#"{"error":"eyJhbGciOiJIUzUxMiJ9"}"#] {
            assert_eq!(over_http(echo), "no reason given");
        }
    }
}
