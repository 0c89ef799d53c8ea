//! Sealed files that lost their line in the manifest: a failing disk can take it after it was written.
//!
//! Looked for where sealing was going on lately: what the last process sealed lies in the directories of two dates, at
//! midnight. The sealer puts the line back.

use super::manifests::manifest;
use crate::files::{Files, IoError};
use crate::tape::paths;
use crate::tape::segment_name::{self, Archived, SegmentName};
use crate::upbit::feed::Feed;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// The newest directories, in which it is looked.
const DIRECTORIES: usize = 2;

/// Sealed files of a tree that no manifest lists; `directories` are in the order of their dates.
pub(super) fn unlisted(files: &dyn Files, feed: Feed, directories: &[PathBuf]) -> Result<Vec<SegmentName>, IoError> {
    let mut found = Vec::new();
    for directory in directories.iter().rev().take(DIRECTORIES) {
        let is_readable = |path: &Path| !files.read(path).is_err_and(|error| error.kind() != io::ErrorKind::NotFound);
        if !is_readable(&paths::manifest(directory)) {
            continue;
        }
        let listed: BTreeSet<String> = manifest(files, directory)?.into_iter().map(|entry| entry.name).collect();
        let date = directory.file_name().unwrap_or_default().to_string_lossy();
        // One that cannot be listed was mentioned already.
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

/// Whether the plain file is gone; where it is not, the segment waits for the sealer anyway.
fn is_alone(files: &dyn Files, plain: &Path) -> bool {
    files.read(plain).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}
