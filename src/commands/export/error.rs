//! Why an export did not begin, or did not end.

use crate::commands::recording::ReadError;
use crate::exit::Exit;
use crate::files::IoError;
use crate::recording::lock::{Holder, LockError};
use std::io;
use std::path::PathBuf;

/// Why it did not begin, or did not end.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExportError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(
        "{} is being exported to{}; wait until that export ends, or give this one an export.directory of its own",
        directory.display(), holder.as_ref().map(|holder| format!(" by {holder}")).unwrap_or_default()
    )]
    Held { directory: PathBuf, holder: Option<Holder> },
    #[error(transparent)]
    Lock(LockError),
    #[error(transparent)]
    Disk(#[from] IoError),
    #[error("no threads to export with: {0}")]
    Threads(io::Error),
    #[error("the disk of the lake has less than storage.min_free_bytes: nothing is exported until it has more")]
    Full,
    #[error("stopped before everything was exported: what is there is whole, and the next export goes on")]
    Stopped,
}

impl From<io::Error> for ExportError {
    fn from(error: io::Error) -> Self {
        Self::Read(ReadError::Output(error))
    }
}

impl ExportError {
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Read(error) => error.exit(),
            Self::Held { .. } => Exit::Locked,
            Self::Stopped => Exit::Wrong,
            Self::Lock(_) | Self::Disk(_) | Self::Threads(_) | Self::Full => Exit::Io,
        }
    }
}
