//! What active files leave to syncer and sealer: new content, new names, and segments that have ended.

use crate::files::open::Obstacle;
use crate::files::{Files, IoError};
use crate::recording::segment::Finished;
use crate::recording::sync::SyncJob;
use crate::tape::quarantine::clear_directories;
use crate::tape::words::RotationReason;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Directories remembered as being there: two trees, a few dates each.
const KNOWN_DIRECTORIES: usize = 32;

/// See the module.
#[derive(Debug)]
pub(super) struct Handover {
    pub(super) files: Arc<dyn Files>,
    /// What the next sync has to make durable.
    pub(super) sync: SyncJob,
    /// The names of segments that ended and are not on record yet.
    pub(super) ended: BTreeMap<RotationReason, Vec<String>>,
    /// How many have ended since this was last asked.
    pub(super) ended_since: BTreeMap<RotationReason, usize>,
    directories: BTreeSet<PathBuf>,
}

impl Handover {
    pub(super) fn new(files: Arc<dyn Files>) -> Self {
        Self {
            files,
            sync: SyncJob::default(),
            ended: BTreeMap::new(),
            ended_since: BTreeMap::new(),
            directories: BTreeSet::new(),
        }
    }

    /// A segment is in the archive, and waits for the sync and for its compression.
    pub(super) fn end(&mut self, reason: RotationReason, finished: Finished) {
        self.ended.entry(reason).or_default().push(finished.name.plain_name());
        *self.ended_since.entry(reason).or_default() += 1;
        self.sync.finished.push(finished);
    }

    /// Makes a directory that is not known to be there. What is in its way goes to the quarantine.
    pub(super) fn make_directory(&mut self, path: &Path) -> Result<(), IoError> {
        if self.directories.len() > KNOWN_DIRECTORIES {
            self.directories.clear();
        }
        if path.as_os_str().is_empty() || self.directories.contains(path) {
            return Ok(());
        }
        let make = || self.files.make_directory(path).map_err(IoError::at("make the directory", path));
        match make() {
            Err(error) if Obstacle::of(&error.source).is_some() => {
                clear_directories(&*self.files, path)?;
                make()?;
            }
            made => made?,
        }
        self.directories.insert(path.to_owned());
        Ok(())
    }

    /// Directories may have been taken away: each is made again when it is needed.
    pub(super) fn forget_directories(&mut self) {
        self.directories.clear();
    }
}
