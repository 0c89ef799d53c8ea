//! The steps against mute streams, one after the other, and more and more seldom where none helps.
//!
//! ```text
//! ask ── 10 s still mute ──▶ request again ── 20 s still ──▶ new connection
//!                                                             └ still: another after 1, 2, 4, … 60 min
//! ```
//!
//! Each new connection interrupts every other stream for a moment, and an exchange that cannot deliver one of them would
//! otherwise have all of them interrupted for ever. A suspicion is on record at once; only the steps wait.

use crate::backoff::Backoff;
use crate::clock::Instant;
use std::time::Duration;

/// How long the answer to the question may take, with its effects.
pub(super) const AFTER_ASKING: Duration = Duration::from_secs(10);

/// How long the repeated request may take to mend it.
const AFTER_REQUESTING: Duration = Duration::from_secs(20);

/// The least time between a step that did not help and the next one, and the most: an hour without data of one stream
/// against a moment without those of all.
const WAITS: Backoff = Backoff { first: Duration::from_secs(30), longest: Duration::from_secs(3600) };

/// After this much without trouble, the next one is another one.
const CALM: Duration = Duration::from_secs(3600);

/// A step against streams that went mute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EscalationStep {
    /// Ask for the list of subscriptions.
    Ask,
    /// Send the standing request again.
    Resubscribe,
    /// Make a new connection.
    Reconnect,
}

/// The steps under way, and how often they were tried.
#[derive(Debug, Default)]
pub(super) struct Escalation {
    next: Option<Due>,
    /// Steps but questions since the last calm, and when the last of them was taken.
    tried: u32,
    tried_at: Option<Instant>,
    /// Since when there is no trouble.
    calm_since: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Due {
    at: Instant,
    step: EscalationStep,
}

impl Escalation {
    /// There is trouble, and `first` is the first step against it; nothing changes where an escalation is under way.
    pub(super) fn begin(&mut self, now: Instant, first: EscalationStep) {
        if self.next.is_some() {
            return;
        }
        if self.calm_since.take().is_some_and(|since| now >= since + CALM) {
            (self.tried, self.tried_at) = (0, None);
        }
        self.next = Some(self.due(now, first));
    }

    /// There is no trouble.
    pub(super) fn handle_calm(&mut self, now: Instant) {
        self.next = None;
        self.calm_since.get_or_insert(now);
    }

    /// The connection is lost, and the escalation with it.
    pub(super) fn handle_lost(&mut self) {
        self.next = None;
    }

    /// Nothing was read for a while: the last step gets its time once more.
    pub(super) fn postpone(&mut self, now: Instant) {
        if let Some(due) = &mut self.next {
            due.at = due.at.max(now + AFTER_ASKING);
        }
    }

    /// The step that is due.
    pub(super) fn poll(&mut self, now: Instant) -> Option<EscalationStep> {
        let Due { step, .. } = self.next.take_if(|due| now >= due.at)?;
        if step != EscalationStep::Ask {
            (self.tried, self.tried_at) = (self.tried.saturating_add(1), Some(now));
        }
        self.next = match step {
            EscalationStep::Ask => Some(self.due(now + AFTER_ASKING, EscalationStep::Resubscribe)),
            EscalationStep::Resubscribe => Some(Due { at: now + AFTER_REQUESTING, step: EscalationStep::Reconnect }),
            EscalationStep::Reconnect => None,
        };
        Some(step)
    }

    /// When to poll again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.next.map(|due| due.at)
    }

    /// A step, no earlier than those before it allow. Where the request was repeated before, that did not last.
    fn due(&self, at: Instant, step: EscalationStep) -> Due {
        let Some(tried_at) = self.tried_at.filter(|_| step != EscalationStep::Ask) else { return Due { at, step } };
        Due { at: at.max(tried_at + WAITS.ceiling(self.tried)), step: EscalationStep::Reconnect }
    }
}
