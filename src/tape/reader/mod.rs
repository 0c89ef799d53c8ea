//! Reading the tape: the lines of a stream, from sealed, waiting and active segments, while a recorder writes on.
//!
//! ```text
//! Tape ──segments::list──▶ names, by epoch and stamp ──open──▶ Source ──▶ Line, Line, … (Lines)  ──▶ Merged
//!                          and the active file last             └ frames: a sealed one's, each verified before it is yielded
//!                                                               └ seek: what is before the wanted stamp is not read
//! ```
//!
//! Nothing here writes. It is synchronous: a caller that must not block reads on a thread of its own.

mod error;
mod follow;
pub mod frame;
mod frames;
mod growing;
mod lines;
pub mod manifest;
mod merged;
mod sealed;
mod seek;
mod segment;
mod segments;
mod selection;
mod source;
pub mod summary;
mod told;
mod tree;
mod unlisted;
pub mod uploaded;

pub use error::TapeError;
pub use follow::{Follower, Round};
pub use lines::Lines;
pub use merged::{Merged, MergedLine};
pub use sealed::{SealedDate, SealedSegment, SealedStream, merged as merge_sealed};
pub use selection::Selection;
pub use summary::SummaryText;
pub use told::{ToldGap, ToldGaps};

use crate::clock::{Position, Stamp};
use crate::files::Files;
use crate::tape::day_summary::Part;
use crate::tape::stream_key::StreamKey;
use jiff::civil::Date;
use segments::Wanted;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Range, RangeInclusive};
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

    /// The venue whose lines it has, as the recorder's state names it; `None`: that is not known.
    pub fn venue(&self) -> Option<String> {
        self.tree.as_ref()?.state().map(|state| state.venue)
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

    /// Whether selected lines of `stream` are in a segment that is not sealed: the disk may not have them, if a sync failed.
    ///
    /// # Errors
    /// The archive cannot be listed, or the active file not be read.
    pub fn is_unsealed(&self, stream: &StreamKey, selected: impl Into<Selection>) -> Result<bool, TapeError> {
        self.tree.as_ref().map_or(Ok(false), |tree| segments::is_unsealed(tree, stream, &selected.into()))
    }

    /// The selected lines of `stream`, in the order of their positions. Every line is there once that was whole on disk at
    /// the time of the call. A line that a crash tore comes too, if its stamp is whole: it is no JSON.
    ///
    /// # Errors
    /// The archive cannot be listed. A later error is an item, and the next segment follows.
    pub fn lines(&self, stream: &StreamKey, selected: impl Into<Selection>) -> Result<Lines, TapeError> {
        let selected = selected.into();
        let list = |tree| segments::list(tree, &Wanted::One(stream), &selected);
        let segments = self.tree.as_ref().map(list).transpose()?.unwrap_or_default().remove(stream);
        Ok(Lines::new(segments.unwrap_or_default(), selected, lines::ALONE))
    }

    /// The same of every stream that `is_meant`, each in a share of memory, to be [`Merged`].
    ///
    /// # Errors
    /// As [`Self::lines`].
    pub fn lines_of(
        &self,
        is_meant: &dyn Fn(&StreamKey) -> bool,
        selected: impl Into<Selection>,
    ) -> Result<Vec<(StreamKey, Lines)>, TapeError> {
        let selected = selected.into();
        let list = |tree| segments::list(tree, &Wanted::Meant(is_meant), &selected);
        let segments = self.tree.as_ref().map(list).transpose()?.unwrap_or_default();
        let keep = merged::share(segments.len());
        let lines =
            segments.into_iter().map(|(stream, segments)| (stream, Lines::new(segments, selected.clone(), keep)));
        Ok(lines.collect())
    }

    /// The dates of its archive, in order.
    ///
    /// # Errors
    /// The archive cannot be listed.
    pub fn dates(&self) -> Result<Vec<Date>, TapeError> {
        self.tree.as_ref().map_or_else(|| Ok(Vec::new()), summary::dates)
    }

    /// The summary of a day that stands on disk.
    pub fn written_summary(&self, date: Date) -> Option<SummaryText> {
        SummaryText::read(self.tree.as_ref()?, date)
    }

    /// What is sealed of a date, of the streams that are meant.
    ///
    /// # Errors
    /// Its directory or its manifest cannot be read.
    pub fn sealed(&self, date: Date, is_meant: &dyn Fn(&StreamKey) -> bool) -> Result<SealedDate, TapeError> {
        self.tree.as_ref().map_or_else(|| Ok(SealedDate::default()), |tree| sealed::of_date(tree, date, is_meant))
    }

    /// Where each stream ended before a position, as the manifests of some dates tell, of deleted files too.
    ///
    /// # Errors
    /// The archive cannot be listed.
    pub fn ends_before(
        &self,
        dates: Range<Date>,
        wanted: BTreeMap<StreamKey, Position>,
    ) -> Result<BTreeMap<StreamKey, Position>, TapeError> {
        self.tree.as_ref().map_or_else(|| Ok(BTreeMap::new()), |tree| sealed::ends_before(tree, dates, wanted))
    }

    /// The dates of lines that are in active files still, of the streams that are meant.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub fn active_dates(&self, is_meant: &dyn Fn(&StreamKey) -> bool) -> Result<BTreeSet<Date>, TapeError> {
        let Some(tree) = &self.tree else { return Ok(BTreeSet::new()) };
        Ok(sealed::active_dates(tree, is_meant)?.into_iter().filter_map(|(_, date)| date).collect())
    }

    /// The sealed parts of each stream of a day, and those that were deleted, by its manifest.
    ///
    /// # Errors
    /// The manifest cannot be read.
    pub fn sealed_parts(&self, date: Date) -> Result<BTreeMap<String, Vec<Part>>, TapeError> {
        self.tree.as_ref().map_or_else(|| Ok(BTreeMap::new()), |tree| summary::sealed(tree, date))
    }

    /// How many files of each stream of a day are in the store `to`: all of them, or those that reach into `span`.
    ///
    /// # Errors
    /// What is uploaded, or the manifest, cannot be read.
    pub fn uploaded(
        &self,
        date: Date,
        to: &str,
        span: Option<&RangeInclusive<Stamp>>,
    ) -> Result<BTreeMap<String, u64>, TapeError> {
        self.tree.as_ref().map_or_else(|| Ok(BTreeMap::new()), |tree| summary::uploaded(tree, date, to, span))
    }

    /// What is not sealed of the streams that are meant, on some dates and in active files: each file's date and figures, by
    /// reading it.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn unsealed_parts(
        &self,
        dates: &BTreeSet<Date>,
        is_meant: &dyn Fn(&StreamKey) -> bool,
    ) -> Result<Vec<(StreamKey, Date, Part)>, TapeError> {
        self.tree.as_ref().map_or_else(|| Ok(Vec::new()), |tree| summary::unsealed(tree, dates, is_meant))
    }

    /// Follows the streams that are meant, from their ends on; `now` is by the reader's clock. `None`: there is no such
    /// directory.
    ///
    /// # Errors
    /// As [`Self::lines`].
    pub fn follow(
        &self,
        is_meant: impl Fn(&StreamKey) -> bool + 'static,
        now: Stamp,
    ) -> Result<Option<Follower>, TapeError> {
        self.tree.as_ref().map(|tree| Follower::begin(tree.clone(), Box::new(is_meant), now, false)).transpose()
    }

    /// The same, with the last line of each stream.
    ///
    /// # Errors
    /// As [`Self::lines`].
    pub fn follow_with_last(
        &self,
        is_meant: impl Fn(&StreamKey) -> bool + 'static,
        now: Stamp,
    ) -> Result<Option<Follower>, TapeError> {
        self.tree.as_ref().map(|tree| Follower::begin(tree.clone(), Box::new(is_meant), now, true)).transpose()
    }
}

#[cfg(test)]
mod tests;
