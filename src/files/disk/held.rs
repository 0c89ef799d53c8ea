//! A directory held open, so that it stays the same one if its path is renamed.

use rustix::fs::{self, CWD, Mode, OFlags};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::OnceLock;

/// The limit of re-creations of a directory removed during writes: each costs a descriptor, and a program that removes
/// it a hundred times will not stop.
const REMOVALS: usize = 100;

/// A directory held open, and its re-creations after removals: the last one is current.
#[derive(Debug)]
pub(super) struct Held {
    directory: OwnedFd,
    next: OnceLock<Box<Held>>,
}

impl Held {
    /// Opens a directory by a path that may contain links.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(fs::openat(CWD, path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?.into())
    }

    fn chain(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |held| held.next.get().map(|next| &**next))
    }

    /// Makes another directory current.
    pub(super) fn replace(&self, with: Self) -> io::Result<()> {
        let is_free = |held: &&Self| held.next.get().is_none();
        let last = self.chain().take(REMOVALS).find(is_free).ok_or(io::ErrorKind::NotFound)?;
        // If another thread was faster, its directory is current.
        let _ = last.next.set(Box::new(with));
        Ok(())
    }
}

impl From<OwnedFd> for Held {
    fn from(directory: OwnedFd) -> Self {
        Self { directory, next: OnceLock::new() }
    }
}

impl AsFd for Held {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.chain().last().unwrap_or(self).directory.as_fd()
    }
}
