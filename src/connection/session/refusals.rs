//! The exchange's refusals, weighed by requests and keys that it served before, and which of them are reported.
//!
//! ```text
//! error, answer to the upgrade ──▶ attributed to a message ──▶ weighed by history ──▶ current ──▶ reported
//!
//! keys, request                 once for as long as it stands
//! request that was served       the same, once refusals in a row are more than an accident
//! PING, LIST_SUBSCRIPTIONS      each can be refused once in the life of the process
//! limit, unclear                never: there is nothing to change
//! ```

use super::auxiliary::Auxiliaries;
use super::interface::Settings;
use super::served::Served;
use crate::clock::Instant;
use crate::connection::Notice;
use crate::net::DialError;
use crate::upbit::feed::Feed;
use crate::upbit::refusal::{Objection, Redaction, Refusal};
use crate::upbit::subscription::Request;
use std::time::Duration;

/// Another reason for the same request is reported this often: a server that finds a new one for every frame must not
/// fill the log.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// The remedy if keys may have expired.
const EXPIRED: &str = "they were before: API keys expire after a year and cannot be extended, so issue new ones at the \
                       exchange, put them in the place of these, and restart the recorder";

/// The refusals of one connection.
#[derive(Debug)]
pub(super) struct Refusals {
    redaction: Redaction,
    /// The upgrade carries keys; otherwise no refusal can be about them.
    is_signed: bool,
    served: Served,
    /// The last refusal of this attempt or session.
    current: Option<Refusal>,
    /// The refusal that was reported and still stands.
    reported: Option<Reported>,
    /// The last request as it was sent.
    request: Option<String>,
}

#[derive(Debug)]
struct Reported {
    at: Instant,
    reason: String,
}

impl Refusals {
    /// A connection that was refused nothing.
    pub(super) fn new(settings: &Settings) -> Self {
        let redaction = match settings.feed {
            Feed::Public => Redaction::None,
            Feed::Private => Redaction::NamesOnly,
        };
        let is_signed = settings.credentials.is_some();
        Self { redaction, is_signed, served: Served::default(), current: None, reported: None, request: None }
    }

    /// The objection of the current refusal.
    pub(super) fn objection(&self) -> Option<Objection> {
        self.current.as_ref().map(|refusal| refusal.kind)
    }

    /// An attempt begins.
    pub(super) fn handle_attempt(&mut self) {
        self.current = None;
    }

    /// Another request is wanted, or the session is live: the reported refusal stands no longer.
    pub(super) fn handle_change(&mut self) {
        self.reported = None;
    }

    /// A request is handed to the socket as `frame`; `replaces`: another one stands on it.
    pub(super) fn handle_requested(&mut self, now: Instant, request: &Request, frame: &str, replaces: bool) {
        self.served.handle_requested(now, request, replaces);
        self.request = Some(frame.to_owned());
    }

    /// Data of the request came, or it is sure to stand without.
    pub(super) fn handle_served(&mut self, now: Instant) {
        self.served.handle_served(now);
    }

    /// The token for the upgrade could not be made.
    pub(super) fn handle_unusable_keys(&mut self, now: Instant, reason: String) -> Option<Notice> {
        self.current = Some(Refusal { kind: Objection::Credentials, reason, may_have_expired: false });
        self.report(now, None)
    }

    /// The attempt failed, perhaps by an answer of the exchange's.
    pub(super) fn handle_dial_failed(&mut self, now: Instant, error: &DialError) -> Option<Notice> {
        let answer = error.answer.as_ref();
        let refusal = answer.and_then(|answer| Refusal::from_answer(answer, self.redaction, self.is_signed));
        self.current = refusal.map(|refusal| self.weigh(refusal));
        self.report(now, None)
    }

    /// An error object came, which is about the last message that was not answered.
    pub(super) fn handle_error(
        &mut self,
        now: Instant,
        object: &[u8],
        auxiliaries: &mut Auxiliaries,
    ) -> Option<Notice> {
        let mut refusal = Refusal::from_object(object, self.redaction);
        refusal.kind = match refusal.kind {
            Objection::Request => auxiliaries.attribute(now),
            Objection::Unclear => auxiliaries.attribute_unknown(),
            Objection::Credentials if !self.is_signed => auxiliaries.attribute_unknown(),
            other => other,
        };
        let refusal = self.weigh(refusal);
        let refused = match refusal.kind {
            Objection::Keepalive => Some("PING".to_owned()),
            Objection::Listing => Some("LIST_SUBSCRIPTIONS".to_owned()),
            _ => self.request.clone(),
        };
        self.current = Some(refusal);
        self.report(now, refused)
    }

    /// The socket is lost because of `cause`; `by_refusal`: soon enough after an error to be its consequence. Returns the
    /// cause with the refusal in it.
    pub(super) fn handle_lost(&mut self, cause: &str, by_refusal: bool) -> String {
        self.current.take_if(|_| !by_refusal);
        match &self.current {
            Some(Refusal { kind: Objection::Unclear, reason, .. }) => {
                format!("the exchange reported an error ({reason}), {cause}")
            }
            Some(refusal) => format!("refused by the exchange ({}), {cause}", refusal.reason),
            None => cause.to_owned(),
        }
    }

    /// A refusal, weighed by requests and keys that were served before.
    fn weigh(&mut self, mut refusal: Refusal) -> Refusal {
        if refusal.kind == Objection::Credentials && refusal.may_have_expired && self.served.keys_worked() {
            refusal.reason = format!("{}; {EXPIRED}", refusal.reason);
        }
        refusal.kind = self.served.weigh(refusal.kind);
        refusal
    }

    /// The current refusal, where a person has to see it.
    fn report(&mut self, now: Instant, request: Option<String>) -> Option<Notice> {
        let refusal = self.current.as_ref()?;
        let is_news = match refusal.kind {
            Objection::ServedRequest if !self.served.is_worth_reporting() => false,
            Objection::Credentials | Objection::WorkingCredentials | Objection::Request | Objection::ServedRequest => {
                let known = |reported: &Reported| reported.reason == refusal.reason || now < reported.at + REPORT_EVERY;
                let is_news = !self.reported.as_ref().is_some_and(known);
                if is_news {
                    self.reported = Some(Reported { at: now, reason: refusal.reason.clone() });
                }
                is_news
            }
            Objection::Keepalive | Objection::Listing => true,
            Objection::Limit { .. } | Objection::Unclear => false,
        };
        is_news.then(|| Notice::Refused { objection: refusal.kind, reason: refusal.reason.clone(), request })
    }
}
