//! The task around one connection: it moves bytes, batches and notices, and leaves decisions to the session.
//!
//! ```text
//!             ┌────────────── Actor::run ──────────────┐
//! shutdown ──▶│                                        │
//! deadline ──▶│  Session (pure)                        │──▶ inbox: notices and batches in one order
//! requests ──▶│     │ dial, send, close, disconnect    │
//! room     ──▶│     ▼                                  │
//!             │  SocketState: Down ─ Dialing ─ Up(Transport)  │◀──▶ the exchange
//!             └────────────────────────────────────────┘
//! ```
//!
//! Room for the largest read is reserved before the read. While there is none, or while the inbox is full, nothing is
//! read: backpressure reaches the exchange through the kernel's buffers, and nothing is dropped here.

use super::session::{ConnectBudget, Inbound, Session, SessionCommand, Settings};
use super::transport::{Terms, Transport};
use super::{Delivery, Notice, Payload};
use crate::batch::{Batch, room_needed};
use crate::clock::{self, Boot, Clock, Instant, Moment};
use crate::config::ConnectionConfig;
use crate::net::{self, Dial, DialError};
use crate::tape::words::Stage;
use crate::upbit::auth::Secret;
use crate::upbit::feed::Feed;
use crate::upbit::subscription::Request;
use std::collections::VecDeque;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Deliveries that may wait for the inbox before changed requests have to wait too. The others are bounded already:
/// nothing is read and no attempt begins while one is left, and one connection's life brings a handful.
const OUTBOX: usize = 16;

/// The channels and resources that an actor shares with the rest of the program.
#[derive(Debug)]
pub struct Wiring<D> {
    /// Where deliveries go.
    pub inbox: mpsc::Sender<Delivery>,
    /// Bytes that may be on their way; at least [`room_needed`], or nothing is ever read.
    pub room: Arc<Semaphore>,
    /// The wanted request, the latest one.
    pub requests: watch::Receiver<Request>,
    /// Cancelled when the user wants it to end.
    pub shutdown: CancellationToken,
    /// The time.
    pub clock: Clock,
    /// The time that the machine was suspended.
    pub boot: Boot,
    /// The connects that all connections share.
    pub connects: Arc<ConnectBudget>,
    /// Feeds jitter, tickets and nonces; must differ between processes and connections.
    pub seed: u64,
    /// The network.
    pub dial: D,
}

/// One connection's task.
pub struct Actor<D: Dial> {
    feed: Feed,
    config: ConnectionConfig,
    session: Session,
    inbox: mpsc::Sender<Delivery>,
    outbox: VecDeque<Delivery>,
    room: Arc<Semaphore>,
    reserved: Option<OwnedSemaphorePermit>,
    /// `None` once the sender is gone.
    requests: Option<watch::Receiver<Request>>,
    /// `None` once it was cancelled.
    shutdown: Option<CancellationToken>,
    clock: Clock,
    boot: Boot,
    dial: Arc<D>,
    /// An attempt that begins once everything before it is delivered.
    next_attempt: Option<Option<Secret>>,
    line: SocketState<D::Stream>,
}

type Attempt<S> = Pin<Box<dyn Future<Output = Result<(Box<Transport<S>>, String), DialError>> + Send>>;

enum SocketState<S> {
    Down,
    Dialing(Attempt<S>),
    Up(Box<Transport<S>>),
}

enum Wake<S> {
    Shutdown,
    Deadline,
    Delivered,
    /// The rest of the program is gone.
    Abandoned,
    Request(Option<Request>),
    Room(OwnedSemaphorePermit),
    Dialed(Result<(Box<Transport<S>>, String), DialError>),
    Inbound(Inbound),
}

impl<D: Dial> Actor<D> {
    /// A connection that begins with the first poll of [`Self::run`].
    pub fn new(settings: Settings, wiring: Wiring<D>) -> Self {
        let feed = settings.feed;
        let config = settings.config.clone();
        let now = Moment { at: wiring.clock.now(), suspended: wiring.boot.suspended() };
        let session = Session::new(settings, wiring.connects, wiring.seed, now);
        Self {
            feed,
            config,
            session,
            inbox: wiring.inbox,
            outbox: VecDeque::new(),
            room: wiring.room,
            reserved: None,
            requests: Some(wiring.requests),
            shutdown: Some(wiring.shutdown),
            clock: wiring.clock,
            boot: wiring.boot,
            dial: Arc::new(wiring.dial),
            next_attempt: None,
            line: SocketState::Down,
        }
    }

