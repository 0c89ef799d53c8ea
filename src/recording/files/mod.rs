//! The disk, as the recorder uses it: the one seam between it and the file system.
//!
//! Paths are relative to `data_dir`. The real disk is [`disk::Disk`]; tests put one in its place that forgets what was
//! not synced.

pub mod disk;

use std::ffi::OsString;
use std::fmt::Debug;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A directory that can hold a recording.
pub trait Files: Debug + Send + Sync {
    /// Makes a file for appending; an error of kind `AlreadyExists` where the name is taken.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn AppendFile>>;

    /// Opens a file for appending, making it where it is not there.
    fn append(&self, path: &Path) -> io::Result<Arc<dyn AppendFile>>;

    /// Opens a file for reading.
    fn read(&self, path: &Path) -> io::Result<Box<dyn ReadFile>>;

    /// Moves a file; an error of kind `AlreadyExists` where the new name is taken.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes a directory and those above it, durably, where they are not there.
    fn make_directory(&self, path: &Path) -> io::Result<()>;

    /// What a directory holds, in the order of the names; empty where there is no such directory.
    fn list(&self, path: &Path) -> io::Result<Vec<Listed>>;

    /// Makes the names in a directory durable.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;

    /// Makes everything durable that was written to this file system.
    fn sync_all(&self) -> io::Result<()>;
}

/// A file that is only ever appended to.
pub trait AppendFile: Debug + Send + Sync {
    /// Appends a part of `bytes`, at least one of them, and returns how many.
    fn append(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Makes the content durable.
    fn sync(&self) -> io::Result<()>;
}

/// A file being read.
pub trait ReadFile: Read + Seek + Send {}

impl<T: Read + Seek + Send> ReadFile for T {}

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// Its name.
    pub name: OsString,
    /// Whether it is a regular file.
    pub is_file: bool,
    /// Its length in bytes.
    pub bytes: u64,
}

/// Appends all of `bytes`.
pub fn append_all(file: &dyn AppendFile, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.append(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Something on the disk did not work: what was tried, on which file, and why not.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct StorageError {
    /// What was tried, as an infinitive.
    pub action: &'static str,
    /// The file, relative to `data_dir`.
    pub path: PathBuf,
    /// The system's answer.
    pub source: io::Error,
}

impl StorageError {
    /// Gives an I/O error its place: `.map_err(StorageError::at("rename", &path))`.
    pub fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { action, path, source }
    }

    /// Whether the disk, the quota or the file-size limit is used up: a state that passes, unlike a broken disk.
    pub fn is_full(&self) -> bool {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        matches!(self.source.kind(), StorageFull | QuotaExceeded | FileTooLarge)
    }
}
