//! A recording held against itself: every file decoded, every line read, and all of it compared with what manifests,
//! names and events say.
//!
//! ```text
//! Root ──dates──▶ directory::Date ──jobs──▶ Job::check ──Report──▶ Order   no stamp twice in a stream's epoch
//!                     │ manifest, leftovers                    └─▶ Story   each loss has its gap, each healing too
//!                     └──────────── Fault: file, offset, reason ◀─────────┘
//! ```
//!
//! Nothing here writes, and nothing that is read is believed: a length is a bound before it is a length. A file is read
//! once, from its front, in memory for a frame, a line and a list of frames. Jobs are independent: their threads are the
//! caller's.

mod content;
pub mod directory;
pub mod fault;
mod job;
mod lines;
pub mod order;
mod plain;
mod report;
mod sealed;
pub mod story;

pub use job::{Job, Task};
pub use report::{Meter, Report};

use crate::files::disk::Disk;
use crate::files::{Files, IoError};
use crate::recording::lock::is_held;
use crate::tape::paths;
use crate::tape::reader::Tape;
use crate::upbit::feed::Feed;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where `backfill` puts what it fetches.
const FETCHED: &str = "rest";

/// One of the trees of a data directory; all have the same layout.
#[derive(Clone, Debug)]
pub struct Root {
    /// The tree itself: its paths are those of the public one.
    pub files: Arc<dyn Files>,
    /// Where it is in the data directory.
    pub below: PathBuf,
    /// What others may do with it meanwhile.
    pub beside: Beside,
    /// The epoch of its active files, by the recorder's own files.
    pub epoch: u64,
}

/// What may be going on in the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// Nothing: what is half done was left so.
    Nobody,
    /// A recorder works: what is half done is being done.
    Recorder,
}

impl Beside {
    /// By the process that the lock names.
    fn of(disk: &Disk) -> Self {
        if is_held(disk) { Self::Recorder } else { Self::Nobody }
    }
}

impl Root {
    /// The trees of a data directory that are there.
    ///
    /// # Errors
    /// One of them cannot be opened.
    pub fn all(disk: &Disk) -> Result<Vec<Self>, IoError> {
        let (files, beside): (Arc<dyn Files>, _) = (Arc::new(disk.clone()), Beside::of(disk));
        let epoch = Tape::new(Some(Arc::clone(&files)), disk.path()).epoch();
        let mut roots = vec![Self { files, below: PathBuf::new(), beside, epoch }];
        for below in [paths::root(Feed::Private), Path::new(FETCHED)] {
            let disk = match disk.beneath(below) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened.map_err(IoError::at("open", below))?,
            };
            // `backfill` has a lock of its own, and knows no epochs.
            let (beside, epoch) = if below == Path::new(FETCHED) { (Beside::of(&disk), 0) } else { (beside, epoch) };
            roots.push(Self { files: Arc::new(disk), below: below.to_owned(), beside, epoch });
        }
        Ok(roots)
    }

    /// A path as it is shown: in the data directory.
    pub fn shown(&self, path: &Path) -> PathBuf {
        self.below.join(path)
    }

    /// Whether its segments continue each other; those that `backfill` writes may go back.
    fn is_recorded(&self) -> bool {
        self.below != Path::new(FETCHED)
    }

    fn is_quiet(&self) -> bool {
        self.beside == Beside::Nobody
    }
}
