//! Listings and delistings: their events, and how long a new pair takes to bring its first message. Pure.
//!
//! ```text
//! list of pairs ──▶ against the one before ──▶ `listed`, `delisted`
//!                        └ subscribed: awaited ──first data of the pair──▶ `first_message`
//! ```

use super::sequence::Sequence;
use crate::batch::{Batch, Entry};
use crate::clock::{Instant, Stamp};
use crate::desired::Listed;
use crate::ops::status::ListingCounts;
use crate::tape::event::Event;
use crate::upbit::feed::Feed;
use crate::upbit::listing::stream_name;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Listings {
    known: Option<BTreeSet<String>>,
    complete_at: Option<Instant>,
    /// Pairs that were listed and have brought nothing yet; those of the list at the most.
    awaited: BTreeMap<String, Awaited>,
    /// For the status.
    pub(super) counts: ListingCounts,
}

#[derive(Debug)]
struct Awaited {
    /// The stamp of its `listed` event.
    listed: Stamp,
    since: Instant,
}

/// The first message of a new pair.
#[derive(Debug)]
pub(super) struct FirstMessage {
    stream: String,
    listed: Stamp,
    after: Duration,
}

impl Listings {
    /// Begins with a list.
    pub(super) fn new(listed: &Listed) -> Self {
        let known = listed.codes.as_ref().map(|codes| codes.iter().cloned().collect());
        Self { known, complete_at: listed.complete_at, ..Self::default() }
    }

    /// Records what a list changes. The first one that ever came changes nothing.
    pub(super) fn handle_listed(&mut self, sequence: &mut Sequence, listed: &Listed) {
        let since = std::mem::replace(&mut self.complete_at, listed.complete_at);
        let Some(codes) = &listed.codes else { return };
        let is_same =
            |known: &BTreeSet<String>| known.len() == codes.len() && codes.iter().all(|code| known.contains(code));
        if self.known.as_ref().is_some_and(is_same) {
            return;
        }
        let codes: BTreeSet<String> = codes.iter().cloned().collect();
        let Some(before) = self.known.replace(codes.clone()) else { return };
        let added: Vec<String> = codes.difference(&before).cloned().collect();
        let gone: Vec<String> = before.difference(&codes).cloned().collect();
        self.awaited.retain(|code, _| codes.contains(code));
        if !added.is_empty() {
            let since = since.map(|since| sequence.time.past_stamp(since));
            self.counts.listed += added.len() as u64;
            sequence.event(&Event::Listed { codes: added.clone(), since });
            let (listed, since) = (sequence.time.last(), sequence.time.now());
            self.awaited.extend(added.into_iter().map(|code| (code, Awaited { listed, since })));
        }
        if !gone.is_empty() {
            self.counts.delisted += gone.len() as u64;
            sequence.event(&Event::Delisted { codes: gone });
        }
    }

    /// Takes the first messages of new pairs out of a batch of market data.
    pub(super) fn take_first(&mut self, feed: Feed, batch: &Batch) -> Vec<FirstMessage> {
        if self.awaited.is_empty() || feed != Feed::Public {
            return Vec::new();
        }
        let mut first = Vec::new();
        for (received, entry) in batch.entries() {
            let Entry::Data { kind, code: Some(code), .. } = entry else { continue };
            let Some(Awaited { listed, since }) = self.awaited.remove(code) else { continue };
            let after = received.saturating_duration_since(since);
            first.push(FirstMessage { stream: stream_name(kind, Some(code)), listed, after });
        }
        first
    }

    /// Records them, behind their lines.
    pub(super) fn record_first(&mut self, sequence: &mut Sequence, first: Vec<FirstMessage>) {
        for FirstMessage { stream, listed, after } in first {
            self.counts.first_message = Some(after);
            let after = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
            tracing::info!(stream, after, "the first message of a new pair");
            sequence.event(&Event::FirstMessage { stream, listed, after });
        }
    }

    /// An epoch begins: what is measured goes on, and names a stamp of it.
    pub(super) fn begin_epoch(&mut self, first: Stamp) {
        self.awaited.values_mut().for_each(|awaited| awaited.listed = first);
    }
}

/// Whether the account's feed announces something, of whatever category: what announces a listing is not told for sure by
/// it.
pub(super) fn announces(feed: Feed, batch: &Batch) -> bool {
    let is_announcement = |entry: &Entry<'_>| matches!(entry, Entry::Data { kind: "announcement", .. });
    feed == Feed::Private && batch.entries().any(|(_, entry)| is_announcement(&entry))
}
