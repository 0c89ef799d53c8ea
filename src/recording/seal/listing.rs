//! Appending to the manifest of an archive directory.

use crate::files::lines::{LONGEST_OWN, Lines, ends_with_break};
use crate::files::{Files, StorageError, append_all};
use crate::recording::seal::tally::Checksum;
use crate::tape::manifest::Entry;
use crate::tape::segment_name::SegmentName;
use std::io;
use std::path::Path;

/// Appends an entry, durably.
pub fn append(files: &dyn Files, manifest: &Path, entry: &Entry) -> Result<(), StorageError> {
    let is_torn = is_torn(files, manifest).map_err(StorageError::at("read", manifest))?;
    // A line that a crash tore off must not swallow this one.
    let line = format!("{}{}", if is_torn { "\n" } else { "" }, entry.to_line());
    let file = files.append(manifest).map_err(StorageError::at("open", manifest))?;
    append_all(&*file, line.as_bytes()).map_err(StorageError::at("write", manifest))?;
    file.sync().map_err(StorageError::at("sync", manifest))
}

/// The entry of a segment whose sealed file is this one. Reads the whole manifest, so it is asked only after an
/// interruption.
pub fn find(files: &dyn Files, name: &SegmentName, file: &Checksum) -> Result<Option<Entry>, StorageError> {
    let (manifest, sealed, sha256) = (name.manifest(), name.sealed(), file.sha256());
    let file = match files.read(&manifest) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(StorageError::at("read", &manifest))?,
    };
    let is_it = |entry: &Entry| sealed.ends_with(&entry.name) && entry.sha256 == sha256;
    let mut lines = Lines::new(file, LONGEST_OWN);
    while let Some(line) = lines.next_line().map_err(StorageError::at("read", &manifest))? {
        if let Some(entry) = serde_json::from_slice::<Entry>(line).ok().filter(is_it) {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}

fn is_torn(files: &dyn Files, manifest: &Path) -> io::Result<bool> {
    let mut file = match files.read(manifest) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        file => file?,
    };
    ends_with_break(&mut *file).map(|ends| !ends)
}
