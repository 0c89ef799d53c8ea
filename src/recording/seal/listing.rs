//! Appending to the manifest of an archive directory.

use crate::files::lines::ends_with_break;
use crate::files::{Files, IoError, append_all};
use crate::recording::seal::tally::Checksum;
use crate::tape::manifest::ManifestEntry;
use crate::tape::reader::manifest::Manifest;
use crate::tape::segment_name::SegmentName;
use std::io;
use std::path::Path;

/// Appends an entry, durably.
pub fn append(files: &dyn Files, manifest: &Path, entry: &ManifestEntry) -> Result<(), IoError> {
    append_lines(files, manifest, &entry.to_line())
}

/// Appends lines, durably.
pub fn append_lines(files: &dyn Files, manifest: &Path, lines: &str) -> Result<(), IoError> {
    let is_torn = is_torn(files, manifest).map_err(IoError::at("read", manifest))?;
    // A torn last line must not be glued to this one.
    let lines = format!("{}{lines}", if is_torn { "\n" } else { "" });
    let file = files.append(manifest).map_err(IoError::at("open", manifest))?;
    append_all(&*file, lines.as_bytes()).map_err(IoError::at("write", manifest))?;
    file.sync().map_err(IoError::at("sync", manifest))
}

/// The entry of a segment with this sealed file. Reads the whole manifest, so it is called only after an interruption.
pub fn find(files: &dyn Files, name: &SegmentName, file: &Checksum) -> Result<Option<ManifestEntry>, IoError> {
    let (sealed, sha256) = (name.sealed(), file.sha256());
    let Some(manifest) = Manifest::open(files, &name.manifest())? else { return Ok(None) };
    let is_it = |entry: &ManifestEntry| sealed.ends_with(&entry.name) && entry.sha256 == sha256;
    Ok(manifest.entries_of(&name.stream)?.into_iter().find(is_it))
}

fn is_torn(files: &dyn Files, manifest: &Path) -> io::Result<bool> {
    let mut file = match files.read(manifest) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        file => file?,
    };
    ends_with_break(&mut *file).map(|ends| !ends)
}
