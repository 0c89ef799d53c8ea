//! Sealed files without a manifest line: a failing disk can lose the line after it was written.
//!
//! Searched in the newest directories only: the last process sealed into those of two dates, if it ran at midnight. The
//! sealer restores the line.

use super::manifests::manifest;
use crate::files::{Files, IoError};
use crate::tape::paths;
use crate::tape::segment_name::{self, Archived, SegmentName};
use crate::upbit::feed::Feed;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// The number of newest directories searched.
const DIRECTORIES: usize = 2;

/// Sealed files of a tree that no manifest lists; `directories` are ordered by date.
pub(super) fn unlisted(files: &dyn Files, feed: Feed, directories: &[PathBuf]) -> Result<Vec<SegmentName>, IoError> {
    let mut found = Vec::new();
    for directory in directories.iter().rev().take(DIRECTORIES) {
        let is_readable = |path: &Path| !files.read(path).is_err_and(|error| error.kind() != io::ErrorKind::NotFound);
        if !is_readable(&paths::manifest(directory)) {
            continue;
        }
        let listed: BTreeSet<String> = manifest(files, directory)?.into_iter().map(|entry| entry.name).collect();
        let date = directory.file_name().unwrap_or_default().to_string_lossy();
        // A directory that cannot be listed was logged already.
        for entry in files.list(directory).unwrap_or_default() {
            let name = entry.name.to_str().filter(|name| entry.is_file() && !listed.contains(*name));
            match name.and_then(|name| segment_name::parse_archived(feed, &date, name)) {
                Some(Archived::Sealed(name)) if is_alone(files, &name.plain()) => found.push(name),
                _ => {}
            }
        }
    }
    Ok(found)
}

/// Whether the plain file is gone; otherwise the segment waits for the sealer anyway.
fn is_alone(files: &dyn Files, plain: &Path) -> bool {
    files.read(plain).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}
