//! The REST client: signs, respects the rate limits, retries failures.
//!
//! ```text
//!  submit ─▶ scheduler (pure) ─▶ budget (all our processes) ─▶ http ─▶ verdict (pure) ─▶ next
//!              ├ pacing: Remaining-Req, 429 and 418                      │
//!              └ retry: its own queue ◀──────── later, failed ───────────┘
//! ```
//!
//! The client is a struct driven by its owner: work happens only inside [`Client::next`], and that future may be
//! dropped without loss.

pub mod budget;
mod error;
pub mod http;
pub mod pacing;
pub mod request;
pub mod retry;
pub mod scheduler;
pub mod verdict;

pub use error::{Denial, RestError};
pub use scheduler::Done;

use crate::clock::{Clock, Instant, sleep_until};
use crate::counters::requests::SharedRequests;
use crate::quantity::rounded_duration;
use crate::upbit::auth::{Credentials, SigningError};
use crate::upbit::limits::Answer;
use budget::Budget;
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::FuturesUnordered;
use http::{Http, MAX_IN_FLIGHT, Response};
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use request::Request;
use scheduler::{Due, Round, Scheduler, Ticket};
use std::time::Duration;
use uuid::Uuid;
use verdict::{Page, Remaining, Verdict};

/// The shortest pause that is logged: a waiting command shows no other sign of life.
const PAUSE_TOLD: Duration = Duration::from_secs(5);

/// Counters of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests sent, retries among them.
    pub sent: u64,
    /// Answers with status 429 or 418.
    pub too_many: u64,
    /// Failed requests, retried or given up.
    pub failed: u64,
}

/// A sent request, and its response.
struct Landed {
    ticket: Ticket,
    response: Result<Response, String>,
}

/// The client of one exchange.
pub struct Client {
    http: Http,
    clock: Clock,
    budget: Budget,
    credentials: Option<Credentials>,
    scheduler: Scheduler,
    flights: FuturesUnordered<BoxFuture<'static, Landed>>,
    rng: StdRng,
    tally: Tally,
    /// Counts over all clients of the process.
    requests: SharedRequests,
    /// A pause was logged, and no page has arrived since.
    is_pause_told: bool,
}

impl Client {
    /// A client without signatures: quotations need no account. `seed` feeds nonces and jitter.
    pub fn new(http: Http, clock: Clock, budget: Budget, seed: u64) -> Self {
        let (scheduler, flights) = (Scheduler::default(), FuturesUnordered::new());
        let rng = StdRng::seed_from_u64(seed);
        Self {
            http,
            clock,
            budget,
            credentials: None,
            scheduler,
            flights,
            rng,
            tally: Tally::default(),
            requests: SharedRequests::default(),
            is_pause_told: false,
        }
    }

