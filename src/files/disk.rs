//! The real disk: a directory of the operating system.

mod held;
mod modes;

use super::open::{self, Access, Obstacle};
use super::{AppendFile, EntryKind, FileId, Files, Free, Identity, IoError, Listed, ReadFile, Root, append_all};
use crate::ownership;
use held::Held;
use modes::{directory_mode, file_mode, make};
use rustix::fs::{self, AtFlags, FallocateFlags, FileType, Mode, RenameFlags};
use rustix::io::Errno;
use std::ffi::{CStr, OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A data directory. It is held open, so that it stays the same one if its path is renamed. Entries below it are opened
/// without following links; the path of the directory itself may contain some, since the user chose it.
#[derive(Clone, Debug)]
pub struct Disk {
    root: Arc<Held>,
    path: PathBuf,
}

impl Disk {
    /// Opens a data directory, creating it if missing.
    pub fn open(path: &Path) -> io::Result<Self> {
        make(path).map_err(|error| ownership::explain(path, error))?;
        Self::existing(path)
    }

    /// Opens an existing data directory.
    pub fn existing(path: &Path) -> io::Result<Self> {
        let root = Held::open(path).map_err(|error| ownership::explain(path, error))?;
        Ok(Self { root: Arc::new(root), path: path.to_owned() })
    }

    /// Opens a data directory for reading; `None`: there is none of the recorder's.
    pub fn readable(path: &Path) -> Result<Option<Arc<dyn Files>>, IoError> {
        match Self::existing(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound || Obstacle::of(&error).is_some() => Ok(None),
            disk => Ok(Some(Arc::new(disk.map_err(IoError::at("open", path))?))),
        }
    }

    /// A directory below this one, with the same layout in it.
    pub fn beneath(&self, path: &Path) -> io::Result<Self> {
        let root = Held::from(self.open_directory(path)?);
        Ok(Self { root: Arc::new(root), path: self.path.join(path) })
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A separate descriptor of the directory itself, to hold a lock.
    pub fn directory(&self) -> io::Result<OwnedFd> {
        open::directory(self.root.as_fd(), Path::new(""))
    }

    /// Opens a regular file; an [`Obstacle`] where the name is another kind of entry.
    pub fn file(&self, path: &Path, access: Access) -> io::Result<File> {
        open::file(self.root.as_fd(), path, access, file_mode(path)).map_err(|error| self.explain(path, error))
    }

    /// The content of a file of up to `most` bytes; for a longer one an error of kind `InvalidData`.
    pub fn read_all(&self, path: &Path, most: u64) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        self.file(path, Access::Read)?.take(most + 1).read_to_end(&mut content)?;
        if content.len() as u64 > most {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it is longer than {most} bytes")));
        }
        Ok(content)
    }

    /// Renames a complete file over the previous one, if any, and makes that durable.
    pub fn replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        let ((from_root, from), (to_root, to_name)) = (self.place(from)?, self.place(to)?);
        fs::renameat(&from_root, from, &to_root, to_name)?;
        Ok(fs::fsync(self.open_directory(to.parent().unwrap_or(Path::new("")))?)?)
    }

    /// Replaces a small file atomically; `unfinished` is its name until it is complete.
    pub fn put(&self, unfinished: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
        match self.remove(unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = self.file(unfinished, Access::Create)?;
        file.write_all(content)?;
        file.sync_all()?;
        self.replace(unfinished, path)
    }

    /// When the content of the file at this path was written last, since the Unix epoch; `None`: there is none.
    pub fn modified(&self, path: &Path) -> io::Result<Option<Duration>> {
        let since = |stat: fs::Stat| {
            let seconds = u64::try_from(stat.st_mtime).unwrap_or_default();
            Duration::new(seconds, u32::try_from(stat.st_mtime_nsec).unwrap_or_default())
        };
        Ok(self.stat(path)?.map(since))
    }

    /// The identity of the current directory, which changes when a removed one is created again.
    pub fn id(&self) -> io::Result<FileId> {
        Ok(identity(&fs::fstat(&*self.root)?).file)
    }

    /// The parent directory of a path, and the name in it: most system calls on a path follow links in it.
    fn place<'a>(&self, path: &'a Path) -> io::Result<(Above<'_>, &'a OsStr)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        match path.parent() {
            Some(above) if !above.as_os_str().is_empty() => Ok((Above::Opened(self.open_directory(above)?), name)),
            _ => Ok((Above::Root(self.root.as_fd()), name)),
        }
    }

    /// The entry at this path; `None`: there is none, or no parent directory.
    fn stat(&self, path: &Path) -> io::Result<Option<fs::Stat>> {
        let is_nowhere =
            |error: &io::Error| matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
        let (root, name) = match self.place(path) {
            Err(error) if is_nowhere(&error) => return Ok(None),
            place => place?,
        };
        match fs::statat(&root, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(None),
            stat => Ok(Some(stat?)),
        }
    }

    fn open_directory(&self, path: &Path) -> io::Result<OwnedFd> {
        open::directory(self.root.as_fd(), path).map_err(|error| self.explain(path, error))
    }

    fn explain(&self, path: &Path, error: io::Error) -> io::Error {
        ownership::explain(&self.path.join(path), error)
    }

    fn each_name(&self, path: &Path, mut each: impl FnMut(&OwnedFd, &CStr) -> io::Result<()>) -> io::Result<()> {
        let directory = match self.open_directory(path) {
            Ok(directory) => directory,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in fs::Dir::read_from(&directory)? {
            let entry = entry?;
            if ![".", ".."].map(str::as_bytes).contains(&entry.file_name().to_bytes()) {
                each(&directory, entry.file_name())?;
            }
        }
        Ok(())
    }

    /// Replaces a hard-linked file by a copy of its content: the other names keep the original.
    fn unshare(&self, path: &Path) -> io::Result<()> {
        let mut copy = path.as_os_str().to_owned();
        copy.push(".unshared.tmp");
        let copy = PathBuf::from(copy);
        match self.remove(&copy) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            // A leftover of a crash.
            _ => {}
        }
        let mut unshared = self.file(&copy, Access::Create)?;
        io::copy(&mut self.file(path, Access::Read)?, &mut unshared)?;
        unshared.sync_all()?;
        self.replace(&copy, path)?;
        tracing::warn!(file = %path.display(), "has other names (hard links): it goes on in a copy, and they keep what it was");
        Ok(())
    }
}

