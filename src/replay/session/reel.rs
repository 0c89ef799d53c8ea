//! The objects of a recording for one subscription: those of its streams, as they were received, when they are due.
//!
//! ```text
//!  request ─▶ snapshots, where it begins in the middle ─▶ object ─▶ object ─▶ a gap: nothing, or the end of the connection
//!                                                          └─ a tape that goes on: read to its end ─▶ live ─▶ object ─▶ …
//! ```

use super::live::{LiveCursor, LiveNext};
use super::wanted::{Wanted, as_snapshot, parts, wanted};
use crate::clock::{Position, Stamp};
use crate::replay::faults::Faults;
use crate::replay::live::{Live, LiveObject};
use crate::replay::object::ReelObject;
use crate::replay::reel::{Joined, Objects, Reel, Silence};
use crate::replay::wire::request::{Endpoint, Subscription};
use crate::replay::wire::spelt::Spelt;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// How far back a tape that goes on is read once more where it had ended: a line may stand on disk this much later than one
/// of another stream that came after it. A recorder writes within some 20 ms, and waits longer for a disk that stands still.
const READ_AGAIN: Duration = Duration::from_secs(2);

/// Objects that are passed over at a time, as many as are sent: other clients can wait for that.
const PASSED: usize = 64;

/// See the module.
pub(super) struct ReelPlayback {
    reel: Arc<Reel>,
    endpoint: Endpoint,
    wanted: BTreeMap<String, Wanted>,
    objects: Box<dyn Objects>,
    next: Option<ReelObject>,
    snapshots: VecDeque<Bytes>,
    /// Those that end the connection, the next one first.
    gaps: VecDeque<Silence>,
    short: bool,
    /// What was asked for, to know what new streams are.
    subscriptions: Arc<[Subscription]>,
    tail: Tail,
    /// Up to where each stream was played, of a tape that goes on.
    played: BTreeMap<String, Position>,
    /// Where the first request began: nothing before it is played.
    begin: Position,
    /// How far the tape had come when it was read last: files that were made later were not.
    listed: Position,
    /// Objects that were passed over since the last time something else was done.
    passed: usize,
    /// When it was last asked.
    now: Stamp,
}

/// How a tape goes on behind what was there when it was opened.
enum Tail {
    /// It does not.
    Ends,
    /// It is read to its end first.
    Read(Arc<Live>),
    /// It is read once more from its end back: what is behind that begins at this place.
    Joining(Arc<Live>, u64),
    /// Objects come as they are written.
    Live(LiveCursor),
}

/// What is due.
pub(super) enum ReelOutput {
    /// An object.
    Object(Bytes),
    /// The connection ends here.
    Cut,
}

impl ReelPlayback {
    /// The answer to a request; one that replaces another goes on where that stopped.
    pub(super) fn new(
        reel: &Arc<Reel>,
        endpoint: Endpoint,
        subscriptions: &Arc<[Subscription]>,
        short: bool,
        begin: Begin,
    ) -> Self {
        let Joined { from, is_after_cut, cut_until } = reel.join(begin.now, endpoint);
        let Begin { now, before } = begin;
        let before = before.unwrap_or(Before { from: None, begin: from, played: BTreeMap::new(), cursor: None });
        let from = before.from.unwrap_or(from);
        let listed = reel.live.as_ref().map(|live| live.newest()).unwrap_or_default();
        if let Some(live) = reel.live.as_ref().filter(|_| reel.is_live_alone || before.cursor.is_some()) {
            let (place, last) = live.join(endpoint);
            let cursor = before.cursor.unwrap_or_else(|| LiveCursor::new(live, endpoint, place, BTreeMap::new()));
            let joining = Joining { now, begin: before.begin, listed, cursor, last };
            return Self::live(reel, endpoint, subscriptions, short, joining);
        }
        let wanted = wanted(&reel.streams(endpoint), subscriptions);
        let streams: BTreeSet<String> =
            wanted.iter().filter(|(_, wanted)| wanted.realtime).map(|(stream, _)| stream.clone()).collect();
        let mut objects = reel.recording.play(endpoint, &streams, from);
        let next = objects.next();
        let gaps =
            reel.recording.gaps(endpoint).iter().filter(|gap| reel.cuts_at_gaps && gap.until > from.max(cut_until));
        let mut playback = Self {
            reel: Arc::clone(reel),
            endpoint,
            wanted,
            objects,
            next,
            snapshots: VecDeque::new(),
            gaps: gaps.copied().collect(),
            short,
            subscriptions: Arc::clone(subscriptions),
            tail: reel.live.as_ref().map_or(Tail::Ends, |live| Tail::Read(Arc::clone(live))),
            played: before.played,
            begin: before.begin,
            listed,
            passed: 0,
            now,
        };
        playback.take_snapshots(from, is_after_cut);
        playback
    }