    /// Signs every request from here on.
    pub fn signing(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// Counts its requests together with those of others.
    pub fn counting(mut self, requests: SharedRequests) -> Self {
        self.requests = requests;
        self
    }

    /// The counters so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Adds a request; its outcome carries the same `id`. The owner bounds the number of waiting requests.
    pub fn submit(&mut self, id: u64, request: Request) {
        self.scheduler.submit(id, request);
    }

    /// Adds a request to send after a pause.
    pub fn submit_after(&mut self, pause: Duration, id: u64, request: Request) {
        self.scheduler.submit_later(id, request, self.clock.now() + pause);
    }

    /// The next completed request; `None`: none is in flight or waits.
    ///
    /// # Errors
    /// No request can be sent any more. The failure of a single request is its outcome.
    pub async fn next(&mut self) -> Result<Option<Done>, RestError> {
        loop {
            let due = self.send_what_may_be_sent()?;
            if due.is_none() && self.flights.is_empty() {
                return Ok(None);
            }
            tokio::select! {
                biased;
                Some(landed) = self.flights.next() => {
                    if let Some(done) = self.handle(landed) {
                        return Ok(Some(done));
                    }
                }
                () = sleep_until(due) => {}
            }
        }
    }

    /// Sends one request and waits for its answer. No other request may be pending.
    ///
    /// # Errors
    /// The request failed.
    pub async fn get(&mut self, request: Request) -> Result<Page, RestError> {
        self.submit(u64::MAX, request);
        self.next().await?.expect("a request was submitted and is always done at last").outcome
    }

    /// Sends requests until one has to wait; returns the time to go on, if it is known.
    fn send_what_may_be_sent(&mut self) -> Result<Option<Instant>, RestError> {
        while self.flights.len() < MAX_IN_FLIGHT {
            let now = self.clock.now();
            match self.scheduler.due(now) {
                Due::Now => {}
                Due::At(at) => return Ok(Some(at)),
                Due::Never => break,
            }
            if let Some(wait) = self.budget.take(self.clock.stamp())? {
                return Ok(Some(now + wait));
            }
            let Some((ticket, round)) = self.scheduler.take(now) else { break };
            if let Some(round) = round {
                let Round { count, ranges, cause } = round;
                tracing::info!(count, ?ranges, "asking again: {cause}");
            }
            self.send(ticket)?;
        }
        Ok(None)
    }

    fn send(&mut self, ticket: Ticket) -> Result<(), SigningError> {
        let query = ticket.request.query.plain();
        let nonce = Uuid::from_u128(self.rng.random());
        let sign = |credentials: &Credentials| credentials.authorization_for(nonce, &query);
        let authorization = self.credentials.as_ref().map(sign).transpose()?;
        let request = ticket.request.clone();
        let response = self.http.clone().send(request, authorization);
        self.flights.push(async move { Landed { ticket, response: response.await } }.boxed());
        self.tally.sent += 1;
        Ok(())
    }

    fn handle(&mut self, Landed { ticket, response }: Landed) -> Option<Done> {
        let now = self.clock.now();
        let (status, remaining, verdict) = match response {
            Ok(Response { answer, remaining }) => {
                let verdict = Verdict::of(&answer, self.credentials.is_some());
                self.tell_of_a_pause(&answer, &verdict);
                (Some(answer.status), remaining, verdict)
            }
            Err(cause) => (None, None, Verdict::Failed(cause)),
        };
        self.requests.note(ticket.request.family(), status);
        if let Some(remaining) = remaining.as_deref().and_then(Remaining::parse) {
            self.scheduler.note(&ticket, &remaining, now);
        }
        let mismatch = self.mismatch(&ticket.request, &verdict);
        let verdict = mismatch.clone().map_or(verdict, Verdict::Failed);
        self.log(&ticket, status, remaining.as_deref(), &verdict);
        match mismatch {
            Some(reason) => self.scheduler.handle_mismatch(ticket, reason, now, &mut self.rng),
            None => self.scheduler.handle(ticket, verdict, now, &mut self.rng),
        }
    }

    /// Why a page does not match its question.
    fn mismatch(&self, request: &Request, verdict: &Verdict) -> Option<String> {
        let (Verdict::Page(page), Some(question)) = (verdict, &request.question) else { return None };
        let mismatch = question.check(page, self.clock.stamp().as_millis()).err()?;
        Some(format!("the answer is not one to this question: {mismatch}"))
    }

    /// Logs a pause once, with the time of its end. A pause of a second or two is not logged.
    fn tell_of_a_pause(&mut self, answer: &Answer, verdict: &Verdict) {
        let Verdict::Later { pause, .. } = verdict else {
            self.is_pause_told &= !matches!(verdict, Verdict::Page(_));
            return;
        };
        if *pause < PAUSE_TOLD || std::mem::replace(&mut self.is_pause_told, true) {
            return;
        }
        let until = Timestamp::from_millisecond(self.clock.stamp().after(*pause).as_millis()).unwrap_or_default();
        let status = answer.status;
        match answer.unbelieved() {
            Some(stated) => {
                let stated = rounded_duration(stated);
                tracing::error!(status, stated, %until, "the exchange asks to be left alone for longer than is believed");
            }
            None => tracing::warn!(status, %until, "the exchange asks to be left alone for a while"),
        }
    }

    fn log(&mut self, ticket: &Ticket, status: Option<u16>, remaining: Option<&str>, verdict: &Verdict) {
        let request = ticket.request.describe();
        let (count, cause) = match verdict {
            Verdict::Page(page) => (Some(page.len()), None),
            Verdict::Later { reason, .. } => {
                self.tally.too_many += 1;
                (None, Some(reason))
            }
            Verdict::Failed(cause) => {
                self.tally.failed += 1;
                (None, Some(cause))
            }
            Verdict::Refused { reason, .. } => (None, Some(reason)),
        };
        tracing::debug!(%request, status, count, remaining, cause, "asked");
    }
}
