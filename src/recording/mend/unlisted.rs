//! Sealed files without a manifest line: a failing disk can lose the line after it was written. The sealer restores it.

use super::tails::Tails;
use crate::clock::Position;
use crate::files::{Files, IoError, Listed};
use crate::tape::paths;
use crate::tape::reader::manifest::{Listing, Manifest};
use crate::tape::segment_name::{self, Archived, SegmentName};
use crate::tape::stream_key::StreamKey;
use crate::upbit::feed::Feed;
use std::collections::BTreeSet;
use std::path::Path;

/// Sealed files of a date that its manifest does not name and whose plain file is gone; notes the last stamps of those
/// that it lists or that are pruned. Where the manifest cannot be read, none.
pub(super) fn unlisted(
    files: &dyn Files,
    directory: &Path,
    entries: &[Listed],
    feed: Feed,
    tails: &mut Tails,
) -> Result<Vec<SegmentName>, IoError> {
    let Listing { sealed, pruned } = match Manifest::open(files, &paths::manifest(directory)) {
        Err(error) if error.is_about_the_file() => {
            tracing::warn!(%error, "what it lists is not known");
            return Ok(Vec::new());
        }
        opened => opened?.map_or_else(|| Ok(Listing::default()), Manifest::read)?,
    };
    // An epoch or a stream of which all is pruned is known still.
    for entry in sealed.iter().chain(pruned.values().flatten()) {
        if let Some(stream) = StreamKey::from_stem(&entry.stream) {
            tails.note(feed, &stream, Position { epoch: entry.epoch, stamp: entry.last });
        }
    }
    let listed: BTreeSet<&str> =
        sealed.iter().map(|entry| &*entry.name).chain(pruned.keys().map(|name| &**name)).collect();
    let date = directory.file_name().unwrap_or_default().to_string_lossy();
    let names: BTreeSet<&std::ffi::OsStr> = entries.iter().map(|entry| &*entry.name).collect();
    let is_alone = |name: &SegmentName| name.plain().file_name().is_some_and(|plain| !names.contains(plain));
    let files = entries.iter().filter(|entry| entry.is_file()).filter_map(|entry| entry.name.to_str());
    let unlisted = files.filter(|name| !listed.contains(name)).filter_map(|name| {
        match segment_name::parse_archived(feed, &date, name) {
            Some(Archived::Sealed(name)) if is_alone(&name) => Some(name),
            _ => None,
        }
    });
    Ok(unlisted.collect())
}
