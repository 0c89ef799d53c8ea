//! The auxiliary messages, the text `PING` and `LIST_SUBSCRIPTIONS`: useful, but never worth a connection.
//!
//! ```text
//! request ──first data, or one ping interval without──▶ PING ──settled──▶ LIST_SUBSCRIPTIONS
//!
//! an error is attributed to the last message, unless that was answered:
//!   the request               refused: a person has to change it
//!   PING, LIST_SUBSCRIPTIONS  disabled for the life of the process
//!   none                      a fault of the exchange's own
//! an error of an unknown kind is a fault of the exchange's own, unless it follows the same one of the two three times
//! in a row
//! ```
//!
//! An error ends the connection, and it is not known whether every region of the exchange accepts both messages. So each
//! is sent only after the message before it was answered or had its time, and an error can be attributed. Where that
//! goes wrong, the next connection shows it: each message is disabled at most once, and then the request alone is left.

use super::outbox::Message;
use crate::batch::Seen;
use crate::clock::Instant;
use crate::upbit::refusal::Objection;
use std::time::Duration;

/// How long a message may be objected to before the next one is sent. The exchange's errors come after one round trip.
const SETTLING: Duration = Duration::from_secs(5);

/// So many errors of an unknown kind, each after the same one of the two and without an answer between, are an objection
/// in the venue's own terms. Fewer are a passing fault, which must not disable a message for ever.
const SUSPECTED_FROM: u32 = 3;

/// The two messages of one connection: which of them are enabled, and where the open socket stands.
#[derive(Debug, Default)]
pub(super) struct Auxiliaries {
    keepalive_off: bool,
    listing_off: bool,
    /// Unknown errors after each, on one socket after the other.
    suspected: Suspected,
    /// The socket has brought data, or is live without.
    live: bool,
    /// The last text message, until it is answered.
    unanswered: Option<Unanswered>,
    keepalive_at: Option<Instant>,
    listing_wanted: bool,
    /// One of the two waits in the outbox.
    queued: bool,
}

#[derive(Clone, Copy, Debug)]
struct Unanswered {
    message: Message,
    sent_at: Instant,
}

#[derive(Clone, Copy, Debug, Default)]
struct Suspected {
    keepalive: u32,
    listing: u32,
}

impl Auxiliaries {
    /// A socket was opened; `PING` is due at `keepalive_at` if no data comes before.
    pub(super) fn handle_opened(&mut self, keepalive_at: Instant) {
        let keepalive_at = (!self.keepalive_off).then_some(keepalive_at);
        let Self { keepalive_off, listing_off, suspected, .. } = *self;
        *self = Self { keepalive_off, listing_off, suspected, keepalive_at, ..Self::default() };
    }

    /// The socket is live, so the request was taken.
    pub(super) fn handle_live(&mut self, now: Instant) {
        self.live = true;
        self.unanswered.take_if(|unanswered| unanswered.is_request());
        self.keepalive_at = self.keepalive_at.map(|at| at.min(now));
    }

    /// Frames came.
    pub(super) fn handle_seen(&mut self, seen: Seen) {
        self.suspected.keepalive *= u32::from(!seen.status);
        self.suspected.listing *= u32::from(!seen.reply);
        self.unanswered.take_if(|unanswered| match unanswered.message {
            Message::Keepalive => seen.status,
            Message::Listing => seen.reply,
            Message::Request(_) | Message::Ping => false,
        });
    }

    /// A message is handed to the socket. A ping is answered by the protocol, so no error is about it.
    pub(super) fn handle_sending(&mut self, now: Instant, message: Message) {
        if message != Message::Ping {
            self.unanswered = Some(Unanswered { message, sent_at: now });
        }
        self.queued &= !matches!(message, Message::Keepalive | Message::Listing);
    }

    /// Wants `LIST_SUBSCRIPTIONS` sent, once the socket is live.
    pub(super) fn want_listing(&mut self) {
        self.listing_wanted = !self.listing_off;
    }

    /// The message that is due; no other is until it was handed to the socket.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Message> {
        if self.queued || self.settled_at().is_some_and(|settled_at| now < settled_at) {
            return None;
        }
        let next = if self.keepalive_at.take_if(|at| now >= *at).is_some() {
            Message::Keepalive
        } else if self.live && std::mem::take(&mut self.listing_wanted) {
            Message::Listing
        } else {
            return None;
        };
        self.queued = true;
        Some(next)
    }

    /// When to poll again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let settled_at = self.settled_at();
        let keepalive = self.keepalive_at.map(|at| settled_at.map_or(at, |settled_at| settled_at.max(at)));
        let listing = settled_at.filter(|_| self.live && self.listing_wanted);
        keepalive.into_iter().chain(listing).min().filter(|_| !self.queued)
    }

    /// Attributes an error of an unknown kind.
    pub(super) fn attribute_unknown(&mut self) -> Objection {
        let (count, objection) = match self.unanswered.map(|unanswered| unanswered.message) {
            Some(Message::Keepalive) => (&mut self.suspected.keepalive, Objection::Keepalive),
            Some(Message::Listing) => (&mut self.suspected.listing, Objection::Listing),
            Some(Message::Request(_) | Message::Ping) | None => return Objection::Unclear,
        };
        *count += 1;
        if *count >= SUSPECTED_FROM {
            return self.disable(objection);
        }
        // One message is counted once, however many errors follow; the next socket sends it again.
        self.unanswered = None;
        Objection::Unclear
    }

    /// Attributes an error that came `now` and is about a message of ours, without naming it.
    pub(super) fn attribute(&mut self, now: Instant) -> Objection {
        let Some(Unanswered { message, sent_at }) = self.unanswered else { return Objection::Unclear };
        match message {
            // The data of the request before it goes on, so time alone answers one that replaces another.
            Message::Request(_) if self.live && now >= sent_at + SETTLING => Objection::Unclear,
            Message::Request(_) | Message::Ping => Objection::Request,
            Message::Keepalive => self.disable(Objection::Keepalive),
            Message::Listing => self.disable(Objection::Listing),
        }
    }

    fn disable(&mut self, objection: Objection) -> Objection {
        match objection {
            Objection::Keepalive => (self.keepalive_off, self.keepalive_at) = (true, None),
            _ => (self.listing_off, self.listing_wanted) = (true, false),
        }
        self.unanswered = None;
        objection
    }

    /// When the last message has had its time; a first request settles with the first data instead.
    fn settled_at(&self) -> Option<Instant> {
        let unanswered = self.unanswered.filter(|unanswered| !unanswered.is_request() || self.live)?;
        Some(unanswered.sent_at + SETTLING)
    }
}

