//! Reading the tape: the lines of a stream, from sealed, waiting and active segments, while a recorder writes on.
//!
//! ```text
//! Tape ──segments::list──▶ names, by epoch and stamp ──open──▶ Source ──▶ Line, Line, … (Lines)
//!                          and the active file last             └ frames: a sealed one's, each verified before it is yielded
//! ```
//!
//! Nothing here writes. It is synchronous: a caller that must not block reads on a thread of its own.

mod error;
pub mod frame;
mod frames;
mod lines;
pub mod manifest;
mod seek;
mod segments;
mod selection;
mod source;
mod tree;

pub use error::TapeError;
pub use lines::Lines;
pub use selection::Selection;

use crate::files::Files;
use crate::tape::stream_key::StreamKey;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use tree::Tree;

/// A directory with a recording: `data_dir`, its `private/`, or its `rest/`. All have the same layout.
#[derive(Clone, Debug)]
pub struct Tape {
    /// `None`: there is no such directory.
    tree: Option<Tree>,
}

impl Tape {
    /// The tape in the directory of `files`, which errors show as `root`. Without files it is empty.
    pub fn new(files: Option<Arc<dyn Files>>, root: &Path) -> Self {
        Self { tree: files.map(|files| Tree::new(files, root.to_owned())) }
    }

    /// The tape in a directory of this one; one that is not there is empty.
    #[must_use]
    pub fn beneath(&self, directory: &Path) -> Self {
        Self { tree: self.tree.as_ref().map(|tree| tree.beneath(directory)) }
    }

    /// The epoch of active files, as the recorder's own files name it; 0 where there are none, as in `rest/`.
    pub fn epoch(&self) -> u64 {
        self.tree.as_ref().map_or(0, Tree::epoch)
    }

    /// The streams that have a segment.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub fn streams(&self) -> Result<BTreeSet<StreamKey>, TapeError> {
        self.tree.as_ref().map_or_else(|| Ok(BTreeSet::new()), segments::streams)
    }

    /// Whether selected lines of `stream` were deleted by the retention.
    ///
    /// # Errors
    /// A manifest cannot be read.
    pub fn is_pruned(&self, stream: &StreamKey, selected: impl Into<Selection>) -> Result<bool, TapeError> {
        self.tree.as_ref().map_or(Ok(false), |tree| segments::is_pruned(tree, stream, &selected.into()))
    }

    /// The selected lines of `stream`, in the order of their positions. Every line is there once that was whole on disk at
    /// the time of the call. A line that a crash tore comes too, if its stamp is whole: it is no JSON.
    ///
    /// # Errors
    /// The archive cannot be listed. A later error is an item, and the next segment follows.
    pub fn lines(&self, stream: &StreamKey, selected: impl Into<Selection>) -> Result<Lines, TapeError> {
        let selected = selected.into();
        let segments = self.tree.as_ref().map(|tree| segments::list(tree, stream, &selected)).transpose()?;
        Ok(Lines::new(segments.unwrap_or_default(), selected))
    }
}

#[cfg(test)]
mod tests;
