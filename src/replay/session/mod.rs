//! One client's session on the WebSocket: its standing request, and its next output.
//!
//! ```text
//!  Idle ──valid request──▶ Playing ──valid request──▶ Playing (the new one replaces the old one)
//!    ├──────refused request, too many──┴──▶ Ending: the error frame, 150 ms, close 1000
//!    └──────nothing sent or received for too long ──▶ TCP is dropped
//! ```
//!
//! No I/O, no clock: the server hands in messages and times, and takes outputs out until there is none.

mod disturbance;
mod item;
mod keepalive;
mod live;
mod output;
mod pair;
mod playback;
mod reel;
mod topic;
mod wanted;
mod window;

pub use output::Output;
pub(crate) use window::Windows;

use super::faults::{Faults, Stage};
use super::market::Market;
use super::recorded::Recorded;
use super::reel::Reel;
use super::wire::frames::{self, StreamType};
use super::wire::request::{self, Ask, Endpoint, Format, Refusal, Subscription};
use crate::clock::Stamp;
use bytes::Bytes;
use disturbance::Disturbance;
use item::Item;
use keepalive::Keepalive;
use playback::Playback;
use reel::{Begin, ReelOutput, ReelPlayback};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// The delay from an error frame to the close.
const CLOSE_AFTER_ERROR: Duration = Duration::from_millis(150);

/// Messages a client may send on one connection: in any second, in any minute.
const MESSAGES: &[(Duration, usize)] = &[(Duration::from_secs(1), 5), (Duration::from_secs(60), 100)];

/// Codes of one request: the exchange's 855 pairs in each of its eleven types are 9,405. A client of a whole desk asks for
/// less, and what one asks for is kept as long as it is there.
const MOST_CODES: usize = 10_000;

/// Where frames come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// From files, each frame once, `rate` a second; without one, as fast as they are taken.
    Recorded {
        /// The frames.
        frames: Recorded,
        /// Frames per second.
        rate: Option<f64>,
    },
    /// From the sample market.
    Market(Arc<Market>),
    /// From a recording.
    Reel(Arc<Reel>),
}

/// Behaviour of the exchange that its documentation leaves open, or that a test varies.
#[derive(Clone, Debug)]
pub struct Habits {
    /// A connection without traffic is dropped after this long.
    pub idle: Duration,
    /// Whether a ping of the client counts as traffic.
    pub ping_counts: bool,
    /// Whether the limits on messages, connects and REST requests are enforced.
    pub limits: bool,
    /// Objects in a frame of the list formats, at most.
    pub list_batch: usize,
    /// Whether snapshots come as bare objects even in the list formats.
    pub bare_snapshots: bool,
    /// Text frames instead of binary ones.
    pub text: bool,
}

impl Default for Habits {
    /// As measured on the live service.
    fn default() -> Self {
        let idle = Duration::from_secs(60);
        Self { idle, ping_counts: true, limits: true, list_batch: 1, bare_snapshots: false, text: false }
    }
}

/// One client's session.
pub struct Session {
    source: Source,
    endpoint: Endpoint,
    habits: Arc<Habits>,
    state: State,
    /// The standing request.
    subscriptions: Arc<[Subscription]>,
    format: Format,
    messages: Windows,
    keepalive: Keepalive,
    disturbance: Disturbance,
    /// Outputs that are due immediately.
    ready: VecDeque<Output>,
    /// An object that did not fit into the last list.
    spare: Option<Item>,
}

enum State {
    Idle,
    Market(Box<Playback>),
    Recorded { started: Stamp, next: usize },
    Reel(Box<ReelPlayback>),
    Ending { at: Stamp },
    Ended,
}

impl Session {
    /// A client that has just connected.
    pub fn new(source: Source, endpoint: Endpoint, habits: Arc<Habits>, now: Stamp) -> Self {
        let keepalive = Keepalive::new(now, habits.idle);
        Self {
            source,
            endpoint,
            habits,
            state: State::Idle,
            subscriptions: Arc::default(),
            format: Format::default(),
            messages: Windows::new(MESSAGES),
            keepalive,
            disturbance: Disturbance::new(now),
            ready: VecDeque::new(),
            spare: None,
        }
    }

