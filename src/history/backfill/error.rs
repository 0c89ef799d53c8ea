//! Errors that end a fetch.

use crate::exit::Exit;
use crate::recording::lock::LockError;
use crate::recording::seal::SealError;
use crate::rest::client::RestError;
use crate::rest::{FetchError, SetupError};

/// Why a fetch failed. Committed pieces stay, and the next run resumes after them.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    /// The exchange refuses the data, or no client could be set up.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A market name that maps to no stream.
    #[error("`{0}` is no pair that could be asked for")]
    Market(String),
    /// Another process holds the lock, or it cannot be taken.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A write or a sync failed.
    #[error(transparent)]
    Storage(#[from] SealError),
}

impl From<RestError> for BackfillError {
    fn from(error: RestError) -> Self {
        Self::Fetch(error.into())
    }
}

impl From<SetupError> for BackfillError {
    fn from(error: SetupError) -> Self {
        Self::Fetch(error.into())
    }
}

impl BackfillError {
    /// The exit code of a command that failed with this error.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Fetch(error) => error.exit(),
            Self::Market(_) => Exit::Usage,
            Self::Lock(LockError::Held { .. }) => Exit::Locked,
            Self::Lock(_) | Self::Storage(_) => Exit::Io,
        }
    }
}
