//! The outcome of recovery.

use super::history::History;
use super::mend::Torn;
use crate::clock::Stamp;
use crate::recording::segment::{Finished, Segment};
use crate::tape::quarantine::Quarantined;
use crate::upbit::feed::PerFeed;
use std::path::PathBuf;

/// The state of a data directory after recovery.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Segments to be continued.
    pub resumable: Vec<Segment>,
    /// Segments to be sealed.
    pub backlog: Vec<Finished>,
    /// Lines that were being written when the process died.
    pub torn: Vec<Torn>,
    /// Files that were moved away.
    pub quarantined: Vec<Quarantined>,
    /// Active segments that cannot be read: their epochs, and their names in the archive.
    pub set_aside: Vec<(u64, String)>,
    /// Files and directories that are not ours.
    pub foreign: Vec<PathBuf>,
    /// The events of earlier processes.
    pub history: History,
    /// The latest stamp of any line of the newest epoch.
    pub last: Option<Stamp>,
    /// The last process stopped in order, with everything it wrote durable.
    pub is_clean: bool,
    /// The stamp up to which each connection's lines and gaps are certain to be on disk; `None`: there are none.
    pub reached: PerFeed<Option<Stamp>>,
    /// The epoch that begins or continues: how often stamps have gone back.
    pub epoch: u64,
    /// The last stamp is ahead of the clock, so its epoch ends and another one begins.
    pub goes_back: bool,
}