    /// A message of the client, text or binary.
    pub fn handle_message(&mut self, now: Stamp, message: &[u8]) {
        self.keepalive.traffic(now);
        let is_over = matches!(self.state, State::Ending { .. } | State::Ended);
        if is_over || self.disturbance.faults.hangs(now, Stage::Subscribe) {
            return;
        }
        if self.habits.limits && !self.messages.admit(now) {
            return self.refuse(now, &Refusal::new("TOO_MANY_REQUEST", "Too Many Requests"));
        }
        if message == b"PING" {
            return self.keepalive.switch_on(now);
        }
        match request::parse(std::str::from_utf8(message).unwrap_or_default(), self.endpoint) {
            Err(refusal) => self.refuse(now, &refusal),
            Ok(request) => {
                self.format = request.format;
                match request.ask {
                    Ask::List => self.list(&request.ticket),
                    Ask::Subscribe(asked) if asked.iter().map(|part| part.codes.len()).sum::<usize>() > MOST_CODES => {
                        self.refuse(now, &Refusal::new("INVALID_PARAM", "too many codes"));
                    }
                    Ask::Subscribe(subscriptions) => self.subscribe(now, subscriptions),
                }
            }
        }
    }

    /// A ping or pong frame of the client; the library answers it.
    pub fn handle_ping(&mut self, now: Stamp) {
        if self.habits.ping_counts {
            self.keepalive.traffic(now);
        }
    }

    /// The faults that are planned from now on.
    pub fn handle_faults(&mut self, faults: Arc<Faults>) {
        self.disturbance.faults = faults;
    }

    /// Whether the exchange neither reads nor writes any more.
    pub fn is_stuck(&self, now: Stamp) -> bool {
        self.disturbance.faults.hangs(now, Stage::Live)
    }

    /// Whether a fault cuts the connection, even while a client that does not read holds everything else up.
    pub fn is_cut(&self, now: Stamp) -> bool {
        self.disturbance.cuts(now)
    }

    /// Whether the client takes too slowly what comes from a living tape: it is not waited for.
    pub fn is_late(&self, now: Stamp) -> bool {
        matches!(&self.state, State::Reel(playback) if playback.is_late(now))
    }

    /// Tells when something comes from a living tape; `None`: the source is none.
    pub fn living(&self) -> Option<watch::Receiver<u64>> {
        let Source::Reel(reel) = &self.source else { return None };
        reel.live.as_ref().map(|live| live.subscribe())
    }

    /// When [`Session::is_stuck`] or [`Session::is_cut`] may change without a message; `None`: never.
    pub fn poll_disturbance(&self, now: Stamp) -> Option<Stamp> {
        self.disturbance.faults.next_change(now)
    }

    /// The next output at `now`; `None` until [`Session::poll_deadline`] or the next message.
    pub fn poll_output(&mut self, now: Stamp) -> Option<Output> {
        if self.is_stuck(now) || matches!(self.state, State::Ended) {
            return None;
        }
        self.ready.extend(self.disturbance.poll(now));
        let output = self.next_output(now)?;
        match &output {
            Output::Frame(frame) => {
                self.keepalive.traffic(now);
                self.disturbance.saw(frame);
            }
            Output::Close(_) | Output::Half | Output::Drop => self.state = State::Ended,
        }
        Some(output)
    }

    /// When to poll again without a message; `None`: never.
    pub fn poll_deadline(&self, now: Stamp) -> Option<Stamp> {
        if matches!(self.state, State::Ended) {
            return None;
        }
        if self.is_stuck(now) {
            return self.poll_disturbance(now);
        }
        let disturbed = self.disturbance.deadline(now);
        let ready = (!self.ready.is_empty() || self.spare.is_some()).then_some(now);
        let ordinary = match (&self.state, &self.source) {
            (State::Market(playback), _) => {
                playback.next_due().map(|due| Stamp::default().after(Duration::from_millis(due)))
            }
            (State::Recorded { started, next }, Source::Recorded { frames, rate }) => {
                frames.get(*next).map(|_| due(*started, *next, *rate))
            }
            (State::Reel(playback), _) => playback.next_due(now),
            (State::Ending { at }, _) => Some(*at),
            _ => None,
        };
        [ready, ordinary, disturbed, Some(self.keepalive.deadline())].into_iter().flatten().min()
    }

