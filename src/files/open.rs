//! The only opener of files below a data directory.
//!
//! ```text
//! path ──openat2──▶ descriptor ──fstat──▶ a file, or a directory, as the name says
//!          │                      └─────▶ Obstacle: a pipe, a device, a file with other names, …
//!          └─ no link in any part of the path, nothing above the root, no waiting for the other end of a pipe
//! ```
//!
//! Other programs can create names in a data directory: clean-up jobs, restores, anything with write access. Following
//! a link at one of our names would overwrite a foreign file, and opening a pipe would block for ever.

use rustix::fs::{self, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path};

/// Retries of a path that is being renamed concurrently, for which the kernel gives up.
const TRIES: usize = 8;

/// An entry at one of our names that is not of the expected kind. It is the inner error of an [`io::Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// A symbolic link, in any part of the path.
    #[error("it is a link, and links are not followed")]
    Link,
    /// A directory in place of a file.
    #[error("it is a directory")]
    Directory,
    /// A file in place of a directory.
    #[error("it is no directory, and a link to one is not followed")]
    NoDirectory,
    /// A pipe, a socket or a device.
    #[error("it is a pipe, a socket or a device")]
    Special,
    /// A file with other names, which may be another program's: it may be read, but not written.
    #[error("it has another name (a hard link), through which nothing is written")]
    Shared,
    /// It belongs to another user, by number.
    #[error("it belongs to user {owner}, and this process is user {us}")]
    Owner {
        /// Its owner.
        owner: u32,
        /// This user.
        us: u32,
    },
}

impl Obstacle {
    /// The obstacle inside an error; `None`: the error has another cause.
    pub fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

impl From<Obstacle> for io::Error {
    fn from(obstacle: Obstacle) -> Self {
        let kind = if obstacle == Obstacle::NoDirectory { io::ErrorKind::NotADirectory } else { io::ErrorKind::Other };
        Self::new(kind, obstacle)
    }
}

/// The access mode of an open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading.
    Read,
    /// Appending, to a new file.
    Create,
    /// Appending; created if missing.
    Append,
    /// Reading, and writing in place; created if missing.
    Update,
}

impl Access {
    fn flags(self) -> OFlags {
        match self {
            Self::Read => OFlags::RDONLY,
            // Readable as well: the content of a displaced file is reachable by its descriptor alone.
            Self::Create => OFlags::RDWR | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL,
            Self::Append => OFlags::RDWR | OFlags::APPEND | OFlags::CREATE,
            Self::Update => OFlags::RDWR | OFlags::CREATE,
        }
    }
}

/// Opens a regular file below `root`; `mode` is that of a new one.
pub(super) fn file(root: BorrowedFd<'_>, path: &Path, access: Access, mode: Mode) -> io::Result<File> {
    let flags = access.flags();
    let mode = if flags.contains(OFlags::CREATE) { mode } else { Mode::empty() };
    regular(resolve(root, path, flags, mode), access)
}

/// The opened file, if it is regular and may be used in this mode.
fn regular(opened: Result<OwnedFd, Errno>, access: Access) -> io::Result<File> {
    let file = opened.map_err(refused)?;
    let stat = fs::fstat(&file)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile if access == Access::Read || stat.st_nlink <= 1 => Ok(File::from(file)),
        FileType::RegularFile => Err(Obstacle::Shared.into()),
        FileType::Directory => Err(Obstacle::Directory.into()),
        _ => Err(Obstacle::Special.into()),
    }
}

/// Opens a directory below `root`; an empty path is `root` itself.
pub(super) fn directory(root: BorrowedFd<'_>, path: &Path) -> io::Result<OwnedFd> {
    resolve(root, path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).map_err(refused)
}

/// Opens an entry of any kind but a link, to inspect it and to change its mode.
pub(super) fn anything(root: BorrowedFd<'_>, path: &Path) -> io::Result<OwnedFd> {
    resolve(root, path, OFlags::RDONLY, Mode::empty()).map_err(refused)
}

fn resolve(root: BorrowedFd<'_>, path: &Path, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    for _ in 0..TRIES {
        match fs::openat2(root, path, flags, mode, ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS) {
            Err(Errno::AGAIN) => {}
            // An old kernel without the call, or a container that forbids it.
            Err(Errno::NOSYS | Errno::PERM) => break,
            opened => return opened,
        }
    }
    by_parts(root, path, flags, mode)
}

