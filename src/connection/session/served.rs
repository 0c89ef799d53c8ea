//! What this process has seen the exchange serve: a refusal of that is no verdict on the request, nor on the keys.
//!
//! ```text
//! asked ──data, or it stands──▶ served: remembered for the life of the process
//!   │                                │ refused later
//!   │ refused                        ▼
//!   ▼                          ServedRequest, WorkingCredentials: backoff; told, the request from the fifth in a row on,
//! Request, Credentials         and keys that are refused three times in a row have ceased to work
//! ```

use crate::clock::Instant;
use crate::upbit::refusal::Objection;
use crate::upbit::subscription::Request;
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// How long a request that replaced another must go unrefused until data speak for it: those of the one before go on.
const SETTLING: Duration = Duration::from_secs(5);

/// Requests that are remembered. One process has as many as its configuration is changed; a forgotten one costs a slow
/// retry, should it be refused.
const REMEMBERED: usize = 64;

/// So many refusals in a row of a request that was served are more than an accident, and worth a person's look.
const TOLD_FROM: u32 = 5;

/// So many refusals in a row of keys that had worked mean that they do no longer.
const KEYS_BELIEVED_FROM: u32 = 3;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Served {
    /// The request that was handed to the open socket last, until it is refused.
    asked: Option<Asked>,
    requests: VecDeque<u64>,
    keys_worked: bool,
    /// Refusals since something was served.
    in_a_row: u32,
}

#[derive(Debug)]
struct Asked {
    digest: u64,
    /// From when on data are its own.
    own_from: Instant,
}

impl Served {
    /// A request is handed to the socket; `replaces`: another one stands on it.
    pub(super) fn handle_asked(&mut self, now: Instant, request: &Request, replaces: bool) {
        let mut hasher = DefaultHasher::new();
        request.to_frame("").hash(&mut hasher);
        let own_from = if replaces { now + SETTLING } else { now };
        self.asked = Some(Asked { digest: hasher.finish(), own_from });
    }

    /// Data of what was asked for came, or the request is sure to stand without.
    pub(super) fn handle_served(&mut self, now: Instant) {
        let Some(asked) = &self.asked else { return };
        if now >= asked.own_from {
            self.keys_worked = true;
            self.in_a_row = 0;
            if !self.requests.contains(&asked.digest) {
                self.requests.truncate(REMEMBERED - 1);
                self.requests.push_front(asked.digest);
            }
        }
    }

    /// What an objection is worth, given what was served before.
    pub(super) fn judge(&mut self, objection: Objection) -> Objection {
        match objection {
            Objection::Credentials if self.keys_worked => {
                self.in_a_row = self.in_a_row.saturating_add(1);
                let believed = self.in_a_row >= KEYS_BELIEVED_FROM;
                if believed { Objection::Credentials } else { Objection::WorkingCredentials }
            }
            Objection::Request => {
                let served = self.asked.take().is_some_and(|asked| self.requests.contains(&asked.digest));
                self.in_a_row = self.in_a_row.saturating_add(1);
                if served { Objection::ServedRequest } else { Objection::Request }
            }
            other => other,
        }
    }

    /// Whether the keys were accepted in the life of this process.
    pub(super) fn keys_worked(&self) -> bool {
        self.keys_worked
    }

    /// Whether refusals of what was served have become more than an accident.
    pub(super) fn is_worth_telling(&self) -> bool {
        self.in_a_row >= TOLD_FROM
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Stamp};
    use crate::upbit::subscription::{Format, Subscription};

    fn request(code: &str) -> Request {
        let trade = Subscription { kind: "trade".into(), codes: vec![code.into()], ..Subscription::default() };
        Request { subscriptions: vec![trade], format: Format::Default }
    }

    #[test]
    fn a_request_is_known_for_life_once_it_was_served() {
        let now = Clock::anchored(Stamp::MAX).now();
        let mut served = Served::default();
        served.handle_asked(now, &request("KRW-BTC"), false);
        assert_eq!(served.judge(Objection::Request), Objection::Request);
        for code in ["KRW-BTC", "KRW-ETH"] {
            served.handle_asked(now, &request(code), false);
            served.handle_served(now);
        }
        for (code, objection) in [
            ("KRW-BTC", Objection::ServedRequest),
            ("KRW-ETH", Objection::ServedRequest),
            ("KRW-XRP", Objection::Request),
        ] {
            served.handle_asked(now, &request(code), false);
            assert_eq!(served.judge(Objection::Request), objection, "{code}");
        }
    }

    #[test]
    fn data_of_the_request_before_do_not_speak_for_the_next() {
        let now = Clock::anchored(Stamp::MAX).now();
        let mut served = Served::default();
        for settled in [false, true] {
            served.handle_asked(now, &request("KRW-BTC"), true);
            served.handle_served(if settled { now + SETTLING } else { now + SETTLING / 2 });
            let expected = if settled { Objection::ServedRequest } else { Objection::Request };
            assert_eq!(served.judge(Objection::Request), expected);
            // What was refused is not served by what goes on.
            served.handle_served(now + 2 * SETTLING);
        }
    }

    #[test]
    fn refusals_in_a_row_are_counted_until_something_is_served() {
        let now = Clock::anchored(Stamp::MAX).now();
        let mut served = Served::default();
        assert_eq!(served.judge(Objection::Credentials), Objection::Credentials, "these never worked");
        for _ in 0..2 {
            served.handle_asked(now, &request("KRW-BTC"), false);
            served.handle_served(now);
            let judged = [(); 4].map(|()| served.judge(Objection::Credentials));
            let (accident, believed) = (Objection::WorkingCredentials, Objection::Credentials);
            assert_eq!(judged, [accident, accident, believed, believed]);
            assert!(!served.is_worth_telling());
            served.judge(Objection::Credentials);
            assert!(served.is_worth_telling());
        }
    }
}
