//! A segment that was listed: what is known of it before it is read, and its lines.
//!
//! It may be sealed or pruned until it is opened, so that both its names are tried.

use super::error::TapeError;
use super::source::{About, Portion, Source};
use super::tree::Tree;
use crate::clock::{Position, Stamp};
use crate::files::{CHUNK, ReadFile};
use crate::tape::line::{self, Line};
use crate::tape::segment_name::SegmentName;
use crate::tape::stream_key::StreamKey;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A name is this much later than the first line at the most, in a directory whose names hold no epochs: where a clock set
/// back had brought the stamp before.
const NAMED_LATER: Duration = Duration::from_millis(1);

/// A segment to be read.
#[derive(Debug)]
pub(super) enum Segment {
    /// One in the archive.
    Archived(Archive),
    /// The one that was active, held open.
    Active(About, Box<dyn ReadFile>),
}

/// A segment in the archive, and what its manifest says of it.
#[derive(Debug)]
pub(super) struct Archive {
    tree: Arc<Tree>,
    name: SegmentName,
    /// Its epoch, and the stamp in its name.
    position: Position,
    /// The stamp of its last line, and the length of its content, where the manifest lists it.
    listed: Option<(Stamp, u64)>,
}

impl Segment {
    /// The epoch of its lines.
    pub(super) fn epoch(&self) -> u64 {
        match self {
            Self::Archived(archived) => archived.position.epoch,
            Self::Active(about, _) => about.epoch,
        }
    }

    /// A position that none of its lines is before, where it is known before it is opened.
    pub(super) fn bound(&self) -> Position {
        match self {
            Self::Archived(archived) => archived.bound(),
            Self::Active(about, _) => Position { epoch: about.epoch, stamp: Stamp::default() },
        }
    }

    /// Whether it is the one that is being written.
    pub(super) fn is_active(&self) -> bool {
        matches!(self, Self::Active(..))
    }

    /// The one that is being written.
    pub(super) fn into_active(self) -> Option<(About, Box<dyn ReadFile>)> {
        match self {
            Self::Active(about, file) => Some((about, file)),
            Self::Archived(_) => None,
        }
    }

    /// Where its first line is; `None` where it has none, or is gone.
    pub(super) fn first_position(self) -> Result<Option<Position>, TapeError> {
        let Some(mut source) = self.open(Portion { begin: Stamp::default(), keep: CHUNK })? else { return Ok(None) };
        source.next().map(|line| line.map(|line| line.position())).transpose()
    }

    /// Where its last line is; `None` where it has none, or is gone.
    pub(super) fn last_position(self) -> Result<Option<Position>, TapeError> {
        let epoch = self.epoch();
        if let Self::Archived(Archive { listed: Some((stamp, _)), .. }) = self {
            return Ok(Some(Position { epoch, stamp }));
        }
        Ok(self.last_line()?.map(|line| line.position()))
    }

    /// Its last line; `None` where it has none, or is gone.
    pub(super) fn last_line(self) -> Result<Option<Line>, TapeError> {
        let Some(mut source) = self.open(Portion { begin: Stamp::MAX, keep: CHUNK })? else { return Ok(None) };
        let lines = std::iter::from_fn(|| source.next());
        Ok(lines.filter_map(Result::ok).last())
    }

    /// Opens it where a portion of it begins, or before; `None` where it is gone since it was listed: pruned.
    pub(super) fn open(self, portion: Portion) -> Result<Option<Source>, TapeError> {
        match self {
            Self::Active(about, file) => Source::plain(about, file, portion).map(Some),
            Self::Archived(archived) => archived.open(portion),
        }
    }
}

impl Archive {
    /// One that is `listed` so, or in no manifest yet.
    pub(super) fn new(tree: Arc<Tree>, name: SegmentName, position: Position, listed: Option<(Stamp, u64)>) -> Self {
        Self { tree, name, position, listed }
    }

    /// Its stream.
    pub(super) fn stream(&self) -> &StreamKey {
        &self.name.stream
    }

    /// Its epoch, and the stamp in its name.
    pub(super) fn position(&self) -> Position {
        self.position
    }

    /// A position that none of its lines is before.
    pub(super) fn bound(&self) -> Position {
        self.position.before(NAMED_LATER)
    }

    fn open(self, portion: Portion) -> Result<Option<Source>, TapeError> {
        let Self { tree, name, position, listed } = self;
        let (plain, sealed, longest) = (name.plain(), name.sealed(), line::longest(&name.stream));
        let about = |path: &Path| About { path: tree.shown(path), longest, epoch: position.epoch };
        let bytes = listed.map(|(_, bytes)| bytes);
        // A sealed segment is verified. A plain file beside it may be the rest of its source after a power cut.
        if let Some(file) = tree.open(&sealed)? {
            return Source::sealed(about(&sealed), file, portion, bytes).map(Some);
        }
        if let Some(file) = tree.open(&plain)? {
            return Source::plain(about(&plain), file, portion).map(Some);
        }
        // The plain file goes when the sealed one is there.
        tree.open(&sealed)?.map(|file| Source::sealed(about(&sealed), file, portion, bytes)).transpose()
    }

    /// Whether it has a sealed file.
    pub(super) fn is_sealed(&self) -> Result<bool, TapeError> {
        Ok(self.listed.is_some() || self.tree.open(&self.name.sealed())?.is_some())
    }

    /// Whether it can have a line in `stamps`.
    pub(super) fn can_hold(&self, stamps: &RangeInclusive<Stamp>) -> bool {
        self.name.first.before(NAMED_LATER) <= *stamps.end()
            && stamps.start() <= stamps.end()
            && self.listed.is_none_or(|(last, _)| last >= *stamps.start())
    }
}
