//! For tests: a real disk whose calls fail on command, and whose appends take half of the bytes.

use super::disk::Disk;
use super::{AppendFile, Files, Identity, Listed, ReadFile, Root};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The calls that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// Making a file.
    Create,
    /// Opening a file for reading.
    Read,
    /// Moving a file.
    Rename,
    /// Making a directory.
    MakeDirectory,
    /// Appending to a file that was created.
    Write,
    /// Taking permissions from others.
    Restrict,
}

/// Decides the outcome of each call.
type Fate = dyn Fn(Call, &Path) -> io::Result<()> + Send + Sync;

/// See the module.
#[derive(Clone)]
pub(crate) struct Faulty {
    disk: Arc<Disk>,
    fate: Arc<Fate>,
}

struct FaultyFile {
    file: Arc<dyn AppendFile>,
    path: PathBuf,
    fate: Arc<Fate>,
}

impl Faulty {
    /// `disk`, on which a call succeeds only if `fate` lets it.
    pub(crate) fn new(disk: Arc<Disk>, fate: impl Fn(Call, &Path) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self { disk, fate: Arc::new(fate) }
    }
}

impl Files for Faulty {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn AppendFile>> {
        (self.fate)(Call::Create, path)?;
        let file = self.disk.create(path)?;
        Ok(Arc::new(FaultyFile { file, path: path.to_owned(), fate: self.fate.clone() }))
    }
    fn append(&self, path: &Path) -> io::Result<Arc<dyn AppendFile>> {
        self.disk.append(path)
    }
    fn read(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        (self.fate)(Call::Read, path)?;
        self.disk.read(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        (self.fate)(Call::Rename, from)?;
        self.disk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }
    fn make_directory(&self, path: &Path) -> io::Result<()> {
        (self.fate)(Call::MakeDirectory, path)?;
        self.disk.make_directory(path)
    }
    fn identify(&self, path: &Path) -> io::Result<Option<Identity>> {
        self.disk.identify(path)
    }
    fn look_at_root(&self) -> io::Result<Root> {
        self.disk.look_at_root()
    }
    fn list(&self, path: &Path) -> io::Result<Vec<Listed>> {
        self.disk.list(path)
    }
    fn restrict(&self, path: &Path) -> io::Result<()> {
        (self.fate)(Call::Restrict, path)?;
        self.disk.restrict(path)
    }
    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_directory(path)
    }
    fn sync_all(&self) -> io::Result<()> {
        self.disk.sync_all()
    }
    fn overwrite_durably(&self, path: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.overwrite_durably(path, offset, bytes)
    }
}

impl AppendFile for FaultyFile {
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        (self.fate)(Call::Write, &self.path)?;
        self.file.append(&bytes[..bytes.len().div_ceil(2)])
    }
    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
    fn identify(&self) -> io::Result<Identity> {
        self.file.identify()
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buffer)
    }
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Faulty").field(&self.disk).finish()
    }
}

impl fmt::Debug for FaultyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FaultyFile").field(&self.path).finish()
    }
}
