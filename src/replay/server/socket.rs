//! One client's WebSocket: moves messages between the socket and the session.
//!
//! ```text
//!  socket ──message──▶ session ──frames, at most 64──▶ outbox ──▶ socket
//!                         ▲ deadline                      │ taken
//!                         └───────────────────────────────┘      each frame is noted in the log as it is handed over
//! ```

use super::client_stream::ClientStream;
use super::exchange::Exchange;
use super::http::Upgraded;
use super::sent::SentLog;
use crate::clock::{Clock, Instant, Stamp, sleep_until};
use crate::replay::faults::Faults;
use crate::replay::session::{Output, Session};
use bytes::Bytes;
use futures_util::{Sink, Stream};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::select;
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::sync::CancellationToken;

/// Frames taken from the session at a time: enough to share a write, few enough to read the client's messages between.
const OUTBOX: usize = 64;

/// Bytes collected for one write to the socket while more is due.
const WRITE_BUFFER: usize = 64 * 1_024;

/// Bytes of a client's message, five times what the longest request has: it is held until it is whole.
const MOST_MESSAGE: usize = 1 << 20;

/// How often a client that does not take what waits for it is looked after.
const LOOK: Duration = Duration::from_secs(1);

/// How long the last frames and the close frame may take at the end.
const FAREWELL: Duration = Duration::from_secs(1);

/// A frame that promises 1,000 bytes and has 20.
const HALF_FRAME: &[u8] = b"\x82\x7e\x03\xe8{\"type\":\"trade\",\"co";

/// One client's WebSocket.
pub(super) struct Socket {
    socket: WebSocketStream<ClientStream>,
    session: Session,
    outbox: VecDeque<Bytes>,
    log: SentLog,
    clock: Clock,
    connection: u64,
    is_text: bool,
    faults: watch::Receiver<Arc<Faults>>,
    /// Tells what comes from a living tape.
    living: Option<watch::Receiver<u64>>,
    /// The socket may still buffer unsent bytes.
    unflushed: bool,
    end: Option<End>,
}

/// How the connection ends once the outbox is empty.
#[derive(Clone, Copy)]
enum End {
    Close(CloseCode),
    Half,
    Drop,
}

/// The result of one poll of the socket.
enum Turn {
    Heard(Message),
    Emptied,
    Gone,
    Disturbed,
    Came,
}

/// Waits until something comes from a living tape; for ever where there is none.
async fn comes(living: Option<&mut watch::Receiver<u64>>) {
    let told = match living {
        Some(living) => living.changed().await.is_ok(),
        None => false,
    };
    if !told {
        std::future::pending().await
    }
}

impl Socket {
    /// A freshly upgraded stream; `connection` is its number in the log.
    pub(super) async fn open(upgraded: Upgraded, exchange: &Exchange, connection: u64) -> Self {
        let Upgraded { stream, read_ahead, endpoint } = upgraded;
        let config = WebSocketConfig::default()
            .write_buffer_size(WRITE_BUFFER)
            .max_message_size(Some(MOST_MESSAGE))
            .max_frame_size(Some(MOST_MESSAGE));
        let read_ahead = read_ahead.to_vec();
        let session = exchange.session(endpoint);
        Self {
            living: session.living(),
            session,
            socket: WebSocketStream::from_partially_read(stream, read_ahead, Role::Server, Some(config)).await,
            outbox: VecDeque::with_capacity(OUTBOX),
            log: exchange.log.clone(),
            clock: exchange.clock,
            connection,
            is_text: exchange.is_text(),
            faults: exchange.faults(),
            unflushed: false,
            end: None,
        }
    }

    /// Serves the client until one of the two hangs up, or `shutdown`.
    pub(super) async fn run(mut self, shutdown: CancellationToken) -> io::Result<()> {
        loop {
            self.fill();
            if let Some(end) = self.end {
                return self.say_goodbye(end).await;
            }
            let is_stuck = self.session.is_stuck(self.clock.stamp());
            let deadline = self.deadline();
            let mut faults = self.faults.clone();
            let mut living = self.living.clone();
            let is_waiting = !self.outbox.is_empty();
            let turn = select! {
                biased;
                () = shutdown.cancelled() => return self.say_goodbye(End::Close(CloseCode::Away)).await,
                Ok(()) = faults.changed() => Turn::Disturbed,
                turn = poll_fn(|cx| self.poll_turn(cx)), if !is_stuck => turn?,
                () = comes(living.as_mut()), if !is_waiting => Turn::Came,
                () = sleep_until(deadline) => Turn::Emptied,
            };
            match turn {
                Turn::Heard(message) => self.hear(&message),
                Turn::Emptied => {}
                Turn::Came => self.living = living,
                Turn::Disturbed => {
                    let faults = self.faults.borrow_and_update().clone();
                    self.session.handle_faults(faults);
                }
                Turn::Gone => return Ok(()),
            }
        }
    }

    /// Moves due frames from the session to the outbox.
    fn fill(&mut self) {
        let now = self.clock.stamp();
        // Nobody is waited for; who takes everything at once is never late.
        let is_late = !self.outbox.is_empty() && self.session.is_late(now);
        if is_late {
            tracing::warn!(client = self.connection, "cut off: it took what came too slowly");
        }
        if is_late || self.session.is_cut(now) {
            self.outbox.clear();
            self.end = Some(End::Drop);
        }
        if !self.outbox.is_empty() || self.end.is_some() {
            return;
        }
        while self.outbox.len() < OUTBOX {
            self.end = match self.session.poll_output(now) {
                Some(Output::Frame(frame)) => {
                    self.outbox.push_back(frame);
                    continue;
                }
                Some(Output::Close(code)) => Some(End::Close(code.into())),
                Some(Output::Half) => Some(End::Half),
                Some(Output::Drop) => Some(End::Drop),
                None => None,
            };
            return;
        }
    }

