//! What is done against mute streams, one remedy after the other, and more and more seldom where none helps.
//!
//! ```text
//! ask ── 10 s still mute ──▶ request again ── 20 s still ──▶ new connection
//!                                                             └ still: another after 1, 2, 4, … 60 min
//! ```
//!
//! Each new connection interrupts every other stream for a moment, and an exchange that cannot deliver one of them would
//! otherwise have all of them interrupted for ever. What is suspected is on record at once; only the remedies wait.

use super::Remedy;
use crate::clock::Instant;
use std::time::Duration;

/// How long an answer to the question may take, and what it brings about.
pub(super) const AFTER_ASKING: Duration = Duration::from_secs(10);

/// How long the repeated request may take to mend it.
const AFTER_REQUESTING: Duration = Duration::from_secs(20);

/// The least time between a remedy that did not help and the next one; twice as much after each.
const LEAST_WAIT: Duration = Duration::from_secs(30);

/// The most time between two of them: an hour without data of one stream against a moment without those of all.
const MOST_WAIT: Duration = Duration::from_secs(3600);

/// After this much without trouble, the next one is another one.
const CALM: Duration = Duration::from_secs(3600);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Escalation {
    next: Option<Step>,
    /// Remedies since the last calm, and when the last of them was tried.
    tried: u32,
    tried_at: Option<Instant>,
    /// Since when there is no trouble.
    calm_since: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    at: Instant,
    remedy: Remedy,
}

impl Escalation {
    /// There is trouble, and `first` is what would be done about it; nothing changes where something is under way.
    pub(super) fn begin(&mut self, now: Instant, first: Remedy) {
        if self.next.is_some() {
            return;
        }
        if self.calm_since.take().is_some_and(|since| now >= since + CALM) {
            (self.tried, self.tried_at) = (0, None);
        }
        self.next = Some(self.step(now, first));
    }

    /// There is no trouble.
    pub(super) fn rest(&mut self, now: Instant) {
        self.next = None;
        self.calm_since.get_or_insert(now);
    }

    /// The connection is lost, and what was under way with it.
    pub(super) fn abandon(&mut self) {
        self.next = None;
    }

    /// Nothing was read for a while: what was tried gets its time once more.
    pub(super) fn postpone(&mut self, now: Instant) {
        if let Some(step) = &mut self.next {
            step.at = step.at.max(now + AFTER_ASKING);
        }
    }

    /// The remedy whose time has come.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Remedy> {
        let Step { remedy, .. } = self.next.take_if(|step| now >= step.at)?;
        if remedy != Remedy::Ask {
            (self.tried, self.tried_at) = (self.tried.saturating_add(1), Some(now));
        }
        self.next = match remedy {
            Remedy::Ask => Some(self.step(now + AFTER_ASKING, Remedy::Resubscribe)),
            Remedy::Resubscribe => Some(Step { at: now + AFTER_REQUESTING, remedy: Remedy::Reconnect }),
            Remedy::Reconnect => None,
        };
        Some(remedy)
    }

    /// When to poll again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.next.map(|step| step.at)
    }

    /// A remedy, no earlier than those before it allow. Where the request was repeated before, that did not last.
    fn step(&self, at: Instant, remedy: Remedy) -> Step {
        let Some(tried_at) = self.tried_at.filter(|_| remedy != Remedy::Ask) else { return Step { at, remedy } };
        let wait = LEAST_WAIT.saturating_mul(1 << (self.tried.saturating_sub(1)).min(16)).min(MOST_WAIT);
        Step { at: at.max(tried_at + wait), remedy: Remedy::Reconnect }
    }
}