    /// The same of what comes from a place on alone; the present state is what came last.
    fn live(
        reel: &Arc<Reel>,
        endpoint: Endpoint,
        subscriptions: &Arc<[Subscription]>,
        short: bool,
        joining: Joining,
    ) -> Self {
        let Joining { now, begin, listed, cursor, last } = joining;
        let last: BTreeMap<&str, &Arc<LiveObject>> = last.iter().map(|object| (&*object.stream, object)).collect();
        let streams: BTreeSet<String> = last.keys().map(|stream| (*stream).to_owned()).collect();
        let wanted = wanted(&streams, subscriptions);
        // The tape is not searched for what has brought nothing for days: that would hold everybody up.
        let shown = |stream: &String| as_snapshot(last.get(&**stream)?.received(), short);
        let snapshots = wanted.iter().filter(|(_, wanted)| wanted.snapshot).filter_map(|(stream, _)| shown(stream));
        Self {
            snapshots: snapshots.collect(),
            reel: Arc::clone(reel),
            endpoint,
            wanted,
            objects: Box::new(Nothing),
            next: None,
            gaps: VecDeque::new(),
            short,
            subscriptions: Arc::clone(subscriptions),
            tail: Tail::Live(cursor),
            played: BTreeMap::new(),
            begin,
            listed,
            passed: 0,
            now,
        }
    }

    /// Whether the client was too slow for what comes.
    pub(super) fn is_late(&self, now: Stamp) -> bool {
        matches!(&self.tail, Tail::Live(cursor) if cursor.is_late(now))
    }

    /// Where it goes on; `None`: where the recording does.
    fn position(&self) -> Option<Position> {
        match (&self.tail, &self.next) {
            (_, Some(next)) => Some(next.at),
            (Tail::Live(cursor), None) => cursor.position(),
            (Tail::Read(live) | Tail::Joining(live, _), None) => Some(self.read_again_from(live)),
            (Tail::Ends, None) => None,
        }
    }

    /// What the answer to another request goes on from.
    pub(super) fn before(&self) -> Before {
        let cursor = match &self.tail {
            Tail::Live(cursor) => Some(cursor.again()),
            _ => None,
        };
        Before { from: self.position(), begin: self.begin, played: self.played.clone(), cursor }
    }

    /// Selects short or long names for all later objects.
    pub(super) fn spell(&mut self, short: bool) {
        self.short = short;
    }

    /// What is due at `now`; `None` until [`ReelPlayback::next_due`].
    pub(super) fn poll(&mut self, now: Stamp, faults: &Faults) -> Option<ReelOutput> {
        self.now = now;
        self.passed = 0;
        loop {
            if let Some(snapshot) = self.snapshots.pop_front() {
                return Some(ReelOutput::Object(snapshot));
            }
            if matches!(self.tail, Tail::Live(_)) {
                return self.poll_live(now, faults);
            }
            if self.next.is_none() {
                self.go_on(now)?;
                continue;
            }
            if self.next_due(now)? > now {
                return None;
            }
            if let Some(gap) = self.due_gap() {
                self.gaps.pop_front();
                self.reel.cut(self.endpoint, gap);
                return Some(ReelOutput::Cut);
            }
            let object = std::mem::replace(&mut self.next, self.objects.next())?;
            self.reel.reach(object.at);
            if !matches!(self.tail, Tail::Ends) {
                let played = self.played.insert(object.stream.clone(), object.at);
                if played.is_some_and(|played| played >= object.at) {
                    self.played.extend(played.map(|played| (object.stream.clone(), played)));
                    self.passed += 1;
                    if self.passed > PASSED {
                        return None;
                    }
                    continue;
                }
            }
            if let Some(object) = self.spelt(&object, now, faults) {
                return Some(ReelOutput::Object(object));
            }
        }
    }

    /// Reads on behind the end of a tape that goes on; `None`: it does not.
    fn go_on(&mut self, now: Stamp) -> Option<()> {
        let (live, place) = match std::mem::replace(&mut self.tail, Tail::Ends) {
            Tail::Read(live) => (live, None),
            Tail::Joining(live, place) => (live, Some(place)),
            tail => {
                self.tail = tail;
                return None;
            }
        };
        if let Some(place) = place.filter(|place| live.has(*place, now)) {
            let played = std::mem::take(&mut self.played);
            self.tail = Tail::Live(LiveCursor::new(&live, self.endpoint, place, played));
            return Some(());
        }
        // First the place, then the reading: what was added before the place is on disk.
        let (place, _) = live.join(self.endpoint);
        let from = self.read_again_from(&live);
        self.listed = live.newest();
        for stream in live.streams(self.endpoint) {
            self.wanted_of(&stream);
        }
        let streams = self.wanted.iter().filter(|(_, wanted)| wanted.realtime).map(|(stream, _)| stream.clone());
        self.objects = self.reel.recording.play(self.endpoint, &streams.collect(), from);
        self.next = self.objects.next();
        self.tail = Tail::Joining(live, place);
        Some(())
    }

