//! Selects the next request: new ones and retries, within the exchange's limits. Pure.
//!
//! ```text
//!  submit ──▶ fresh ───┐                (submit_later: fresh when it is due)
//!                      ├─ in turn ─▶ take ─▶ (the exchange) ─▶ handle ─▶ done
//!  handle ──▶ retries ─┘                                         └─ later, failed ─▶ retries
//! ```
//!
//! The two queues alternate when both are ready, so neither starves the other. A held group delays only its own
//! requests.

use super::error::{Denial, RestError};
use super::pacing::Pacing;
use super::request::Request;
use super::retry::RetryQueue;
use super::verdict::{Page, Remaining, Verdict};
use crate::backoff::Backoff;
use crate::clock::Instant;
use rand::Rng;
use std::collections::VecDeque;
use std::time::Duration;

/// Failures before a request is given up: with the pauses below, about two minutes without an answer from the exchange.
pub const MOST_FAILURES: u32 = 9;

/// Mismatched answers before a request is given up: some seconds. A cache that is wrong for longer is wrong for
/// minutes, and the caller has other requests to send.
pub const MOST_MISMATCHES: u32 = 5;

/// The backoff between the attempts of one request.
const PAUSES: Backoff = Backoff { first: Duration::from_millis(500), longest: Duration::from_secs(30) };

/// A request under way.
#[derive(Debug)]
pub struct Ticket {
    /// The caller's id.
    pub id: u64,
    /// The request.
    pub request: Request,
    failures: u32,
    /// The reason of its last retry.
    cause: String,
}

/// A completed request.
#[derive(Debug)]
pub struct Done {
    /// The caller's id.
    pub id: u64,
    /// The page, or the error.
    pub outcome: Result<Page, RestError>,
}

/// Why a request has to be retried, and the limit of its attempts.
struct Failure {
    reason: String,
    most: u32,
}

/// The time of the next [`Scheduler::take`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// A request may be sent now.
    Now,
    /// A request may be sent at this time.
    At(Instant),
    /// No request waits.
    Never,
}

/// A new round of retries.
#[derive(Debug, PartialEq, Eq)]
pub struct Round {
    /// The number of its requests.
    pub count: usize,
    /// Descriptions of the first few.
    pub ranges: Vec<String>,
    /// The reason of the first retry.
    pub cause: String,
}

/// Requests of a round named in the log; the others are counted.
const RANGES_SHOWN: usize = 4;

/// The queues of requests and their pacing.
#[derive(Debug, Default)]
pub struct Scheduler {
    fresh: VecDeque<Ticket>,
    retries: RetryQueue<Ticket>,
    /// New requests that are not due yet.
    later: RetryQueue<Ticket>,
    pacing: Pacing,
    /// The last request was a retry, so a new one has the next turn.
    is_fresh_turn: bool,
}

impl Scheduler {
    /// Adds a request. Among new ones the lowest `id` goes first: work begun first completes first.
    pub fn submit(&mut self, id: u64, request: Request) {
        self.fresh.push_back(Ticket { id, request, failures: 0, cause: String::new() });
    }

    /// Adds a request to send at `due` or later.
    pub fn submit_later(&mut self, id: u64, request: Request, due: Instant) {
        self.later.push(due, Ticket { id, request, failures: 0, cause: String::new() });
    }

    /// The earliest time at which a request may be sent.
    pub fn due(&self, now: Instant) -> Due {
        let held = |ticket: &Ticket| self.pacing.held_until(ticket.request.family(), now).unwrap_or(now);
        let fresh = self.fresh.iter().map(held);
        let waiting = self.retries.iter().chain(self.later.iter()).map(|(due, ticket)| due.max(held(ticket)));
        match fresh.chain(waiting).min() {
            None => Due::Never,
            Some(at) if at <= now => Due::Now,
            Some(at) => Due::At(at),
        }
    }

    /// Takes a request that may be sent now; the first retry of a round comes with the round.
    pub fn take(&mut self, now: Instant) -> Option<(Ticket, Option<Round>)> {
        while let Some((ticket, _)) = self.later.pop(now, |_| true) {
            self.fresh.push_back(ticket);
        }
        if !self.is_fresh_turn
            && let Some(taken) = self.take_retry(now)
        {
            self.is_fresh_turn = true;
            return Some(taken);
        }
        self.is_fresh_turn = false;
        match self.take_fresh(now) {
            Some(ticket) => Some((ticket, None)),
            // A new request had the turn, and none is ready.
            None => self.take_retry(now),
        }
    }

