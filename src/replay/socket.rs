//! One client's WebSocket: moves messages between the socket and the session.
//!
//! ```text
//!  socket ──message──▶ session ──frames, at most 256──▶ outbox ──▶ socket
//!                         ▲ deadline                      │ taken
//!                         └───────────────────────────────┘      each frame is noted in the log as it is handed over
//! ```

use super::sent::SentLog;
use super::session::{Output, Session};
use crate::clock::{Clock, Instant, Stamp, sleep_until};
use bytes::Bytes;
use futures_util::{Sink, Stream};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::select;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::sync::CancellationToken;

/// Frames taken from the session at a time: enough to fill many socket writes, few enough to hear the client between.
const OUTBOX: usize = 256;

/// How long the last frames and the close frame may take at the end.
const FAREWELL: Duration = Duration::from_secs(1);

/// One client's WebSocket.
pub(crate) struct Socket<S> {
    socket: WebSocketStream<S>,
    session: Session,
    outbox: VecDeque<Bytes>,
    log: SentLog,
    clock: Clock,
    connection: u64,
    /// Something was handed to the socket that it may still hold.
    unflushed: bool,
    close: Option<CloseCode>,
}

/// What a turn at the socket brought.
enum Turn {
    Heard(Message),
    Emptied,
    Gone,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// A freshly upgraded socket; `connection` is its number in the log.
    pub(crate) fn new(
        socket: WebSocketStream<S>,
        session: Session,
        log: SentLog,
        (clock, connection): (Clock, u64),
    ) -> Self {
        let outbox = VecDeque::with_capacity(OUTBOX);
        Self { socket, session, outbox, log, clock, connection, unflushed: false, close: None }
    }

    /// Serves the client until one of the two hangs up, or `shutdown`.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) -> io::Result<()> {
        loop {
            self.fill();
            if let Some(code) = self.close {
                return self.say_goodbye(code).await;
            }
            let deadline = if self.outbox.is_empty() { self.deadline() } else { None };
            let turn = select! {
                biased;
                () = shutdown.cancelled() => return self.say_goodbye(CloseCode::Away).await,
                turn = poll_fn(|cx| self.poll_turn(cx)) => turn?,
                () = sleep_until(deadline) => continue,
            };
            match turn {
                Turn::Heard(message) => self.hear(&message),
                Turn::Emptied => {}
                Turn::Gone => return Ok(()),
            }
        }
    }

    /// Takes what is due from the session.
    fn fill(&mut self) {
        if !self.outbox.is_empty() {
            return;
        }
        let now = self.clock.stamp();
        while self.outbox.len() < OUTBOX {
            match self.session.poll_output(now) {
                Some(Output::Frame(frame)) => self.outbox.push_back(frame),
                Some(Output::Close) => self.close = Some(CloseCode::Normal),
                None => return,
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let wait = |at: Stamp| Duration::from_micros(at.as_micros().saturating_sub(self.clock.stamp().as_micros()));
        self.session.poll_deadline().map(|at| self.clock.now() + wait(at))
    }

    fn hear(&mut self, message: &Message) {
        let now = self.clock.stamp();
        match message {
            Message::Text(text) => self.session.handle_message(now, text.as_bytes()),
            Message::Binary(bytes) => self.session.handle_message(now, bytes),
            // Pings are answered, and a close frame is returned, by the library with the next turn.
            _ => {}
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
        if written.is_ready() && had_frames && self.session.poll_deadline().is_some_and(|due| due <= now) {
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
            if let Err(error) = Pin::new(&mut self.socket).start_send(Message::Binary(frame)) {
                return Ok(Poll::Ready(Err(error)));
            }
        }
        Ok(Poll::Ready(Ok(())))
    }

    /// Sends what is due still, then the close frame, and waits for the client's, all within [`FAREWELL`].
    async fn say_goodbye(mut self, code: CloseCode) -> io::Result<()> {
        let deadline = self.clock.now() + FAREWELL;
        let farewell = async {
            while !self.outbox.is_empty() || self.unflushed {
                let written = poll_fn(|cx| match self.poll_write(cx) {
                    Ok(written) => written.map(Ok),
                    Err(error) => Poll::Ready(Err(error)),
                });
                if written.await?.is_err() {
                    return Ok(());
                }
            }
            let frame = CloseFrame { code, reason: "".into() };
            if self.socket.close(Some(frame)).await.is_ok() {
                while let Some(Ok(_)) = poll_fn(|cx| Pin::new(&mut self.socket).poll_next(cx)).await {}
            }
            Ok(())
        };
        select! {
            biased;
            said = farewell => said,
            () = sleep_until(Some(deadline)) => Ok(()),
        }
    }
}
