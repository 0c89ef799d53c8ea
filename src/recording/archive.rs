//! Names in the archive: each is used once. After the clock was set back a name can be taken, so that it is a microsecond,
//! or a few, off the stamp of the segment's first line.

use crate::files::{Files, IoError};
use crate::tape::paths;
use crate::tape::quarantine::Quarantined;
use crate::tape::segment_name::SegmentName;
use std::io;
use std::path::Path;

/// More segments of one stream never begin within as many microseconds: then the names are not the recorder's.
const NAMES: u32 = 1000;

/// Moves an active file under its final name, and returns the name that it got. The directory has to be there.
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

/// The name that an active file will get, where it has to be known before the file is moved.
pub fn free_name(files: &dyn Files, mut name: SegmentName) -> Result<SegmentName, IoError> {
    for _ in 0..NAMES {
        if !is_taken(files, &name.sealed()) && !is_taken(files, &name.plain()) {
            return Ok(name);
        }
        name = name.next();
    }
    Err(no_free_name(&name))
}

/// Moves an active file that cannot be read out of the way of its stream's next lines. It may be whole, so it goes into the
/// archive, under the time of this start.
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

/// Whether there may be such a file: one that cannot be opened has its name, too.
fn is_taken(files: &dyn Files, path: &Path) -> bool {
    !files.read(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn no_free_name(name: &SegmentName) -> IoError {
    let active = paths::active(name.feed, &name.stream);
    IoError::at("find a free name in the archive for", &active)(io::ErrorKind::AlreadyExists.into())
}
