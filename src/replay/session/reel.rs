//! The objects of a recording for one subscription: those of its streams, as they were received, when they are due.
//!
//! ```text
//!  request ─▶ snapshots, where it begins in the middle ─▶ object ─▶ object ─▶ a gap: nothing, or the end of the connection
//! ```

use crate::clock::{Position, Stamp};
use crate::replay::faults::Faults;
use crate::replay::reel::{Joined, Objects, Reel, ReelObject, Silence};
use crate::replay::wire::request::{Endpoint, Subscription};
use crate::replay::wire::spelt::Spelt;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

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
    /// When it was last asked.
    now: Stamp,
}

/// What a request wants of a stream.
#[derive(Clone, Copy, Debug, Default)]
struct Wanted {
    snapshot: bool,
    realtime: bool,
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
        subscriptions: &[Subscription],
        short: bool,
        begin: Begin,
    ) -> Self {
        let Joined { from, is_after_cut, cut_until } = reel.join(begin.now, endpoint);
        let from = begin.from.unwrap_or(from);
        let wanted = wanted(reel.recording.streams(endpoint), subscriptions);
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
            now: begin.now,
        };
        playback.take_snapshots(from, is_after_cut);
        playback
    }

    /// Where it goes on.
    pub(super) fn position(&self) -> Option<Position> {
        self.next.as_ref().map(|next| next.at)
    }

    /// Selects short or long names for all later objects.
    pub(super) fn spell(&mut self, short: bool) {
        self.short = short;
    }

    /// What is due at `now`; `None` until [`ReelPlayback::next_due`].
    pub(super) fn poll(&mut self, now: Stamp, faults: &Faults) -> Option<ReelOutput> {
        self.now = now;
        loop {
            if let Some(snapshot) = self.snapshots.pop_front() {
                return Some(ReelOutput::Object(snapshot));
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
            if let Some(object) = self.spelt(&object, now, faults) {
                return Some(ReelOutput::Object(object));
            }
        }
    }

    /// When to poll again; `None`: never.
    pub(super) fn next_due(&self, now: Stamp) -> Option<Stamp> {
        if !self.snapshots.is_empty() {
            return Some(now);
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
        let (code, kind) = match object.stream.split_once('_') {
            Some((code, kind)) => (Some(code), kind),
            None => (None, object.stream.as_str()),
        };
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

/// When a playback begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begin {
    /// Now.
    pub(super) now: Stamp,
    /// Where the one before stopped.
    pub(super) from: Option<Position>,
}

impl Drop for ReelPlayback {
    fn drop(&mut self) {
        self.reel.leave(self.now, self.position());
    }
}

fn as_snapshot(object: &[u8], short: bool) -> Option<Bytes> {
    let text = Spelt::parse(object)?.respelt(short);
    let [realtime, snapshot] = ["REALTIME", "SNAPSHOT"].map(|word| match short {
        true => format!("\"st\":\"{word}\""),
        false => format!("\"stream_type\":\"{word}\""),
    });
    Some(text.replace(&realtime, &snapshot).into())
}

/// The recorded streams that a request means.
fn wanted(streams: &BTreeSet<String>, subscriptions: &[Subscription]) -> BTreeMap<String, Wanted> {
    let mut found: BTreeMap<String, Wanted> = BTreeMap::new();
    for Subscription { kind, codes, snapshot, realtime, .. } in subscriptions {
        // The suffix of a book's code is its depth, and no part of the name.
        let codes: BTreeSet<&str> =
            codes.iter().map(|code| code.split_once('.').map_or(&**code, |(code, _)| code)).collect();
        let is_meant = |stream: &&String| match stream.split_once('_') {
            Some((code, of)) => of == kind && (codes.is_empty() || codes.contains(code)),
            None => *stream == kind,
        };
        for stream in streams.iter().filter(is_meant) {
            let wanted = found.entry(stream.clone()).or_default();
            wanted.snapshot |= snapshot;
            wanted.realtime |= realtime;
        }
    }
    found
}
