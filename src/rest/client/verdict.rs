//! Classifies an answer: a page, a pause, a transient failure, or a refusal. Pure.
//!
//! ```text
//! 200 + a list ──▶ Page       {"error":…} by its name, whatever the status:
//!                               the rate (or 429, 418) ─▶ Later: the group, or everything
//!                               the exchange itself ────▶ Failed
//!                               anything else ──────────▶ Refused: never retried
//! 5xx, 3xx, a page, cut off, no list, no answer ────────▶ Failed: retried
//! ```
//!
//! Only an error object is a refusal: a proxy in front of the exchange (a cache, a firewall, a maintenance page)
//! returns 403 or 404 for reasons of its own, and a refusal that is wrongly believed leaves out the requested data
//! forever. An answer is about the credentials only if they were sent.

use crate::upbit::error_object::{About, ErrorObject};
use crate::upbit::excerpt::excerpt;
use crate::upbit::limits::Answer;
use serde_json::value::RawValue;
use std::time::Duration;

/// The objects of an answer, each verbatim.
pub type Page = Vec<Box<RawValue>>;

/// Characters of a body repeated in an error: a sentence.
const SHOWN: usize = 200;

/// The magic bytes of a body compressed without our consent: the request has no `Accept-Encoding`.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The header `Remaining-Req`: `group=candles; min=600; sec=9`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// The group in which the request was counted.
    pub group: String,
    /// Requests left in the exchange's current second. The field `min` is obsolete.
    pub left: u32,
}

impl Remaining {
    /// Parses the header's value; `None` if one of the two fields is missing.
    pub fn parse(value: &str) -> Option<Self> {
        let field = |name: &str| {
            let fields = value.split(';').filter_map(|field| field.trim().split_once('='));
            fields.into_iter().find_map(|(key, value)| (key.trim() == name).then(|| value.trim().to_owned()))
        };
        Some(Self { group: field("group")?, left: field("sec")?.parse().ok()? })
    }
}

/// The class of an answer.
#[derive(Debug)]
pub enum Verdict {
    /// The requested objects.
    Page(Page),
    /// The exchange demands a pause.
    Later {
        /// The length of the pause.
        pause: Duration,
        /// The pause applies to all groups.
        everything: bool,
        /// In the exchange's words.
        reason: String,
    },
    /// A transient failure: a retry may succeed.
    Failed(String),
    /// A permanent failure: a retry would fail too.
    Refused {
        /// The credentials are the reason.
        credentials: bool,
        /// In the exchange's words.
        reason: String,
    },
}

impl Verdict {
    /// Classifies the answer to a request, which was `signed` or not.
    pub fn of(answer: &Answer, signed: bool) -> Self {
        if let Some(pause) = answer.pause() {
            return Self::Later { pause, everything: answer.status == 418, reason: reason(answer) };
        }
        let is_good = (200..300).contains(&answer.status);
        match serde_json::from_slice::<Page>(&answer.body) {
            Ok(page) if is_good => Self::Page(page),
            _ => Self::of_no_page(answer, signed),
        }
    }

    fn of_no_page(answer: &Answer, signed: bool) -> Self {
        let reason = reason(answer);
        let Some(error) = ErrorObject::find(&answer.body) else {
            let is_denied = signed && answer.status == 401;
            return if is_denied { Self::Refused { credentials: true, reason } } else { Self::Failed(reason) };
        };
        match error.about() {
            About::Rate { pause, blocked } => Self::Later { pause, everything: blocked, reason },
            About::Exchange | About::Nonce => Self::Failed(reason),
            _ if matches!(answer.status, 408 | 425 | 500..) => Self::Failed(reason),
            // An unsigned request cannot be refused for its keys.
            About::Keys { .. } if !signed => Self::Failed(reason),
            About::Unknown if !signed && answer.status == 401 => Self::Failed(reason),
            about => {
                let is_denied = signed && matches!(answer.status, 401 | 403);
                Self::Refused { credentials: is_denied || matches!(about, About::Keys { .. }), reason }
            }
        }
    }
}

