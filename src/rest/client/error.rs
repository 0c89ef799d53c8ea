//! Why a request has no answer.

use super::budget::BudgetError;
use crate::upbit::auth::SigningError;
use std::fmt;

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum RestError {
    /// The exchange refuses the request, and would refuse it again.
    #[error("the exchange refuses {0}")]
    Refused(Denial),
    /// The exchange rejects the credentials.
    #[error("the exchange refuses the credentials: {0}")]
    Credentials(Denial),
    /// No usable answer after all attempts.
    #[error("the exchange gave no answer in {attempts} attempts: {denial}")]
    Unavailable {
        /// The number of attempts.
        attempts: u32,
        /// The request, and the last failure.
        denial: Denial,
    },
    /// The request could not be signed.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The request could not be counted.
    #[error(transparent)]
    Budget(#[from] BudgetError),
}

/// A request, and the reason for its failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The request.
    pub what: String,
    /// In the exchange's words, if it gave any.
    pub reason: String,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.reason)
    }
}