    /// Notes the `Remaining-Req` header of an answer, whatever its verdict.
    pub fn note(&mut self, ticket: &Ticket, remaining: &Remaining, now: Instant) {
        self.pacing.note(ticket.request.family(), remaining, now);
    }

    /// Completes a request, or schedules its retry (`None`).
    pub fn handle(&mut self, mut ticket: Ticket, verdict: Verdict, now: Instant, rng: &mut impl Rng) -> Option<Done> {
        let what = || ticket.request.describe();
        let denied = match verdict {
            Verdict::Page(page) => return Some(Done { id: ticket.id, outcome: Ok(page) }),
            Verdict::Refused { credentials: true, reason } => RestError::Credentials(Denial { what: what(), reason }),
            Verdict::Refused { reason, .. } => RestError::Refused(Denial { what: what(), reason }),
            Verdict::Failed(reason) => {
                return self.handle_failure(ticket, Failure { reason, most: MOST_FAILURES }, now, rng);
            }
            Verdict::Later { pause, everything, reason } => {
                ticket.cause = reason;
                match everything {
                    true => self.pacing.hold_everything(now + pause),
                    false => self.pacing.hold(ticket.request.family(), now + pause),
                }
                self.retries.push(now + pause, ticket);
                return None;
            }
        };
        Some(Done { id: ticket.id, outcome: Err(denied) })
    }

    /// Retries a request whose answer did not match, or gives it up.
    pub fn handle_mismatch(
        &mut self,
        ticket: Ticket,
        reason: String,
        now: Instant,
        rng: &mut impl Rng,
    ) -> Option<Done> {
        self.handle_failure(ticket, Failure { reason, most: MOST_MISMATCHES }, now, rng)
    }

    fn handle_failure(
        &mut self,
        mut ticket: Ticket,
        Failure { reason, most }: Failure,
        now: Instant,
        rng: &mut impl Rng,
    ) -> Option<Done> {
        ticket.failures += 1;
        if ticket.failures >= most {
            let denial = Denial { what: ticket.request.describe(), reason };
            let error = RestError::Unavailable { attempts: ticket.failures, denial };
            return Some(Done { id: ticket.id, outcome: Err(error) });
        }
        ticket.cause = reason;
        self.retries.push(now + PAUSES.wait(ticket.failures, rng), ticket);
        None
    }

    fn take_retry(&mut self, now: Instant) -> Option<(Ticket, Option<Round>)> {
        let ranges = self.retries.iter().take(RANGES_SHOWN).map(|(_, ticket)| ticket.request.describe()).collect();
        let count = self.retries.iter().count();
        let pacing = &self.pacing;
        let may_go = |ticket: &Ticket| pacing.held_until(ticket.request.family(), now).is_none();
        let (ticket, begins) = self.retries.pop(now, may_go)?;
        let round = begins.then(|| Round { count, ranges, cause: ticket.cause.clone() });
        Some((ticket, round))
    }

