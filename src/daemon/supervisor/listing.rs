//! The list of pairs, and the requests that follow from it while the connections live.
//!
//! ```text
//! listed ──▶ request of each connection ──▶ session: sends it ──▶ `subscribed`: origins to the journal, streams join
//!                                                       joined by their first data ──▶ gap since they were wanted
//! ```
//!
//! What a request adds was wanted before it was sent, and nothing of it was recorded until then: that is on record as a gap
//! of these streams. While it is not known what patterns stand for, they stand for their streams themselves.

use super::Supervisor;
use super::connections::{Change, Joining};
use crate::batch::{Batch, Entry};
use crate::clock::{Instant, Stamp};
use crate::desired::Listed;
use crate::recording::journal::JournalCommand;
use crate::recording::router::StreamId;
use crate::tape::event::Event;
use crate::tape::gap::Gap;
use crate::upbit::feed::Feed;
use crate::upbit::listing::stream_name;
use crate::upbit::subscription::Request;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Streams that were added and bring nothing for so long are quiet: the exchange sends the first snapshots 0.2 s after a
/// request.
const JOIN_TIMEOUT: Duration = Duration::from_secs(10);

impl Supervisor {
    pub(super) fn handle_listed(&mut self, listed: Option<Listed>) {
        let Some(listed) = listed else {
            // Nobody asks any more, and the list stays as it is.
            self.listed = None;
            return;
        };
        self.follow_boot();
        let stamp = self.stamper.raise(self.clock.stamp());
        let mut gaps = Vec::new();
        for (id, connection) in &mut self.connections {
            let none = connection.resolve(&listed);
            gaps.extend(self.gaps.clear(*id, &none, stamp));
        }
        self.record_gaps(gaps);
    }

    /// A request stands from here on; returns the gaps that end with it.
    pub(super) fn handle_standing(&mut self, id: Feed, standing: &Arc<Request>, stamp: Stamp) -> Vec<Gap> {
        let Some(connection) = self.connections.get_mut(&id) else { return Vec::new() };
        let Some(Change { added, removed, since }) = connection.stand(standing) else { return Vec::new() };
        self.outbox.push_back(JournalCommand::Describe(id, Arc::new(connection.origins())));
        let mut gaps = self.gaps.clear(id, &removed, stamp);
        if !added.is_empty() {
            let until = self.clock.now() + JOIN_TIMEOUT;
            let joining = connection.joining.get_or_insert_with(|| Joining { streams: Default::default(), until });
            joining.streams.extend(added.iter().cloned());
            joining.until = until;
            // What lies before a step is of another time line, and told there under the patterns' names.
            let line = self.last_step.map_or(self.begun, |(_, after)| after);
            let since = since.map_or(line, |since| self.clock.stamp_at(since).max(line));
            gaps.extend(self.gaps.join(id, added, since));
        }
        gaps
    }

    /// Streams that were added have joined with the first data of any: then the exchange has seen the request.
    pub(super) fn look_for_joined(&mut self, id: Feed, batch: &Batch, lines: &[(Stamp, StreamId)]) {
        let Some(joining) = self.connections.get(&id).and_then(|connection| connection.joining.as_ref()) else {
            return;
        };
        let is_of = |entry: &Entry<'_>| match entry {
            Entry::Data { kind, code, .. } => joining.streams.contains(&stream_name(kind, *code)),
            _ => false,
        };
        let first = batch.entries().zip(lines).find(|((_, entry), _)| is_of(entry)).map(|(_, (stamp, _))| *stamp);
        if let Some(stamp) = first {
            self.end_joining(id, stamp);
        }
    }

    /// Those of which nothing came in time have joined as well.
    pub(super) fn end_overdue_joining(&mut self, now: Instant) {
        let is_over = |joining: &Joining| now >= joining.until;
        let overdue =
            self.connections.iter().filter(|(_, connection)| connection.joining.as_ref().is_some_and(is_over));
        let overdue: Vec<Feed> = overdue.map(|(id, _)| *id).collect();
        for id in overdue {
            let stamp = self.stamper.raise(self.clock.stamp_at(now));
            self.end_joining(id, stamp);
        }
    }

    fn end_joining(&mut self, id: Feed, stamp: Stamp) {
        let joining = self.connections.get_mut(&id).and_then(|connection| connection.joining.take());
        let streams: Vec<String> = joining.into_iter().flat_map(|joining| joining.streams).collect();
        let gaps = self.gaps.clear(id, &streams, stamp);
        self.record_gaps(gaps);
    }

    /// A gap of the whole connection is over at `since`: what its patterns stand for is still missed, and the next start
    /// has to know should this process die.
    pub(super) fn suspect_unresolved(&mut self, id: Feed, since: Stamp) {
        let streams = self.connections.get(&id).map(|connection| connection.unresolved.clone()).unwrap_or_default();
        if !streams.is_empty() {
            for stream in &streams {
                self.gaps.suspect(id, stream.clone(), since);
            }
            let last_data = vec![since; streams.len()];
            self.event(&Event::Stale { connection: id, streams, since, last_data });
        }
    }
}

/// The next list; `None`: nobody asks any more. Never anything where there is none.
pub(super) async fn next(listed: &mut Option<watch::Receiver<Listed>>) -> Option<Listed> {
    match listed {
        Some(listed) => listed.changed().await.ok().map(|()| listed.borrow_and_update().clone()),
        None => std::future::pending().await,
    }
}
