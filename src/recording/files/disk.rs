//! The real disk: a directory of the operating system.

use super::{AppendFile, FileId, Files, Free, Identity, Listed, ReadFile, Root, append_all};
use rustix::fs::{self, AtFlags, CWD, FallocateFlags, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// How often a directory is made again that somebody removes while it is written to: each time costs a descriptor, and
/// whoever does that a hundred times will not stop.
const REMOVALS: usize = 100;

/// A data directory. It is held open, so that it stays the same one however its path is renamed.
#[derive(Debug)]
pub struct Disk {
    root: Held,
    path: PathBuf,
}

/// A directory that is held open, and those that were made in its place when it was removed: the last one counts.
#[derive(Debug)]
struct Held {
    directory: OwnedFd,
    next: OnceLock<Box<Held>>,
}

impl Disk {
    /// Opens a data directory, making it where it is not there.
    pub fn open(path: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).create(path)?;
        Ok(Self { root: Held::open(path)?, path: path.to_owned() })
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn open_at(&self, path: &Path, flags: OFlags) -> io::Result<File> {
        let file = fs::openat(&self.root, path, flags | OFlags::CLOEXEC | OFlags::NOFOLLOW, file_mode(path))?;
        Ok(File::from(file))
    }

    fn open_directory(&self, path: &Path) -> io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(fs::openat(&self.root, path, flags, Mode::empty())?)
    }

    fn listed(&self, directory: &OwnedFd, entry: &fs::DirEntry) -> io::Result<Listed> {
        use std::os::unix::ffi::OsStrExt;
        let name = std::ffi::OsStr::from_bytes(entry.file_name().to_bytes()).to_owned();
        let stat = fs::statat(directory, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)?;
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        Ok(Listed { name, is_file, bytes: u64::try_from(stat.st_size).unwrap_or_default() })
    }
}

