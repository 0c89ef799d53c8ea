//! What the exchange knows of itself: the truth that a recording is held against.

use super::market::Market;
use std::sync::{Arc, Mutex, MutexGuard};
use upbit_recorder::clock::{Instant, Moment};
use upbit_recorder::upbit::feed::{Feed, PerFeed};

/// Shared by the exchange's sessions and read by the oracle.
#[derive(Clone, Debug)]
pub(crate) struct Books {
    sides: Arc<Mutex<PerFeed<Side>>>,
    /// What was traded.
    pub(crate) market: Market,
}

/// One connection's history.
#[derive(Clone, Debug, Default)]
pub(crate) struct Side {
    /// Every object, in the order in which they were handed over.
    pub(crate) sent: Vec<Sent>,
    /// Every socket that was accepted.
    pub(crate) sessions: Vec<Session>,
    /// When streams brought nothing although their socket lived.
    pub(crate) mutes: Vec<MuteTime>,
}

/// Which socket: its connection, and its number among all that this one ever had.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SocketId {
    pub(crate) feed: Feed,
    pub(crate) number: usize,
}

/// A time in which streams brought nothing.
#[derive(Clone, Debug)]
pub(crate) struct MuteTime {
    pub(crate) session: usize,
    pub(crate) streams: Vec<&'static str>,
    pub(crate) from: Instant,
    pub(crate) to: Option<Instant>,
}

/// An object, or bytes that are none, as the line on disk must give them back.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// The socket it went to.
    pub(crate) session: usize,
    pub(crate) at: Instant,
    pub(crate) content: Vec<u8>,
    /// Where its last byte is in the socket's stream; `None`: it was not handed over as a whole.
    pub(crate) end: Option<u64>,
}

/// A socket.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) opened: Instant,
    pub(crate) closed: Option<Instant>,
    /// The account was quiet, and asked for: it was listened to without an object.
    pub(crate) is_quiet: bool,
    /// How many bytes the recorder had read, and since when.
    pub(crate) reads: Vec<(u64, Moment)>,
}

impl Session {
    /// When the recorder had read up to `end`.
    fn read_at(&self, end: u64) -> Option<Moment> {
        let index = self.reads.partition_point(|(read, _)| *read < end);
        self.reads.get(index).map(|(_, at)| *at)
    }
}

impl Side {
    /// When the recorder read the last byte of an object; `None`: never.
    pub(crate) fn read_at(&self, sent: &Sent) -> Option<Instant> {
        self.read_on(sent).map(|moment| moment.at)
    }

    /// The same, with what the monotonic clock leaves out.
    pub(crate) fn read_on(&self, sent: &Sent) -> Option<Moment> {
        self.sessions[sent.session].read_at(sent.end?)
    }
}

impl Books {
    pub(crate) fn new(market: Market) -> Self {
        Self { sides: Arc::default(), market }
    }

    pub(crate) fn side(&self, feed: Feed) -> Side {
        self.lock()[feed].clone()
    }

    /// A socket is accepted.
    pub(crate) fn open(&self, feed: Feed, now: Instant) -> SocketId {
        let sessions = &mut self.lock()[feed].sessions;
        sessions.push(Session { opened: now, closed: None, is_quiet: false, reads: Vec::new() });
        SocketId { feed, number: sessions.len() - 1 }
    }

    pub(crate) fn close(&self, socket: SocketId, now: Instant) {
        self.lock()[socket.feed].sessions[socket.number].closed.get_or_insert(now);
    }

    /// A quiet account is asked for.
    pub(crate) fn note_quiet(&self, socket: SocketId) {
        self.lock()[socket.feed].sessions[socket.number].is_quiet = true;
    }

    pub(crate) fn begin_mute(&self, socket: SocketId, streams: Vec<&'static str>, now: Instant) {
        self.lock()[socket.feed].mutes.push(MuteTime { session: socket.number, streams, from: now, to: None });
    }

    pub(crate) fn end_mute(&self, socket: SocketId, now: Instant) {
        let mutes = &mut self.lock()[socket.feed].mutes;
        mutes.iter_mut().filter(|mute| mute.session == socket.number).for_each(|mute| _ = mute.to.get_or_insert(now));
    }

    pub(crate) fn note_read(&self, socket: SocketId, read: u64, now: Moment) {
        self.lock()[socket.feed].sessions[socket.number].reads.push((read, now));
    }

    /// Objects are about to be handed over; returns the number of the first.
    pub(crate) fn begin(&self, socket: SocketId, contents: Vec<Vec<u8>>, now: Instant) -> usize {
        let sent = &mut self.lock()[socket.feed].sent;
        let first = sent.len();
        let own = |content| Sent { session: socket.number, at: now, content, end: None };
        sent.extend(contents.into_iter().map(own));
        first
    }

    /// All that was begun from `first` on in this session has left, the last byte at `end`.
    pub(crate) fn finish(&self, socket: SocketId, first: usize, end: u64) {
        for sent in &mut self.lock()[socket.feed].sent[first..] {
            if sent.session == socket.number {
                sent.end.get_or_insert(end);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, PerFeed<Side>> {
        self.sides.lock().unwrap()
    }
}
