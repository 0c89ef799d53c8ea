//! What each path answers, from a snapshot. Pure.
//!
//! | path | |
//! |---|---|
//! | `/` | the page |
//! | `/livez` | 200 while the loops turn, else 503 |
//! | `/readyz` | 200 while data is being recorded, else 503; JSON with the reasons |
//! | `/status` | everything, as JSON |
//! | `/metrics` | OpenMetrics |

use crate::clock::Instant;
use crate::ops::shown::{Owner, Readiness, Shown};
use crate::ops::status::Status;
use crate::ops::{liveness, metrics};
use crate::quantity::rounded_duration;
use hyper::{Method, StatusCode};
use serde::Serialize;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";

/// The page: it asks for `/status` by itself.
const PAGE: &str = include_str!("page.html");

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// Its status.
    pub(super) status: StatusCode,
    /// What the body is.
    pub(super) content_type: &'static str,
    /// The body.
    pub(super) body: String,
}

impl Answer {
    /// To a request for `path`.
    pub(super) fn to(method: &Method, path: &str, view: &View<'_>) -> Self {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Self::text(StatusCode::METHOD_NOT_ALLOWED, "expected GET or HEAD\n");
        }
        match path {
            "/" => Self { status: StatusCode::OK, content_type: HTML, body: PAGE.to_owned() },
            "/livez" => Self::livez(view),
            "/readyz" => {
                let readiness = Readiness::of(view.status, view.owner, view.now);
                let ready = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                Self::json(ready, &readiness)
            }
            "/status" => Self::json(StatusCode::OK, &Shown::of(view.status, view.owner, view.now)),
            "/metrics" => {
                let body = metrics::render(view.status, view.now);
                Self { status: StatusCode::OK, content_type: metrics::CONTENT_TYPE, body }
            }
            _ => Self::text(StatusCode::NOT_FOUND, "here are /, /livez, /readyz, /status and /metrics\n"),
        }
    }

    fn livez(view: &View<'_>) -> Self {
        match liveness::hangs(view.status, view.now) {
            None => Self::text(StatusCode::OK, "alive\n"),
            Some(length) => {
                let text = format!("the supervisor has not turned for {}\n", rounded_duration(length));
                Self::text(StatusCode::SERVICE_UNAVAILABLE, text)
            }
        }
    }

    fn text(status: StatusCode, body: impl Into<String>) -> Self {
        Self { status, content_type: TEXT, body: body.into() }
    }

    fn json(status: StatusCode, object: &impl Serialize) -> Self {
        let mut body = serde_json::to_string(object).expect("names, numbers and texts always serialise");
        body.push('\n');
        Self { status, content_type: JSON, body }
    }
}

/// What is answered from.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    /// The newest snapshot.
    pub(super) status: &'a Status,
    /// Which process this is.
    pub(super) owner: &'a Owner,
    /// The moment.
    pub(super) now: Instant,
}
