//! Errors of sealing.

use crate::files::IoError;
use std::path::PathBuf;

/// The reason a segment was not sealed. Its plain file still exists, untouched.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The disk failed.
    #[error(transparent)]
    Storage(#[from] IoError),
    /// The written file does not decode to its source.
    #[error("{} does not decode to its source: the memory or the disk of this machine is faulty", .0.display())]
    Mismatch(PathBuf),
    /// It was removed: there is neither a plain nor a sealed file.
    #[error("{} was taken away before it was sealed", .0.display())]
    Gone(PathBuf),
    /// The recorder is stopping; the next start seals it.
    #[error("stopped before it was sealed")]
    Stopped,
}
