//! How the hosts of the disk fare: when each last turned, and how long its jobs took.

use crate::counters::durations::SharedDurations;
use crate::counters::turns::SharedTurn;

/// Shared between the hosts and the supervisor.
#[derive(Clone, Debug, Default)]
pub struct Vitals {
    /// The writer's turns.
    pub writer: SharedTurn,
    /// The syncer's.
    pub syncer: SharedTurn,
    /// The sealer's.
    pub sealer: SharedTurn,
    /// From taking a sync job to its end, with the state and the durable mark.
    pub syncs: SharedDurations,
    /// From taking a segment to its line in the manifest.
    pub seals: SharedDurations,
}
