//! What an export that was killed has left in the making: files of any day and type, also of those that nobody asks for again.

use super::place::UNFINISHED;
use crate::files::disk::Disk;
use crate::files::{Files, IoError};
use std::path::Path;

/// Removes it. No other export writes there meanwhile.
///
/// # Errors
/// The directory cannot be listed, or a file not be removed.
pub fn remove_leftovers(disk: &Disk) -> Result<(), IoError> {
    let directory = Path::new(UNFINISHED);
    for name in disk.names(directory).map_err(IoError::at("list", directory))? {
        let path = directory.join(name);
        disk.remove(&path).map_err(IoError::at("remove", &path))?;
    }
    Ok(())
}
