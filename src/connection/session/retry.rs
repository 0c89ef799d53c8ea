//! When the next attempt is made.
//!
//! ```text
//! no refusal, or of an auxiliary message            backoff
//! an error that is not known to be about us         backoff
//! a request that was served, keys that worked       backoff
//! keys or request refused                           slow retry
//! 429, 418                                          as long as the exchange says
//! max_retries in a row without a live session       none
//! ```
//!
//! Attempts count from the last live session; the backoff is reset by live data alone, because a connect proves nothing.

use super::budget::ConnectBudget;
use super::interface::Settings;
use crate::backoff::{self, Backoff};
use crate::clock::Instant;
use crate::tape::words::Stage;
use crate::upbit::feed::Feed;
use crate::upbit::refusal::Objection;
use rand::Rng;
use std::sync::Arc;
use std::time::Duration;

/// The longest wait after the exchange refused the keys or the request: a person has to change something first.
const SLOW_RETRY: Duration = Duration::from_secs(600);

/// The attempts of one connection.
#[derive(Debug)]
pub(super) struct Retry {
    connects: Arc<ConnectBudget>,
    backoff: Backoff,
    /// Attempts in a row after which no other is made; 0: there is no such number.
    max_retries: u32,
    /// The exchange counts this connection by address, so that a limit of its holds for all connections.
    is_by_address: bool,
    /// The number of this attempt since the last live session.
    attempt: u32,
    /// Failures in a row; a live session ends the row.
    failures: u32,
}

/// A failed attempt, and the next one.
#[derive(Debug)]
pub(super) struct Failure {
    /// The number of the attempt that failed.
    pub(super) attempt: u32,
    /// When the next may begin; `None`: there will be no other.
    pub(super) due: Option<Instant>,
}

impl Retry {
    /// A connection that has made no attempt.
    pub(super) fn new(settings: &Settings, connects: Arc<ConnectBudget>) -> Self {
        let config = &settings.config;
        Self {
            connects,
            backoff: Backoff { first: config.backoff_min, longest: config.backoff_max },
            max_retries: config.max_retries,
            // The private feed is counted by account and must not hold the public one up.
            is_by_address: settings.feed == Feed::Public,
            attempt: 0,
            failures: 0,
        }
    }

    /// The number of the attempt under way.
    pub(super) fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Begins an attempt, and returns its number.
    ///
    /// # Errors
    /// The earliest instant at which the connect budget allows one.
    pub(super) fn begin(&mut self, now: Instant) -> Result<u32, Instant> {
        self.connects.take(now)?;
        self.attempt = self.attempt.saturating_add(1);
        Ok(self.attempt)
    }

    /// The attempt or the session failed at `stage`, refused by `objection` if at all.
    pub(super) fn handle_failure(
        &mut self,
        now: Instant,
        stage: Stage,
        objection: Option<Objection>,
        rng: &mut impl Rng,
    ) -> Failure {
        let attempt = self.attempt;
        let is_live = stage == Stage::Live;
        if is_live {
            (self.attempt, self.failures) = (0, 0);
        }
        let due = now + self.wait(now, objection, rng);
        let is_last = !is_live && self.max_retries > 0 && attempt >= self.max_retries;
        Failure { attempt, due: (!is_last).then_some(due) }
    }

    fn wait(&mut self, now: Instant, objection: Option<Objection>, rng: &mut impl Rng) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let wait = self.backoff.wait(self.failures, rng);
        match objection {
            None
            | Some(
                Objection::Keepalive
                | Objection::Listing
                | Objection::Unclear
                | Objection::ServedRequest
                | Objection::WorkingCredentials,
            ) => wait,
            Some(Objection::Credentials | Objection::Request) => wait.max(backoff::jittered(SLOW_RETRY, rng)),
            Some(Objection::Limit { pause }) => {
                if self.is_by_address {
                    self.connects.hold(now + pause);
                }
                wait.max(pause)
            }
        }
    }
}
