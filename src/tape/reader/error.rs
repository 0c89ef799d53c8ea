//! What of the tape cannot be read.

use crate::files::IoError;
use std::path::PathBuf;

/// A part of the tape cannot be read. What lies elsewhere can.
#[derive(Debug, thiserror::Error)]
pub enum TapeError {
    /// The system, or the decoder, says no.
    #[error(transparent)]
    Io(#[from] IoError),
    /// A sealed file ends early.
    #[error("{} holds {found} bytes of content, and its manifest says {listed}", path.display())]
    Short {
        /// The file.
        path: PathBuf,
        /// What it decodes to.
        found: u64,
        /// What it should.
        listed: u64,
    },
    /// A line that the recorder cannot have written.
    #[error("{} has a line of more than {most} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The longest that there can be.
        most: usize,
    },
    /// The active file of a stream was never the same for as long as a look around takes.
    #[error("{} is rotated faster than the archive can be listed", path.display())]
    Restless {
        /// The file.
        path: PathBuf,
    },
}
