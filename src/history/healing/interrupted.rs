//! Why a task was interrupted.

use crate::rest::FetchError;
use crate::tape::reader::TapeError;

/// See the module.
pub(super) enum Interrupted {
    /// The supervisor is gone.
    Stopped,
    /// The tape cannot be read.
    Tape(TapeError),
    /// The exchange is unavailable.
    Rest(FetchError),
    /// The exchange's date differs from ours.
    OtherDay,
    /// The tape contradicts the exchange's answers.
    Doubted,
}
