//! One recorder per directory: an flock on the directory itself, and one on `.lock`, which also names its holder.
//!
//! ```text
//! data_dir   flock, until the process ends              holds even if its names are removed or renamed
//! .lock      flock, {"host":…,"pid":…,"started":…}       created again if removed
//! ```
//!
//! The kernel releases the locks at any end of the process, so no lock is ever stale.

use crate::clock::Stamp;
use crate::files::disk::Disk;
use crate::files::open::{Access, Obstacle};
use crate::files::{AppendFile, EntryKind, FileId, Files, IoError};
use crate::tape::paths::LOCK;
use crate::tape::quarantine::{clear, quarantine};
use crate::upbit::feed::Feed;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// More than a holder's entry needs; a longer file is ignored.
const MOST_BYTES: u64 = 4096;

/// The lock, held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    disk: Disk,
    holder: Holder,
    text: String,
    held: Mutex<Held>,
}

/// A locked file, and whether its missing name was logged.
#[derive(Debug)]
struct Held {
    /// The directory's identity and its lock: none where the file system cannot lock directories.
    id: FileId,
    directory: Option<OwnedFd>,
    file: File,
    is_told: bool,
}

/// The process that holds a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The host's name.
    pub host: String,
    /// The process id, as that host sees it.
    pub pid: u32,
    /// When it took the lock, µs.
    pub started: u64,
}

/// The process that locked a directory last, as `.lock` names it; `None`: it names none.
pub fn holder(disk: &Disk) -> Option<Holder> {
    let text = disk.read_all(Path::new(LOCK), MOST_BYTES).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Whether the process that locked a directory last still runs, as far as this machine knows. Nothing is locked to find
/// out: that could keep a recorder from starting.
pub fn is_held(disk: &Disk) -> bool {
    let Some(Holder { host, pid, .. }) = holder(disk) else { return false };
    let is_here = rustix::system::uname().nodename().to_string_lossy() == host;
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    // One of another user exists, too.
    let is_gone = |pid| rustix::process::test_kill_process(pid) == Err(Errno::SRCH);
    is_here && pid.is_some_and(|pid| !is_gone(pid))
}

/// Why a directory could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error(
        "{} is being recorded to by {}; stop that recorder or give this one a data_dir of its own",
        directory.display(), describe(holder.as_ref())
    )]
    Held {
        /// The data directory.
        directory: PathBuf,
        /// Its holder; `None` where `.lock` names none.
        holder: Option<Holder>,
    },
    /// The file could not be used, or a foreign file at its name could not be moved.
    #[error(transparent)]
    Io(#[from] IoError),
}

impl Lock {
    /// Locks a data directory for this process, which was started at `started`.
    ///
    /// # Errors
    /// Another process holds it, or the file system refuses.
    pub fn take(disk: &Disk, started: Stamp) -> Result<Self, LockError> {
        let id = disk.id().map_err(Self::failed(disk))?;
        let directory = lock_directory(disk)?;
        let Some(file) = open(disk)? else { return Err(held_by_another(disk)) };
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let holder = Holder { host, pid: std::process::id(), started: started.as_micros() };
        let text = serde_json::to_string(&holder).expect("strings and numbers always serialise");
        note(&file, &text);
        let held = Mutex::new(Held { id, directory, file, is_told: false });
        Ok(Self { disk: disk.clone(), holder, text, held })
    }

    /// This process, as `.lock` names it.
    pub fn holder(&self) -> &Holder {
        &self.holder
    }

    /// Compares the directory and `.lock` with the locked ones; a replaced one is locked again.
    pub fn check(&self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        match self.renew(&mut held) {
            Ok(true) => held.is_told = false,
            Ok(false) if !held.is_told => {
                held.is_told = true;
                tracing::error!(
                    "somebody has taken .lock away, and another process has locked the one that is there now"
                );
            }
            Err(error) if !held.is_told => {
                held.is_told = true;
                tracing::warn!(%error, "somebody has taken .lock away, and it cannot be made anew");
            }
            _ => {}
        }
    }

    /// Whether all required locks are held.
    fn renew(&self, held: &mut Held) -> Result<bool, LockError> {
        let failed = || Self::failed(&self.disk);
        let id = self.disk.id().map_err(failed())?;
        if id != held.id {
            (held.id, held.directory) = (id, lock_directory(&self.disk)?);
        }
        let named = self.disk.identify(Path::new(LOCK)).map_err(failed())?;
        let own = held.file.identify().map_err(failed())?;
        if named.is_some_and(|named| named.file == own.file) {
            return Ok(true);
        }
        let Some(file) = open(&self.disk)? else { return Ok(false) };
        tracing::warn!("somebody has taken .lock away: it was made anew, and the directory was locked all the time");
        note(&file, &self.text);
        held.file = file;
        Ok(true)
    }

    fn failed(disk: &Disk) -> impl FnOnce(io::Error) -> IoError {
        let path = disk.path().join(LOCK);
        IoError::at("lock", &path)
    }
}

/// A lock of the directory itself; `None` where the file system cannot lock directories.
fn lock_directory(disk: &Disk) -> Result<Option<OwnedFd>, LockError> {
    let directory = disk.directory().map_err(Lock::failed(disk))?;
    match try_flock(&directory) {
        Ok(true) => Ok(Some(directory)),
        Ok(false) => Err(held_by_another(disk)),
        // For example NFS, which locks only files opened for writing.
        Err(errno) => {
            let (path, error) = (disk.path().display(), io::Error::from(errno));
            tracing::warn!(directory = %path, %error, "directories cannot be locked here: .lock alone keeps a second recorder away");
            Ok(None)
        }
    }
}

