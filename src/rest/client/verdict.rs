//! What an answer means: the objects asked for, a wish to be asked later, or a no. Pure.
//!
//! ```text
//! 200 + a list ──▶ Page        429 ──▶ Later: the group       5xx, cut off, no list ──▶ Failed: asked again
//!                              418 ──▶ Later: everything      any other 4xx ──────────▶ Refused: never asked again
//! ```

use crate::upbit::limits::Answer;
use serde_json::Value;
use serde_json::value::RawValue;
use std::time::Duration;

/// The objects of an answer, each verbatim.
pub type Page = Vec<Box<RawValue>>;

/// How much of a body is repeated in an error: a sentence.
const SHOWN: usize = 200;

/// What the header `Remaining-Req` says: `group=candles; min=600; sec=9`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// The group that the request was counted in.
    pub group: String,
    /// Requests left in the exchange's current second. The minute's number means nothing any more.
    pub left: u32,
}

impl Remaining {
    /// Reads the header's value; `None` where it does not say both.
    pub fn parse(value: &str) -> Option<Self> {
        let field = |name: &str| {
            let fields = value.split(';').filter_map(|field| field.trim().split_once('='));
            fields.into_iter().find_map(|(key, value)| (key.trim() == name).then(|| value.trim().to_owned()))
        };
        Some(Self { group: field("group")?, left: field("sec")?.parse().ok()? })
    }
}

/// What to make of an answer.
#[derive(Debug)]
pub enum Verdict {
    /// It holds what was asked for.
    Page(Page),
    /// The exchange wants to be left alone for so long.
    Later {
        /// How long.
        pause: Duration,
        /// All of it, not only this group.
        everything: bool,
    },
    /// It may work another time.
    Failed(String),
    /// It will not work another time.
    Refused {
        /// The credentials are why.
        credentials: bool,
        /// In the exchange's words.
        reason: String,
    },
}

impl Verdict {
    /// Judges an answer.
    pub fn of(answer: &Answer) -> Self {
        if let Some(pause) = answer.pause() {
            return Self::Later { pause, everything: answer.status == 418 };
        }
        match answer.status {
            200..300 => match serde_json::from_slice::<Page>(&answer.body) {
                Ok(page) => Self::Page(page),
                Err(_) => Self::Failed(format!("the answer is no list: {}", excerpt(&answer.body))),
            },
            408 | 425 | 500.. => Self::Failed(reason(answer)),
            status => Self::Refused { credentials: matches!(status, 401 | 403), reason: reason(answer) },
        }
    }
}

/// `404 Code not found`, `jwt_verification 인증에 실패했습니다.`, or the status and what came instead of an error object.
fn reason(answer: &Answer) -> String {
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let Some(error) = body.as_ref().and_then(|body| body.get("error")) else {
        return format!("status {}: {}", answer.status, excerpt(&answer.body));
    };
    // The name is a number in quotations and text everywhere else.
    let name = match error.get("name") {
        Some(Value::String(name)) => name.clone(),
        Some(name) => name.to_string(),
        None => answer.status.to_string(),
    };
    let message = error.get("message").and_then(Value::as_str).unwrap_or_default();
    format!("{name} {}", excerpt(message.as_bytes())).trim_end().to_owned()
}

/// The beginning of a text, without what would disturb a terminal.
fn excerpt(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().filter(|char| !char.is_control()).take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(status: u16, body: &str) -> Verdict {
        Verdict::of(&Answer { status, body: body.into(), ..Answer::default() })
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
    fn names_of_errors_may_be_numbers_or_text_and_bodies_may_be_anything() {
        for (status, body, expected, wanted) in [
            (404, r#"{"error":{"name":404,"message":"Code not found"}}"#, false, "404 Code not found"),
            (401, r#"{"error":{"name":"nonce_used","message":"again"}}"#, true, "nonce_used again"),
            (400, "<html>\u{1b}[2J", false, "status 400: <html>[2J"),
        ] {
            let Verdict::Refused { credentials, reason } = verdict(status, body) else { panic!("{body} is refused") };
            assert_eq!((credentials, reason.as_str()), (expected, wanted));
        }
    }

    #[test]
    fn what_may_work_another_time_is_no_refusal() {
        for (status, body) in
            [(500, "x"), (503, r#"{"error":{"name":503}}"#), (200, "[{]"), (200, "Bad Gateway"), (200, "")]
        {
            assert!(matches!(verdict(status, body), Verdict::Failed(_)), "{status} {body}");
        }
    }

    #[test]
    fn too_many_holds_the_group_and_a_block_holds_everything() {
        let Verdict::Later { pause, everything } = verdict(429, "Too many API requests.") else { panic!("later") };
        assert!(!everything && pause >= Duration::from_secs(1));
        let Verdict::Later { pause, everything } = verdict(418, "Blocked for 7 seconds.") else { panic!("later") };
        assert!(everything && pause == Duration::from_secs(8));
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
