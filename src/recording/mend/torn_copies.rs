//! The copies of torn lines in the quarantine: an earlier start that died may have ended lines without an event.

use super::torn_lines::Torn;
use crate::files::{Files, IoError};
use crate::recording::seal::torn;
use crate::tape::paths;
use crate::tape::segment_name::SegmentName;
use crate::upbit::feed::Feed;
use std::collections::BTreeMap;

/// The ordered offsets of torn lines with a copy, by tree and plain name.
#[derive(Default)]
pub(super) struct TornCopies(BTreeMap<(Feed, String), Vec<u64>>);

impl TornCopies {
    /// Those in the quarantines of both trees.
    pub(super) fn list(files: &dyn Files) -> Result<Self, IoError> {
        let mut copies: BTreeMap<_, Vec<u64>> = BTreeMap::new();
        for feed in Feed::ALL {
            let quarantine = paths::quarantine(feed);
            let listed = files.list(&quarantine).map_err(IoError::at("list", &quarantine))?;
            for (segment, offset) in listed.iter().filter_map(|entry| torn::parse_copy(entry.name.to_str()?)) {
                copies.entry((feed, segment.to_owned())).or_default().push(offset);
            }
        }
        copies.values_mut().for_each(|offsets| offsets.sort_unstable());
        Ok(Self(copies))
    }

    /// The torn lines of a segment that begin before `end` and have a copy.
    pub(super) fn before(&self, files: &dyn Files, name: &SegmentName, end: u64) -> Result<Vec<Torn>, IoError> {
        let file = name.plain();
        let offsets = self.0.get(&(name.feed, name.plain_name())).into_iter().flatten();
        let mut lines = Vec::new();
        for offset in offsets.filter(|offset| **offset < end) {
            let kept = torn::kept(files, name, *offset).map_err(IoError::at("read", &file))?;
            lines.extend(kept.map(|line| Torn { file: file.clone(), line }));
        }
        Ok(lines)
    }
}
