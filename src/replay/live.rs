//! The living tape: what comes while it is served, once for all clients. Pure.
//!
//! ```text
//!  a reader of the tape ──push──▶ ring: the newest objects ──a cursor each──▶ clients
//!                                   └ the oldest go, by their bytes and their age; a cursor that pointed there is late
//! ```
//!
//! Nobody is waited for: a client that reads too slowly finds its place gone, and is cut off.

use super::object::ReelObject;
use super::wire::request::Endpoint;
use super::wire::spelt::Spelt;
use crate::clock::{Position, Stamp};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Bytes of objects that wait, for all clients together: twice what the exchange's books, trades and tickers have brought
/// in ten of its busiest seconds, 3 MB each.
const MOST_BYTES: usize = 64 << 20;

/// How far behind a client may be: longer than a pause of its own or of the network that heals by itself, and short enough
/// that nobody trades on what it shows.
const MOST_BEHIND: Duration = Duration::from_secs(10);

/// An object of the tape.
#[derive(Debug)]
pub(super) struct LiveObject {
    pub(super) endpoint: Endpoint,
    pub(super) at: Position,
    pub(super) stream: Arc<str>,
    pub(super) is_snapshot: bool,
    is_short: bool,
    object: Bytes,
    /// With the other names, once somebody wants it so.
    other: OnceLock<Bytes>,
}

impl LiveObject {
    /// An object of the tape; `None`: it is torn, or none.
    fn of(endpoint: Endpoint, ReelObject { at, stream, object }: ReelObject) -> Option<Arc<Self>> {
        let spelt = Spelt::parse(&object)?;
        let (is_short, is_snapshot) = (spelt.is_short(), spelt.get("stream_type") == Some("SNAPSHOT"));
        Some(Arc::new(Self {
            endpoint,
            at,
            stream: stream.into(),
            is_snapshot,
            is_short,
            object,
            other: OnceLock::new(),
        }))
    }

    /// Its bytes, with short names or long ones: as received where they are those.
    pub(super) fn spelt(&self, short: bool) -> Bytes {
        if short == self.is_short {
            return self.object.clone();
        }
        let respelt = || Spelt::parse(&self.object).map_or_else(|| self.object.clone(), |it| it.respelt(short).into());
        self.other.get_or_init(respelt).clone()
    }

    /// The same as it was received.
    pub(super) fn received(&self) -> &Bytes {
        &self.object
    }
}

/// What stands in the ring.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    /// An object.
    Object(Arc<LiveObject>),
    /// The recorder has lost this connection.
    Cut(Endpoint),
}

/// See the module.
#[derive(Debug)]
pub struct Live {
    ring: Mutex<Ring>,
    /// The number of the next entry, for those who wait for it.
    next: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Ring {
    entries: VecDeque<Waiting>,
    /// The number of the first of them.
    first: u64,
    bytes: usize,
    /// The newest object of each stream of each endpoint.
    last: [BTreeMap<Arc<str>, Arc<LiveObject>>; 2],
    /// Where the tape has come to.
    newest: Position,
}

#[derive(Debug)]
struct Waiting {
    entry: Entry,
    since: Stamp,
}

impl Waiting {
    fn bytes(&self) -> usize {
        /// What an entry takes beside its bytes, generously.
        const BESIDE: usize = 256;
        match &self.entry {
            Entry::Object(object) => object.object.len() + BESIDE,
            Entry::Cut(_) => BESIDE,
        }
    }
}

impl Live {
    /// A tape that has come to `newest`.
    pub fn new(newest: Position) -> Self {
        Self { ring: Mutex::new(Ring { newest, ..Ring::default() }), next: watch::channel(0).0 }
    }

    /// Tells what a stream's newest object is, before anything comes; what is no object is left out.
    pub fn begin_with(&self, endpoint: Endpoint, object: ReelObject) {
        if let Some(object) = LiveObject::of(endpoint, object) {
            let mut ring = self.lock();
            ring.newest = ring.newest.max(object.at);
            ring.last[endpoint as usize].insert(object.stream.clone(), object);
        }
    }

    /// Adds an object that came; what is none is left out.
    pub fn push(&self, now: Stamp, endpoint: Endpoint, object: ReelObject) {
        let Some(object) = LiveObject::of(endpoint, object) else { return };
        let mut ring = self.lock();
        ring.newest = ring.newest.max(object.at);
        ring.last[endpoint as usize].insert(object.stream.clone(), object.clone());
        ring.add(Waiting { entry: Entry::Object(object), since: now });
    }

    /// The recorder has lost a connection: its clients are cut off behind what they were sent.
    pub fn cut(&self, now: Stamp, endpoint: Endpoint) {
        self.lock().add(Waiting { entry: Entry::Cut(endpoint), since: now });
    }

    /// Wakes those who wait for what was added.
    pub fn wake(&self) {
        let next = self.lock().next();
        self.next.send_if_modified(|told| std::mem::replace(told, next) != next);
    }

    /// Tells of what is added.
    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.next.subscribe()
    }

    /// Where the tape has come to.
    pub(super) fn newest(&self) -> Position {
        self.lock().newest
    }

