//! A store that is a directory: whether it is there, and what a kill leaves in it.
//!
//! ```text
//! <path>/.upbit-recorder     the directory is a store: where the mount is missing, so is this
//! <path>/private/            for its owner alone
//! ```

use super::trouble::StoreError;
use crate::files::disk::Disk;
use crate::files::{EntryKind, Files, IoError, Listed};
use std::io;
use std::path::{Path, PathBuf};

/// The file that the first upload leaves in the directory.
pub const MARKER: &str = ".upbit-recorder";

/// Its name until it is complete.
const UNFINISHED: &str = ".upbit-recorder.tmp";

/// What it says to people.
const CONTENT: &[u8] =
    b"Sealed files of upbit-recorder. Without this file the directory counts as one that is not mounted.\n";

/// What the account received.
const PRIVATE: &str = "private";

/// Why a directory is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Intent {
    /// Something was brought there before: it is there, or the store is not.
    pub is_known: bool,
    /// Something is to be brought there.
    pub writes: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
}

/// Why it cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// It is not the store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file operation failed.
    #[error(transparent)]
    Disk(#[from] IoError),
}

impl Directory {
    /// Opens it; one that is not known yet is made where something is to be brought there, and marked.
    ///
    /// # Errors
    /// It is not there, or others can read what the account received.
    pub fn open(path: &Path, intent: Intent, private: bool) -> Result<Self, DirectoryError> {
        let directory = Self { path: path.to_owned() };
        if intent.writes && !intent.is_known {
            let at = |action| IoError::at(action, path);
            let disk = Disk::open(path).map_err(at("open the directory of upload.url"))?;
            if disk.look(Path::new(MARKER)).map_err(at("look into"))?.is_none() {
                disk.put(Path::new(UNFINISHED), Path::new(MARKER), CONTENT).map_err(at("write into"))?;
            }
        }
        match intent.is_known || intent.writes {
            true => directory.check()?,
            false => drop(directory.disk()?),
        }
        if intent.writes && private {
            directory.hide_private()?;
        }
        Ok(directory)
    }

    /// Whether it is the directory that things were brought to before.
    ///
    /// # Errors
    /// It is not.
    pub fn check(&self) -> Result<(), DirectoryError> {
        let marker = self.disk()?.look(Path::new(MARKER)).map_err(IoError::at("look into", &self.path))?;
        if marker.is_some_and(|marker| marker.is_file()) {
            return Ok(());
        }
        let path = self.path.display();
        let told = format!("{path} has no {MARKER}, which the first upload left there: mount it, or make that file");
        Err(StoreError::Nowhere(told).into())
    }

    /// Removes what a kill has left half done in a directory below it.
    ///
    /// # Errors
    /// It cannot be listed, or something cannot be removed.
    pub fn sweep(&self, directory: &Path) -> Result<(), DirectoryError> {
        let disk = self.disk()?;
        for entry in disk.list(directory).map_err(IoError::at("list", directory))? {
            let is_left = entry.name.to_str().is_some_and(is_unfinished);
            if is_left && entry.is_file() {
                let left = directory.join(&entry.name);
                disk.remove(&left).map_err(IoError::at("remove", &left))?;
            }
        }
        Ok(())
    }

    /// By its path, which a mount may have gone from.
    fn disk(&self) -> Result<Disk, DirectoryError> {
        match Disk::existing(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(StoreError::Nowhere(format!("{}: {error}", self.path.display())).into())
            }
            disk => Ok(disk.map_err(IoError::at("open the directory of upload.url", &self.path))?),
        }
    }

    /// The client makes directories that all can read.
    fn hide_private(&self) -> Result<(), DirectoryError> {
        let (disk, private) = (self.disk()?, Path::new(PRIVATE));
        disk.make_directory(private).map_err(IoError::at("make", private))?;
        let is_hidden = |entry: &Listed| entry.kind == EntryKind::Directory && !entry.is_exposed();
        if disk.look(private).map_err(IoError::at("look at", private))?.as_ref().is_some_and(is_hidden) {
            return Ok(());
        }
        let path = self.path.join(private);
        let told =
            format!("others can read {path}, where the account's data goes: chmod 700 {path}", path = path.display());
        Err(StoreError::Other(told).into())
    }
}

/// Whether a name is that of a file in the making, as the client calls it: `x.jsonl.zst#1`.
fn is_unfinished(name: &str) -> bool {
    let numbered = name.rsplit_once('#').filter(|(_, number)| number.parse::<u32>().is_ok());
    numbered.is_some_and(|(own, _)| own.ends_with(".jsonl.zst") || own.ends_with(".jsonl"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    const FIRST: Intent = Intent { is_known: false, writes: true };
    const AGAIN: Intent = Intent { is_known: true, writes: true };
    const LOOK: Intent = Intent { is_known: false, writes: false };

    #[test]
    fn a_mount_that_is_missing_is_no_store() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mount");
        let is_nowhere = |opened: Result<Directory, DirectoryError>| {
            matches!(opened, Err(DirectoryError::Store(StoreError::Nowhere(_))))
        };
        assert!(is_nowhere(Directory::open(&path, LOOK, false)) && !path.exists(), "a look makes nothing");
        let opened = Directory::open(&path, FIRST, false).unwrap();
        Directory::open(&path, AGAIN, false).unwrap();
        // What is mounted there goes, and its empty place is left.
        fs::remove_file(path.join(MARKER)).unwrap();
        assert!(is_nowhere(Directory::open(&path, AGAIN, false)));
        assert!(is_nowhere(opened.check().map(|()| Directory { path: path.clone() })), "also while it is in use");
        fs::remove_dir_all(&path).unwrap();
        assert!(is_nowhere(Directory::open(&path, AGAIN, false)) && !path.exists());
    }

    #[test]
    fn what_the_account_received_is_for_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        Directory::open(directory.path(), FIRST, true).unwrap();
        let private = directory.path().join("private");
        assert_eq!(fs::metadata(&private).unwrap().permissions().mode() & 0o777, 0o700);
        fs::set_permissions(&private, fs::Permissions::from_mode(0o750)).unwrap();
        let told = Directory::open(directory.path(), AGAIN, true).unwrap_err().to_string();
        assert!(told.contains("chmod 700"), "{told}");
        Directory::open(directory.path(), AGAIN, false).unwrap();
    }
}
