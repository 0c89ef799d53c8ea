//! The gap tracker: every interval in which a connection, or some of its streams, is unreliable, with both ends. Pure.
//!
//! ```text
//! whole connection   (none) ──open(from, kind)──▶ Open ──close(to)──▶ Gap, on record
//!                                                   └─open again: the first cause and beginning stay
//! some streams       suspect(since) ──▶ suspected ──clear, or a gap of the whole connection──▶ Gap
//! both ends known    record(from, to, kind) ──▶ Gap
//! ```
//!
//! A gap begins at the last data before it and ends at the first data after it, so that data and gaps together cover
//! all time; of two reasons for one interval, the first stays. Stamps go back when the wall clock is set:
//! [`GapTracker::step`] ends every gap in the old epoch and reopens it in the new one. A gap that is open when the
//! process dies is reopened by the next start, from the data on disk.

use crate::clock::{Position, Stamp};
use crate::tape::gap::{Gap, GapKind, suspicions};
use crate::tape::state::OpenGap;
use crate::upbit::feed::Feed;
use std::collections::BTreeMap;

/// The open gaps, and the end of the closed ones.
#[derive(Debug, Default)]
pub struct GapTracker {
    /// The epoch of all stamps.
    epoch: u64,
    connections: BTreeMap<Feed, Coverage>,
}

/// The state of one connection. Its streams are bounded by the connection's request.
#[derive(Debug, Default)]
struct Coverage {
    open: Option<OpenGap>,
    suspected: BTreeMap<String, Stamp>,
    /// The end of the latest gap of the whole connection: no other gap begins before it.
    until: Stamp,
}

impl GapTracker {
    /// A tracker without gaps, in an epoch.
    pub fn new(epoch: u64) -> Self {
        Self { epoch, ..Self::default() }
    }

    /// Opens a gap at `from`, unless one is open already. Returns the gaps of suspected streams that end with it.
    pub fn open(&mut self, connection: Feed, from: Stamp, kind: GapKind, cause: &str) -> Vec<Gap> {
        let coverage = self.connections.entry(connection).or_default();
        if coverage.open.is_some() {
            return Vec::new();
        }
        let from = from.max(coverage.until);
        coverage.open = Some(OpenGap { from, kind, cause: cause.to_owned() });
        suspicions(connection, std::mem::take(&mut coverage.suspected), Position { epoch: self.epoch, stamp: from })
    }

    /// The open gap of a connection.
    pub fn open_gap(&self, connection: Feed) -> Option<&OpenGap> {
        self.connections.get(&connection)?.open.as_ref()
    }

    /// The suspected streams of a connection, and since when.
    pub fn suspected(&self, connection: Feed) -> BTreeMap<String, Stamp> {
        self.connections.get(&connection).map(|coverage| coverage.suspected.clone()).unwrap_or_default()
    }

    /// The end of the latest gap of a connection: up to there everything is on record.
    pub fn until(&self, connection: Feed) -> Stamp {
        self.connections.get(&connection).map_or(Stamp::default(), |coverage| coverage.until)
    }

    /// Closes the gap at `to`, where a line was recorded or recording ended, but not within a pause that was recorded in it.
    pub fn close(&mut self, connection: Feed, to: Stamp) -> Option<Gap> {
        let coverage = self.connections.entry(connection).or_default();
        let OpenGap { from, kind, cause } = coverage.open.take()?;
        let to = to.max(coverage.until);
        coverage.until = to;
        (from < to).then_some(Gap { connection, epoch: self.epoch, from, to, kind, cause, only: None })
    }

    /// Records a gap with both ends known. Returns nothing where an open gap covers the interval, which it does to its end;
    /// suspicions of streams continue behind it.
    pub fn record(&mut self, connection: Feed, ends: [Stamp; 2], kind: GapKind, cause: &str) -> Vec<Gap> {
        let coverage = self.connections.entry(connection).or_default();
        let [from, to] = ends;
        let from = from.max(coverage.until);
        if to <= from {
            return Vec::new();
        }
        coverage.until = to;
        if coverage.open.is_some() {
            return Vec::new();
        }
        let epoch = self.epoch;
        let mut gaps = suspicions(connection, coverage.suspected.clone(), Position { epoch, stamp: from });
        coverage.suspected.values_mut().for_each(|since| *since = (*since).max(to));
        gaps.push(Gap { connection, epoch, from, to, kind, cause: cause.to_owned(), only: None });
        gaps
    }

    /// Suspects a mute stream, from `since` on.
    pub fn suspect(&mut self, connection: Feed, stream: String, since: Stamp) {
        let coverage = self.connections.entry(connection).or_default();
        if coverage.open.is_none() {
            let since = since.max(coverage.until);
            coverage.suspected.entry(stream).or_insert(since);
        }
    }

    /// Suspects newly subscribed streams from `since` on, until they are cleared. Closed gaps of the connection did not
    /// name them, so their own gap extends through those. An open one will name them: then theirs ends where it begins,
    /// and is returned.
    pub fn join(&mut self, connection: Feed, streams: Vec<String>, since: Stamp) -> Vec<Gap> {
        let coverage = self.connections.entry(connection).or_default();
        if let Some(open) = &coverage.open {
            let begun = Position { epoch: self.epoch, stamp: open.from };
            return suspicions(connection, streams.into_iter().map(|stream| (stream, since)).collect(), begun);
        }
        for stream in streams {
            let suspected = coverage.suspected.entry(stream).or_insert(since);
            *suspected = since.min(*suspected);
        }
        Vec::new()
    }

    /// Clears the suspicion of streams that deliver frames again.
    pub fn clear(&mut self, connection: Feed, streams: &[String], to: Stamp) -> Vec<Gap> {
        let coverage = self.connections.entry(connection).or_default();
        let ended = streams.iter().filter_map(|stream| coverage.suspected.remove_entry(stream)).collect();
        suspicions(connection, ended, Position { epoch: self.epoch, stamp: to })
    }

    /// Ends all gaps with the process: a gap of the connection at `to`, suspicions at the `last` line, where the gap of
    /// the next start begins.
    pub fn finish(&mut self, connection: Feed, last: Stamp, to: Stamp) -> Vec<Gap> {
        let suspected = self.connections.get_mut(&connection).map(|coverage| std::mem::take(&mut coverage.suspected));
        let last = Position { epoch: self.epoch, stamp: last };
        let mut gaps = suspicions(connection, suspected.unwrap_or_default(), last);
        gaps.extend(self.close(connection, to));
        gaps
    }

    /// Ends the epoch at `before` and begins another at `after`, which may be earlier.
    pub fn step(&mut self, before: Stamp, after: Position) -> Vec<Gap> {
        let mut gaps = Vec::new();
        let Position { epoch: next, stamp: after } = after;
        let epoch = std::mem::replace(&mut self.epoch, next);
        for (&connection, coverage) in &mut self.connections {
            gaps.extend(suspicions(connection, coverage.suspected.clone(), Position { epoch, stamp: before }));
            coverage.suspected.values_mut().for_each(|since| *since = after);
            coverage.until = after;
            if let Some(open) = &mut coverage.open {
                let from = std::mem::replace(&mut open.from, after);
                let (kind, cause) = (open.kind, open.cause.clone());
                let gap = Gap { connection, epoch, from, to: before, kind, cause, only: None };
                gaps.extend((from < before).then_some(gap));
            }
        }
        gaps
    }
}

#[cfg(test)]
mod tests;