impl Unanswered {
    fn is_request(&self) -> bool {
        matches!(self.message, Message::Request(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Stamp};
    use crate::tape::words::SubscribeReason;

    const SECOND: Duration = Duration::from_secs(1);
    const STATUS: Seen = Seen { status: true, error: false, reply: false };
    const REQUEST: Message = Message::Request(SubscribeReason::Connected);
    const REPLY: Seen = Seen { reply: true, error: false, status: false };

    fn opened() -> (Auxiliaries, Instant) {
        let now = Clock::anchored(Stamp::MAX).now();
        let mut auxiliaries = Auxiliaries::default();
        auxiliaries.handle_opened(now + 15 * SECOND);
        auxiliaries.handle_sending(now, REQUEST);
        (auxiliaries, now)
    }

    #[test]
    fn the_first_data_lets_them_be_said_one_after_the_other() {
        let (mut auxiliaries, now) = opened();
        auxiliaries.want_listing();
        assert_eq!((auxiliaries.poll(now), auxiliaries.deadline()), (None, Some(now + 15 * SECOND)));
        auxiliaries.handle_live(now + SECOND);
        assert_eq!(auxiliaries.poll(now + SECOND), Some(Message::Keepalive));
        assert_eq!((auxiliaries.poll(now + 3600 * SECOND), auxiliaries.deadline()), (None, None), "not handed over");
        auxiliaries.handle_sending(now + 2 * SECOND, Message::Keepalive);
        assert_eq!((auxiliaries.poll(now + 6 * SECOND), auxiliaries.deadline()), (None, Some(now + 7 * SECOND)));
        assert_eq!(auxiliaries.poll(now + 7 * SECOND), Some(Message::Listing));
        auxiliaries.handle_sending(now + 7 * SECOND, Message::Listing);
        assert_eq!((auxiliaries.poll(now + 60 * SECOND), auxiliaries.deadline()), (None, None));
    }

    #[test]
    fn an_error_means_what_was_said_last_and_not_answered() {
        let (mut auxiliaries, now) = opened();
        assert_eq!(auxiliaries.attribute(now + 3600 * SECOND), Objection::Request, "nothing has come since");
        auxiliaries.handle_live(now);
        assert_eq!(auxiliaries.attribute(now), Objection::Unclear);
        auxiliaries.handle_sending(now, REQUEST);
        assert_eq!(auxiliaries.attribute(now + SECOND), Objection::Request);
        assert_eq!(auxiliaries.attribute(now + 5 * SECOND), Objection::Unclear);
        auxiliaries.handle_sending(now, Message::Keepalive);
        auxiliaries.handle_seen(REPLY);
        assert_eq!(auxiliaries.attribute(now), Objection::Keepalive);
        auxiliaries.handle_sending(now, Message::Listing);
        auxiliaries.handle_seen(REPLY);
        assert_eq!(auxiliaries.attribute(now), Objection::Unclear);
    }

    #[test]
    fn one_odd_error_does_not_silence_us_but_three_in_a_row_do() {
        for (message, objection, answer) in
            [(Message::Keepalive, Objection::Keepalive, STATUS), (Message::Listing, Objection::Listing, REPLY)]
        {
            let (mut auxiliaries, now) = opened();
            assert_eq!(auxiliaries.attribute_unknown(), Objection::Unclear, "the request is never suspected");
            let round = |auxiliaries: &mut Auxiliaries, answer: Option<Seen>| {
                auxiliaries.handle_opened(now);
                auxiliaries.handle_sending(now, REQUEST);
                auxiliaries.handle_live(now);
                auxiliaries.handle_sending(now, message);
                if let Some(answer) = answer {
                    auxiliaries.handle_seen(answer);
                }
                [auxiliaries.attribute_unknown(), auxiliaries.attribute_unknown()]
            };
            let unclear = [Objection::Unclear; 2];
            for answered in [None, None, Some(answer), None, None] {
                assert_eq!(round(&mut auxiliaries, answered), unclear);
            }
            assert_eq!(round(&mut auxiliaries, None), [objection, Objection::Unclear]);
        }
    }
}
