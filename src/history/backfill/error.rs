//! Why fetching ends early.

use crate::exit::Exit;
use crate::recording::lock::LockError;
use crate::recording::seal::SealError;
use crate::rest::client::RestError;
use crate::rest::{FetchError, SetupError};

/// See the module. What was committed stays, and the next run goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    /// The exchange does not give it, or cannot even be asked.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A name that no stream can have.
    #[error("`{0}` is no pair that could be asked for")]
    Market(String),
    /// Another program fetches into it, or it cannot be locked.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The disk does not take it.
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
    /// How a command that needed it ends.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Fetch(error) => error.exit(),
            Self::Market(_) => Exit::Usage,
            Self::Lock(LockError::Held { .. }) => Exit::Locked,
            Self::Lock(_) | Self::Storage(_) => Exit::Io,
        }
    }
}
