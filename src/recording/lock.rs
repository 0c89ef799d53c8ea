//! One recorder per directory: an flock on `.lock`, which also says who holds it.
//!
//! The kernel gives the lock back when the process ends, however it ends, so there is never a stale one.

use super::naming::layout::LOCK;
use crate::clock::Stamp;
use rustix::fs::FlockOperation;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// The lock, held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// The process that holds a lock.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Holder {
    /// The host's name.
    pub host: String,
    /// The process id, as that host sees it.
    pub pid: u32,
    /// When it took the lock, µs.
    pub started: u64,
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
        /// Who has it; `None` where the file does not say.
        holder: Option<Holder>,
    },
    /// The file could not be used.
    #[error("cannot lock {}: {source}", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl Lock {
    /// Locks a data directory for this process, which was started at `started`.
    pub fn take(directory: &Path, started: Stamp) -> Result<Self, LockError> {
        let path = directory.join(LOCK);
        let failed = |source| LockError::Io { path: path.clone(), source };
        let open = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(failed)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => {
                let mut text = String::new();
                let _ = file.read_to_string(&mut text);
                let holder = serde_json::from_str(&text).ok();
                return Err(LockError::Held { directory: directory.to_owned(), holder });
            }
            locked => locked.map_err(|errno| failed(errno.into()))?,
        }
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let holder = Holder { host, pid: std::process::id(), started: started.as_micros() };
        let text = serde_json::to_string(&holder).expect("strings and numbers always serialise");
        // The lock is held either way: on a full disk the next process is only not told by whom.
        if let Err(error) = file.set_len(0).and_then(|()| writeln!(file, "{text}")) {
            tracing::warn!(file = %path.display(), %error, "cannot note who holds the lock");
        }
        Ok(Self { _file: file })
    }
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

    #[test]
    fn a_second_lock_names_the_holder() {
        let directory = tempfile::tempdir().unwrap();
        let started = Stamp::from_micros(1_795_324_324_113_204).unwrap();
        let lock = Lock::take(directory.path(), started).unwrap();
        let error = Lock::take(directory.path(), started).unwrap_err().to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        assert!(error.contains("started 2026-11-22T05:12:04Z"), "{error}");
        drop(lock);
        Lock::take(directory.path(), started).unwrap();
    }
}
