//! What is said beside the request, the text `PING` and `LIST_SUBSCRIPTIONS`: wanted, but never worth the recording.
//!
//! ```text
//! request ──first data, or one ping interval without──▶ PING ──settled──▶ LIST_SUBSCRIPTIONS
//!
//! an error objects to the last message, unless that was answered:
//!   the request               refused: a person has to change it
//!   PING, LIST_SUBSCRIPTIONS  not said again by this process
//!   none                      a trouble of the exchange's own
//! an error that nobody knows is a trouble of the exchange's own, unless it answers one of the two three times in a row
//! ```
//!
//! An error ends the connection, and nobody has settled whether every region knows both messages. So each is said only
//! after the message before it was answered or had its time, and an error tells which of them it means. Where that goes
//! wrong, the next connection shows it: each message can be switched off once, and then the request alone is left.

use crate::batch::Seen;
use crate::clock::Instant;
use crate::upbit::refusal::Objection;
use std::time::Duration;

/// How long a message may be objected to before the next one is said. The exchange's errors come after one round trip.
const SETTLING: Duration = Duration::from_secs(5);

/// So many errors that nobody knows, each in answer to the same one of the two and none of them answered between, are an
/// objection in words of the venue's own. Fewer are its bad moment, which must not silence us for ever.
const SUSPECTED_FROM: u32 = 3;

/// A text message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::connection::session) enum Said {
    /// The request.
    Request,
    /// `PING`.
    Keepalive,
    /// `LIST_SUBSCRIPTIONS`.
    Listing,
}

/// The two messages of one connection: what this process may still say, and where the open socket stands.
#[derive(Debug, Default)]
pub(in crate::connection::session) struct Auxiliaries {
    keepalive_off: bool,
    listing_off: bool,
    /// Unknown errors in answer to each, on one socket after the other.
    suspected: Suspected,
    /// The socket has brought data, or is live without.
    live: bool,
    /// The last message, since when, until it is answered.
    unanswered: Option<(Said, Instant)>,
    keepalive_at: Option<Instant>,
    listing_wanted: bool,
    /// One of the two waits for the limits.
    queued: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Suspected {
    keepalive: u32,
    listing: u32,
}

impl Auxiliaries {
    /// A socket was opened; `PING` is said at `keepalive_at` if nothing comes before.
    pub(in crate::connection::session) fn handle_opened(&mut self, keepalive_at: Instant) {
        let keepalive_at = (!self.keepalive_off).then_some(keepalive_at);
        let Self { keepalive_off, listing_off, suspected, .. } = *self;
        *self = Self { keepalive_off, listing_off, suspected, keepalive_at, ..Self::default() };
    }

    /// The socket is live, so the request was taken.
    pub(in crate::connection::session) fn handle_live(&mut self, now: Instant) {
        self.live = true;
        self.unanswered.take_if(|(said, _)| *said == Said::Request);
        self.keepalive_at = self.keepalive_at.map(|at| at.min(now));
    }

    /// Frames came.
    pub(in crate::connection::session) fn handle_seen(&mut self, seen: Seen) {
        self.suspected.keepalive *= u32::from(!seen.status);
        self.suspected.listing *= u32::from(!seen.reply);
        self.unanswered.take_if(|(said, _)| match said {
            Said::Request => false,
            Said::Keepalive => seen.status,
            Said::Listing => seen.reply,
        });
    }

    /// A message was handed to the socket.
    pub(in crate::connection::session) fn handle_said(&mut self, now: Instant, said: Said) {
        self.unanswered = Some((said, now));
        self.queued &= said == Said::Request;
    }

    /// Wants the list asked for, once the socket is live.
    pub(in crate::connection::session) fn want_listing(&mut self) {
        self.listing_wanted = !self.listing_off;
    }

