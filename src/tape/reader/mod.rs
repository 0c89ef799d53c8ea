//! Reading the tape: the lines of a stream, from sealed, waiting and active segments, while a recorder writes on.
//!
//! ```text
//! Tape ──segments::list──▶ names, oldest first ──open──▶ Source ──▶ Line, Line, … (Lines)
//!                          and the active file            └ frames: a sealed one's, each verified before it is yielded
//! ```
//!
//! Nothing here writes. It is synchronous: a caller that must not block reads on a thread of its own.

mod error;
mod frames;
mod lines;
pub mod manifest;
mod seek;
mod segments;
mod source;
mod tree;

pub use error::TapeError;
pub use lines::Lines;

use crate::clock::Stamp;
use crate::files::Files;
use crate::tape::line::Line;
use crate::tape::stream_key::StreamKey;
use std::collections::{BTreeSet, VecDeque};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use tree::Tree;

/// A directory with a recording: `data_dir`, its `private/`, or its `rest/`. All have the same layout.
#[derive(Clone, Debug)]
pub struct Tape {
    /// `None`: there is no such directory.
    tree: Option<Tree>,
}

/// The last lines of a stream.
#[derive(Debug, Default)]
pub struct LastLines {
    /// The lines, oldest first.
    pub lines: Vec<Line>,
    /// Errors of parts that were skipped.
    pub faults: Vec<TapeError>,
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

    /// The streams that have a segment.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub fn streams(&self) -> Result<BTreeSet<StreamKey>, TapeError> {
        self.tree.as_ref().map_or_else(|| Ok(BTreeSet::new()), segments::streams)
    }

    /// The lines of `stream` whose stamps lie in `stamps`, oldest segment first; in the order of their stamps, but where
    /// the clock was set back. Every line is there once that was whole on disk at the time of the call. A line that a
    /// crash tore comes too, if its stamp is whole: it is no JSON.
    ///
    /// # Errors
    /// The archive cannot be listed. A later error is an item, and the next segment follows.
    pub fn lines(&self, stream: &StreamKey, stamps: RangeInclusive<Stamp>) -> Result<Lines, TapeError> {
        let Some(tree) = &self.tree else { return Ok(Lines::new(Vec::new(), stamps)) };
        Ok(Lines::new(segments::list(tree, stream, &stamps)?, stamps))
    }

    /// The last `count` lines of `stream` with stamps before `before`. Reads the newest segments first and no more of
    /// them than it needs.
    ///
    /// # Errors
    /// The archive cannot be listed.
    pub fn last_lines(&self, stream: &StreamKey, before: Stamp, count: usize) -> Result<LastLines, TapeError> {
        let mut last = LastLines::default();
        let mut newer = VecDeque::new();
        let mut end = before;
        let Some(tree) = &self.tree else { return Ok(last) };
        // Date by date, since an archive can have thousands. The time before the oldest comes last.
        for begin in segments::dates_back(tree)?.into_iter().chain([Stamp::default()]) {
            let Some(until) = end.as_micros().checked_sub(1).and_then(Stamp::from_micros) else { break };
            if begin > until || newer.len() == count {
                continue;
            }
            let mut segments = segments::list(tree, stream, &(begin..=until))?;
            while let Some(segment) = segments.pop()
                && newer.len() < count
            {
                let lines = Lines::new(vec![segment], begin..=until);
                let mut tail = tail_of(lines, count - newer.len(), &mut last.faults);
                tail.append(&mut newer);
                newer = tail;
            }
            end = begin;
        }
        last.lines = newer.into();
        Ok(last)
    }
}

/// The last `count` of `lines`.
fn tail_of(lines: Lines, count: usize, faults: &mut Vec<TapeError>) -> VecDeque<Line> {
    let mut tail = VecDeque::new();
    for line in lines {
        match line {
            Ok(line) => {
                if tail.len() == count {
                    tail.pop_front();
                }
                tail.push_back(line);
            }
            Err(fault) => faults.push(fault),
        }
    }
    tail
}

#[cfg(test)]
mod tests;