    fn take_fresh(&mut self, now: Instant) -> Option<Ticket> {
        let may_go = |ticket: &Ticket| self.pacing.held_until(ticket.request.family(), now).is_none();
        let ready = self.fresh.iter().enumerate().filter(|(_, ticket)| may_go(ticket));
        let (position, _) = ready.min_by_key(|(_, ticket)| ticket.id)?;
        self.fresh.remove(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Stamp};
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    struct Scene {
        scheduler: Scheduler,
        now: Instant,
        rng: StdRng,
    }

    impl Scene {
        fn new(requests: u64) -> Self {
            let now = Clock::anchored(Stamp::default()).now();
            let mut scheduler = Scheduler::default();
            (0..requests).for_each(|id| scheduler.submit(id, Request::new("candles/days")));
            Self { scheduler, now, rng: StdRng::seed_from_u64(1) }
        }

        fn take(&mut self) -> Ticket {
            self.scheduler.take(self.now).unwrap().0
        }

        fn answer(&mut self, ticket: Ticket, verdict: Verdict) -> Option<Done> {
            self.scheduler.handle(ticket, verdict, self.now, &mut self.rng)
        }

        /// Advances the time to the next due request.
        fn wait(&mut self) {
            match self.scheduler.due(self.now) {
                Due::Now => {}
                Due::At(at) => self.now = at,
                Due::Never => panic!("nothing waits"),
            }
        }
    }

    fn failed() -> Verdict {
        Verdict::Failed("status 500".into())
    }

    #[test]
    fn a_failed_last_page_is_retried_when_no_new_request_is_left() {
        let mut scene = Scene::new(1);
        let last = scene.take();
        assert_eq!(scene.scheduler.due(scene.now), Due::Never);
        assert!(scene.answer(last, failed()).is_none());
        assert!(matches!(scene.scheduler.due(scene.now), Due::At(at) if at > scene.now));
        scene.wait();
        let (again, round) = scene.scheduler.take(scene.now).unwrap();
        let round = round.unwrap();
        assert_eq!((round.count, &*round.cause), (1, "status 500"), "why is known");
        assert!(matches!(scene.answer(again, Verdict::Page(vec![])), Some(Done { id: 0, outcome: Ok(_) })));
        assert_eq!(scene.scheduler.due(scene.now), Due::Never);
    }

    #[test]
    fn what_is_asked_later_waits_for_its_time_and_is_no_retry() {
        let mut scene = Scene::new(0);
        let due = scene.now + Duration::from_secs(4);
        scene.scheduler.submit_later(3, Request::new("candles/days"), due);
        assert!(scene.scheduler.take(scene.now).is_none());
        assert_eq!(scene.scheduler.due(scene.now), Due::At(due));
        scene.now = due;
        let (ticket, round) = scene.scheduler.take(scene.now).unwrap();
        assert_eq!((ticket.id, round), (3, None));
        assert_eq!(scene.scheduler.due(scene.now), Due::Never);
    }

    #[test]
    fn what_was_begun_first_is_done_first() {
        let mut scene = Scene::new(3);
        assert_eq!(scene.take().id, 0);
        scene.scheduler.submit(0, Request::new("candles/days"));
        assert_eq!([scene.take().id, scene.take().id, scene.take().id], [0, 1, 2]);
    }

    #[test]
    fn retries_and_new_requests_take_turns() {
        let mut scene = Scene::new(9);
        for _ in 0..3 {
            let ticket = scene.take();
            scene.answer(ticket, failed());
        }
        scene.now += PAUSES.longest;
        let kinds: Vec<bool> = (0..9).map(|_| scene.take().failures > 0).collect();
        assert_eq!(kinds, [true, false, true, false, true, false, false, false, false]);
    }

    #[test]
    fn too_many_is_no_failure_and_holds_its_group_back() {
        let mut scene = Scene::new(2);
        scene.scheduler.submit(7, Request::new("trades/ticks"));
        for _ in 0..3 * MOST_FAILURES {
            scene.wait();
            let ticket = scene.take();
            if ticket.request.family() == "trades" {
                continue;
            }
            let verdict = Verdict::Later { pause: Duration::from_secs(2), everything: false, reason: String::new() };
            assert!(scene.answer(ticket, verdict).is_none());
        }
        scene.wait();
        let ticket = scene.take();
        assert!(matches!(scene.answer(ticket, Verdict::Page(vec![])), Some(Done { outcome: Ok(_), .. })));
    }

    #[test]
    fn a_block_holds_everything_back() {
        let mut scene = Scene::new(1);
        scene.scheduler.submit(7, Request::new("trades/ticks"));
        let ticket = scene.take();
        scene
            .answer(ticket, Verdict::Later { pause: Duration::from_secs(60), everything: true, reason: String::new() });
        assert_eq!(scene.scheduler.due(scene.now), Due::At(scene.now + Duration::from_secs(60)));
    }

    #[test]
    fn failures_are_bounded_and_their_pauses_grow() {
        let mut scene = Scene::new(1);
        let begin = scene.now;
        let error = loop {
            scene.wait();
            let ticket = scene.take();
            if let Some(done) = scene.answer(ticket, failed()) {
                break done.outcome.unwrap_err();
            }
        };
        assert!(matches!(error, RestError::Unavailable { attempts: MOST_FAILURES, .. }), "{error}");
        assert!((30..150).contains(&(scene.now - begin).as_secs()));
        let mut scene = Scene::new(1);
        for attempt in 1..=MOST_MISMATCHES {
            scene.wait();
            let ticket = scene.take();
            let ended = scene.scheduler.handle_mismatch(ticket, "another market".into(), scene.now, &mut scene.rng);
            assert_eq!(ended.is_some(), attempt == MOST_MISMATCHES);
        }
        let mut scene = Scene::new(1);
        let ticket = scene.take();
        let refused = Verdict::Refused { credentials: true, reason: "jwt_verification".into() };
        let done = scene.answer(ticket, refused).unwrap();
        assert!(matches!(done.outcome, Err(RestError::Credentials(_))));
    }
}
