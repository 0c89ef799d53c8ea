//! An answer over HTTP, as data.

use serde_json::json;

/// Status, headers and body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// Headers, the content type among them.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The body.
    pub(crate) body: String,
}

impl Answer {
    /// JSON with this status.
    pub(crate) fn json(status: u16, body: String) -> Self {
        Self { status, headers: vec![("content-type", "application/json;charset=utf-8".into())], body }
    }

    /// Plain text with this status.
    pub(crate) fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, headers: vec![("content-type", "text/plain;charset=utf-8".into())], body: body.into() }
    }

    /// An error whose name is a string, as everywhere but in quotations.
    pub(crate) fn error(status: u16, name: &str, message: &str) -> Self {
        Self::json(status, json!({"error": {"name": name, "message": message}}).to_string())
    }

    /// An error of a quotation, whose name is the status.
    pub(crate) fn numbered(status: u16, message: &str) -> Self {
        Self::json(status, json!({"error": {"name": status, "message": message}}).to_string())
    }

    /// The answer for an unknown path.
    pub(crate) fn not_found() -> Self {
        Self::error(404, "not_found", "no Route matched with those values")
    }

    /// With one more header.
    pub(crate) fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}
