//! A proxy before the local exchange: logs requests, injects faults, and answers in a deterministic order.
//!
//! ```text
//! engine ─TCP─▶ connections ─▶ pending ─smallest first─▶ replay
//!                                 └─ empty and the engine idle ─▶ time advances
//! ```
//!
//! The engine runs on a paused clock. Before each answer the proxy waits until the engine is idle, then answers the pending
//! request that is first in the order of path and query; time advances only while no request is pending. So the log follows
//! from the engine's decisions alone: the load of the machine changes neither the set that is pending nor its order.

use super::{NOW, millis, stamp};
use crate::support::pause;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use upbit_recorder::clock::Clock;
use upbit_recorder::replay::{Exchange, Habits, Market, Server, Source};

/// Time advances by this while no request is pending: no more than the engines' shortest pause.
const STEP: Duration = Duration::from_millis(250);

/// An engine counts as idle after so many turns of the runtime, each of which polls the sockets. From an answer to the
/// requests that follow from it there are two: the client reads, then the proxy.
const TURNS: usize = 4;
const TURN: Duration = Duration::from_millis(1);

/// The bound of concurrent requests, above that of the client.
const MOST_PENDING: usize = 64;

/// The local exchange in this process. Its sample market opens at the fixed time and has no trade for hours after it, so
/// answers do not depend on the time that a test takes.
pub(super) struct Replay {
    pub(super) address: SocketAddr,
    shutdown: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Replay {
    /// An exchange with the first `codes` pairs.
    pub(super) fn start(codes: usize) -> Self {
        let shutdown = CancellationToken::new();
        let (bound, address) = sync_channel(1);
        let token = shutdown.clone();
        let serve = async move {
            let market = Market::new(codes, 1e-4, 1, u64::try_from(millis(NOW)).unwrap());
            let habits = Habits { limits: false, ..Habits::default() };
            let exchange = Exchange::new(Source::Market(Arc::new(market)), habits, None, Clock::anchored(stamp(NOW)));
            let server = Server::bind(([127, 0, 0, 1], 0).into(), None, Arc::new(exchange)).await.unwrap();
            let url = server.url().unwrap();
            bound.send(url.split('/').nth(2).unwrap().parse().unwrap()).unwrap();
            server.run(token).await.unwrap();
        };
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let thread = std::thread::spawn(move || runtime.block_on(serve));
        Self { address: address.recv().unwrap(), shutdown, thread: Some(thread) }
    }

    /// The list at a target, requested without the proxy and its log.
    pub(super) fn list(&self, target: &str) -> Vec<serde_json::Value> {
        let mut socket = std::net::TcpStream::connect(self.address).unwrap();
        socket.write_all(request(&format!("/v1/{target}")).as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        serde_json::from_str(&answer[answer.find("\r\n\r\n").unwrap()..]).unwrap()
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.shutdown.cancel();
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(matches!(ended, Some(Ok(()))) || std::thread::panicking());
    }
}

fn request(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: replay\r\nConnection: close\r\n\r\n")
}

/// A request without an answer.
struct Pending {
    /// Method and target: `GET /v1/candles/days?market=KRW-BTC&count=200`.
    what: String,
    reply: oneshot::Sender<Vec<u8>>,
}

/// Faults by the number of the answer, counted from 0.
#[derive(Default)]
pub(super) struct Faults {
    /// Statuses that replace the exchange's answer; 200 is an empty list.
    pub(super) instead: BTreeMap<usize, u16>,
    /// The engine is stopped before this answer.
    pub(super) stop: Option<(usize, CancellationToken)>,
}

/// See the module.
pub(super) struct Proxy {
    address: SocketAddr,
    upstream: SocketAddr,
    asked: mpsc::Receiver<Pending>,
    _connections: JoinSet<()>,
    waiting: Vec<Pending>,
    answered: usize,
    faults: Faults,
    log: Vec<String>,
}

impl Proxy {
    /// Listens on a free port, before the exchange at `upstream`.
    pub(super) async fn listen(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, asked) = mpsc::channel(MOST_PENDING);
        let mut connections = JoinSet::new();
        connections.spawn(accept(listener, sender));
        let (waiting, answered, faults, log) = Default::default();
        Self { address, upstream, asked, _connections: connections, waiting, answered, faults, log }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Runs an engine to its end on a paused clock; returns its result and the requests.
    pub(super) async fn run<T>(&mut self, faults: Faults, engine: impl Future<Output = T>) -> (T, Vec<String>) {
        (self.faults, self.answered) = (faults, 0);
        let ended = tokio::select! {
            biased;
            ended = engine => ended,
            () = self.answer_in_turn() => unreachable!("answers go on for ever"),
        };
        self.settle().await;
        let mut unanswered: Vec<String> = self.waiting.drain(..).map(|asked| asked.what).collect();
        unanswered.sort();
        self.log.extend(unanswered.into_iter().map(|what| format!("{what} (not answered)")));
        (ended, std::mem::take(&mut self.log))
    }

    async fn answer_in_turn(&mut self) {
        loop {
            self.settle().await;
            if let Some((number, stop)) = &self.faults.stop
                && *number == self.answered
            {
                stop.cancel();
                return std::future::pending().await;
            }
            let first = (0..self.waiting.len()).min_by(|a, b| self.waiting[*a].what.cmp(&self.waiting[*b].what));
            match first {
                Some(first) => {
                    let asked = self.waiting.remove(first);
                    self.answer(asked).await;
                }
                None => tokio::time::advance(STEP).await,
            }
        }
    }

    /// Answers in the order of arrival, for an engine that makes one request at a time; returns the requests.
    pub(super) async fn serve(mut self, shutdown: CancellationToken) -> Vec<String> {
        while let Some(Some(asked)) = shutdown.run_until_cancelled(self.asked.recv()).await {
            self.answer(asked).await;
        }
        self.log
    }

    /// Waits until the engine is idle, and collects its requests.
    async fn settle(&mut self) {
        for _ in 0..TURNS {
            tokio::task::spawn_blocking(|| pause(TURN)).await.unwrap();
        }
        while let Ok(asked) = self.asked.try_recv() {
            self.waiting.push(asked);
        }
    }

    async fn answer(&mut self, Pending { what, reply }: Pending) {
        let instead = self.faults.instead.get(&self.answered);
        self.answered += 1;
        let (line, answer) = match instead {
            Some(200) => (format!("{what} -> []"), plain(200, "[]")),
            Some(429) => (format!("{what} -> 429"), plain(429, "Too many API requests.")),
            Some(status) => (format!("{what} -> {status}"), plain(*status, "<html>Bad Gateway</html>")),
            None => (what.clone(), self.ask(&what).await),
        };
        self.log.push(line);
        // Fails where the engine was stopped meanwhile.
        let _ = reply.send(answer);
    }

    async fn ask(&self, what: &str) -> Vec<u8> {
        let target = what.strip_prefix("GET ").expect(what);
        let mut socket = TcpStream::connect(self.upstream).await.unwrap();
        socket.write_all(request(target).as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.unwrap();
        answer
    }
}

fn plain(status: u16, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} x\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}").into_bytes()
}

async fn accept(listener: TcpListener, sender: mpsc::Sender<Pending>) {
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            Ok((socket, _)) = listener.accept() => drop(clients.spawn(attend(socket, sender.clone()))),
            Some(ended) = clients.join_next() => ended.unwrap(),
        }
    }
}

/// Serves one request: a connection per request keeps no state in between.
async fn attend(mut socket: TcpStream, sender: mpsc::Sender<Pending>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        // The client's pool opens connections ahead, and closes some unused.
        let Ok(1..) = socket.read_buf(&mut head).await else { return };
    }
    let head = String::from_utf8(head).unwrap();
    let what = head.split(" HTTP/1.1").next().unwrap().to_owned();
    let (reply, answer) = oneshot::channel();
    sender.send(Pending { what, reply }).await.unwrap();
    let Ok(answer) = answer.await else { return };
    // Fails where the engine was stopped meanwhile.
    let _ = socket.write_all(&answer).await;
}

/// Runs `work` on a paused clock, which [`Proxy::run`] alone advances.
pub(super) fn with_paused_clock<T>(work: impl AsyncFnOnce() -> T) -> T {
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let (done, until) = sync_channel::<()>(1);
    // A blocking task inhibits tokio's auto-advance, which would expire timeouts while the exchange computes an answer.
    runtime.spawn_blocking(move || _ = until.recv());
    let worked = runtime.block_on(work());
    drop(done);
    worked
}
