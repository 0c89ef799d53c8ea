//! Names in the archive are unique. After a backward clock step a name can be taken; the segment then gets the next
//! free microsecond instead of the stamp of its first line.

use crate::files::{Files, IoError};
use crate::tape::paths;
use crate::tape::quarantine::Quarantined;
use crate::tape::segment_name::SegmentName;
use std::io;
use std::path::Path;

/// More collisions than this do not come from the recorder, which never begins so many segments of one stream in as
/// many microseconds.
const NAMES: u32 = 1000;

/// Renames an active file to its final name and returns that name. The directory must exist.
pub fn move_to_archive(files: &dyn Files, mut name: SegmentName) -> Result<SegmentName, IoError> {
    let active = paths::active(name.feed, &name.stream);
    for _ in 0..NAMES {
        if !is_taken(files, &name.sealed()) {
            match files.rename(&active, &name.plain()) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                moved => {
                    moved.map_err(IoError::at("move to the archive", &active))?;
                    return Ok(name);
                }
            }
        }
        name = name.next();
    }
    Err(no_free_name(&name))
}

/// The final name of an active file, where it is needed before the rename.
pub fn free_name(files: &dyn Files, mut name: SegmentName) -> Result<SegmentName, IoError> {
    for _ in 0..NAMES {
        if !is_taken(files, &name.sealed()) && !is_taken(files, &name.plain()) {
            return Ok(name);
        }
        name = name.next();
    }
    Err(no_free_name(&name))
}

/// Moves an unreadable active file out of the way of its stream's next lines. It may be intact, so it goes into the
/// archive, named by the time of this start.
pub fn set_aside(files: &dyn Files, name: SegmentName) -> Result<Quarantined, IoError> {
    let (active, name) = (paths::active(name.feed, &name.stream), free_name(files, name)?);
    let (directory, kept) = (name.directory(), name.plain());
    files.make_directory(&directory).map_err(IoError::at("make the directory", &directory))?;
    files.rename(&active, &kept).map_err(IoError::at("move to the archive", &active))?;
    for changed in [directory.as_path(), paths::root(name.feed)] {
        files.sync_directory(changed).map_err(IoError::at("sync the directory", changed))?;
    }
    Ok(Quarantined { file: active, kept, reason: "it cannot be read; the next start tries again" })
}

/// Whether such a file may exist: one that cannot be opened occupies its name, too.
fn is_taken(files: &dyn Files, path: &Path) -> bool {
    !files.read(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn no_free_name(name: &SegmentName) -> IoError {
    let active = paths::active(name.feed, &name.stream);
    IoError::at("find a free name in the archive for", &active)(io::ErrorKind::AlreadyExists.into())
}
