//! The quarantine of a tree: a file with a name of the recorder's and other content is moved there, never changed,
//! never removed.

use crate::files::{EntryKind, Files, IoError};
use crate::tape::event::Event;
use crate::tape::paths;
use crate::upbit::feed::Feed;
use std::io;
use std::path::{Path, PathBuf};

/// A file that was moved away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Where it was.
    pub file: PathBuf,
    /// Where it is now.
    pub kept: PathBuf,
    /// Why it was moved.
    pub reason: &'static str,
}

impl From<Quarantined> for Event {
    fn from(moved: Quarantined) -> Self {
        let Quarantined { file, kept, reason } = moved;
        Self::Quarantined { file: file.display().to_string(), kept: kept.display().to_string(), reason: reason.into() }
    }
}

/// Moves a file into the quarantine of its tree, and says so.
pub fn quarantine(files: &dyn Files, feed: Feed, file: &Path, reason: &'static str) -> Result<Quarantined, IoError> {
    let moved = keep(files, feed, file, reason)?;
    tracing::warn!(file = %file.display(), kept = %moved.kept.display(), reason, "quarantined");
    Ok(moved)
}

/// Moves a file into the quarantine of its tree, beside any of the same name that is there already.
pub fn keep(files: &dyn Files, feed: Feed, file: &Path, reason: &'static str) -> Result<Quarantined, IoError> {
    /// The most copies of one name: a file that comes again and again would fill the directory, so beyond this it is an
    /// error.
    const COPIES: u32 = 1000;
    let mut directory = paths::quarantine(feed);
    let mut copies = 0..COPIES;
    if file == directory {
        // A file with the name of the quarantine itself stays beside it.
        (directory, copies) = (paths::root(feed).to_owned(), 1..COPIES);
    } else {
        make(files, feed, &directory)?;
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for copy in copies {
        let kept = directory.join(if copy == 0 { name.clone() } else { format!("{name}.{copy}") });
        match files.rename(file, &kept) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            moved => {
                moved.map_err(IoError::at("move to the quarantine", file))?;
                return Ok(Quarantined { file: file.to_owned(), kept, reason });
            }
        }
    }
    Err(IoError::at("find a free name in the quarantine for", file)(io::ErrorKind::AlreadyExists.into()))
}

fn make(files: &dyn Files, feed: Feed, directory: &Path) -> Result<(), IoError> {
    clear(files, feed, directory, EntryKind::Directory)?;
    files.make_directory(directory).map_err(IoError::at("make the directory", directory))
}

/// Makes a name of the recorder's free, or the kind of entry that is wanted: anything else goes to the quarantine.
pub fn clear(files: &dyn Files, feed: Feed, path: &Path, wanted: EntryKind) -> Result<Option<Quarantined>, IoError> {
    let found = files.look(path).map_err(IoError::at("look at", path))?;
    let Some(found) = found.filter(|found| found.kind != wanted) else { return Ok(None) };
    let reason = match (wanted, found.kind) {
        (EntryKind::Directory, _) => "it is no directory",
        (_, EntryKind::Link) => "it is a link",
        _ => "it is no file",
    };
    quarantine(files, feed, path, reason).map(Some)
}

/// The same of a directory and those above it.
pub fn clear_directories(files: &dyn Files, directory: &Path) -> Result<(), IoError> {
    let mut above: Vec<&Path> = directory.ancestors().filter(|above| !above.as_os_str().is_empty()).collect();
    above.reverse();
    let private = paths::root(Feed::Private);
    for path in above {
        // A file with the name of the account's tree cannot go into it.
        let feed = if path.starts_with(private) && path != private { Feed::Private } else { Feed::Public };
        clear(files, feed, path, EntryKind::Directory)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::disk::Disk;

    #[test]
    fn a_second_file_of_the_same_name_does_not_replace_the_first() {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::open(directory.path()).unwrap();
        let kept = ["one", "two"].map(|content| {
            std::fs::write(directory.path().join("x.zst"), content).unwrap();
            quarantine(&disk, Feed::Private, Path::new("x.zst"), "it is a test").unwrap().kept
        });
        assert_eq!(kept, ["private/quarantine/x.zst", "private/quarantine/x.zst.1"].map(PathBuf::from));
        assert_eq!(std::fs::read_to_string(directory.path().join(&kept[0])).unwrap(), "one");
    }
}
