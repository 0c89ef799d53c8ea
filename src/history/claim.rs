//! What an answer claims by what it does not hold, and how the claim is judged. Pure.
//!
//! ```text
//!                    ┌─ nothing known speaks against it ──▶ confirmed by one more answer to another question
//!  "nothing before" ─┤
//!                    └─ something known does ──▶ asked again ──▶ doubted: not complete ──3 answers, 10 min──▶ believed
//! ```
//!
//! `to=T` means the newest before T, however old. So an empty page claims that there is nothing before T at all, and one
//! that is shorter than it could be, that there is nothing before its oldest object.

use jiff::Timestamp;
use std::fmt;
use std::time::Duration;

/// The pauses before an answer is asked for again. A fault of a moment is over by then, and a run is held up by no more
/// than a quarter of a minute.
pub(super) const PAUSES: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];

/// So many answers that agree, over at least so long, are believed whatever speaks against them.
pub(super) const AGREEING: usize = 3;
pub(super) const AGREEING_FOR: Duration = Duration::from_secs(600);

/// What an answer claims of the time before it. Times are milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    /// The claim is about nothing before this: the start of the span, or of trades, of the day.
    pub(super) since: i64,
    /// What was asked for: everything before this.
    pub(super) to: i64,
    /// So many objects came.
    pub(super) objects: usize,
    /// The time of the oldest of them, or `to`: there is nothing before.
    pub(super) before: i64,
}

/// What to make of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// Nothing that is known speaks against it: it is confirmed.
    Plausible,
    /// It is not relied on: what is before is asked for, unless nothing came at all.
    Ignored,
    /// Something is known to be there: it is asked for again.
    Contradicted,
    /// Something is known to have been there, and the exchange has said often and long enough that it is not any more.
    Believed,
}

/// For people.
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
    /// Whether an earlier answer, of which `to` and the number of objects were kept, said the same.
    pub(super) fn agrees_with(&self, to: i64, objects: usize) -> bool {
        // Where nothing was before a later time, nothing was before this one.
        objects == self.objects && (to == self.to || objects == 0 && to >= self.to)
    }
}
