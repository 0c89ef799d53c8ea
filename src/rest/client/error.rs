//! Why there is no answer to a request.

use super::budget::BudgetError;
use crate::upbit::auth::SigningError;
use std::fmt;

/// See the module.
#[derive(Debug, thiserror::Error)]
pub enum RestError {
    /// The exchange says no and would say it again.
    #[error("the exchange refuses {0}")]
    Refused(Denial),
    /// It does not accept the credentials.
    #[error("the exchange refuses the credentials: {0}")]
    Credentials(Denial),
    /// It did not answer, or nothing of use.
    #[error("the exchange gave no answer in {attempts} attempts: {denial}")]
    Unavailable {
        /// How often it was asked.
        attempts: u32,
        /// What was asked and the last reason.
        denial: Denial,
    },
    /// The request could not be signed.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// Requests cannot be counted.
    #[error(transparent)]
    Budget(#[from] BudgetError),
}

/// What was asked, and why it was not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The request.
    pub what: String,
    /// In the exchange's words where it said something.
    pub reason: String,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.reason)
    }
}
