//! Requests and keys that this process has seen served: a refusal of these is no verdict on the request, nor on the
//! keys.
//!
//! ```text
//! requested ──data, or it stands──▶ served: remembered for the life of the process
//!   │                                  │ refused later
//!   │ refused                          ▼
//!   ▼                            ServedRequest, WorkingCredentials: backoff; the request is reported from the fifth
//! Request, Credentials           refusal in a row on, and keys refused three times in a row have ceased to work
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

/// So many refusals in a row of a request that was served are more than an accident, and worth a report.
const REPORTED_FROM: u32 = 5;

/// So many refusals in a row of keys that had worked mean that they do no longer.
const KEYS_REFUSED_FROM: u32 = 3;

/// The requests and keys that were served.
#[derive(Debug, Default)]
pub(super) struct Served {
    /// The last request that was handed to the socket, until it is refused.
    requested: Option<Requested>,
    requests: VecDeque<u64>,
    keys_worked: bool,
    /// Refusals since something was served.
    in_a_row: u32,
}

#[derive(Debug)]
struct Requested {
    digest: u64,
    /// From when on data are its own, not of the request before.
    own_from: Instant,
}

impl Served {
    /// A request is handed to the socket; `replaces`: another one stands there.
    pub(super) fn handle_requested(&mut self, now: Instant, request: &Request, replaces: bool) {
        let mut hasher = DefaultHasher::new();
        request.to_frame("").hash(&mut hasher);
        let own_from = if replaces { now + SETTLING } else { now };
        self.requested = Some(Requested { digest: hasher.finish(), own_from });
    }

    /// Data of the request came, or it is sure to stand without.
    pub(super) fn handle_served(&mut self, now: Instant) {
        let Some(requested) = &self.requested else { return };
        if now >= requested.own_from {
            self.keys_worked = true;
            self.in_a_row = 0;
            if !self.requests.contains(&requested.digest) {
                self.requests.truncate(REMEMBERED - 1);
                self.requests.push_front(requested.digest);
            }
        }
    }

    /// An objection, weighed by requests and keys that were served before.
    pub(super) fn weigh(&mut self, objection: Objection) -> Objection {
        match objection {
            Objection::Credentials if self.keys_worked => {
                self.in_a_row = self.in_a_row.saturating_add(1);
                let is_verdict = self.in_a_row >= KEYS_REFUSED_FROM;
                if is_verdict { Objection::Credentials } else { Objection::WorkingCredentials }
            }
            Objection::Request => {
                let served = self.requested.take().is_some_and(|requested| self.requests.contains(&requested.digest));
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

    /// Whether refusals in a row have become more than an accident.
    pub(super) fn is_worth_reporting(&self) -> bool {
        self.in_a_row >= REPORTED_FROM
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
        served.handle_requested(now, &request("KRW-BTC"), false);
        assert_eq!(served.weigh(Objection::Request), Objection::Request);
        for code in ["KRW-BTC", "KRW-ETH"] {
            served.handle_requested(now, &request(code), false);
            served.handle_served(now);
        }
        for (code, objection) in [
            ("KRW-BTC", Objection::ServedRequest),
            ("KRW-ETH", Objection::ServedRequest),
            ("KRW-XRP", Objection::Request),
        ] {
            served.handle_requested(now, &request(code), false);
            assert_eq!(served.weigh(Objection::Request), objection, "{code}");
        }
    }

    #[test]
    fn data_of_the_request_before_do_not_speak_for_the_next() {
        let now = Clock::anchored(Stamp::MAX).now();
        let mut served = Served::default();
        for settled in [false, true] {
            served.handle_requested(now, &request("KRW-BTC"), true);
            served.handle_served(if settled { now + SETTLING } else { now + SETTLING / 2 });
            let expected = if settled { Objection::ServedRequest } else { Objection::Request };
            assert_eq!(served.weigh(Objection::Request), expected);
            // Data that goes on does not speak for a refused request.
            served.handle_served(now + 2 * SETTLING);
        }
    }

    #[test]
    fn refusals_in_a_row_are_counted_until_something_is_served() {
        let now = Clock::anchored(Stamp::MAX).now();
        let mut served = Served::default();
        assert_eq!(served.weigh(Objection::Credentials), Objection::Credentials, "these never worked");
        for _ in 0..2 {
            served.handle_requested(now, &request("KRW-BTC"), false);
            served.handle_served(now);
            let weighed = [(); 4].map(|()| served.weigh(Objection::Credentials));
            let (accident, believed) = (Objection::WorkingCredentials, Objection::Credentials);
            assert_eq!(weighed, [accident, accident, believed, believed]);
            assert!(!served.is_worth_reporting());
            served.weigh(Objection::Credentials);
            assert!(served.is_worth_reporting());
        }
    }
}
