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

/// The data that answers are made of.
#[derive(Clone, Copy)]
pub(crate) struct AnswerSource<'a> {
    /// What there is to tell of the past.
    pub(crate) past: RestPast<'a>,
    /// How its past is falsified.
    pub(crate) corruption: Corruption,
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
    /// Answers a GET request.
    pub(crate) fn answer(&mut self, now: Stamp, source: AnswerSource<'_>, request: &RestRequest<'_>) -> Answer {
        let Some(path) = request.path.strip_prefix("/v1/") else {
            return Answer::not_found();
        };
        let group = quotation::group(path).unwrap_or("default");
        let left = match &mut self.visitors {
            None => Ok(9),
            Some(visitors) => visitors.request(now, request.address, group, request.has_origin),
        };
        let left = match left {
            Ok(left) => left,
            Err(refusal) => return refusal,
        };
        self.admitted(now, source, request, path).with("Remaining-Req", remaining(group, left))
    }

    fn admitted(&mut self, now: Stamp, source: AnswerSource<'_>, request: &RestRequest<'_>, path: &str) -> Answer {
        // Quotations need no signature, but one that is present must be valid.
        let is_signed = request.authorization.is_some() || ["accounts", "api_keys"].contains(&path);
        if is_signed && let Err(error) = self.auth.check(request.authorization, &request.query.decoded()) {
            return error.answer();
        }
        let AnswerSource { past, corruption } = source;
        match past {
            _ if path == "accounts" => Answer::json(200, "[]".into()),
            _ if path == "api_keys" => Answer::json(200, self.auth.list(now)),
            RestPast::Market(market) => {
                quotation::answer(market, now.as_micros() / 1_000, path, &request.query, corruption)
            }
            RestPast::Reel(reel) => recorded::answer(reel, now, path, &request.query),
            RestPast::None => Answer::not_found(),
        }
    }
}
