//! Why a task could not be ended.

use crate::rest::FetchError;
use crate::tape::reader::TapeError;

/// See the module.
pub(super) enum Interrupted {
    /// The supervisor is gone.
    Stopped,
    /// The tape cannot be read.
    Tape(TapeError),
    /// The exchange cannot be asked now.
    Rest(FetchError),
    /// The exchange's day is not ours.
    OtherDay,
    /// The tape contradicts the exchange's answers.
    Doubted,
}