    /// A place behind all that is there, and the newest object of each stream of an endpoint in front of it.
    pub(super) fn join(&self, endpoint: Endpoint) -> (u64, Vec<Arc<LiveObject>>) {
        let ring = self.lock();
        (ring.next(), ring.last[endpoint as usize].values().cloned().collect())
    }

    /// The streams that have brought something.
    pub(super) fn streams(&self, endpoint: Endpoint) -> Vec<String> {
        self.lock().last[endpoint as usize].keys().map(|stream| (**stream).to_owned()).collect()
    }

    /// The newest object of a stream, as it was received.
    pub(super) fn last(&self, endpoint: Endpoint, stream: &str) -> Option<Bytes> {
        self.lock().last[endpoint as usize].get(stream).map(|object| object.object.clone())
    }

    /// Whether nothing is missing from a place on.
    pub(super) fn has(&self, place: u64, now: Stamp) -> bool {
        self.lock().has(place, now)
    }

    /// Entries from a place on, at most so many; `None`: what stood there is gone.
    pub(super) fn from(&self, place: u64, most: usize) -> Option<Vec<Entry>> {
        let ring = self.lock();
        let begin = usize::try_from(place.checked_sub(ring.first)?).unwrap_or(usize::MAX);
        Some(ring.entries.iter().skip(begin).take(most).map(|waiting| waiting.entry.clone()).collect())
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn next(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    fn add(&mut self, waiting: Waiting) {
        let now = waiting.since;
        self.bytes += waiting.bytes();
        self.entries.push_back(waiting);
        let is_over = |ring: &Self, oldest: &Waiting| ring.bytes > MOST_BYTES || now.since(oldest.since) > MOST_BEHIND;
        while self.entries.len() > 1 && self.entries.front().is_some_and(|oldest| is_over(self, oldest)) {
            if let Some(oldest) = self.entries.pop_front() {
                self.bytes -= oldest.bytes();
                self.first += 1;
            }
        }
    }

    fn has(&self, place: u64, now: Stamp) -> bool {
        let Some(place) = place.checked_sub(self.first) else { return false };
        let oldest = usize::try_from(place).ok().and_then(|place| self.entries.get(place));
        oldest.is_none_or(|oldest| now.since(oldest.since) <= MOST_BEHIND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Stamp {
        Stamp::from_micros(millis * 1_000).unwrap()
    }

    fn push(live: &Live, millis: u64, length: usize) {
        let object = format!("{{\"ty\":\"trade\",\"cd\":\"KRW-BTC\",\"x\":\"{}\"}}", "x".repeat(length));
        live.push(at(millis), Endpoint::Public, trade(millis, object.into()));
    }

    fn trade(millis: u64, object: Bytes) -> ReelObject {
        ReelObject { at: Position { epoch: 0, stamp: at(millis) }, stream: "KRW-BTC_trade".to_owned(), object }
    }

    #[test]
    fn what_comes_is_there_for_each_client_from_its_place_on() {
        let live = Live::new(Position::default());
        push(&live, 1, 1);
        let (place, last) = live.join(Endpoint::Public);
        assert_eq!((place, last.len(), live.join(Endpoint::Private).1.len()), (1, 1, 0));
        push(&live, 2, 2);
        push(&live, 3, 3);
        live.cut(at(4), Endpoint::Public);
        let entries = live.from(place, 10).unwrap();
        let [Entry::Object(first), Entry::Object(second), Entry::Cut(Endpoint::Public)] = &entries[..] else {
            panic!()
        };
        assert_eq!((first.at.stamp, second.at.stamp, live.newest().stamp), (at(2), at(3), at(3)));
        assert_eq!(live.from(place, 1).unwrap().len(), 1);
        assert!(live.from(place + 3, 10).unwrap().is_empty());
    }

    #[test]
    fn the_slow_lose_their_place_by_time_and_by_bytes() {
        let live = Live::new(Position::default());
        push(&live, 0, 1);
        push(&live, 9_000, 1);
        assert!(live.has(0, at(10_000)) && live.from(0, 1).is_some());
        assert!(!live.has(0, at(10_001)) && live.has(1, at(10_001)) && live.has(2, at(60_000)));
        push(&live, 10_001, 1);
        assert!(live.from(0, 1).is_none() && live.from(1, 9).unwrap().len() == 2);
        for _ in 0..100 {
            push(&live, 10_002, 1 << 20);
        }
        let ring = live.lock();
        assert!(ring.bytes <= MOST_BYTES && ring.entries.len() == 63, "{} {}", ring.bytes, ring.entries.len());
        assert_eq!(ring.bytes, ring.entries.iter().map(Waiting::bytes).sum::<usize>());
    }

    #[test]
    fn bytes_are_those_received_unless_other_names_are_wanted() {
        let live = Live::new(Position::default());
        push(&live, 1, 1);
        live.push(at(2), Endpoint::Public, trade(2, Bytes::from_static(b"{\"ty\":\"tra")));
        let entries = live.from(0, 9).unwrap();
        let [Entry::Object(object)] = &entries[..] else { panic!("what is torn is no object") };
        assert_eq!(object.spelt(true), *object.received());
        assert_eq!(object.spelt(false), br#"{"type":"trade","code":"KRW-BTC","x":"x"}"#[..]);
    }
}