    /// Where a tape that goes on is read once more: a stream that had no active file when it was read ended there, while
    /// others were read on.
    fn read_again_from(&self, live: &Live) -> Position {
        let end = self.played.values().max().copied().unwrap_or_else(|| live.newest());
        end.min(self.listed).before(READ_AGAIN).max(self.begin)
    }

    /// What has come.
    fn poll_live(&mut self, now: Stamp, faults: &Faults) -> Option<ReelOutput> {
        loop {
            let Tail::Live(cursor) = &mut self.tail else { return None };
            let object = match cursor.next()? {
                LiveNext::Object(object) => object,
                LiveNext::Lost if self.reel.cuts_at_gaps => return Some(ReelOutput::Cut),
                LiveNext::Lost => continue,
                LiveNext::Late => return Some(ReelOutput::Cut),
            };
            self.reel.reach(object.at);
            let Wanted { snapshot, realtime } = self.wanted_of(&object.stream);
            let (code, kind) = parts(&object.stream);
            if realtime && (snapshot || !object.is_snapshot) && !faults.silences(now, kind, code) {
                return Some(ReelOutput::Object(object.spelt(self.short)));
            }
        }
    }

    /// What is wanted of a stream, which may be a new one.
    fn wanted_of(&mut self, stream: &str) -> Wanted {
        if let Some(wanted) = self.wanted.get(stream) {
            return *wanted;
        }
        let found = wanted(&BTreeSet::from([stream.to_owned()]), &self.subscriptions);
        let found = found.get(stream).copied().unwrap_or_default();
        self.wanted.insert(stream.to_owned(), found);
        found
    }

    /// When to poll again; `None`: never.
    pub(super) fn next_due(&self, now: Stamp) -> Option<Stamp> {
        if !self.snapshots.is_empty() {
            return Some(now);
        }
        match (&self.tail, &self.next) {
            (Tail::Live(cursor), _) => return cursor.has_more().then_some(now),
            (Tail::Read(_) | Tail::Joining(..), None) => return Some(now),
            _ => {}
        }
        let next = self.next.as_ref()?.at;
        Some(self.reel.due(now, self.due_gap().map_or(next, |gap| gap.from)))
    }

    /// A gap that comes before the next object.
    fn due_gap(&self) -> Option<Silence> {
        let next = self.next.as_ref()?.at;
        self.gaps.front().filter(|gap| gap.until <= next).copied()
    }

    /// An object in the spelling that was asked for; `None`: it is not wanted.
    fn spelt(&self, object: &ReelObject, now: Stamp, faults: &Faults) -> Option<Bytes> {
        let (code, kind) = parts(&object.stream);
        if faults.silences(now, kind, code) {
            return None;
        }
        // What is no object of the stream is handed out as it is.
        let Some(spelt) = Spelt::parse(&object.object) else { return Some(object.object.clone()) };
        let wants_snapshots = self.wanted.get(&object.stream).is_some_and(|wanted| wanted.snapshot);
        if !wants_snapshots && spelt.get("stream_type") == Some("SNAPSHOT") {
            return None;
        }
        Some(if spelt.is_short() == self.short { object.object.clone() } else { spelt.respelt(self.short).into() })
    }

    /// Where the exchange would show the present state: what came last, or, for one who wants nothing else, comes next.
    fn take_snapshots(&mut self, from: Position, is_after_cut: bool) {
        let recording = &self.reel.recording;
        for (stream, wanted) in self.wanted.iter().filter(|(_, wanted)| wanted.snapshot) {
            let last = match is_after_cut && wanted.realtime {
                true => None,
                false => recording.before(self.endpoint, stream, from, 1).pop(),
            };
            let first = || {
                let stream = BTreeSet::from([stream.clone()]);
                recording.play(self.endpoint, &stream, from).next().map(|first| first.object)
            };
            let shown = last.or_else(|| if wanted.realtime { None } else { first() });
            self.snapshots.extend(shown.and_then(|object| as_snapshot(&object, self.short)));
        }
    }
}

/// No objects.
struct Nothing;

impl Objects for Nothing {
    fn next(&mut self) -> Option<ReelObject> {
        None
    }
}

/// When a playback begins.
pub(super) struct Begin {
    /// Now.
    pub(super) now: Stamp,
    /// Where the one before stopped.
    pub(super) before: Option<Before>,
}

/// Where a playback stopped that is replaced.
pub(super) struct Before {
    from: Option<Position>,
    begin: Position,
    played: BTreeMap<String, Position>,
    /// Its place, where it had come to what is being written.
    cursor: Option<LiveCursor>,
}

/// A playback of what comes.
struct Joining {
    now: Stamp,
    begin: Position,
    listed: Position,
    cursor: LiveCursor,
    /// What came last of each stream.
    last: Vec<Arc<LiveObject>>,
}

impl Drop for ReelPlayback {
    fn drop(&mut self) {
        self.reel.leave(self.now, self.position());
    }
}

#[cfg(test)]
mod tests;
