//! The disk, as the recorder uses it: the one seam between it and the file system.
//!
//! Paths are relative to `data_dir`. The real disk is [`disk::Disk`], which opens everything in one way, [`mod@open`]; tests
//! put one in its place that forgets what was not synced. Lines are read by [`lines`], to a bound.

pub mod disk;
#[cfg(test)]
pub(crate) mod faulty;
pub mod lines;
pub mod open;

use open::Obstacle;
use std::ffi::OsString;
use std::fmt::Debug;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Read at a time, in bytes.
pub const CHUNK: usize = 128 * 1024;

/// A directory that can hold a recording.
pub trait Files: Debug + Send + Sync {
    /// Makes a file for appending; an error of kind `AlreadyExists` where the name is taken.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn AppendFile>>;

    /// Opens a file for appending, making it where it is not there. One that has other names (hard links) is replaced by
    /// a copy first, since nothing is written through them.
    fn append(&self, path: &Path) -> io::Result<Arc<dyn AppendFile>>;

    /// Opens a file for reading.
    fn read(&self, path: &Path) -> io::Result<Box<dyn ReadFile>>;

    /// Moves a file; an error of kind `AlreadyExists` where the new name is taken.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes a directory and those above it, durably, where they are not there.
    fn make_directory(&self, path: &Path) -> io::Result<()>;

    /// What bears a name, links not followed; `None`: nothing does.
    fn identify(&self, path: &Path) -> io::Result<Option<Identity>>;

    /// Where the directory itself is; one that was removed is made again at its path, empty.
    fn look_at_root(&self) -> io::Result<Root> {
        Ok(Root::InPlace)
    }

    /// What a directory holds, in the order of the names; empty where there is no such directory.
    fn list(&self, path: &Path) -> io::Result<Vec<Listed>>;

    /// The names in a directory, in no order; none where there is no such directory.
    fn names(&self, path: &Path) -> io::Result<Vec<OsString>> {
        Ok(self.list(path)?.into_iter().map(|entry| entry.name).collect())
    }

    /// What has this name; `None`: nothing.
    fn look(&self, path: &Path) -> io::Result<Option<Listed>> {
        let entries = self.list(path.parent().unwrap_or(Path::new("")))?;
        Ok(entries.into_iter().find(|entry| Some(&*entry.name) == path.file_name()))
    }

    /// Takes from everybody but its owner what they may do with a file or a directory; an
    /// [`Obstacle`] where it is another user's.
    fn restrict(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;

    /// Makes everything durable that was written to this file system.
    fn sync_all(&self) -> io::Result<()>;

    /// Replaces the content of a small file in place, so that it costs no room and no change of a directory. After a
    /// crash it holds what it held before or what was written, provided that both are of the same length. Where a disk
    /// cannot do that, it is written anew.
    fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        match self.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        append_all(&*self.create(path)?, bytes)
    }

    /// Makes a file that has `bytes` of the disk set aside for it.
    fn reserve(&self, path: &Path, bytes: usize) -> io::Result<()> {
        append_all(&*self.create(path)?, &vec![0; bytes])
    }

    /// What is left for this user.
    fn free(&self) -> io::Result<Free> {
        Ok(Free { bytes: u64::MAX, inodes: u64::MAX })
    }
}

/// Which file it is, whatever its name, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The device and the inode: no other file has them as long as this one is open.
    pub file: FileId,
    /// Its names; 0: it was removed, and exists as long as it is open.
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

/// Where the directory is that everything is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// At its path.
    InPlace,
    /// It was renamed or unmounted, and is written to all the same: its path leads elsewhere, or nowhere.
    Elsewhere,
    /// It had been removed, and there is another one at its path now.
    MadeAgain,
}

/// What is left of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Free {
    /// Bytes.
    pub bytes: u64,
    /// Files that can still be made; `u64::MAX` where the file system does not count them.
    pub inodes: u64,
}

/// A file that is only ever appended to.
pub trait AppendFile: Debug + Send + Sync {
    /// Appends a part of `bytes`, at least one of them, and returns how many.
    fn append(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Makes the content durable.
    fn sync(&self) -> io::Result<()>;

    /// Which file it is, and how long by now.
    fn identify(&self) -> io::Result<Identity>;

    /// Reads what is there from `offset` on, whatever has become of its name; 0: the end.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

/// A file being read.
pub trait ReadFile: Read + Seek + Debug + Send {
    /// Which file it is, and how long by now.
    fn identify(&self) -> io::Result<Identity>;
}

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// Its name.
    pub name: OsString,
    /// What it is.
    pub kind: EntryKind,
    /// Its length in bytes.
    pub bytes: u64,
    /// Who may do what with it: the nine permission bits and those above them.
    pub mode: u32,
}

impl Listed {
    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        self.kind == EntryKind::File
    }

    /// Whether others than its owner may do anything with it.
    pub fn is_exposed(&self) -> bool {
        self.mode & 0o077 != 0
    }
}

/// What an entry of a directory is. Links are not followed.
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

/// Something on the disk did not work: the action, the file, and the system's answer.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct IoError {
    /// What was tried, as an infinitive.
    pub action: &'static str,
    /// The file; where `Files` is used, relative to its directory.
    pub path: PathBuf,
    /// The system's answer.
    pub source: io::Error,
}

impl IoError {
    /// Gives an I/O error its place: `.map_err(IoError::at("rename", &path))`.
    pub fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self { action, path, source }
    }

    /// Whether the disk, the quota or the file-size limit is used up: a state that passes, unlike a broken disk.
    pub fn is_full(&self) -> bool {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        matches!(self.source.kind(), StorageFull | QuotaExceeded | FileTooLarge)
    }

    /// Whether waiting can help, without anybody looking after the disk.
    pub fn is_passing(&self) -> bool {
        self.is_full() || self.is_out_of_descriptors()
    }

    /// Whether a file, or the directory it was to be in, is not where it was, as another program took it away.
    pub fn is_gone(&self) -> bool {
        use io::ErrorKind::{NotADirectory, NotFound, StaleNetworkFileHandle};
        matches!(self.source.kind(), NotFound | NotADirectory | StaleNetworkFileHandle)
    }

    /// Whether it is about this one file, and trying again soon will not change it: rights, a part of the disk that
    /// cannot be read, content that is damaged, or another thing in its place.
    pub fn is_about_the_file(&self) -> bool {
        use rustix::io::Errno;
        let is_denied = self.source.kind() == io::ErrorKind::PermissionDenied;
        let is_damaged = self.source.kind() == io::ErrorKind::InvalidData || Obstacle::of(&self.source).is_some();
        is_damaged || is_denied || self.source.raw_os_error() == Some(Errno::IO.raw_os_error())
    }

    /// Whether the process or the system has no file left to open: the disk is well, and another try may find one.
    pub fn is_out_of_descriptors(&self) -> bool {
        use rustix::io::Errno;
        [Errno::MFILE, Errno::NFILE].iter().any(|errno| self.source.raw_os_error() == Some(errno.raw_os_error()))
    }
}
