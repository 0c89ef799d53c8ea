//! What waits to be sent: at most one message of each kind, in the order of urgency.
//!
//! ```text
//! ping ▶ request ▶ text PING ▶ LIST_SUBSCRIPTIONS     each as soon as the budget allows
//! ```
//!
//! A request replaces the whole earlier one on the exchange's side, so the latest wins here as well and nothing can
//! pile up. Pings count as messages too: nobody has settled whether control frames do, and four a minute are cheap.

use super::budget::MessageBudget;
use crate::clock::Instant;
use crate::tape::words::SubscribeReason;

/// A message whose turn has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::connection::session) enum Message {
    /// A ping frame.
    Ping,
    /// The standing request.
    Request(SubscribeReason),
    /// The text `PING`, which switches the exchange's status messages on.
    Switch,
    /// The question what is subscribed.
    List,
}

/// The messages that wait.
#[derive(Debug, Default)]
pub(in crate::connection::session) struct Outbox {
    ping: bool,
    request: Option<SubscribeReason>,
    switch: bool,
    list: bool,
    not_before: Option<Instant>,
}

impl Outbox {
    /// Wants a message sent; one of its kind that still waits is replaced.
    pub(in crate::connection::session) fn push(&mut self, message: Message) {
        match message {
            Message::Ping => self.ping = true,
            Message::Request(reason) => self.request = Some(reason),
            Message::Switch => self.switch = true,
            Message::List => self.list = true,
        }
    }

    /// The next message that may be sent now.
    pub(in crate::connection::session) fn poll(&mut self, budget: &mut MessageBudget, now: Instant) -> Option<Message> {
        let next = self.next()?;
        if self.not_before.is_some_and(|not_before| now < not_before) {
            return None;
        }
        match budget.take(now) {
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
    pub(in crate::connection::session) fn deadline(&self) -> Option<Instant> {
        self.next().and(self.not_before)
    }

    fn next(&self) -> Option<Message> {
        let ping = self.ping.then_some(Message::Ping);
        let request = self.request.map(Message::Request);
        let switch = self.switch.then_some(Message::Switch);
        // The request is what the connection is for, and it is traffic as well as a ping is.
        request.or(ping).or(switch).or(self.list.then_some(Message::List))
    }

    fn remove(&mut self, message: Message) {
        match message {
            Message::Ping => self.ping = false,
            Message::Request(_) => self.request = None,
            Message::Switch => self.switch = false,
            Message::List => self.list = false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Stamp};

    #[test]
    fn pings_never_keep_the_request_waiting() {
        let mut now = Clock::anchored(Stamp::MAX).now();
        let mut budget = MessageBudget::new(5, 100, now);
        let mut outbox = Outbox::default();
        // The budget of the connection before is used up, and a ping falls due whenever a token comes back.
        while budget.take(now).is_ok() {}
        outbox.push(Message::Request(SubscribeReason::Connected));
        let mut sent = None;
        while sent.is_none() {
            outbox.push(Message::Ping);
            sent = outbox.poll(&mut budget, now);
            now = outbox.deadline().unwrap_or(now);
        }
        assert_eq!(sent, Some(Message::Request(SubscribeReason::Connected)));
    }

    #[test]
    fn messages_leave_by_urgency_and_as_the_budget_allows() {
        let mut now = Clock::anchored(Stamp::MAX).now();
        let mut budget = MessageBudget::new(5, 100, now);
        let mut outbox = Outbox::default();
        outbox.push(Message::Switch);
        outbox.push(Message::Request(SubscribeReason::Connected));
        outbox.push(Message::Request(SubscribeReason::Changed));
        outbox.push(Message::Ping);
        assert_eq!(outbox.poll(&mut budget, now), Some(Message::Request(SubscribeReason::Changed)));
        assert_eq!(outbox.poll(&mut budget, now), Some(Message::Ping));
        assert_eq!(outbox.poll(&mut budget, now), None);
        now = outbox.deadline().unwrap();
        assert_eq!(outbox.poll(&mut budget, now), Some(Message::Switch));
        assert_eq!((outbox.poll(&mut budget, now), outbox.deadline()), (None, None));
    }
}
