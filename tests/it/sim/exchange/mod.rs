//! The simulated exchange: a real WebSocket server at the other end of a pipe, with everything that can go wrong there.
//!
//! ```text
//! Pipe::dial ──welcome──▶ refused · never answered · accepted ──▶ serve: request, frames, and the end that was drawn
//! ```

pub(super) mod books;
pub(super) mod market;
pub(super) mod mute;
pub(super) mod rest;
mod talk;
mod wire;

use super::machine::Machine;
use books::{Books, SocketId};
use market::Market;
use mute::Muteness;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;
pub(super) use talk::is_of;
use talk::serve;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use upbit_recorder::clock::{Clock, Instant, Moment};
use upbit_recorder::net::{Dial, DialError, Opened};
use upbit_recorder::tape::words::Stage;
use upbit_recorder::upbit::feed::Feed;
use upbit_recorder::upbit::url::Url;
use wire::Wire;

/// The pairs that it lists.
const CODES: [&str; 3] = ["KRW-BTC", "KRW-ETH", "KRW-XRP"];

/// Bytes that the network holds between the two.
const PIPE: usize = 64 * 1024;

/// How long the exchange waits for a client that reads nothing.
const HANG_UP: Duration = Duration::from_secs(60);

/// The longest time between two frames while little is traded, in milliseconds.
const CALM: u64 = 8_000;

/// A minute of floods.
const BUSY_FLOODS: u32 = 60;

/// How much may go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Nothing.
    Kind,
    /// Nothing, but market data comes faster than a slow disk takes it.
    Busy,
    /// Nothing, but market data ceases while the socket lives.
    Mute,
    /// Anything.
    Wild,
    /// Nothing, and little is traded.
    Calm,
}

type ClientEnd = Wire<Box<dyn Fn(u64) + Send + Sync>>;

/// The recorder's way to the exchange.
#[derive(Clone)]
pub(crate) struct Pipe {
    shared: Arc<Mutex<Shared>>,
    books: Books,
    clock: Clock,
    machine: Machine,
    calls: mpsc::Sender<Call>,
}

struct Shared {
    rng: StdRng,
    mood: Mood,
    has_quiet_account: bool,
}

struct Call {
    socket: SocketId,
    stream: DuplexStream,
    script: Script,
}

/// What will happen on one socket.
#[derive(Debug)]
struct Script {
    seed: u64,
    upgrade: Upgrade,
    /// The longest time between two frames, in milliseconds.
    spacing: u64,
    flood_after: Duration,
    /// How many floods, a second apart.
    floods: u32,
    ends_after: Duration,
    end: End,
    mute: Option<Muteness>,
    /// It brings nothing by itself.
    is_quiet: bool,
}

#[derive(Debug)]
enum Upgrade {
    Accepted,
    Refused(&'static str),
    Unanswered,
}

#[derive(Debug)]
enum End {
    Close(u16),
    Drop,
    HalfFrame,
    Mute,
    Error,
}

/// Serves every call; run by the world beside the recorder.
pub(crate) struct Exchange {
    books: Books,
    clock: Clock,
    machine: Machine,
    calls: mpsc::Receiver<Call>,
}

/// An exchange, and the network between it and a machine.
pub(crate) fn exchange(seed: u64, clock: Clock, machine: &Machine) -> (Pipe, Exchange) {
    let books = Books::new(Market::new(seed, clock, machine.clone()));
    let (sender, calls) = mpsc::channel(4);
    let shared =
        Arc::new(Mutex::new(Shared { rng: StdRng::seed_from_u64(seed), mood: Mood::Kind, has_quiet_account: false }));
    let pipe = Pipe { shared, books: books.clone(), clock, machine: machine.clone(), calls: sender };
    (pipe, Exchange { books, clock, machine: machine.clone(), calls })
}

impl Pipe {
    /// What the exchange knows of itself.
    pub(crate) fn books(&self) -> &Books {
        &self.books
    }

