//! Asks the exchange over REST: signs, stays within the limits, asks again what failed.
//!
//! ```text
//!  submit ─▶ scheduler (pure) ─▶ budget (all our programs) ─▶ http ─▶ verdict (pure) ─▶ next
//!              ├ pacing: what Remaining-Req, 429 and 418 said          │
//!              └ retry: its own queue ◀──────── later, failed ─────────┘
//! ```
//!
//! The client is a struct that its owner drives: nothing runs but inside [`Client::next`], and dropping the future of
//! that loses nothing.

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

/// From this length on a pause is logged: a command that waits shows nothing else.
const PAUSE_TOLD: Duration = Duration::from_secs(5);

/// What was done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests sent, retries among them.
    pub sent: u64,
    /// Answers 429 and 418.
    pub too_many: u64,
    /// Requests that failed and were asked again, or given up.
    pub failed: u64,
}

/// A request that was sent, and what came back.
struct Landed {
    ticket: Ticket,
    response: Result<Response, String>,
}

/// See the module.
pub struct Client {
    http: Http,
    clock: Clock,
    budget: Budget,
    credentials: Option<Credentials>,
    scheduler: Scheduler,
    flights: FuturesUnordered<BoxFuture<'static, Landed>>,
    rng: StdRng,
    tally: Tally,
    /// A pause was told, and no page has come since.
    is_pause_told: bool,
}

impl Client {
    /// A client that does not sign: quotations need no account. `seed` feeds nonces and jitter.
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
            is_pause_told: false,
        }
    }

    /// Signs every request from here on.
    pub fn signing(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// What was done so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Adds a request; its answer comes with the same number. The owner bounds how many wait.
    pub fn submit(&mut self, id: u64, request: Request) {
        self.scheduler.submit(id, request);
    }

    /// Adds a request that is not made before so long has passed.
    pub fn submit_after(&mut self, pause: Duration, id: u64, request: Request) {
        self.scheduler.submit_later(id, request, self.clock.now() + pause);
    }

    /// The next request that has ended; `None`: none is under way or waits.
    ///
    /// # Errors
    /// Nothing can be asked any more. What became of a single request is its outcome.
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

    /// Asks one thing and waits for it. Nothing else may be under way.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn get(&mut self, request: Request) -> Result<Page, RestError> {
        self.submit(u64::MAX, request);
        self.next().await?.expect("a request was submitted and is always done at last").outcome
    }

    /// Sends until something has to be waited for; until when, where it is a time.
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

    /// Why a page does not answer its question.
    fn mismatch(&self, request: &Request, verdict: &Verdict) -> Option<String> {
        let (Verdict::Page(page), Some(question)) = (verdict, &request.question) else { return None };
        let mismatch = question.check(page, self.clock.stamp().as_millis()).err()?;
        Some(format!("the answer is not one to this question: {mismatch}"))
    }

    /// Says once why nothing is asked, and until when. A pause of a second or two needs no words.
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