/// The locked file; `None` where another process has the lock. An obstacle at its name is moved away.
fn open(disk: &Disk) -> Result<Option<File>, LockError> {
    let path = Path::new(LOCK);
    clear(disk, Feed::Public, path, EntryKind::File)?;
    let file = match disk.file(path, Access::Update) {
        Err(error) if Obstacle::of(&error) == Some(Obstacle::Shared) => {
            quarantine(disk, Feed::Public, path, "it has other names")?;
            disk.file(path, Access::Update)
        }
        file => file,
    };
    let file = file.map_err(Lock::failed(disk))?;
    let is_ours = try_flock(&file).map_err(|errno| Lock::failed(disk)(errno.into()))?;
    Ok(is_ours.then_some(file))
}

/// Whether the lock was acquired; `false`: another process has it.
fn try_flock(file: impl AsFd) -> Result<bool, Errno> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => Ok(false),
        locked => locked.map(|()| true),
    }
}

/// The lock is held even if this fails: on a full disk the next process cannot name the holder.
fn note(mut file: &File, text: &str) {
    if let Err(error) = file.set_len(0).and_then(|()| writeln!(file, "{text}")) {
        tracing::warn!(%error, "cannot note in .lock who holds the directory");
    }
}

fn held_by_another(disk: &Disk) -> LockError {
    LockError::Held { directory: disk.path().to_owned(), holder: holder(disk) }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} on {}", self.pid, self.host)?;
        match i64::try_from(self.started).ok().and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok()) {
            Some(started) => write!(f, ", started {started:.0}"),
            None => Ok(()),
        }
    }
}

fn describe(holder: Option<&Holder>) -> String {
    holder.map_or_else(|| "another process".to_owned(), Holder::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Root;
    use std::os::unix::fs::symlink;

    const STARTED: u64 = 1_795_324_324_113_204;

    struct Scene {
        directory: tempfile::TempDir,
        disk: Disk,
    }

    impl Scene {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let disk = Disk::open(directory.path()).unwrap();
            Self { directory, disk }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.directory.path().join(name)
        }

        fn take(&self) -> Result<Lock, LockError> {
            Lock::take(&self.disk, Stamp::from_micros(STARTED).unwrap())
        }

        fn holder(&self) -> Holder {
            serde_json::from_slice(&std::fs::read(self.path(LOCK)).unwrap()).unwrap()
        }
    }

    #[test]
    fn a_second_lock_names_the_holder() {
        let scene = Scene::new();
        let lock = scene.take().unwrap();
        let error = scene.take().unwrap_err().to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        assert!(error.contains("started 2026-11-22T05:12:04Z"), "{error}");
        drop(lock);
        scene.take().unwrap();
    }

    #[test]
    fn the_directory_stays_locked_without_its_file() {
        let scene = Scene::new();
        let _lock = scene.take().unwrap();
        std::fs::remove_file(scene.path(LOCK)).unwrap();
        assert!(matches!(scene.take(), Err(LockError::Held { .. })));
    }

    #[test]
    fn a_file_that_was_taken_away_is_made_anew() {
        let scene = Scene::new();
        let lock = scene.take().unwrap();
        std::fs::remove_file(scene.path(LOCK)).unwrap();
        lock.check();
        assert_eq!(scene.holder().started, STARTED);
        std::fs::remove_file(scene.path(LOCK)).unwrap();
        std::fs::write(scene.path(LOCK), "another one").unwrap();
        lock.check();
        assert_eq!(scene.holder().started, STARTED);
        // An older version locks the file alone.
        let file = File::open(scene.path(LOCK)).unwrap();
        assert_eq!(try_flock(&file), Ok(false));
        assert!(!scene.path("quarantine").exists());
    }

    #[test]
    fn a_directory_that_was_made_again_is_locked_too() {
        let scene = Scene::new();
        let lock = scene.take().unwrap();
        std::fs::remove_dir_all(scene.directory.path()).unwrap();
        assert_eq!(scene.disk.look_at_root().unwrap(), Root::MadeAgain);
        lock.check();
        assert_eq!(scene.holder().started, STARTED);
        let another = Disk::open(scene.directory.path()).unwrap();
        std::fs::remove_file(scene.path(LOCK)).unwrap();
        assert!(matches!(Lock::take(&another, Stamp::default()), Err(LockError::Held { .. })));
    }

    #[test]
    fn what_is_in_its_way_is_moved_and_never_written() {
        for kind in ["link", "hard link", "directory", "pipe"] {
            let scene = Scene::new();
            let (lock, victim) = (scene.path(LOCK), scene.path("victim"));
            std::fs::write(&victim, "not ours").unwrap();
            match kind {
                "link" => symlink(&victim, &lock).unwrap(),
                "hard link" => std::fs::hard_link(&victim, &lock).unwrap(),
                "directory" => std::fs::create_dir(&lock).unwrap(),
                _ => rustix::fs::mkfifoat(rustix::fs::CWD, &lock, rustix::fs::Mode::RWXU).unwrap(),
            }
            let _lock = scene.take().unwrap();
            assert_eq!(scene.holder().started, STARTED, "{kind}");
            assert_eq!(std::fs::read(&victim).unwrap(), b"not ours", "{kind}");
            assert!(std::fs::symlink_metadata(scene.path("quarantine/.lock")).is_ok(), "{kind}");
        }
    }

    #[test]
    fn a_file_locked_by_an_older_version_is_respected() {
        let scene = Scene::new();
        let file = File::create(scene.path(LOCK)).unwrap();
        assert_eq!(try_flock(&file), Ok(true));
        assert!(matches!(scene.take(), Err(LockError::Held { holder: None, .. })));
    }
}