    pub(crate) fn set_mood(&self, mood: Mood, has_quiet_account: bool) {
        let mut shared = self.shared.lock().unwrap();
        (shared.mood, shared.has_quiet_account) = (mood, has_quiet_account);
    }

    fn draw(&self, id: Feed) -> Result<Script, Option<DialError>> {
        let mut shared = self.shared.lock().unwrap();
        let wild = shared.mood == Mood::Wild;
        let busy = shared.mood == Mood::Busy;
        let rng = &mut shared.rng;
        if wild {
            match rng.random_range(0..12) {
                0 => return Err(Some(DialError::new(Stage::Resolve, "no such host"))),
                1 => return Err(Some(DialError::new(Stage::Tcp, "connection refused"))),
                2 => return Err(None),
                _ => {}
            }
        }
        let script = Script::draw(rng, wild);
        let floods = if busy && id == Feed::Public { BUSY_FLOODS } else { script.floods };
        let is_mute = shared.mood == Mood::Mute && id == Feed::Public;
        let mute = is_mute.then(|| Muteness::draw(script.seed));
        let is_quiet = shared.has_quiet_account && id == Feed::Private;
        let spacing = if shared.mood == Mood::Calm { CALM } else { script.spacing };
        Ok(Script { floods, mute, spacing, is_quiet, ..script })
    }
}

impl Dial for Pipe {
    type Stream = ClientEnd;

    async fn dial(&self, url: &Url, _: Instant) -> Result<Opened<ClientEnd>, DialError> {
        let feed = if url.as_str().ends_with("private") { Feed::Private } else { Feed::Public };
        let script = match self.draw(feed) {
            Ok(script) => script,
            Err(Some(error)) => return Err(error),
            Err(None) => pending().await,
        };
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let socket = self.books.open(feed, self.clock.now());
        let books = self.books.clone();
        let clock = self.clock;
        let machine = self.machine.clone();
        let on_read = move |read| {
            let moment = Moment { at: clock.now(), suspended: machine.suspended() };
            books.note_read(socket, read, moment);
        };
        let call = Call { socket, stream: theirs, script };
        self.calls.send(call).await.map_err(|_| DialError::new(Stage::Tcp, "the world has ended"))?;
        Ok(Opened { stream: Wire::new(ours, Box::new(on_read)), address: "192.0.2.1:443".into() })
    }
}

impl Exchange {
    pub(crate) async fn run(mut self) {
        let mut sessions = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                call = self.calls.recv() => match call {
                    Some(call) => drop(sessions.spawn(serve(call, self.books.clone(), self.clock, self.machine.clone()))),
                    None => return,
                },
                Some(ended) = sessions.join_next() => ended.unwrap(),
            }
        }
    }
}

impl Script {
    fn draw(rng: &mut StdRng, wild: bool) -> Self {
        let seed = rng.random();
        let spacing = 2_000 / rng.random_range(1..=20);
        if !wild {
            let ends_after = Duration::from_secs(86_400);
            return Self {
                seed,
                upgrade: Upgrade::Accepted,
                spacing,
                flood_after: Duration::ZERO,
                floods: 0,
                ends_after,
                end: End::Drop,
                mute: None,
                is_quiet: false,
            };
        }
        let upgrade = match rng.random_range(0..15) {
            0 => Upgrade::Refused("401 Unauthorized"),
            1 => Upgrade::Refused("429 Too Many Requests"),
            2 => Upgrade::Unanswered,
            _ => Upgrade::Accepted,
        };
        let floods = u32::from(rng.random_ratio(1, 3));
        let flood_after = Duration::from_millis(rng.random_range(0..20_000));
        let end = match rng.random_range(0..9) {
            0 | 1 => End::Close(1000),
            2 => End::Close(1001),
            3 => End::Close(1011),
            4 | 5 => End::Drop,
            6 => End::HalfFrame,
            7 => End::Mute,
            _ => End::Error,
        };
        let ends_after = Duration::from_millis(rng.random_range(0..60_000));
        Self { seed, upgrade, spacing, flood_after, floods, ends_after, end, mute: None, is_quiet: false }
    }
}
