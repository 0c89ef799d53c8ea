//! Messages that wait for the budget: at most one of each kind, in the order of urgency.
//!
//! ```text
//! request ▶ ping ▶ text PING ▶ LIST_SUBSCRIPTIONS     each as soon as the budget allows
//! ```
//!
//! A request replaces the whole earlier one on the exchange's side, so the latest wins here as well and nothing can
//! pile up. Pings count as messages too: it is not known whether control frames do, and four a minute are cheap.

use super::budget::MessageBudget;
use crate::clock::Instant;
use crate::tape::words::SubscribeReason;

/// A message to the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// A ping frame.
    Ping,
    /// The standing request.
    Request(SubscribeReason),
    /// The text `PING`, which switches the exchange's status messages on.
    Keepalive,
    /// `LIST_SUBSCRIPTIONS`.
    Listing,
}

/// The messages of one connection that wait, and the budget they wait for, which outlives the socket.
#[derive(Debug)]
pub(super) struct Outbox {
    budget: MessageBudget,
    ping: bool,
    request: Option<SubscribeReason>,
    keepalive: bool,
    listing: bool,
    not_before: Option<Instant>,
}

impl Outbox {
    /// Nothing waits.
    pub(super) fn new(budget: MessageBudget) -> Self {
        Self { budget, ping: false, request: None, keepalive: false, listing: false, not_before: None }
    }

    /// A socket was opened: messages for the one before are void.
    pub(super) fn clear(&mut self) {
        (self.ping, self.request, self.keepalive, self.listing) = (false, None, false, false);
        self.not_before = None;
    }

    /// Wants a message sent; one of its kind that still waits is replaced.
    pub(super) fn push(&mut self, message: Message) {
        match message {
            Message::Ping => self.ping = true,
            Message::Request(reason) => self.request = Some(reason),
            Message::Keepalive => self.keepalive = true,
            Message::Listing => self.listing = true,
        }
    }

    /// The next message that may be sent now.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Message> {
        let next = self.next()?;
        if self.not_before.is_some_and(|not_before| now < not_before) {
            return None;
        }
        match self.budget.take(now) {
            Ok(()) => {
                self.not_before = None;
                self.remove(next);
                Some(next)
            }
            Err(not_before) => {
                self.not_before = Some(not_before);
                None
            }
        }
    }

    /// When to poll again; `None` where nothing waits for the budget.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.next().and(self.not_before)
    }

    fn next(&self) -> Option<Message> {
        let ping = self.ping.then_some(Message::Ping);
        let request = self.request.map(Message::Request);
        let keepalive = self.keepalive.then_some(Message::Keepalive);
        // The request comes first: it is the connection's purpose, and traffic as well as a ping is.
        request.or(ping).or(keepalive).or(self.listing.then_some(Message::Listing))
    }

    fn remove(&mut self, message: Message) {
        match message {
            Message::Ping => self.ping = false,
            Message::Request(_) => self.request = None,
            Message::Keepalive => self.keepalive = false,
            Message::Listing => self.listing = false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Stamp};

    fn outbox() -> (Outbox, Instant) {
        let now = Clock::anchored(Stamp::MAX).now();
        (Outbox::new(MessageBudget::new(5, 100, now)), now)
    }

    #[test]
    fn pings_never_keep_the_request_waiting() {
        let (mut outbox, mut now) = outbox();
        // The budget is used up, and a ping falls due whenever a token comes back.
        while outbox.budget.take(now).is_ok() {}
        outbox.push(Message::Request(SubscribeReason::Connected));
        let mut sent = None;
        while sent.is_none() {
            outbox.push(Message::Ping);
            sent = outbox.poll(now);
            now = outbox.deadline().unwrap_or(now);
        }
        assert_eq!(sent, Some(Message::Request(SubscribeReason::Connected)));
    }

    #[test]
    fn messages_leave_by_urgency_and_as_the_budget_allows() {
        let (mut outbox, mut now) = outbox();
        outbox.push(Message::Keepalive);
        outbox.push(Message::Request(SubscribeReason::Connected));
        outbox.push(Message::Request(SubscribeReason::Changed));
        outbox.push(Message::Ping);
        assert_eq!(outbox.poll(now), Some(Message::Request(SubscribeReason::Changed)));
        assert_eq!(outbox.poll(now), Some(Message::Ping));
        assert_eq!(outbox.poll(now), None);
        now = outbox.deadline().unwrap();
        assert_eq!(outbox.poll(now), Some(Message::Keepalive));
        assert_eq!((outbox.poll(now), outbox.deadline()), (None, None));
    }
}