    /// When to poll again: at the next frame, or at the next fault while frames wait for the client.
    fn deadline(&self) -> Option<Instant> {
        let now = self.clock.stamp();
        let wait = |at: Stamp| Duration::from_micros(at.as_micros().saturating_sub(now.as_micros()));
        let is_waiting = !self.outbox.is_empty();
        let at = if is_waiting { self.session.poll_disturbance(now) } else { self.session.poll_deadline(now) };
        let look = (is_waiting && self.living.is_some()).then(|| now.after(LOOK));
        at.into_iter().chain(look).min().map(|at| self.clock.now() + wait(at))
    }

    fn hear(&mut self, message: &Message) {
        let now = self.clock.stamp();
        match message {
            Message::Text(text) => self.session.handle_message(now, text.as_bytes()),
            Message::Binary(bytes) => self.session.handle_message(now, bytes),
            // The library answers it with the next turn.
            Message::Ping(_) | Message::Pong(_) => self.session.handle_ping(now),
            Message::Close(_) | Message::Frame(_) => {}
        }
    }

    /// Reads one message if there is one; otherwise writes as much as the socket takes. Loses nothing when dropped.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Turn>> {
        match Pin::new(&mut self.socket).poll_next(cx) {
            Poll::Ready(Some(Ok(message))) => return Poll::Ready(Ok(Turn::Heard(message))),
            Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(Ok(Turn::Gone)),
            Poll::Pending => {}
        }
        match self.poll_write(cx)? {
            Poll::Ready(Ok(true)) => Poll::Ready(Ok(Turn::Emptied)),
            Poll::Ready(Err(_)) => Poll::Ready(Ok(Turn::Gone)),
            Poll::Ready(Ok(false)) | Poll::Pending => Poll::Pending,
        }
    }

    /// Hands the outbox to the socket and flushes it; true when that is done, false when there was nothing to do.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> io::Result<Poll<Result<bool, Error>>> {
        if self.outbox.is_empty() && !self.unflushed {
            return Ok(Poll::Ready(Ok(false)));
        }
        let had_frames = !self.outbox.is_empty();
        let now = self.clock.stamp();
        let written = self.poll_hand_over(cx, now)?;
        if had_frames {
            self.log.flush()?;
        }
        if let Poll::Ready(Err(error)) = written {
            return Ok(Poll::Ready(Err(error)));
        }
        if written.is_ready() && had_frames && self.session.poll_deadline(now).is_some_and(|due| due <= now) {
            // More is due already: let it share the next write.
            return Ok(Poll::Ready(Ok(true)));
        }
        if written.is_pending() {
            return Ok(Poll::Pending);
        }
        Ok(Pin::new(&mut self.socket).poll_flush(cx).map_ok(|()| {
            self.unflushed = false;
            true
        }))
    }

    fn poll_hand_over(&mut self, cx: &mut Context<'_>, now: Stamp) -> io::Result<Poll<Result<(), Error>>> {
        while let Some(frame) = self.outbox.front() {
            match Pin::new(&mut self.socket).poll_ready(cx) {
                Poll::Ready(Ok(())) => {}
                other => return Ok(other),
            }
            self.log.note(now, self.connection, frame)?;
            let frame = self.outbox.pop_front().expect("the loop has just looked at it");
            self.unflushed = true;
            let message = self.message(frame);
            if let Err(error) = Pin::new(&mut self.socket).start_send(message) {
                return Ok(Poll::Ready(Err(error)));
            }
        }
        Ok(Poll::Ready(Ok(())))
    }

    /// A frame that is no UTF-8 is sent as binary: a text frame must be UTF-8.
    fn message(&self, frame: Bytes) -> Message {
        if !self.is_text {
            return Message::Binary(frame);
        }
        frame.clone().try_into().map_or(Message::Binary(frame), Message::Text)
    }

    /// Flushes the outbox, then ends the connection as `end` says, all within [`FAREWELL`].
    async fn say_goodbye(mut self, end: End) -> io::Result<()> {
        let deadline = self.clock.now() + FAREWELL;
        select! {
            biased;
            said = self.end(end) => said,
            () = sleep_until(Some(deadline)) => Ok(()),
        }
    }

    async fn end(&mut self, end: End) -> io::Result<()> {
        while !self.outbox.is_empty() || self.unflushed {
            let written = poll_fn(|cx| match self.poll_write(cx) {
                Ok(written) => written.map(Ok),
                Err(error) => Poll::Ready(Err(error)),
            });
            if written.await?.is_err() {
                return Ok(());
            }
        }
        match end {
            End::Drop => self.hang_up().await,
            End::Half => {
                let stream = self.socket.get_mut();
                // Ignored: the client may be gone already, and the connection ends anyway.
                let _ = stream.write_all(HALF_FRAME).await;
                let _ = stream.flush().await;
            }
            End::Close(code) => {
                let frame = CloseFrame { code, reason: "".into() };
                if self.socket.close(Some(frame)).await.is_ok() {
                    while let Some(Ok(_)) = poll_fn(|cx| Pin::new(&mut self.socket).poll_next(cx)).await {}
                }
            }
        }
        Ok(())
    }

    /// Ends the stream without a close frame. A socket that is closed while bytes of the client wait in it resets the
    /// connection, and the client loses what it was sent before: they are read until it is gone, too.
    async fn hang_up(&mut self) {
        let (stream, mut heard) = (self.socket.get_mut(), [0; 1_024]);
        if stream.shutdown().await.is_ok() {
            while stream.read(&mut heard).await.is_ok_and(|length| length > 0) {}
        }
    }
}