/// `404 Code not found`, `jwt_verification 인증에 실패했습니다.`, or the status and the body received instead of an error
/// object.
fn reason(answer: &Answer) -> String {
    let status = answer.status;
    if let Some(ErrorObject { name, message }) = ErrorObject::find(&answer.body) {
        let name = if name.is_empty() { format!("status {status}") } else { name };
        return format!("{} {}", excerpt(name.as_bytes(), SHOWN), excerpt(message.as_bytes(), SHOWN))
            .trim_end()
            .to_owned();
    }
    let body = excerpt(&answer.body, SHOWN);
    match &answer.location {
        Some(location) if (300..400).contains(&status) => {
            format!("status {status}, which points to {}", excerpt(location.as_bytes(), SHOWN))
        }
        _ if answer.body.starts_with(&GZIP) => format!("status {status}: compressed, which was not asked for"),
        _ if (200..300).contains(&status) => format!("the answer is no list: {body}"),
        _ => format!("status {status}: {body}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(status: u16, body: &str) -> Verdict {
        Verdict::of(&Answer { status, body: body.into(), ..Answer::default() }, false)
    }

    fn signed(status: u16, body: &str) -> Verdict {
        Verdict::of(&Answer { status, body: body.into(), ..Answer::default() }, true)
    }

    /// The reason of a transient failure.
    fn failed(verdict: Verdict) -> String {
        match verdict {
            Verdict::Failed(reason) => reason,
            other => panic!("not failed: {other:?}"),
        }
    }

    #[test]
    fn objects_stay_as_they_were_spelt() {
        let Verdict::Page(page) = verdict(200, r#"[{"a":1.16539E8}, {"a" : 6E-8}]"#) else { panic!("no page") };
        assert_eq!(
            page.iter().map(|object| object.get()).collect::<Vec<_>>(),
            [r#"{"a":1.16539E8}"#, r#"{"a" : 6E-8}"#]
        );
    }

    #[test]
    fn an_error_object_is_a_refusal_whatever_the_status() {
        for status in [200, 201, 302, 400, 404] {
            for (error, wanted) in [
                (r#"{"error":{"name":404,"message":"Code not found"}}"#, "404 Code not found"),
                (
                    r#"{"error":{"name":"V1::Exceptions::InvalidParams","message":"x\u001b[2J"}}"#,
                    r"V1::Exceptions::InvalidParams x\u001b[2J",
                ),
                (r#"{"error":{"message":"Invalid market"}}"#, "Invalid market"),
            ] {
                let Verdict::Refused { credentials, reason } = verdict(status, error) else {
                    panic!("{status} {error}")
                };
                assert!(!credentials && reason.ends_with(wanted), "{status} {reason}");
            }
        }
    }

    #[test]
    fn the_credentials_are_blamed_only_where_they_were_sent() {
        let front = "<html><title>403 Forbidden</title><hr>CloudFront</html>";
        assert_eq!(failed(verdict(403, front)), "status 403: 403 Forbidden CloudFront");
        failed(signed(403, front));
        let address = r#"{"error":{"name":"no_authorization_ip","message":"This is not a verified IP."}}"#;
        for (status, body) in [(401, ""), (401, address), (403, address), (401, r#"{"error":{"name":"locked"}}"#)] {
            failed(verdict(status, body));
            assert!(matches!(signed(status, body), Verdict::Refused { credentials: true, .. }), "{status} {body}");
        }
        assert!(matches!(signed(400, address), Verdict::Refused { credentials: true, .. }));
        failed(signed(401, r#"{"error":{"name":"nonce_used","message":"again"}}"#));
    }

    #[test]
    fn what_may_work_another_time_is_no_refusal() {
        for (status, body) in [
            (500, "x"),
            (503, r#"{"error":{"name":503}}"#),
            (500, r#"{"error":{"name":"unheard_of"}}"#),
            (200, r#"{"error":{"name":"INTERNAL_SERVER_ERROR"}}"#),
            (200, r#"{"error":null}"#),
            (200, "[{]"),
            (200, "Bad Gateway"),
            (200, ""),
            (404, "<html>no such page</html>"),
        ] {
            failed(verdict(status, body));
        }
    }

    #[test]
    fn what_came_instead_is_said_and_fit_to_print() {
        assert_eq!(failed(verdict(200, "<html>점검\u{1b}[2J중</html>")), r"the answer is no list: 점검\u001b[2J중");
        let location = Some("https://upbit.com/\u{202e}maintenance".to_owned());
        let moved = Answer { status: 302, location, ..Answer::default() };
        let expected = r"status 302, which points to https://upbit.com/\u202emaintenance";
        assert_eq!(failed(Verdict::of(&moved, false)), expected);
        let compressed = Answer { status: 200, body: b"\x1f\x8b\x08\0".to_vec(), ..Answer::default() };
        assert_eq!(failed(Verdict::of(&compressed, false)), "status 200: compressed, which was not asked for");
    }

    #[test]
    fn too_many_holds_the_group_and_a_block_holds_everything() {
        let later = |status, body| match verdict(status, body) {
            Verdict::Later { pause, everything, reason } => (pause.as_secs(), everything, reason),
            other => panic!("{other:?}"),
        };
        assert_eq!(later(429, "Too many API requests."), (2, false, "status 429: Too many API requests.".to_owned()));
        assert_eq!(later(418, "Blocked for 7 seconds.").0, 8);
        assert!(later(418, "").1);
        assert_eq!(later(200, r#"{"error":{"name":"too_many_requests"}}"#).0, 2);
        assert!(later(200, r#"{"error":{"name":418,"message":"2초 후"}}"#).1);
    }

    #[test]
    fn the_header_names_group_and_what_is_left() {
        let remaining = Remaining::parse("group=candles; min=600; sec=9");
        assert_eq!(remaining, Some(Remaining { group: "candles".into(), left: 9 }));
        for wrong in ["", "group=candles", "sec=9", "group=candles; sec=x"] {
            assert_eq!(Remaining::parse(wrong), None, "{wrong}");
        }
    }
}
