//! The exchange's trades: they happen whether anybody listens or not, and are kept.
//!
//! ```text
//! Talk ──trade frame──▶ ┌────────┐ ──page──▶ Rest
//! nobody listens ─────▶ │ Market │ ──last trade──▶ snapshots of the next Talk
//! the clock jumps ────▶ └────────┘ ──all──▶ oracle
//! ```
//!
//! Its clock is the exchange's own: never set back, and moved on where a life begins later by the wall clock.

use super::super::machine::Machine;
use super::CODES;
use super::books::SocketId;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use upbit_recorder::clock::{Clock, Instant, Stamp, sleep_until};
use upbit_recorder::upbit::feed::Feed;

/// The most trades of a time in which the recorder was off for hours: a few pages.
const MOST_UNHEARD: u64 = 900;

/// Until a trade is on the pages of REST, in milliseconds.
const LAG: i64 = 1_500;

/// Shared by the exchange's sessions and read by the oracle.
#[derive(Clone, Debug)]
pub(crate) struct Market(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    clock: Clock,
    machine: Machine,
    /// Trades have what a history is asked by, and happen unheard.
    is_open: bool,
    /// Subscriptions begin with snapshots, as they do where these are not declined.
    has_snapshots: bool,
    /// How far its clock is ahead of the world's.
    passed: Duration,
    rng: StdRng,
    /// Oldest first.
    trades: Vec<Trade>,
    /// The public sockets that are served.
    served: BTreeSet<usize>,
}

/// A trade that happened.
#[derive(Clone, Debug)]
pub(crate) struct Trade {
    pub(crate) code: &'static str,
    pub(crate) id: u64,
    /// By the exchange's clock, in milliseconds since the epoch.
    pub(crate) time: i64,
    pub(crate) at: Instant,
}

impl Trade {
    /// The object of the REST interface.
    pub(crate) fn object(&self) -> String {
        let Self { code, id, time, .. } = self;
        format!(r#"{{"market":"{code}","timestamp":{time},"trade_price":1.50,"sequential_id":{id}}}"#)
    }

    /// The stream that it is recorded in.
    pub(crate) fn stream(&self) -> String {
        format!("{}_trade", self.code)
    }
}

/// Which trades a page holds; times in milliseconds since the epoch.
#[derive(Debug)]
pub(super) struct PageOf<'a> {
    pub(super) code: &'a str,
    /// The first moment of the day.
    pub(super) day: i64,
    /// Exclusive.
    pub(super) to: i64,
    /// The trade behind which the page begins.
    pub(super) cursor: Option<u64>,
    pub(super) count: usize,
}

impl Market {
    /// A closed market.
    pub(super) fn new(seed: u64, clock: Clock, machine: Machine) -> Self {
        let mut rng = StdRng::seed_from_u64(seed ^ 0x7472_6164_6573);
        let has_snapshots = rng.random_ratio(3, 4);
        let (trades, served) = Default::default();
        let state =
            State { clock, machine, is_open: false, has_snapshots, passed: Duration::ZERO, rng, trades, served };
        Self(Arc::new(Mutex::new(state)))
    }

    /// From now on its trades can be asked for.
    pub(crate) fn open(&self) {
        self.lock().is_open = true;
    }

    /// The exchange's time.
    pub(super) fn now(&self) -> Stamp {
        self.lock().now()
    }

    /// How far it is ahead of the world's clock, µs.
    pub(crate) fn ahead(&self) -> i64 {
        i64::try_from(self.lock().passed.as_micros()).unwrap()
    }

    /// Every trade, oldest first.
    pub(crate) fn trades(&self) -> Vec<Trade> {
        self.lock().trades.clone()
    }

