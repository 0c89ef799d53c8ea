//! Permission bits of new files and directories.

use rustix::fs::Mode;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Component, Path};

/// The permissions of others on new files and directories, before the umask: only their owner may change them.
const FILE_MODE: Mode = Mode::from_raw_mode(0o644);
const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o755);

/// Creates a data directory if missing.
pub(super) fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE.bits()).create(path)
}

/// The mode of a new file: private to the owner in the private tree.
pub(super) fn file_mode(path: &Path) -> Mode {
    if is_private(path) { Mode::from_raw_mode(0o600) } else { FILE_MODE }
}

/// The mode of a new directory.
pub(super) fn directory_mode(path: &Path) -> Mode {
    if is_private(path) { Mode::from_raw_mode(0o700) } else { DIRECTORY_MODE }
}

fn is_private(path: &Path) -> bool {
    path.components().next() == Some(Component::Normal("private".as_ref()))
}