    /// Keeps the connection until the shutdown, until it is given up, or until the inbox is closed. When it returns,
    /// every notice was delivered.
    pub async fn run(mut self) {
        if let Some(requests) = &mut self.requests {
            let request = requests.borrow_and_update().clone();
            self.session.handle_request(self.clock.now(), request);
        }
        loop {
            self.drain_session();
            let reading = self.prepare_to_read();
            if self.session.is_finished() && self.outbox.is_empty() {
                return;
            }
            match self.wake(reading).await {
                Wake::Abandoned => return,
                wake => self.handle_wake(wake),
            }
        }
    }

    /// Executes the session's commands and delivers its events, as far as the inbox has room; then begins an attempt.
    fn drain_session(&mut self) {
        loop {
            while let Some(delivery) = self.poll_notice() {
                self.report(delivery);
            }
            let Some(command) = self.session.poll_command() else { break };
            self.execute(command);
        }
        while let Some(delivery) = self.outbox.pop_front() {
            match self.inbox.try_send(delivery) {
                Ok(()) => {}
                // A closed inbox shows in the select, where it ends the task.
                Err(mpsc::error::TrySendError::Full(delivery) | mpsc::error::TrySendError::Closed(delivery)) => {
                    self.outbox.push_front(delivery);
                    break;
                }
            }
        }
        if self.outbox.is_empty()
            && let Some(authorization) = self.next_attempt.take()
        {
            self.line = SocketState::Dialing(self.attempt(authorization));
        }
    }

    fn execute(&mut self, command: SessionCommand) {
        match command {
            SessionCommand::Dial { authorization } => self.next_attempt = Some(authorization),
            SessionCommand::Send(frame) => {
                if let SocketState::Up(transport) = &mut self.line {
                    transport.send(frame);
                }
            }
            SessionCommand::Close => {
                if let SocketState::Up(transport) = &mut self.line {
                    transport.close();
                }
            }
            SessionCommand::Disconnect => {
                self.next_attempt = None;
                self.line = SocketState::Down;
            }
        }
    }

    fn attempt(&self, authorization: Option<Secret>) -> Attempt<D::Stream> {
        let (dial, clock) = (Arc::clone(&self.dial), self.clock);
        let deadline = clock.now() + self.config.connect_timeout;
        let (url, max_message_bytes) = (self.config.url.clone(), self.config.max_message_bytes);
        Box::pin(async move {
            let opened = dial.dial(&url, deadline).await?;
            let upgrading = || format!("the upgrade to WebSocket by {}", opened.address);
            let terms = Terms { url, authorization, max_message_bytes };
            let upgrade = Transport::upgrade(opened.stream, &terms, clock);
            let transport = net::within(deadline, Stage::Upgrade, upgrading, upgrade).await?;
            Ok((Box::new(transport), opened.address))
        })
    }

    /// Reserves room, and reports to the session whether reading goes on.
    fn prepare_to_read(&mut self) -> bool {
        if !matches!(self.line, SocketState::Up(_)) {
            return false;
        }
        if self.reserved.is_none() {
            self.reserved =
                Arc::clone(&self.room).try_acquire_many_owned(room_needed(self.config.max_message_bytes)).ok();
        }
        let reading = self.reserved.is_some() && self.outbox.is_empty();
        self.session.handle_reading(self.clock.now(), reading);
        reading
    }

    async fn wake(&mut self, reading: bool) -> Wake<D::Stream> {
        let deadline = [self.session.poll_deadline(), self.session.poll_beat()].into_iter().flatten().min();
        let waits_for_room = matches!(self.line, SocketState::Up(_)) && self.reserved.is_none();
        let takes_requests = self.outbox.len() < OUTBOX;
        let Self { inbox, outbox, room, config, requests, shutdown, line, .. } = self;
        tokio::select! {
            biased;
            () = cancelled(shutdown.as_ref()) => Wake::Shutdown,
            () = clock::sleep_until(deadline) => Wake::Deadline,
            slot = inbox.reserve(), if !outbox.is_empty() => deliver(slot, outbox),
            request = next_request(requests.as_mut()), if takes_requests => Wake::Request(request),
            room = Arc::clone(room).acquire_many_owned(room_needed(config.max_message_bytes)), if waits_for_room => room.map_or(Wake::Abandoned, Wake::Room),
            wake = line.next(reading) => wake,
        }
    }