fn listed(name: &OsStr, stat: &fs::Stat) -> Listed {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => EntryKind::File,
        FileType::Directory => EntryKind::Directory,
        FileType::Symlink => EntryKind::Link,
        _ => EntryKind::Special,
    };
    let mode = Mode::from_raw_mode(stat.st_mode).bits();
    Listed { name: name.to_owned(), kind, bytes: u64::try_from(stat.st_size).unwrap_or_default(), mode }
}

impl Files for Disk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn AppendFile>> {
        Ok(Arc::new(self.file(path, Access::Create)?))
    }

    fn append(&self, path: &Path) -> io::Result<Arc<dyn AppendFile>> {
        match self.file(path, Access::Append) {
            Err(error) if Obstacle::of(&error) == Some(Obstacle::Shared) => {
                self.unshare(path)?;
                Ok(Arc::new(self.file(path, Access::Append)?))
            }
            file => Ok(Arc::new(file?)),
        }
    }

    fn read(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        Ok(Box::new(self.file(path, Access::Read)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let ((from_root, from), (to_root, to)) = (self.place(from)?, self.place(to)?);
        match fs::renameat_with(&from_root, from, &to_root, to, RenameFlags::NOREPLACE) {
            // Some network file systems cannot refuse to replace; our names never repeat, so a check before is enough.
            Err(Errno::INVAL | Errno::NOSYS) => match fs::statat(&to_root, to, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(_) => Err(Errno::EXIST.into()),
                Err(_) => Ok(fs::renameat(&from_root, from, &to_root, to)?),
            },
            other => Ok(other?),
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let (root, name) = self.place(path)?;
        Ok(fs::unlinkat(&root, name, AtFlags::empty())?)
    }

    fn make_directory(&self, path: &Path) -> io::Result<()> {
        let mut made = PathBuf::new();
        for component in path.components() {
            let parent = made.clone();
            made.push(component);
            let (root, name) = self.place(&made)?;
            match fs::mkdirat(&root, name, directory_mode(path)) {
                Ok(()) => self.sync_directory(&parent)?,
                Err(Errno::EXIST) => drop(self.open_directory(&made)?),
                Err(error) => return Err(self.explain(&made, error.into())),
            }
        }
        Ok(())
    }

    fn identify(&self, path: &Path) -> io::Result<Option<Identity>> {
        Ok(self.stat(path)?.map(|stat| identity(&stat)))
    }

    fn look_at_root(&self) -> io::Result<Root> {
        let held = identity(&fs::fstat(&*self.root)?);
        if held.links == 0 {
            make(&self.path)?;
            self.root.replace(Held::open(&self.path)?)?;
            return Ok(Root::MadeAgain);
        }
        let named = fs::stat(&self.path).ok().map(|stat| identity(&stat).file);
        Ok(if named == Some(held.file) { Root::InPlace } else { Root::Elsewhere })
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Listed>> {
        let mut entries = Vec::new();
        self.each_name(path, |directory, name| {
            match fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
                // It was removed since it was listed.
                Err(Errno::NOENT) => {}
                stat => entries.push(listed(OsStr::from_bytes(name.to_bytes()), &stat?)),
            }
            Ok(())
        })?;
        entries.sort();
        Ok(entries)
    }

    fn names(&self, path: &Path) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        self.each_name(path, |_, name| {
            names.push(OsStr::from_bytes(name.to_bytes()).to_owned());
            Ok(())
        })?;
        Ok(names)
    }

    fn look(&self, path: &Path) -> io::Result<Option<Listed>> {
        let name = path.file_name().unwrap_or_default();
        Ok(self.stat(path)?.map(|stat| listed(name, &stat)))
    }

    fn restrict(&self, path: &Path) -> io::Result<()> {
        let file = open::anything(self.root.as_fd(), path)?;
        let stat = fs::fstat(&file)?;
        let us = rustix::process::geteuid().as_raw();
        if stat.st_uid != us {
            return Err(Obstacle::Owner { owner: stat.st_uid, us }.into());
        }
        let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let owned = Mode::from_raw_mode(if is_directory { 0o700 } else { 0o600 });
        fs::fchmod(&file, Mode::from_raw_mode(stat.st_mode) & owned)?;
        match fs::fstat(&file)?.st_mode & 0o077 {
            0 => Ok(()),
            _ => Err(io::Error::new(io::ErrorKind::Unsupported, "this file system does not keep modes")),
        }
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        Ok(fs::fsync(self.open_directory(path)?)?)
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(fs::syncfs(&*self.root)?)
    }

    fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let file = match self.file(path, Access::Update) {
            // The other names keep the file, and this one gets a copy.
            Err(error) if Obstacle::of(&error) == Some(Obstacle::Shared) => {
                self.remove(path)?;
                self.file(path, Access::Update)?
            }
            file => file?,
        };
        file.write_all_at(bytes, 0)
    }

    fn overwrite_durably(&self, path: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let file = self.file(path, Access::Update)?;
        file.write_all_at(bytes, offset)?;
        file.sync_data()
    }

    fn reserve(&self, path: &Path, bytes: usize) -> io::Result<()> {
        let file = self.file(path, Access::Create)?;
        let allocated = match fs::fallocate(&file, FallocateFlags::empty(), 0, bytes as u64) {
            // A file system without allocation: the space is taken by writing.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => append_all(&file, &vec![0; bytes]),
            allocated => allocated.map_err(io::Error::from),
        };
        if allocated.is_err() {
            // The first error is reported.
            let _ = self.remove(path);
        }
        allocated
    }

    fn free(&self) -> io::Result<Free> {
        let stat = fs::fstatvfs(&*self.root)?;
        let inodes = if stat.f_files == 0 { u64::MAX } else { stat.f_favail };
        Ok(Free { bytes: stat.f_bavail.saturating_mul(stat.f_frsize), inodes })
    }
}

impl AppendFile for File {
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        (&mut &*self).write(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn identify(&self) -> io::Result<Identity> {
        Ok(identity(&fs::fstat(self)?))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }
}

impl ReadFile for File {
    fn identify(&self) -> io::Result<Identity> {
        Ok(identity(&fs::fstat(self)?))
    }
}

#[expect(
    clippy::unnecessary_cast,
    clippy::cast_sign_loss,
    reason = "the types differ between platforms; sizes are not negative"
)]
fn identity(stat: &fs::Stat) -> Identity {
    let file = FileId { device: stat.st_dev as u64, inode: stat.st_ino as u64 };
    Identity { file, links: stat.st_nlink as u64, bytes: stat.st_size as u64 }
}

/// The parent directory of a name.
enum Above<'a> {
    Root(BorrowedFd<'a>),
    Opened(OwnedFd),
}

impl AsFd for Above<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Root(root) => root.as_fd(),
            Self::Opened(directory) => directory.as_fd(),
        }
    }
}

#[cfg(test)]
mod tests;