impl Files for Disk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn AppendFile>> {
        // Read as well: what was taken away while it is written can be had through the descriptor alone.
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL;
        Ok(Arc::new(self.open_at(path, flags)?))
    }

    fn append(&self, path: &Path) -> io::Result<Arc<dyn AppendFile>> {
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::CREATE;
        Ok(Arc::new(self.open_at(path, flags)?))
    }

    fn read(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        Ok(Box::new(self.open_at(path, OFlags::RDONLY)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        match fs::renameat_with(&self.root, from, &self.root, to, RenameFlags::NOREPLACE) {
            // Some network file systems cannot refuse to replace; our names never repeat, so asking first is enough.
            Err(Errno::INVAL | Errno::NOSYS) => match fs::statat(&self.root, to, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(_) => Err(Errno::EXIST.into()),
                Err(_) => Ok(fs::renameat(&self.root, from, &self.root, to)?),
            },
            other => Ok(other?),
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        Ok(fs::unlinkat(&self.root, path, AtFlags::empty())?)
    }

    fn make_directory(&self, path: &Path) -> io::Result<()> {
        let mut made = PathBuf::new();
        for component in path.components() {
            let parent = made.clone();
            made.push(component);
            match fs::mkdirat(&self.root, &made, directory_mode(path)) {
                Ok(()) => self.sync_directory(&parent)?,
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn identify(&self, path: &Path) -> io::Result<Option<Identity>> {
        match fs::statat(&self.root, path, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(identity(&stat))),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn look_at_root(&self) -> io::Result<Root> {
        let held = identity(&fs::fstat(&self.root)?);
        if held.links == 0 {
            DirBuilder::new().recursive(true).create(&self.path)?;
            self.root.replace(Held::open(&self.path)?)?;
            return Ok(Root::MadeAgain);
        }
        let named = fs::stat(&self.path).ok().map(|stat| identity(&stat).file);
        Ok(if named == Some(held.file) { Root::InPlace } else { Root::Elsewhere })
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Listed>> {
        let directory = match self.open_directory(path) {
            Ok(directory) => directory,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut listed = Vec::new();
        for entry in fs::Dir::read_from(&directory)? {
            let entry = entry?;
            if ![".", ".."].map(str::as_bytes).contains(&entry.file_name().to_bytes()) {
                listed.push(self.listed(&directory, &entry)?);
            }
        }
        listed.sort();
        Ok(listed)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        Ok(fs::fsync(self.open_directory(path)?)?)
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(fs::syncfs(&self.root)?)
    }

    fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.open_at(path, OFlags::WRONLY | OFlags::CREATE)?.write_all_at(bytes, 0)
    }

    fn reserve(&self, path: &Path, bytes: usize) -> io::Result<()> {
        let file = self.open_at(path, OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL)?;
        let allocated = match fs::fallocate(&file, FallocateFlags::empty(), 0, bytes as u64) {
            // Not every file system can set room aside; then it is taken by writing.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => append_all(&file, &vec![0; bytes]),
            allocated => allocated.map_err(io::Error::from),
        };
        if allocated.is_err() {
            // What made it fail is the error to report.
            let _ = self.remove(path);
        }
        allocated
    }

    fn free(&self) -> io::Result<Free> {
        let stat = fs::fstatvfs(&self.root)?;
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

impl Held {
    fn open(path: &Path) -> io::Result<Self> {
        let directory = fs::openat(CWD, path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { directory, next: OnceLock::new() })
    }

    fn chain(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |held| held.next.get().map(|next| &**next))
    }

    fn replace(&self, with: Self) -> io::Result<()> {
        let is_free = |held: &&Self| held.next.get().is_none();
        let last = self.chain().take(REMOVALS).find(is_free).ok_or(io::ErrorKind::NotFound)?;
        // Where another thread was faster, its directory counts.
        let _ = last.next.set(Box::new(with));
        Ok(())
    }
}

impl AsFd for Held {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.chain().last().unwrap_or(self).directory.as_fd()
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

/// Files of the private tree are for their owner alone.
fn file_mode(path: &Path) -> Mode {
    Mode::from_raw_mode(if is_private(path) { 0o600 } else { 0o666 })
}

fn directory_mode(path: &Path) -> Mode {
    Mode::from_raw_mode(if is_private(path) { 0o700 } else { 0o777 })
}

fn is_private(path: &Path) -> bool {
    path.components().next() == Some(Component::Normal("private".as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn disk() -> (tempfile::TempDir, Disk) {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::open(&directory.path().join("data")).unwrap();
        (directory, disk)
    }

    #[test]
    fn a_taken_name_is_never_replaced() {
        let (_guard, disk) = disk();
        for name in ["a", "b"] {
            super::super::append_all(&*disk.create(Path::new(name)).unwrap(), name.as_bytes()).unwrap();
        }
        let kind = |result: io::Result<()>| result.unwrap_err().kind();
        assert_eq!(kind(disk.rename(Path::new("a"), Path::new("b"))), io::ErrorKind::AlreadyExists);
        assert_eq!(kind(disk.create(Path::new("a")).map(drop)), io::ErrorKind::AlreadyExists);
        let names: Vec<_> = disk.list(Path::new("")).unwrap().into_iter().map(|listed| listed.name).collect();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn private_files_are_for_their_owner_alone() {
        let (_guard, disk) = disk();
        disk.make_directory(Path::new("private/archive")).unwrap();
        disk.create(Path::new("private/x")).unwrap();
        let mode = |path: &str| std::fs::metadata(disk.path().join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("private"), mode("private/archive"), mode("private/x")), (0o700, 0o700, 0o600));
    }

    #[test]
    fn a_small_file_is_replaced_in_place_and_room_is_really_set_aside() {
        use std::os::unix::fs::MetadataExt;
        let (_guard, disk) = disk();
        for content in ["one", "two"] {
            disk.overwrite(Path::new("mark"), content.as_bytes()).unwrap();
            assert_eq!(std::fs::read_to_string(disk.path().join("mark")).unwrap(), content);
        }
        disk.reserve(Path::new("reserve"), 1 << 20).unwrap();
        assert!(std::fs::metadata(disk.path().join("reserve")).unwrap().blocks() * 512 >= 1 << 20);
        assert_eq!(disk.reserve(Path::new("reserve"), 1).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(disk.free().unwrap().bytes > 0);
    }

    #[test]
    fn a_missing_directory_is_an_empty_one() {
        let (_guard, disk) = disk();
        assert_eq!(disk.list(Path::new("archive")).unwrap(), []);
    }
}
