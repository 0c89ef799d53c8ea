//! The claim of an answer that history ends, and its judgement. Pure.
//!
//! ```text
//!                    ┌─ nothing known speaks against it ──▶ confirmed by one more answer to another question
//!  "nothing before" ─┤
//!                    └─ something known does ──▶ repeated ─────▶ doubted: not complete ──3 answers, 10 min──▶ believed
//! ```
//!
//! `to=T` requests the newest objects before T, however old. An empty page therefore claims that there is nothing
//! before T, and a page shorter than the limit that there is nothing before its oldest object.

use jiff::Timestamp;
use std::fmt;
use std::time::Duration;

/// The pauses before a request is repeated. A transient fault is over by then, and a run is delayed by no more than a
/// quarter of a minute.
pub(super) const PAUSES: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];

/// This many agreeing answers over at least this time are believed against all evidence.
pub(super) const AGREEING: usize = 3;
pub(super) const AGREEING_FOR: Duration = Duration::from_secs(600);

/// An answer's claim about earlier history. Times are milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    /// The lower bound of the claim: the start of the span, or for trades of the day.
    pub(super) since: i64,
    /// The upper bound of the request, exclusive.
    pub(super) to: i64,
    /// The number of objects in the answer.
    pub(super) objects: usize,
    /// The time of the oldest of them, or `to`: nothing lies before it.
    pub(super) before: i64,
}

/// The judgement on a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// No known data contradicts it: it is confirmed by another request.
    Plausible,
    /// It is not relied on: the walk continues before it, unless the answer was empty.
    Ignored,
    /// Known data contradicts it: the request is repeated.
    Contradicted,
    /// Known data contradicts it, but the exchange has repeated it often and long enough.
    Believed,
}

/// Human-readable.
impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [to, before] = [self.to, self.before].map(|millis| Timestamp::from_millisecond(millis).unwrap_or_default());
        match self.objects {
            0 => write!(f, "the exchange says that there is nothing before {to}, and there was"),
            objects => write!(
                f,
                "asked for what is before {to}, the exchange gives {objects} objects and nothing before {before}, and there was"
            ),
        }
    }
}

impl Claim {
    /// Whether an earlier answer, kept as `to` and its number of objects, made the same claim.
    pub(super) fn agrees_with(&self, to: i64, objects: usize) -> bool {
        // Nothing before a later time implies nothing before this one.
        objects == self.objects && (to == self.to || objects == 0 && to >= self.to)
    }
}
