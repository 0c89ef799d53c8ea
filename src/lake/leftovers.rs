//! What an export that was killed has left in the making: files of any type, also of those that nobody asks for again.

use super::place::UNFINISHED;
use crate::files::disk::Disk;
use crate::files::open::Obstacle;
use crate::files::{Files, IoError};
use jiff::civil::Date;
use std::io;
use std::path::{Path, PathBuf};

/// Removes those of a day. No other export writes there meanwhile.
///
/// # Errors
/// A directory cannot be listed, or a file not be removed.
pub fn remove_leftovers(disk: &Disk, date: Date) -> Result<(), IoError> {
    let date = format!("date={date}");
    for venue in below(disk, Path::new(""), "venue=")? {
        for kind in below(disk, &venue, "type=")? {
            for file in below(disk, &kind.join(&date), "")?.iter().filter(|file| is_unfinished(file)) {
                match disk.remove(file) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(IoError::at("remove", file)(error));
                    }
                    _ => {}
                }
            }
        }
    }
    Ok(())
}

/// What a directory holds by such names; nothing where it is none.
fn below(disk: &Disk, directory: &Path, begin: &str) -> Result<Vec<PathBuf>, IoError> {
    let names = match disk.names(directory) {
        Err(error) if Obstacle::of(&error).is_some() => Vec::new(),
        names => names.map_err(IoError::at("list", directory))?,
    };
    let own = names.iter().filter_map(|name| name.to_str()).filter(|name| name.starts_with(begin));
    Ok(own.map(|name| directory.join(name)).collect())
}

fn is_unfinished(file: &Path) -> bool {
    file.file_name().is_some_and(|name| name.to_string_lossy().ends_with(UNFINISHED))
}
