//! Output of active files to syncer and sealer: new content, new names, and ended segments.

use crate::files::open::Obstacle;
use crate::files::{Files, IoError};
use crate::recording::segment::Finished;
use crate::recording::sync::SyncJob;
use crate::tape::quarantine::clear_directories;
use crate::tape::segment_name::date;
use crate::tape::words::RotationReason;
use jiff::civil::Date;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bound of the cache of existing directories: two trees, a few dates each.
const KNOWN_DIRECTORIES: usize = 32;

/// See the module.
#[derive(Debug)]
pub(super) struct Handover {
    pub(super) files: Arc<dyn Files>,
    /// The changes that the next sync makes durable.
    pub(super) sync: SyncJob,
    /// The names of ended segments that are not on record yet.
    pub(super) ended: BTreeMap<RotationReason, Vec<String>>,
    /// Segments ended since the last report.
    pub(super) ended_since: BTreeMap<(RotationReason, Date), usize>,
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

    /// An archived segment waits for the sync, then for the sealer.
    pub(super) fn end(&mut self, reason: RotationReason, finished: Finished) {
        self.ended.entry(reason).or_default().push(finished.name.plain_name());
        *self.ended_since.entry((reason, date(finished.name.first))).or_default() += 1;
        self.sync.finished.push(finished);
    }

    /// Creates a directory unless it is cached as existing. An obstacle at its name goes to the quarantine.
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

    /// Directories may have been removed: clears the cache, so that each is created again on use.
    pub(super) fn forget_directories(&mut self) {
        self.directories.clear();
    }
}