    /// A life begins at this time of the wall clock: what passed without it brought trades. What the wall clock was set
    /// forward in a life was an error of it, in which nothing can have been traded.
    pub(crate) fn catch_up(&self, wall: Stamp, unheard: Duration) {
        let mut state = self.lock();
        let begin = state.now();
        if !state.is_open || wall <= begin {
            return;
        }
        let length = wall.since(begin);
        let unheard = unheard.min(length);
        let begin = wall.before(unheard);
        let count = state.rng.random_range(0..MOST_UNHEARD).min(unheard.as_secs());
        for number in 0..count {
            let micros = u64::try_from(unheard.as_micros()).unwrap() * number / count;
            let time = begin.after(Duration::from_micros(micros));
            // Before the life, which begins at this instant.
            let at = state.clock.now() - Duration::from_millis(1);
            state.happen(time, at);
        }
        state.passed += length;
    }

    /// Lets trades happen while no socket is served; never ends.
    pub(crate) async fn run(self) {
        loop {
            let next = {
                let mut state = self.lock();
                state.clock.now() + Duration::from_millis(state.rng.random_range(20..3_000))
            };
            sleep_until(Some(next)).await;
            let mut state = self.lock();
            if state.is_open && state.served.is_empty() {
                let (now, at) = (state.now(), state.clock.now());
                state.happen(now, at);
            }
        }
    }

    /// A socket is served from now on; private ones bring no trades.
    pub(super) fn begin_serving(&self, socket: SocketId) {
        if socket.feed == Feed::Public {
            self.lock().served.insert(socket.number);
        }
    }

    pub(super) fn end_serving(&self, socket: SocketId) {
        if socket.feed == Feed::Public {
            self.lock().served.remove(&socket.number);
        }
    }

    /// What a trade frame says beside its code; nothing of a closed market.
    pub(super) fn fields(&self, number: &str) -> String {
        let state = self.lock();
        let time = state.now().as_millis();
        if state.is_open { fields(number, time, "REALTIME") } else { String::new() }
    }

    /// A trade frame is handed over.
    pub(super) fn note(&self, object: &[u8]) {
        let Ok(trade) = serde_json::from_slice::<serde_json::Value>(object) else { return };
        let Some(code) = CODES.into_iter().find(|code| trade["code"] == *code) else { return };
        let is_new = trade["stream_type"] == "REALTIME";
        let (Some(id), Some(time), true) = (trade["sequential_id"].as_u64(), trade["trade_timestamp"].as_i64(), is_new)
        else {
            return;
        };
        let mut state = self.lock();
        let at = state.clock.now();
        state.trades.push(Trade { code, id, time, at });
    }

    /// The last trade of a code as a new subscription shows it.
    pub(super) fn snapshot(&self, code: &str) -> Option<String> {
        let mut state = self.lock();
        let number = state.number();
        let Trade { id, time, .. } =
            state.trades.iter().rfind(|trade| trade.code == code).filter(|_| state.is_open && state.has_snapshots)?;
        let fields = fields(&id.to_string(), *time, "SNAPSHOT");
        Some(format!(r#"{{"type":"trade","code":"{code}"{fields},"n":{number}}}"#))
    }

    /// A page of trades, newest first.
    pub(super) fn page(&self, of: &PageOf<'_>) -> Vec<String> {
        let state = self.lock();
        let shown = state.now().as_millis() - LAG;
        let own = state.trades.iter().rev().filter(|trade| trade.code == of.code);
        let is_before = |trade: &&Trade| of.cursor.is_some_and(|id| trade.id != id);
        let behind = own.skip_while(is_before).skip(usize::from(of.cursor.is_some()));
        let meant = behind.filter(|trade| (of.day..of.to).contains(&trade.time) && trade.time <= shown);
        meant.take(of.count).map(Trade::object).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl State {
    fn now(&self) -> Stamp {
        self.clock.stamp().after(self.machine.suspended()).after(self.passed)
    }

    fn number(&mut self) -> u64 {
        self.rng.random_range(1_000_000_000_000..9_000_000_000_000)
    }

    /// A trade at a time, which no socket shows.
    fn happen(&mut self, time: Stamp, at: Instant) {
        let code = CODES[self.rng.random_range(0..CODES.len())];
        let id = self.number();
        self.trades.push(Trade { code, id, time: time.as_millis(), at });
    }
}

fn fields(id: &str, time: i64, stream_type: &str) -> String {
    format!(r#","trade_timestamp":{time},"sequential_id":{id},"stream_type":"{stream_type}""#)
}
