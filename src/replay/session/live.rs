//! One client's place on the living tape.

use crate::clock::{Position, Stamp};
use crate::replay::live::{Entry, Live, LiveObject};
use crate::replay::wire::request::Endpoint;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Entries that are taken at a time: what makes the lock cheap, and is little to hold.
const TAKEN: usize = 64;

/// See the module.
pub(super) struct LiveCursor {
    live: Arc<Live>,
    endpoint: Endpoint,
    next: u64,
    taken: VecDeque<Entry>,
    /// Up to where each stream was played before.
    played: BTreeMap<String, Position>,
}

/// What is next.
pub(super) enum LiveNext {
    /// An object of this endpoint.
    Object(Arc<LiveObject>),
    /// The recorder has lost the connection.
    Lost,
    /// The client was too slow.
    Late,
}

impl LiveCursor {
    /// A place, and what was played in front of it.
    pub(super) fn new(live: &Arc<Live>, endpoint: Endpoint, next: u64, played: BTreeMap<String, Position>) -> Self {
        Self { live: Arc::clone(live), endpoint, next, taken: VecDeque::new(), played }
    }

    /// What is next; `None` until more comes.
    pub(super) fn next(&mut self) -> Option<LiveNext> {
        loop {
            if self.taken.is_empty() {
                let Some(entries) = self.live.from(self.next, TAKEN) else { return Some(LiveNext::Late) };
                self.next += entries.len() as u64;
                self.taken = entries.into();
            }
            match self.taken.pop_front()? {
                Entry::Object(object) if object.endpoint == self.endpoint => {
                    if self.played.get(&*object.stream).is_none_or(|played| *played < object.at) {
                        return Some(LiveNext::Object(object));
                    }
                }
                Entry::Cut(endpoint) if endpoint == self.endpoint => return Some(LiveNext::Lost),
                Entry::Object(_) | Entry::Cut(_) => {}
            }
        }
    }

    /// The same place, for the answer to another request.
    pub(super) fn again(&self) -> Self {
        let next = self.place();
        let (live, played) = (Arc::clone(&self.live), self.played.clone());
        Self { live, endpoint: self.endpoint, next, taken: VecDeque::new(), played }
    }

    /// Where the next object is; `None`: none has come yet.
    pub(super) fn position(&self) -> Option<Position> {
        let of = |entry: &Entry| match entry {
            Entry::Object(object) if object.endpoint == self.endpoint => Some(object.at),
            Entry::Object(_) | Entry::Cut(_) => None,
        };
        let waiting = || self.live.from(self.next, TAKEN)?.iter().find_map(of);
        self.taken.iter().find_map(of).or_else(waiting)
    }

    /// Whether something may be there.
    pub(super) fn has_more(&self) -> bool {
        !self.taken.is_empty() || self.live.from(self.next, 1).is_none_or(|entries| !entries.is_empty())
    }

    /// Whether a client that takes nothing has lost its place.
    pub(super) fn is_late(&self, now: Stamp) -> bool {
        !self.live.has(self.place(), now)
    }

    fn place(&self) -> u64 {
        self.next - self.taken.len() as u64
    }
}
