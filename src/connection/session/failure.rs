//! What follows from a failure: what is reported, and when the next attempt is made.
//!
//! ```text
//! no refusal, or of something beside the request    backoff
//! an error that is not known to be about us         backoff
//! a request that was served, keys that worked       backoff, reported once for as long as it stands
//! keys or request refused                           slow retry, reported once for as long as it stands
//! 429, 418                                          as long as the exchange says
//! max_retries in a row                              none
//! ```

use super::pacing::jittered;
use super::{Command, Session, State};
use crate::clock::Instant;
use crate::connection::Notice;
use crate::printable;
use crate::tape::words::Stage;
use crate::upbit::feed::Feed;
use crate::upbit::refusal::{Objection, Refusal};
use std::time::Duration;

/// The longest wait after the exchange refused the keys or the request: a person has to change something first.
const SLOW_RETRY: Duration = Duration::from_secs(600);

/// Another reason for the same request is reported this often: a server that finds a new one for every frame must not
/// fill the log.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// The way out where keys may have become too old.
const EXPIRED: &str = "they were before: API keys expire after a year and cannot be extended, so issue new ones at the \
                       exchange, put them in the place of these, and restart the recorder";

impl Session {
    /// A refusal in the light of what was served before.
    pub(super) fn judged(&mut self, mut refusal: Refusal) -> Refusal {
        if refusal.kind == Objection::Credentials && refusal.may_have_expired && self.served.keys_worked() {
            refusal.reason = format!("{}; {EXPIRED}", refusal.reason);
        }
        refusal.kind = self.served.judge(refusal.kind);
        refusal
    }

    /// Reports a refusal that a person must see, once for as long as it stands.
    pub(super) fn report_refusal(&mut self, now: Instant, request: Option<String>) {
        let Some(refusal) = &self.refusal else { return };
        let news = match refusal.kind {
            Objection::ServedRequest if !self.served.is_worth_telling() => false,
            Objection::Credentials | Objection::WorkingCredentials | Objection::Request | Objection::ServedRequest => {
                let same = |reported: &Refusal| reported.reason == refusal.reason;
                let known = |(at, reported): &(Instant, Refusal)| same(reported) || now < *at + REPORT_EVERY;
                let news = !self.reported.as_ref().is_some_and(known);
                if news {
                    self.reported = Some((now, refusal.clone()));
                }
                news
            }
            // Each can be refused once in the life of the process.
            Objection::Keepalive | Objection::Listing => true,
            Objection::Limit { .. } | Objection::Unclear => false,
        };
        if news {
            let notice = Notice::Refused { objection: refusal.kind, reason: refusal.reason.clone(), request };
            self.events.push_back((now, notice));
        }
    }

    /// The open socket is lost, or left.
    pub(super) fn lose(&mut self, now: Instant, cause: String) {
        self.end_pause(now, true);
        let State::Open(open) = &mut self.state else { return };
        self.events.extend(open.watch.handle_lost().map(|notice| (now, notice)));
        self.watchdog = std::mem::take(&mut open.watch);
        let stage = if open.live { Stage::Live } else { Stage::Subscribing };
        if !open.is_refused(now) {
            self.refusal = None;
        }
        let cause = match &self.refusal {
            Some(Refusal { kind: Objection::Unclear, reason, .. }) => {
                format!("the exchange reported an error ({reason}), {cause}")
            }
            Some(refusal) => format!("refused by the exchange ({}), {cause}", refusal.reason),
            None => cause,
        };
        self.commands.push_back(Command::Disconnect);
        self.fail(now, stage, cause);
    }

    /// One more failure: reports it and plans the next attempt, if there is to be one.
    pub(super) fn fail(&mut self, now: Instant, stage: Stage, cause: String) {
        let cause = printable::line(&cause, printable::SENTENCE);
        let attempt = self.attempt;
        let max_retries = self.settings.config.max_retries;
        let given_up = stage != Stage::Live && max_retries > 0 && attempt >= max_retries;
        let nothing_wanted = self.request.subscriptions.is_empty();
        let objection = self.refusal.as_ref().map(|refusal| refusal.kind);
        let due = now + self.pause(now, objection);
        let retry_at = (!given_up && !nothing_wanted).then_some(due);
        self.events.push_back((now, Notice::Lost { stage, cause, attempt, retry_at }));
        if given_up {
            self.events.push_back((now, Notice::GivenUp { attempts: attempt }));
            self.state = State::Finished;
            return;
        }
        if stage == Stage::Live {
            self.attempt = 0;
        }
        let refused_request = matches!(objection, Some(Objection::Request | Objection::ServedRequest));
        self.state = State::Waiting { due: retry_at, refused_request };
    }

    fn pause(&mut self, now: Instant, objection: Option<Objection>) -> Duration {
        let backoff = self.backoff.next_pause(&mut self.rng);
        match objection {
            None
            | Some(
                Objection::Keepalive
                | Objection::Listing
                | Objection::Unclear
                | Objection::ServedRequest
                | Objection::WorkingCredentials,
            ) => backoff,
            Some(Objection::Credentials | Objection::Request) => backoff.max(jittered(SLOW_RETRY, &mut self.rng)),
            Some(Objection::Limit { pause }) => {
                // The public feed is counted by address, so the other connection would be probing too; the private one
                // is counted by account and must not hold the public one up.
                if self.settings.id == Feed::Public {
                    self.connects.hold(now + pause);
                }
                backoff.max(pause)
            }
        }
    }

    pub(super) fn finish(&mut self, now: Instant, stage: Stage) {
        self.end_pause(now, true);
        let cause = "closed by the recorder".to_owned();
        self.events.push_back((now, Notice::Lost { stage, cause, attempt: self.attempt, retry_at: None }));
        self.commands.push_back(Command::Disconnect);
        self.state = State::Finished;
    }
}
