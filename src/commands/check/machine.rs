//! The resources of this machine: open files, and the disk below the data directory. Read-only.

use crate::ownership;
use rustix::fs::{Access, access, statvfs};
use rustix::process::{Resource, getrlimit};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The machine as `check` finds it.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    /// The soft limit of open files; `None`: unlimited.
    pub(super) soft_open_files: Option<u64>,
    /// The hard limit of open files.
    pub(super) hard_open_files: Option<u64>,
    /// Bytes free below the data directory for a user other than root; `None`: unknown.
    pub(super) free_bytes: Option<u64>,
    /// Why the data directory is not writable; `None`: it is.
    pub(super) unwritable: Option<String>,
}

impl Machine {
    /// Reads the limits of this process and probes the directory, or the ancestor it would be created in.
    pub(super) fn inspect(data_dir: &Path) -> Self {
        let limits = getrlimit(Resource::Nofile);
        let existing = nearest_existing(data_dir);
        let free = statvfs(&existing).ok().map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        Self {
            soft_open_files: limits.current,
            hard_open_files: limits.maximum,
            free_bytes: free,
            unwritable: unwritable(&existing),
        }
    }
}

/// The directory itself, or its nearest existing ancestor.
fn nearest_existing(path: &Path) -> PathBuf {
    let named = |path: &&Path| !path.as_os_str().is_empty();
    let found = path.ancestors().filter(named).find(|path| path.symlink_metadata().is_ok());
    found.unwrap_or_else(|| Path::new(if path.is_absolute() { "/" } else { "." })).to_owned()
}

fn unwritable(existing: &Path) -> Option<String> {
    let shown = existing.display();
    match existing.metadata() {
        Ok(found) if !found.is_dir() => Some(format!("{shown} is no directory")),
        Ok(_) => {
            let denied = access(existing, Access::WRITE_OK | Access::EXEC_OK).err();
            denied.map(|error| ownership::explain(existing, error.into()).to_string())
        }
        Err(error) => Some(format!("{shown}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_would_be_made_is_looked_at_from_above() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(nearest_existing(&directory.path().join("a/b")), directory.path());
        assert_eq!(nearest_existing(Path::new("no-such-directory")), Path::new("."));
        let machine = Machine::inspect(&directory.path().join("a/b"));
        assert!(machine.free_bytes.is_some() && machine.unwritable.is_none(), "{machine:?}");
    }

    #[test]
    fn a_file_in_the_way_is_told() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("data"), "").unwrap();
        let problem = Machine::inspect(&directory.path().join("data/tape")).unwritable.unwrap();
        assert!(problem.ends_with("data is no directory"), "{problem}");
    }
}
