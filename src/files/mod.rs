//! The recorder's interface to the file system, and the only one.
//!
//! Paths are relative to `data_dir`. The real disk is [`disk::Disk`], which opens every file by [`mod@open`]; tests
//! replace it with one that forgets unsynced content. [`lines`] reads lines up to a bound, [`watch`] tells which files are written to.

pub mod disk;
#[cfg(test)]
pub(crate) mod faulty;
pub mod lines;
pub mod open;
pub mod watch;

use open::Obstacle;
use std::ffi::OsString;
use std::fmt::Debug;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The chunk size of reads, in bytes.
pub const CHUNK: usize = 128 * 1024;

/// A directory that can hold a recording.
pub trait Files: Debug + Send + Sync {
    /// Creates a file for appending; an error of kind `AlreadyExists` where the name is taken.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn AppendFile>>;

    /// Opens a file for appending, creating it if missing. A hard-linked one is first replaced by a copy, since the
    /// other names may be another program's.
    fn append(&self, path: &Path) -> io::Result<Arc<dyn AppendFile>>;

    /// Opens a file for reading.
    fn read(&self, path: &Path) -> io::Result<Box<dyn ReadFile>>;

    /// Moves a file; an error of kind `AlreadyExists` where the new name is taken.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Creates a directory and its parents durably, where missing.
    fn make_directory(&self, path: &Path) -> io::Result<()>;

    /// The identity of the entry at a path, links not followed; `None`: there is none.
    fn identify(&self, path: &Path) -> io::Result<Option<Identity>>;

    /// The state of the directory itself; a removed one is created again at its path, empty.
    fn look_at_root(&self) -> io::Result<Root> {
        Ok(Root::InPlace)
    }

    /// The entries of a directory, ordered by name; empty where the directory does not exist.
    fn list(&self, path: &Path) -> io::Result<Vec<Listed>>;

    /// The names in a directory, unordered; empty where the directory does not exist.
    fn names(&self, path: &Path) -> io::Result<Vec<OsString>> {
        Ok(self.list(path)?.into_iter().map(|entry| entry.name).collect())
    }

    /// The entry at a path; `None`: there is none.
    fn look(&self, path: &Path) -> io::Result<Option<Listed>> {
        let entries = self.list(path.parent().unwrap_or(Path::new("")))?;
        Ok(entries.into_iter().find(|entry| Some(&*entry.name) == path.file_name()))
    }

    /// Removes all permissions on a file or a directory except its owner's; an [`Obstacle`] where it is another user's.
    fn restrict(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;

    /// Makes everything written to this file system durable.
    fn sync_all(&self) -> io::Result<()>;

    /// Replaces the content of a small file in place, so that it needs no free space and no directory change. The
    /// replacement is atomic across a crash if both contents have the same length. A disk without support for that
    /// writes the file anew.
    fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        match self.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        append_all(&*self.create(path)?, bytes)
    }

    /// Replaces bytes of an existing file in place, and makes them durable. A crash meanwhile may leave any mixture of old
    /// and new sectors.
    fn overwrite_durably(&self, path: &Path, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Creates a file with `bytes` of the disk allocated to it.
    fn reserve(&self, path: &Path, bytes: usize) -> io::Result<()> {
        append_all(&*self.create(path)?, &vec![0; bytes])
    }

    /// The free space for this user.
    fn free(&self) -> io::Result<Free> {
        Ok(Free { bytes: u64::MAX, inodes: u64::MAX })
    }
}

/// The identity and length of a file, independent of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The device and the inode: unique while this file is open.
    pub file: FileId,
    /// The number of its names; 0: it was removed, and exists while it is open.
    pub links: u64,
    /// Its length.
    pub bytes: u64,
}

/// A file among all files of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    /// Of the file system.
    pub device: u64,
    /// Within it.
    pub inode: u64,
}

/// The location of the directory that everything is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// At its path.
    InPlace,
    /// It was renamed or unmounted, but is still written to: its path leads elsewhere, or nowhere.
    Elsewhere,
    /// It was removed, and another one is at its path now.
    MadeAgain,
}

/// The free space of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Free {
    /// Bytes.
    pub bytes: u64,
    /// Files that can still be created; `u64::MAX` where the file system does not count them.
    pub inodes: u64,
}

/// An append-only file.
pub trait AppendFile: Debug + Send + Sync {
    /// Appends a part of `bytes`, at least one of them, and returns its length.
    fn append(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Makes the content durable.
    fn sync(&self) -> io::Result<()>;

    /// Its identity and current length.
    fn identify(&self) -> io::Result<Identity>;

    /// Reads from `offset` on, even if the file was renamed or removed; 0: the end.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

/// A file being read.
pub trait ReadFile: Read + Seek + Debug + Send {
    /// Its identity and current length.
    fn identify(&self) -> io::Result<Identity>;
}

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// Its name.
    pub name: OsString,
    /// Its kind.
    pub kind: EntryKind,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its mode: the nine permission bits and those above them.
    pub mode: u32,
}

impl Listed {
    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        self.kind == EntryKind::File
    }

    /// Whether others than its owner have any permission on it.
    pub fn is_exposed(&self) -> bool {
        self.mode & 0o077 != 0
    }
}

/// The kind of a directory entry. Links are not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A pipe, a socket or a device.
    Special,
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

/// An error of the disk: the action, the file, and the system's error.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct IoError {
    /// The action, as an infinitive.
    pub action: &'static str,
    /// The file; where `Files` is used, relative to its directory.
    pub path: PathBuf,
    /// The system's error.
    pub source: io::Error,
}

impl IoError {
    /// Adds the action and the path to an I/O error: `.map_err(IoError::at("rename", &path))`.
    pub fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self { action, path, source }
    }

    /// Whether the disk, the quota or the file-size limit is used up: a temporary state, unlike a broken disk.
    pub fn is_full(&self) -> bool {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        matches!(self.source.kind(), StorageFull | QuotaExceeded | FileTooLarge)
    }

    /// Whether waiting can help, without maintenance of the disk.
    pub fn is_passing(&self) -> bool {
        self.is_full() || self.is_out_of_descriptors()
    }

    /// Whether a file or its parent directory is missing, because another program removed it.
    pub fn is_gone(&self) -> bool {
        use io::ErrorKind::{NotADirectory, NotFound, StaleNetworkFileHandle};
        matches!(self.source.kind(), NotFound | NotADirectory | StaleNetworkFileHandle)
    }

    /// Whether the error concerns this one file and a prompt retry will not help: permissions, an unreadable part of
    /// the disk, damaged content, or an obstacle in its place.
    pub fn is_about_the_file(&self) -> bool {
        use rustix::io::Errno;
        let is_denied = self.source.kind() == io::ErrorKind::PermissionDenied;
        let is_damaged = self.source.kind() == io::ErrorKind::InvalidData || Obstacle::of(&self.source).is_some();
        is_damaged || is_denied || self.source.raw_os_error() == Some(Errno::IO.raw_os_error())
    }

    /// Whether the process or the system is out of descriptors: the disk is fine, and a retry may succeed.
    pub fn is_out_of_descriptors(&self) -> bool {
        use rustix::io::Errno;
        [Errno::MFILE, Errno::NFILE].iter().any(|errno| self.source.raw_os_error() == Some(errno.raw_os_error()))
    }
}
