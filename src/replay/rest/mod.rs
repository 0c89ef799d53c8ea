//! The exchange's REST side: quotations over the sample market, limits, signatures.
//!
//! ```text
//!  request ─▶ visitors (429, 418) ─▶ auth (401, where signed) ─▶ quotation (candles, trades, books, tickers) ─▶ answer
//! ```
//!
//! Pure: requests and times come in, answers go out; HTTP itself is the server's.

mod answer;
mod auth;
mod objects;
mod query;
mod quotation;
mod recorded;
mod visitors;

pub(crate) use answer::Answer;
pub(crate) use auth::Auth;
pub use auth::Keys;
pub(crate) use query::Query;
pub(crate) use visitors::{Visitors, blocked, too_many};

use super::faults::Corruption;
use super::market::Market;
use super::reel::Reel;
use crate::clock::Stamp;
use std::net::IpAddr;
use visitors::remaining;

/// The relevant parts of a request.
#[derive(Clone, Debug)]
pub(crate) struct RestRequest<'a> {
    /// The client's address.
    pub(crate) address: IpAddr,
    /// The path, without the query.
    pub(crate) path: &'a str,
    /// The query.
    pub(crate) query: Query,
    /// The `Authorization` header.
    pub(crate) authorization: Option<&'a str>,
    /// Whether there is an `Origin` header.
    pub(crate) has_origin: bool,
}

/// A request that is admitted, and asks for the past.
#[derive(Clone, Debug)]
pub(crate) struct Admitted {
    /// Its path, behind `/v1/`.
    path: String,
    query: Query,
    /// The header that tells what more may be asked.
    remaining: String,
}

/// Where answers of the past come from.
#[derive(Clone, Copy)]
pub(crate) enum RestPast<'a> {
    /// The sample market.
    Market(&'a Market),
    /// A recording.
    Reel(&'a Reel),
    /// Frames alone, which have none.
    None,
}

/// The state that requests share.
pub(crate) struct Api {
    /// The rates of each address; `None`: there are no limits.
    pub(crate) visitors: Option<Visitors>,
    /// The account's keys and used nonces.
    pub(crate) auth: Auth,
}

impl Api {
    /// Counts a GET request and checks its signature.
    ///
    /// # Errors
    /// Its answer, where that needs nothing of the past.
    pub(crate) fn admit(&mut self, now: Stamp, request: &RestRequest<'_>) -> Result<Admitted, Answer> {
        let path = request.path.strip_prefix("/v1/").ok_or_else(Answer::not_found)?;
        let group = quotation::group(path).unwrap_or("default");
        let left = match &mut self.visitors {
            None => Ok(9),
            Some(visitors) => visitors.request(now, request.address, group, request.has_origin),
        };
        let remaining = remaining(group, left?);
        // Quotations need no signature, but one that is present must be valid.
        let is_signed = request.authorization.is_some() || ["accounts", "api_keys"].contains(&path);
        if is_signed && let Err(error) = self.auth.check(request.authorization, &request.query.decoded()) {
            return Err(error.answer().with("Remaining-Req", remaining));
        }
        let own = match path {
            "accounts" => Some("[]".to_owned()),
            "api_keys" => Some(self.auth.list(now)),
            _ => None,
        };
        match own {
            Some(body) => Err(Answer::json(200, body).with("Remaining-Req", remaining)),
            None => Ok(Admitted { path: path.to_owned(), query: request.query.clone(), remaining }),
        }
    }
}

impl Admitted {
    /// Its answer out of the past, `corruption` being how that is falsified. A recording is read for it.
    pub(crate) fn answer(self, now: Stamp, past: RestPast<'_>, corruption: Corruption) -> Answer {
        let Self { path, query, remaining } = self;
        let answer = match past {
            RestPast::Market(market) => quotation::answer(market, now.as_micros() / 1_000, &path, &query, corruption),
            RestPast::Reel(reel) => recorded::answer(reel, now, &path, &query),
            RestPast::None => Answer::not_found(),
        };
        answer.with("Remaining-Req", remaining)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::fake::{Fake, at, trade};

    #[test]
    fn candles_are_looked_for_where_the_recording_is() {
        let tape = Fake::of(&["KRW-BTC_trade"]);
        tape.write(trade("KRW-BTC_trade", 1_795_317_064_000 + 3_600_000));
        let (spans, begin) = (tape.spans.clone(), at(0).stamp.as_micros() / 1_000);
        let reel = Reel::new(Box::new(tape), None, None, false);
        let mut api = Api { visitors: None, auth: Auth::new(None) };
        for target in ["minutes/240", "days"] {
            let request = RestRequest {
                address: IpAddr::from([127, 0, 0, 1]),
                path: &format!("/v1/candles/{target}"),
                query: Query::parse("market=KRW-BTC&count=200"),
                authorization: None,
                has_origin: false,
            };
            let admitted = api.admit(at(0).stamp, &request).unwrap();
            let answer = admitted.answer(at(0).stamp, RestPast::Reel(&reel), Corruption::default());
            assert_eq!((answer.status, &*answer.body), (200, "[]"));
        }
        let spans = spans.lock().unwrap();
        assert!(spans.len() > 2 && spans.iter().all(|span| span.from + 240 * 60_000 > begin), "{spans:?} {begin}");
    }
}