    fn next_output(&mut self, now: Stamp) -> Option<Output> {
        if let Some(output) = self.ready.pop_front() {
            return Some(output);
        }
        match self.state {
            State::Ending { at } => return (at <= now).then_some(Output::Close(1_000)),
            _ if self.keepalive.is_over(now) => return Some(Output::Drop),
            _ if self.keepalive.status_is_due(now) => return Some(Output::Frame(r#"{"status":"UP"}"#.into())),
            _ => {}
        }
        match &mut self.state {
            State::Market(_) => self.next_frame(now).map(Output::Frame),
            State::Recorded { started, next } => {
                let Source::Recorded { frames, rate } = &self.source else { return None };
                let frame = frames.get(*next).filter(|_| due(*started, *next, *rate) <= now)?;
                *next += 1;
                Some(Output::Frame(frame))
            }
            State::Reel(playback) => Some(match playback.poll(now, &self.disturbance.faults)? {
                ReelOutput::Object(object) if self.format.list => {
                    Output::Frame([b"[", &object[..], b"]"].concat().into())
                }
                ReelOutput::Object(object) => Output::Frame(object),
                ReelOutput::Cut => Output::Drop,
            }),
            State::Idle | State::Ending { .. } | State::Ended => None,
        }
    }

    /// One object, or in the list formats all due objects that may share a list.
    fn next_frame(&mut self, now: Stamp) -> Option<Bytes> {
        let first = self.next_item(now)?;
        let is_bare = self.habits.bare_snapshots && first.stream == StreamType::Snapshot;
        if !self.format.list || is_bare {
            return Some(first.text.into());
        }
        let mut list = format!("[{}", first.text);
        for _ in 1..self.habits.list_batch {
            let Some(item) = self.next_item(now) else { break };
            if item.stream != first.stream {
                self.spare = Some(item);
                break;
            }
            list.push(',');
            list.push_str(&item.text);
        }
        list.push(']');
        Some(list.into())
    }

    fn next_item(&mut self, now: Stamp) -> Option<Item> {
        if let Some(item) = self.spare.take() {
            return Some(item);
        }
        let (State::Market(playback), Source::Market(market)) = (&mut self.state, &self.source) else {
            return None;
        };
        loop {
            let item = playback.poll(now.as_micros() / 1_000)?;
            let code = item.code.map(|code| market.instrument(code).listing.code.as_str());
            if !self.disturbance.faults.silences(now, item.kind, code) {
                return Some(item);
            }
        }
    }

    fn subscribe(&mut self, now: Stamp, subscriptions: Vec<Subscription>) {
        self.spare = None;
        self.subscriptions = subscriptions.into();
        match (&self.source, self.endpoint) {
            (Source::Market(market), _) => {
                let (subscriptions, millis) = (Arc::clone(&self.subscriptions), now.as_micros() / 1_000);
                let playback = Playback::new(Arc::clone(market), subscriptions, self.format.short, millis);
                self.state = State::Market(Box::new(playback));
            }
            (Source::Reel(reel), endpoint) => {
                let before = match &self.state {
                    State::Reel(playback) => Some(playback.before()),
                    _ => None,
                };
                let begin = Begin { now, before };
                let playback = ReelPlayback::new(reel, endpoint, &self.subscriptions, self.format.short, begin);
                self.state = State::Reel(Box::new(playback));
            }
            // The file's frames are sent once: another request changes nothing.
            (Source::Recorded { .. }, Endpoint::Public) => {
                if matches!(self.state, State::Idle) {
                    self.state = State::Recorded { started: now, next: 0 };
                }
            }
            // They are market data, and nothing for an account.
            (Source::Recorded { .. }, Endpoint::Private) => {}
        }
    }

    /// Lists the subscriptions; from now on the running streams use the format of this request.
    fn list(&mut self, ticket: &str) {
        match &mut self.state {
            State::Market(playback) => playback.spell(self.format.short),
            State::Reel(playback) => playback.spell(self.format.short),
            _ => {}
        }
        let is_known = |code: &str| match &self.source {
            Source::Market(market) => market.find(code).is_some(),
            Source::Recorded { .. } => true,
            Source::Reel(reel) => {
                let streams = reel.streams(self.endpoint);
                streams.iter().any(|stream| stream.split_once('_').is_some_and(|(of, _)| of == code))
            }
        };
        let answer = frames::subscription_list(ticket, &self.subscriptions, is_known, self.format.short);
        self.ready.push_back(Output::Frame(answer.into()));
    }

    fn refuse(&mut self, now: Stamp, refusal: &Refusal) {
        self.ready.push_back(Output::Frame(refusal.to_frame().into()));
        self.state = State::Ending { at: now.after(CLOSE_AFTER_ERROR) };
    }
}

/// When the recorded frame `index` is to be sent.
fn due(started: Stamp, index: usize, rate: Option<f64>) -> Stamp {
    rate.map_or(started, |rate| started.after(Duration::from_micros((index as f64 / rate * 1e6) as u64)))
}

#[cfg(test)]
mod tests;
