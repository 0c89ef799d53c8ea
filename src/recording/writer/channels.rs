//! What the writer shares with the threads around it: its queues, and what they read of it or tell it beside them.

use crate::counters::turns::SharedTurn;
use crate::recording::journal::JournalCommand;
use crate::recording::progress::Progress;
use crate::recording::report::{Stop, ThreadReport};
use crate::recording::sync::SyncJob;
use tokio::sync::mpsc;

/// The queues of the writer.
#[derive(Debug)]
pub struct Channels {
    /// From the supervisor.
    pub commands: mpsc::Receiver<JournalCommand>,
    /// To the syncer; a queue of one, so that a slow disk has at most one job waiting.
    pub sync_jobs: mpsc::Sender<SyncJob>,
    /// To the supervisor.
    pub reports: mpsc::Sender<ThreadReport>,
}

/// The state that the writer shares with the supervisor.
#[derive(Clone, Debug, Default)]
pub struct WriterSignals {
    /// Set when the time to wait for a full disk is over.
    pub stop: Stop,
    /// The writer's position.
    pub progress: Progress,
    /// The writer's turns.
    pub turn: SharedTurn,
}
