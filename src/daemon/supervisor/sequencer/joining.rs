//! The streams of a request that replaced another: until the exchange has taken it, what they bring may be lost. Pure.

use super::sequence::stamps_of;
use crate::batch::Batch;
use crate::clock::{Instant, Stamp};
use crate::recording::router::StreamId;
use std::collections::BTreeSet;
use std::time::Duration;

/// Added streams without data for this long count as quiet: the exchange sends the first snapshots 0.2 s after a
/// request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug)]
pub(super) struct Joining {
    /// Those in doubt.
    pub(super) streams: BTreeSet<String>,
    /// Data of any of these proves that the request is taken.
    proof: BTreeSet<String>,
    /// The deadline after which they count as joined.
    until: Instant,
}

impl Joining {
    /// Holds streams in doubt until data of any of `proof`, or until a deadline, and those of an `earlier` request, too.
    pub(super) fn new(
        earlier: Option<Self>,
        streams: impl Iterator<Item = String>,
        proof: BTreeSet<String>,
        now: Instant,
    ) -> Self {
        let streams = earlier.into_iter().flat_map(|joining| joining.streams).chain(streams).collect();
        Self { streams, proof, until: now + TIMEOUT }
    }

    /// Whether they have brought no data in time.
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        now >= self.until
    }

    /// The stamp of the first data that proves that the exchange has taken the request: of an added stream, where there are
    /// any.
    pub(super) fn proved_at(&self, batch: &Batch, lines: &[(Stamp, StreamId)]) -> Option<Stamp> {
        stamps_of(batch, lines, |stream| self.proof.contains(stream)).next()
    }
}