    /// The message whose time has come; no other has until it was handed to the socket.
    pub(in crate::connection::session) fn poll(&mut self, now: Instant) -> Option<Said> {
        if self.queued || self.settled_at().is_some_and(|settled_at| now < settled_at) {
            return None;
        }
        let next = if self.keepalive_at.take_if(|at| now >= *at).is_some() {
            Said::Keepalive
        } else if self.live && std::mem::take(&mut self.listing_wanted) {
            Said::Listing
        } else {
            return None;
        };
        self.queued = true;
        Some(next)
    }

    /// When to poll again.
    pub(in crate::connection::session) fn deadline(&self) -> Option<Instant> {
        let settled_at = self.settled_at();
        let keepalive = self.keepalive_at.map(|at| settled_at.map_or(at, |settled_at| settled_at.max(at)));
        let listing = settled_at.filter(|_| self.live && self.listing_wanted);
        keepalive.into_iter().chain(listing).min().filter(|_| !self.queued)
    }

    /// What an error is about that came in words that nobody knows.
    pub(in crate::connection::session) fn suspect(&mut self) -> Objection {
        let (count, objection) = match self.unanswered {
            Some((Said::Keepalive, _)) => (&mut self.suspected.keepalive, Objection::Keepalive),
            Some((Said::Listing, _)) => (&mut self.suspected.listing, Objection::Listing),
            Some((Said::Request, _)) | None => return Objection::Unclear,
        };
        *count += 1;
        if *count >= SUSPECTED_FROM {
            return self.silence(objection);
        }
        // One message is counted once, however many errors follow; the next socket says it again.
        self.unanswered = None;
        Objection::Unclear
    }

    /// What an error objects to that came `now`, is about a message of ours, and does not name it; one of the two is
    /// not said again.
    pub(in crate::connection::session) fn blame(&mut self, now: Instant) -> Objection {
        match self.unanswered {
            // The data of the request before it goes on, so nothing but time answers one that replaces another.
            Some((Said::Request, at)) if self.live && now >= at + SETTLING => Objection::Unclear,
            Some((Said::Request, _)) => Objection::Request,
            Some((Said::Keepalive, _)) => self.silence(Objection::Keepalive),
            Some((Said::Listing, _)) => self.silence(Objection::Listing),
            None => Objection::Unclear,
        }
    }

    /// Has one of the two not said again.
    fn silence(&mut self, objection: Objection) -> Objection {
        match objection {
            Objection::Keepalive => (self.keepalive_off, self.keepalive_at) = (true, None),
            _ => (self.listing_off, self.listing_wanted) = (true, false),
        }
        self.unanswered = None;
        objection
    }

    /// When the last message has had its time; a first request settles with the first data instead.
    fn settled_at(&self) -> Option<Instant> {
        let (said, at) = self.unanswered?;
        (said != Said::Request || self.live).then_some(at + SETTLING)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Stamp};

    const SECOND: Duration = Duration::from_secs(1);
    const STATUS: Seen = Seen { status: true, error: false, reply: false };
    const REPLY: Seen = Seen { reply: true, error: false, status: false };

    fn opened() -> (Auxiliaries, Instant) {
        let now = Clock::anchored(Stamp::MAX).now();
        let mut auxiliaries = Auxiliaries::default();
        auxiliaries.handle_opened(now + 15 * SECOND);
        auxiliaries.handle_said(now, Said::Request);
        (auxiliaries, now)
    }

    #[test]
    fn the_first_data_lets_them_be_said_one_after_the_other() {
        let (mut auxiliaries, now) = opened();
        auxiliaries.want_listing();
        assert_eq!((auxiliaries.poll(now), auxiliaries.deadline()), (None, Some(now + 15 * SECOND)));
        auxiliaries.handle_live(now + SECOND);
        assert_eq!(auxiliaries.poll(now + SECOND), Some(Said::Keepalive));
        assert_eq!((auxiliaries.poll(now + 3600 * SECOND), auxiliaries.deadline()), (None, None), "not handed over");
        auxiliaries.handle_said(now + 2 * SECOND, Said::Keepalive);
        assert_eq!((auxiliaries.poll(now + 6 * SECOND), auxiliaries.deadline()), (None, Some(now + 7 * SECOND)));
        assert_eq!(auxiliaries.poll(now + 7 * SECOND), Some(Said::Listing));
        auxiliaries.handle_said(now + 7 * SECOND, Said::Listing);
        assert_eq!((auxiliaries.poll(now + 60 * SECOND), auxiliaries.deadline()), (None, None));
    }