/// The same for a kernel without the call: one directory at a time.
fn by_parts(root: BorrowedFd<'_>, path: &Path, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    const STEP: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
    let mut above: Option<OwnedFd> = None;
    let mut parts = path.components().filter(|part| *part != Component::CurDir).peekable();
    while let Some(part) = parts.next() {
        let Component::Normal(name) = part else { return Err(Errno::XDEV) };
        let directory = above.as_ref().map_or(root, AsFd::as_fd);
        if parts.peek().is_none() {
            return fs::openat(directory, name, flags, mode);
        }
        above = Some(fs::openat(directory, name, STEP, Mode::empty())?);
    }
    fs::openat(root, ".", flags, mode)
}

fn refused(errno: Errno) -> io::Error {
    match errno {
        Errno::LOOP => Obstacle::Link.into(),
        Errno::NOTDIR => Obstacle::NoDirectory.into(),
        Errno::ISDIR => Obstacle::Directory.into(),
        Errno::NXIO | Errno::NODEV => Obstacle::Special.into(),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::CWD;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    /// Opens by the kernel's call and by parts: the results must be equal.
    fn open(root: &Path, path: &str, access: Access) -> Result<(), Option<Obstacle>> {
        let root = fs::openat(CWD, root, OFlags::DIRECTORY, Mode::empty()).unwrap();
        let flags = access.flags() | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let answers = [
            file(root.as_fd(), Path::new(path), access, Mode::RUSR | Mode::WUSR),
            regular(by_parts(root.as_fd(), Path::new(path), flags, Mode::RUSR | Mode::WUSR), access),
        ];
        let [first, second] = answers.map(|answer| answer.map(drop).map_err(|error| Obstacle::of(&error)));
        // By parts, a link to a directory is no directory.
        let is_same =
            first == second || (first, second) == (Err(Some(Obstacle::Link)), Err(Some(Obstacle::NoDirectory)));
        assert!(is_same, "{path} {access:?}: {first:?} {second:?}");
        first
    }

    #[test]
    fn what_is_no_file_of_ours_is_refused_without_waiting() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        std::fs::create_dir(root.join("ours")).unwrap();
        std::fs::write(root.join("ours/victim"), "not ours").unwrap();
        std::fs::write(root.join("file"), "").unwrap();
        std::fs::hard_link(root.join("ours/victim"), root.join("shared")).unwrap();
        for (name, target) in
            [("link", "ours/victim"), ("dangling", "nowhere"), ("away", "ours"), ("device", "/dev/null")]
        {
            symlink(target, root.join(name)).unwrap();
        }
        fs::mkfifoat(CWD, root.join("pipe"), Mode::RUSR | Mode::WUSR).unwrap();
        let _socket = UnixListener::bind(root.join("socket")).unwrap();
        for access in [Access::Read, Access::Append, Access::Update] {
            let refused = |path| open(root, path, access).unwrap_err();
            for link in ["link", "dangling", "device", "away/victim"] {
                assert_eq!(refused(link), Some(Obstacle::Link), "{link}");
            }
            assert_eq!(refused("ours"), Some(Obstacle::Directory));
            assert_eq!(refused("file/x"), Some(Obstacle::NoDirectory));
            assert_eq!([refused("pipe"), refused("socket")], [Some(Obstacle::Special); 2]);
            assert_eq!(refused("ours/../../x"), None, "nothing above the root");
            assert_eq!(open(root, "file", access), Ok(()));
        }
        assert_eq!(open(root, "shared", Access::Read), Ok(()));
        assert_eq!(open(root, "shared", Access::Append), Err(Some(Obstacle::Shared)));
        assert_eq!(open(root, "dangling", Access::Create), Err(None), "the name is taken");
        assert_eq!(std::fs::read(root.join("ours/victim")).unwrap(), b"not ours");
        assert!(!root.join("nowhere").exists());
    }

    #[test]
    fn a_directory_behind_a_link_is_none_of_ours() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("ours")).unwrap();
        symlink("ours", directory.path().join("away")).unwrap();
        std::fs::write(directory.path().join("file"), "").unwrap();
        let root = fs::openat(CWD, directory.path(), OFlags::DIRECTORY, Mode::empty()).unwrap();
        let refused = |path| Obstacle::of(&super::directory(root.as_fd(), Path::new(path)).unwrap_err());
        // For a link, the kernel reports that it is no directory, if one is requested.
        assert!(matches!(refused("away"), Some(Obstacle::Link | Obstacle::NoDirectory)));
        assert_eq!(refused("file"), Some(Obstacle::NoDirectory));
        assert!(
            super::directory(root.as_fd(), Path::new("ours")).is_ok()
                && super::directory(root.as_fd(), Path::new("")).is_ok()
        );
    }
}
