//! Manifests at a start: an unreadable one is logged and counts as empty.

use crate::files::{Files, IoError};
use crate::tape::manifest::ManifestEntry;
use crate::tape::paths;
use crate::tape::reader::manifest::Manifest;
use std::path::Path;

/// The entries of a directory's manifest; none where it cannot be opened.
pub(super) fn manifest(files: &dyn Files, directory: &Path) -> Result<Vec<ManifestEntry>, IoError> {
    match Manifest::open(files, &paths::manifest(directory)) {
        Err(error) if error.is_about_the_file() => {
            tracing::warn!(%error, "what it lists is not known");
            Ok(Vec::new())
        }
        opened => opened?.map_or(Ok(Vec::new()), Manifest::entries),
    }
}
