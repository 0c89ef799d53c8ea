//! An actor, with the exchange, the supervisor and the time in the test's hands.

use futures_util::{SinkExt, StreamExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;
use upbit_recorder::batch::Entry;
use upbit_recorder::batch::room_needed;
use upbit_recorder::clock::{Boot, Clock, Instant, Stamp, sleep_until};
use upbit_recorder::config::{self, ConnectionConfig, Sources};
use upbit_recorder::connection::actor::{Actor, Wiring};
use upbit_recorder::connection::session::{ConnectBudget, Settings};
use upbit_recorder::connection::{Delivery, Notice, Payload};
use upbit_recorder::net::{Dial, DialError, Opened};
use upbit_recorder::tape::words::Stage;
use upbit_recorder::upbit::feed::Feed;
use upbit_recorder::upbit::subscription::{Format, Request, Subscription};
use upbit_recorder::upbit::url::Url;

pub(crate) const TRADE: &str = r#"{"type":"trade","code":"KRW-BTC"}"#;

/// The defaults, for an exchange without a name to resolve, and a buffer that a few messages fill.
pub(crate) fn config() -> ConnectionConfig {
    let url = Url::websocket("ws://exchange.test/websocket/v1").unwrap();
    let defaults = config::load(&Sources::default()).unwrap().config.public;
    ConnectionConfig { url, max_message_bytes: 1024 * 1024, ..defaults }
}

pub(crate) fn request(codes: &[&str]) -> Request {
    let codes = codes.iter().map(|&code| code.to_owned()).collect();
    let trade = Subscription { kind: "trade".into(), codes, ..Subscription::default() };
    Request { subscriptions: vec![trade], format: Format::Default }
}

/// Dials a pipe and hands its other end to the test; the first `refusals` attempts are refused.
pub(crate) struct Pipe {
    servers: mpsc::Sender<DuplexStream>,
    refusals: Arc<AtomicU32>,
}

impl Dial for Pipe {
    type Stream = DuplexStream;

    async fn dial(&self, _: &Url, _: Instant) -> Result<Opened<DuplexStream>, DialError> {
        let left = self.refusals.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if left.is_ok() {
            return Err(DialError::new(Stage::Tcp, "connection refused by the test"));
        }
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        self.servers.send(theirs).await.map_err(|_| DialError::new(Stage::Tcp, "the test is over"))?;
        Ok(Opened { stream: ours, address: "pipe".into() })
    }
}

/// An actor, and everything around it in the test's hands.
pub(crate) struct Rig {
    pub(crate) clock: Clock,
    /// For how long the machine was suspended, ms.
    pub(crate) suspended: Arc<AtomicU64>,
    pub(crate) inbox: mpsc::Receiver<Delivery>,
    pub(crate) servers: mpsc::Receiver<DuplexStream>,
    pub(crate) refusals: Arc<AtomicU32>,
    pub(crate) requests: watch::Sender<Request>,
    pub(crate) room: Arc<Semaphore>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) tasks: JoinSet<()>,
}

pub(crate) type Server = WebSocketStream<DuplexStream>;

impl Rig {
    pub(crate) fn start() -> Self {
        Self::with(config(), 8)
    }

    pub(crate) fn with(config: ConnectionConfig, slots: usize) -> Self {
        Self::asking(&request(&["KRW-BTC"]), Settings { feed: Feed::Public, config, credentials: None }, slots)
    }

