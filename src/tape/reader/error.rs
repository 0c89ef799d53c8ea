//! Errors of reading the tape.

use crate::files::IoError;
use crate::tape::stream_key::StreamKey;
use std::path::PathBuf;

/// A part of the tape cannot be read; the others can.
#[derive(Debug, thiserror::Error)]
pub enum TapeError {
    /// An error of the system or the decoder.
    #[error(transparent)]
    Io(#[from] IoError),
    /// A sealed file ends early.
    #[error("{} holds {found} bytes of content, and its manifest says {listed}", path.display())]
    Short {
        /// The file.
        path: PathBuf,
        /// The decoded length.
        found: u64,
        /// The length in the manifest.
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
    /// Lines that would be needed were deleted.
    #[error("lines of {stream} around it were deleted by the retention")]
    Pruned {
        /// The stream.
        stream: StreamKey,
    },
    /// Lines that would be needed are not sealed yet.
    #[error("lines of {stream} in it are not sealed yet, and the disk may not have them")]
    Unsealed {
        /// The stream.
        stream: StreamKey,
    },
    /// The active file of a stream changed during every listing.
    #[error("{} is rotated faster than the archive can be listed", path.display())]
    Restless {
        /// The file.
        path: PathBuf,
    },
}
