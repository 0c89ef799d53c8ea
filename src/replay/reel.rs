//! A recording that is played: what has to be known of it, and how far it has been played.
//!
//! ```text
//!  nobody listens ──subscribes──▶ plays, from where it stopped ──the last one leaves──▶ nobody listens
//! ```
//!
//! All clients hear the same time of the recording. It stands still while nobody listens, so that one who is cut off and
//! comes back misses nothing.

use super::live::Live;
use super::object::ReelObject;
use super::wire::request::Endpoint;
use crate::clock::{Position, Stamp};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A recording. Streams are named as their files: `KRW-BTC_trade`, `myAsset`.
pub trait Recording: Debug + Send + Sync {
    /// All streams of an endpoint that have objects to play.
    fn streams(&self, endpoint: Endpoint) -> &BTreeSet<String>;

    /// Where it begins.
    fn begin(&self) -> Position;

    /// The objects of these streams from a position on, in the order in which they were received.
    fn play(&self, endpoint: Endpoint, streams: &BTreeSet<String>, from: Position) -> Box<dyn Objects>;

    /// The newest objects of a stream before a position, newest first, at most so many.
    fn before(&self, endpoint: Endpoint, stream: &str, position: Position, count: usize) -> Vec<Bytes>;

    /// The intervals without a connection, in order.
    fn gaps(&self, endpoint: Endpoint) -> &[Silence];

    /// What may have happened in a span: the stream's own objects, those that were healed, and those in `rest/`, in this
    /// order and with others around them. Objects of REST have `market` for `code`.
    fn past(&self, stream: &str, span: Span, before: Position) -> Box<dyn Iterator<Item = Bytes> + '_>;

    /// The pairs, as the exchange listed them.
    fn markets(&self) -> Vec<Bytes>;
}

/// A span of time, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its beginning.
    pub from: u64,
    /// Its end, which is not in it.
    pub until: u64,
}

/// An interval in which a connection was not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// The last object before it; after a kill there may be others.
    pub from: Position,
    /// The first object behind it.
    pub until: Position,
}

/// Objects in the order received.
pub trait Objects: Send {
    /// The next one; `None` behind the last.
    fn next(&mut self) -> Option<ReelObject>;
}

/// Where a client's objects begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Joined {
    pub(super) from: Position,
    /// Whether a gap has cut it off: the snapshots that follow are those of the recording.
    pub(super) is_after_cut: bool,
    /// The end of the last gap that has cut it off.
    pub(super) cut_until: Position,
}

/// A recording, and the time that it is played at.
#[derive(Debug)]
pub struct Reel {
    pub(super) recording: Box<dyn Recording>,
    /// How much faster than it was; `None`: as fast as a client takes it.
    speed: Option<f64>,
    /// Whether a gap ends the connection.
    pub(super) cuts_at_gaps: bool,
    /// What comes behind it, of a tape that is being written.
    pub(super) live: Option<Arc<Live>>,
    /// Whether clients begin with what comes, and not with what is there.
    pub(super) is_live_alone: bool,
    timeline: Mutex<Timeline>,
}

/// See the module.
#[derive(Debug)]
struct Timeline {
    listeners: usize,
    has_begun: bool,
    /// The position that was played at a moment; from there on it is counted.
    anchor: (Stamp, Position),
    /// Where what was not handed out yet begins.
    reached: Position,
    /// Whether the public, and the private, connection was cut at a gap and has not come back.
    is_cut: [bool; 2],
    /// Where the last gap ends that each of them was cut at.
    cut_until: [Position; 2],
}

impl Reel {
    /// Plays a recording from `start` on, or from its beginning.
    pub fn new(recording: Box<dyn Recording>, start: Option<Position>, speed: Option<f64>, cuts_at_gaps: bool) -> Self {
        let begin = start.map_or(recording.begin(), |start| start.max(recording.begin()));
        let timeline = Timeline {
            listeners: 0,
            has_begun: false,
            anchor: (Stamp::default(), begin),
            reached: begin,
            is_cut: [false; 2],
            cut_until: [Position::default(); 2],
        };
        let is_live_alone = false;
        Self { recording, speed, cuts_at_gaps, live: None, is_live_alone, timeline: Mutex::new(timeline) }
    }