    #[test]
    fn an_answer_makes_room_for_the_next_at_once() {
        let (mut auxiliaries, now) = opened();
        auxiliaries.handle_live(now);
        auxiliaries.want_listing();
        assert_eq!(auxiliaries.poll(now), Some(Said::Keepalive));
        auxiliaries.handle_said(now, Said::Keepalive);
        assert_eq!(auxiliaries.poll(now), None);
        auxiliaries.handle_seen(STATUS);
        assert_eq!(auxiliaries.poll(now), Some(Said::Listing));
    }

    #[test]
    fn without_data_the_ping_comes_after_its_interval() {
        let (mut auxiliaries, now) = opened();
        assert_eq!(auxiliaries.poll(now + 14 * SECOND), None);
        assert_eq!(auxiliaries.poll(now + 15 * SECOND), Some(Said::Keepalive));
    }

    #[test]
    fn an_error_means_what_was_said_last_and_not_answered() {
        let (mut auxiliaries, now) = opened();
        assert_eq!(auxiliaries.blame(now + 3600 * SECOND), Objection::Request, "nothing has come since");
        auxiliaries.handle_live(now);
        assert_eq!(auxiliaries.blame(now), Objection::Unclear);
        auxiliaries.handle_said(now, Said::Request);
        assert_eq!(auxiliaries.blame(now + SECOND), Objection::Request);
        assert_eq!(auxiliaries.blame(now + 5 * SECOND), Objection::Unclear);
        auxiliaries.handle_said(now, Said::Keepalive);
        auxiliaries.handle_seen(REPLY);
        assert_eq!(auxiliaries.blame(now), Objection::Keepalive);
        auxiliaries.handle_said(now, Said::Listing);
        auxiliaries.handle_seen(REPLY);
        assert_eq!(auxiliaries.blame(now), Objection::Unclear);
    }

    #[test]
    fn one_odd_error_does_not_silence_us_but_three_in_a_row_do() {
        for (said, objection, answer) in
            [(Said::Keepalive, Objection::Keepalive, STATUS), (Said::Listing, Objection::Listing, REPLY)]
        {
            let (mut auxiliaries, now) = opened();
            assert_eq!(auxiliaries.suspect(), Objection::Unclear, "the request is never suspected");
            let round = |auxiliaries: &mut Auxiliaries, answer: Option<Seen>| {
                auxiliaries.handle_opened(now);
                auxiliaries.handle_said(now, Said::Request);
                auxiliaries.handle_live(now);
                auxiliaries.handle_said(now, said);
                if let Some(answer) = answer {
                    auxiliaries.handle_seen(answer);
                }
                [auxiliaries.suspect(), auxiliaries.suspect()]
            };
            let unclear = [Objection::Unclear; 2];
            for answered in [None, None, Some(answer), None, None] {
                assert_eq!(round(&mut auxiliaries, answered), unclear);
            }
            assert_eq!(round(&mut auxiliaries, None), [objection, Objection::Unclear]);
        }
    }

    #[test]
    fn what_was_refused_is_not_said_again_on_any_socket() {
        let (mut auxiliaries, now) = opened();
        for said in [Said::Keepalive, Said::Listing] {
            auxiliaries.handle_said(now, said);
            auxiliaries.blame(now);
        }
        auxiliaries.handle_opened(now);
        auxiliaries.handle_said(now, Said::Request);
        auxiliaries.handle_live(now);
        auxiliaries.want_listing();
        assert_eq!((auxiliaries.poll(now + 3600 * SECOND), auxiliaries.deadline()), (None, None));
    }
}