    pub(crate) fn asking(request: &Request, settings: Settings, slots: usize) -> Self {
        let config = settings.config.clone();
        let clock = Clock::anchored(Stamp::default());
        let (inbox_sender, inbox) = mpsc::channel(slots);
        let (servers_sender, servers) = mpsc::channel(1);
        let (requests, requests_receiver) = watch::channel(request.clone());
        let room = Arc::new(Semaphore::new(8 * room_needed(config.max_message_bytes) as usize));
        let refusals = Arc::new(AtomicU32::new(0));
        let shutdown = CancellationToken::new();
        let connects = Arc::new(ConnectBudget::new(config.connects_per_second, clock.now()));
        let suspended = Arc::new(AtomicU64::new(0));
        let read = Arc::clone(&suspended);
        let boot = Boot::new(move || Duration::from_millis(read.load(Ordering::Relaxed)));
        let wiring = Wiring {
            inbox: inbox_sender,
            room: Arc::clone(&room),
            requests: requests_receiver,
            shutdown: shutdown.clone(),
            clock,
            boot,
            connects,
            seed: 7,
            dial: Pipe { servers: servers_sender, refusals: Arc::clone(&refusals) },
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(Actor::new(settings, wiring).run());
        Self { clock, suspended, inbox, servers, refusals, requests, room, shutdown, tasks }
    }

    pub(crate) async fn delivery(&mut self) -> Delivery {
        self.inbox.recv().await.expect("the actor runs")
    }

    pub(crate) async fn notice(&mut self) -> Notice {
        match self.delivery().await.payload {
            Payload::Notice(notice) => notice,
            Payload::Batch(batch) => panic!("a batch where a notice was expected: {batch:?}"),
        }
    }

    /// The objects of the next batch.
    pub(crate) async fn objects(&mut self) -> Vec<String> {
        match self.delivery().await.payload {
            Payload::Notice(notice) => panic!("a notice where a batch was expected: {notice:?}"),
            Payload::Batch(batch) => batch.entries().map(|(_, entry)| text(entry)).collect(),
        }
    }

    pub(crate) async fn next_server(&mut self) -> Server {
        let stream = self.servers.recv().await.expect("the actor dials");
        tokio_tungstenite::accept_async(stream).await.unwrap()
    }

    /// Accepts, reads the request and swallows the notices up to `Subscribed`.
    pub(crate) async fn subscribed(&mut self) -> Server {
        let mut server = self.next_server().await;
        assert!(text_frame(&mut server).await.starts_with(r#"[{"ticket":"#));
        assert!(matches!(self.notice().await, Notice::Dialing { .. }));
        assert!(matches!(self.notice().await, Notice::Connected { .. }));
        assert!(matches!(self.notice().await, Notice::Subscribed { .. }));
        server
    }

    /// As [`Self::subscribed`], with the first trade delivered.
    pub(crate) async fn live(&mut self) -> Server {
        let mut server = self.subscribed().await;
        server.send(Message::binary(TRADE)).await.unwrap();
        assert!(matches!(self.notice().await, Notice::Live { .. }));
        assert_eq!(self.objects().await, [TRADE]);
        server
    }

    pub(crate) async fn lost(&mut self) -> (Stage, String, u32, Option<Duration>) {
        let delivery = self.delivery().await;
        let at = delivery.at;
        let Payload::Notice(Notice::Lost { stage, cause, attempt, retry_at }) = delivery.payload else {
            panic!("expected a loss: {delivery:?}")
        };
        (stage, cause, attempt, retry_at.map(|retry_at| retry_at - at))
    }

    pub(crate) async fn sleep(&self, duration: Duration) {
        sleep_until(Some(self.clock.now() + duration)).await;
    }
}

pub(crate) fn text(entry: Entry<'_>) -> String {
    let (Entry::Data { object: bytes, .. } | Entry::Control { object: bytes } | Entry::Unreadable { bytes }) = entry;
    String::from_utf8_lossy(bytes).into_owned()
}

/// The next text frame, answering pings on the way.
pub(crate) async fn text_frame(server: &mut Server) -> String {
    loop {
        match server.next().await.unwrap().unwrap() {
            Message::Text(text) => return text.to_string(),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("unexpected {other:?}"),
        }
    }
}

/// Lets the server answer pings for as long as the connection lives.
pub(crate) async fn idle(mut server: Server) {
    while let Some(Ok(_)) = server.next().await {}
}

/// As [`idle`], until the server has had enough and hangs up.
pub(crate) async fn idle_until(server: Server, enough: CancellationToken) {
    tokio::select! {
        biased;
        () = enough.cancelled() => {}
        () = idle(server) => {}
    }
}

/// Sends a binary frame, as the exchange does.
pub(crate) async fn send(server: &mut Server, frame: &str) {
    try_send(server, frame).await.expect("the actor is connected");
}

/// Sends a binary frame, unless the connection is gone.
pub(crate) async fn try_send(server: &mut Server, frame: &str) -> Result<(), tokio_tungstenite::tungstenite::Error> {
    server.send(Message::binary(frame.to_owned())).await
}

/// The next frame, with its text if it is a text frame; `None` once the connection is gone.
pub(crate) async fn read(server: &mut Server) -> Option<Option<String>> {
    match server.next().await?.ok()? {
        Message::Text(text) => Some(Some(text.to_string())),
        _ => Some(None),
    }
}