    /// The same, and then what comes: of a client that is `alone` nothing else.
    #[must_use]
    pub fn going_on(self, live: Arc<Live>, alone: bool) -> Self {
        Self { live: Some(live), is_live_alone: alone, ..self }
    }

    /// A client listens from now on.
    pub(super) fn join(&self, now: Stamp, endpoint: Endpoint) -> Joined {
        let mut timeline = self.lock();
        if timeline.listeners == 0 {
            timeline.anchor = (now, timeline.reached);
        }
        timeline.listeners += 1;
        timeline.has_begun = true;
        let is_after_cut = std::mem::take(&mut timeline.is_cut[endpoint as usize]);
        let cut_until = timeline.cut_until[endpoint as usize];
        Joined { from: self.position(&timeline, now), is_after_cut, cut_until }
    }

    /// A client has left; `next` is what it has not been given yet, if that was due.
    pub(super) fn leave(&self, now: Stamp, next: Option<Position>) {
        let mut timeline = self.lock();
        timeline.listeners -= 1;
        if timeline.listeners == 0 {
            let position = self.position(&timeline, now);
            let left = next.map_or(position, |next| next.min(position));
            timeline.reached = timeline.reached.max(left);
        }
    }

    /// An object is played.
    pub(super) fn reach(&self, position: Position) {
        let mut timeline = self.lock();
        timeline.reached = timeline.reached.max(position.after(Duration::from_micros(1)));
    }

    /// A connection is cut at a gap.
    pub(super) fn cut(&self, endpoint: Endpoint, gap: Silence) {
        self.reach(gap.from);
        let mut timeline = self.lock();
        timeline.is_cut[endpoint as usize] = true;
        timeline.cut_until[endpoint as usize] = gap.until;
    }

    /// When the objects of a position are due.
    pub(super) fn due(&self, now: Stamp, position: Position) -> Stamp {
        let mut timeline = self.lock();
        let Some(speed) = self.speed else { return now };
        let (moment, anchor) = timeline.anchor;
        if position.epoch > anchor.epoch {
            // Stamps went back here: what follows does so at once.
            timeline.anchor = (now, position);
            return now;
        }
        let ahead = if position.epoch < anchor.epoch { Duration::ZERO } else { position.stamp.since(anchor.stamp) };
        moment.after(ahead.div_f64(speed))
    }

    /// All streams of an endpoint: those of the recording, and those that have come since.
    pub(super) fn streams(&self, endpoint: Endpoint) -> BTreeSet<String> {
        let mut streams = self.recording.streams(endpoint).clone();
        streams.extend(self.live.iter().flat_map(|live| live.streams(endpoint)));
        streams
    }

    /// What the exchange knows now: all of it before anybody has listened.
    pub(super) fn known(&self, now: Stamp) -> Position {
        let timeline = self.lock();
        if let Some(live) = self.live.as_ref().filter(|_| self.is_live_alone || !timeline.has_begun) {
            return live.newest().after(Duration::from_micros(1));
        }
        match timeline.has_begun {
            true => self.position(&timeline, now),
            false => Position { epoch: u64::MAX, stamp: Stamp::MAX },
        }
    }

    /// The newest object of a stream that is known at `known`.
    pub(super) fn last(&self, endpoint: Endpoint, stream: &str, known: Position) -> Option<Bytes> {
        let living = self.live.as_ref().filter(|_| self.is_live_alone);
        let last = living.and_then(|live| live.last(endpoint, stream));
        last.or_else(|| self.recording.before(endpoint, stream, known, 1).pop())
    }

    fn position(&self, timeline: &Timeline, now: Stamp) -> Position {
        let (moment, anchor) = timeline.anchor;
        let position = match self.speed {
            Some(speed) if timeline.listeners > 0 => anchor.after(now.since(moment).mul_f64(speed)),
            _ => timeline.reached,
        };
        // Played faster than it came, a tape is never ahead of what has been written.
        self.live.as_ref().map_or(position, |live| position.min(live.newest().after(Duration::from_micros(1))))
    }

    fn lock(&self) -> MutexGuard<'_, Timeline> {
        self.timeline.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