    fn handle_wake(&mut self, wake: Wake<D::Stream>) {
        let now = self.clock.now();
        let is_settled = self.session.handle_awake(Moment { at: now, suspended: self.boot.suspended() });
        if let SocketState::Up(transport) = &mut self.line
            && is_settled
        {
            transport.report_drained();
        }
        match wake {
            Wake::Shutdown => {
                self.shutdown = None;
                self.session.handle_shutdown(now);
            }
            Wake::Deadline => self.session.handle_timeout(now),
            Wake::Delivered | Wake::Abandoned => {}
            Wake::Request(Some(request)) => self.session.handle_request(now, request),
            Wake::Request(None) => self.requests = None,
            Wake::Room(room) => self.reserved = Some(room),
            Wake::Dialed(Ok((transport, address))) => {
                self.line = SocketState::Up(transport);
                self.session.handle_opened(now, address);
            }
            Wake::Dialed(Err(error)) => {
                self.line = SocketState::Down;
                self.session.handle_dial_failed(now, &error);
            }
            Wake::Inbound(inbound) => self.handle_inbound(now, inbound),
        }
    }

    /// Delivers the notice that the session is live before its first data, and the other notices behind it.
    fn handle_inbound(&mut self, now: Instant, mut inbound: Inbound) {
        self.session.handle_inbound(now, &mut inbound);
        let unsettled = self.session.unsettled();
        let mut after = Vec::new();
        while let Some(delivery) = self.poll_notice() {
            match delivery.payload {
                Payload::Notice(Notice::Live { .. }) => self.report(Delivery { unsettled, ..delivery }),
                _ => after.push(delivery),
            }
        }
        if !inbound.batch.is_empty() {
            let payload = Payload::Batch(self.with_room(inbound.batch));
            self.report(Delivery { connection: self.feed, at: now, unsettled, payload });
        }
        after.into_iter().for_each(|delivery| self.report(delivery));
    }

    /// The batch keeps the room that it takes; the rest of the reservation goes back.
    fn with_room(&mut self, mut batch: Batch) -> Batch {
        if let Some(mut reserved) = self.reserved.take() {
            let cost = batch.cost().min(reserved.num_permits());
            if let Some(kept) = reserved.split(cost) {
                batch.hold(kept);
            }
        }
        batch
    }

    fn poll_notice(&mut self) -> Option<Delivery> {
        let (at, notice) = self.session.poll_event()?;
        let payload = Payload::Notice(notice);
        Some(Delivery { connection: self.feed, at, unsettled: self.session.unsettled(), payload })
    }

    /// A proof of life is left out where it would have to wait: what waits proves as much or the next ping does, and a
    /// queue full of proofs would stop the reading.
    fn report(&mut self, delivery: Delivery) {
        let waits = !self.outbox.is_empty() || self.inbox.capacity() < self.inbox.max_capacity();
        if !(waits && matches!(delivery.payload, Payload::Notice(Notice::Alive))) {
            self.outbox.push_back(delivery);
        }
    }
}

impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> SocketState<S> {
    async fn next(&mut self, reading: bool) -> Wake<S> {
        match self {
            Self::Down => pending().await,
            Self::Dialing(attempt) => Wake::Dialed(attempt.await),
            Self::Up(transport) => Wake::Inbound(transport.recv(reading).await),
        }
    }
}

fn deliver<S>(
    slot: Result<mpsc::Permit<'_, Delivery>, mpsc::error::SendError<()>>,
    outbox: &mut VecDeque<Delivery>,
) -> Wake<S> {
    let Ok(slot) = slot else { return Wake::Abandoned };
    if let Some(delivery) = outbox.pop_front() {
        slot.send(delivery);
    }
    Wake::Delivered
}

async fn cancelled(shutdown: Option<&CancellationToken>) {
    match shutdown {
        Some(shutdown) => shutdown.cancelled().await,
        None => pending().await,
    }
}

async fn next_request(requests: Option<&mut watch::Receiver<Request>>) -> Option<Request> {
    match requests {
        Some(requests) => requests.changed().await.ok().map(|()| requests.borrow_and_update().clone()),
        None => pending().await,
    }
}
