//! WebSocket over a byte stream: the only room that names tungstenite.
//!
//! ```text
//! upgrade ──▶ Transport ──recv──▶ Inbound: everything that was there, in one batch
//!                       ◀─send──  pings, requests; they leave while recv is polled
//! ```
//!
//! [`Transport::recv`] is the hot path: it polls until nothing is there or the batch is full, copies each frame once
//! into the batch and stamps it there. The rest of a frame that fills a batch stays in the [`Transport`], and the
//! future keeps no state between polls, so it is safe to cancel.

mod interim;
mod refused;
mod wire;

use super::session::{Inbound, Outgoing};
use crate::batch::Spares;
use crate::clock::{Clock, Instant};
use crate::net::DialError;
use crate::printable;
use crate::tape::words::Stage;
use crate::upbit::auth::Secret;
use crate::upbit::url::Url;
use bytes::Bytes;
use futures_util::{Sink, Stream};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error, ProtocolError};
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use wire::Wire;

/// Bytes asked of the socket at once. The buffer is zeroed before each read, so a greater one costs more than the calls
/// it saves: the exchange's whole feed is 70 of these a second.
const READ_BYTES: usize = 32 * 1024;

/// Bytes that may wait to be sent. A request for every pair of the exchange takes 30 KB, and at most a few messages wait.
const WRITE_BYTES: usize = 1024 * 1024;

/// Characters of a close frame's reason that are shown: one has 123 bytes at most.
const REASON: usize = 123;

/// The request of an upgrade, and the limits of the connection.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The address to ask for.
    pub url: Url,
    /// The `Authorization` header, on the private connection only, where no received byte may be shown.
    pub authorization: Option<Secret>,
    /// A message longer than this ends the connection.
    pub max_message_bytes: usize,
}

/// The rest of a frame that was too long for one batch.
struct Rest {
    frame: Bytes,
    from: usize,
    received: Instant,
}

/// An open WebSocket. It has no `Debug`, which would show received bytes.
pub struct Transport<S> {
    socket: WebSocketStream<Wire<S>>,
    clock: Clock,
    /// Bytes of the stream that were reported as heard.
    heard: u64,
    /// Something was handed over that has not left.
    unsent: bool,
    /// Why nothing can be sent any more. Frames that the other side sent before are still read.
    broken: Option<String>,
    /// The exchange's reason for a close may be shown.
    shows_reason: bool,
    /// The buffers of its batches.
    spares: Spares,
    /// The rest of a frame that was too long for one batch.
    rest: Option<Rest>,
    /// Reading was interrupted, and bytes that waited since are not read yet.
    behind: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Transport<S> {
    /// Upgrades a byte stream to WebSocket.
    ///
    /// # Errors
    /// The answer, where it is another than 101, or why there is none.
    pub async fn upgrade(stream: S, terms: &Terms, clock: Clock) -> Result<Self, DialError> {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .write_buffer_size(0)
            .max_write_buffer_size(WRITE_BYTES)
            .max_message_size(Some(terms.max_message_bytes))
            .max_frame_size(Some(terms.max_message_bytes));
        let request = request(&terms.url, terms.authorization.as_ref())?;
        let (stream, back) = Wire::new(stream);
        let upgraded = tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await;
        let mut socket = match upgraded {
            Ok((socket, _)) => socket,
            Err(Error::Http(response)) => {
                let shows_answer = terms.authorization.is_none();
                return Err(refused::dial_error(*response, back, terms.url.host(), shows_answer, clock).await);
            }
            Err(error) => {
                let cause = format!("no WebSocket with {}: {}", terms.url.host(), describe(&error));
                return Err(DialError::new(Stage::Upgrade, cause));
            }
        };
        socket.get_mut().detach();
        let heard = socket.get_ref().read();
        let shows_reason = terms.authorization.is_none();
        let (spares, broken, rest) = (Spares::default(), None, None);
        Ok(Self { socket, clock, heard, unsent: false, broken, shows_reason, spares, rest, behind: false })
    }

    /// Hands a frame over; it leaves while [`Self::recv`] is polled, which also reports a failure.
    pub fn send(&mut self, frame: Outgoing) {
        self.start(match frame {
            Outgoing::Ping => Message::Ping(Default::default()),
            Outgoing::Text(text) => Message::Text(text.into()),
        });
    }

    /// Hands a close frame over.
    pub fn close(&mut self) {
        self.start(Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() })));
    }

    /// Waits until something happens: bytes came (only if `reading`), all that was handed over has left, all that had
    /// waited while nothing was read is read, or the connection ended. Sending goes on either way.
    pub async fn recv(&mut self, reading: bool) -> Inbound {
        poll_fn(|cx| {
            let mut inbound = Inbound { batch: self.spares.batch(), ..Inbound::default() };
            self.poll_send(cx, &mut inbound);
            self.behind |= !reading;
            if reading {
                self.poll_read(cx, &mut inbound);
            }
            if inbound.drained && inbound.closed.is_none() {
                inbound.closed = self.broken.take();
            }
            let caught_up = inbound.drained && std::mem::take(&mut self.behind);
            let news = inbound.sent || caught_up || inbound.closed.is_some();
            if inbound.heard || !inbound.batch.is_empty() || news { Poll::Ready(inbound) } else { Poll::Pending }
        })
        .await
    }

    /// Bytes read from now on have waited: [`Self::recv`] reports when there are no more.
    pub fn report_drained(&mut self) {
        self.behind = true;
    }

    fn start(&mut self, message: Message) {
        self.unsent = true;
        if let Err(error) = Pin::new(&mut self.socket).start_send(message) {
            self.broken.get_or_insert_with(|| describe(&error));
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, inbound: &mut Inbound) {
        if !self.unsent || self.broken.is_some() {
            return;
        }
        match Pin::new(&mut self.socket).poll_flush(cx) {
            Poll::Pending => {}
            Poll::Ready(Ok(())) => {
                self.unsent = false;
                inbound.sent = true;
            }
            Poll::Ready(Err(error)) => self.broken = Some(describe(&error)),
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, inbound: &mut Inbound) {
        while !inbound.batch.is_full() && inbound.closed.is_none() {
            if let Some(rest) = self.rest.take() {
                self.push_frame(rest, inbound);
                continue;
            }
            match Pin::new(&mut self.socket).poll_next(cx) {
                Poll::Pending => {
                    // Without coop budget tokio returns pending, whatever the kernel holds.
                    inbound.drained = tokio::task::coop::has_budget_remaining();
                    break;
                }
                Poll::Ready(Some(Ok(message))) => {
                    inbound.whole = true;
                    self.handle_message(cx, message, inbound);
                }
                Poll::Ready(Some(Err(error))) => inbound.closed = Some(describe(&error)),
                Poll::Ready(None) => inbound.closed = Some(describe(&Error::ConnectionClosed)),
            }
        }
        let read = self.socket.get_ref().read();
        inbound.heard = inbound.whole || read > self.heard;
        self.heard = read;
    }

    fn handle_message(&mut self, cx: &mut Context<'_>, message: Message, inbound: &mut Inbound) {
        let received = self.clock.now();
        match message {
            Message::Binary(frame) => self.push_frame(Rest { frame, from: 0, received }, inbound),
            Message::Text(text) => self.push_frame(Rest { frame: text.into(), from: 0, received }, inbound),
            Message::Close(frame) => {
                inbound.closed = Some(describe_close(frame.as_ref(), self.shows_reason));
                // The answer to the close frame leaves with the next poll; whether it arrives changes nothing.
                let _ = Pin::new(&mut self.socket).poll_next(cx);
            }
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }

    fn push_frame(&mut self, rest: Rest, inbound: &mut Inbound) {
        let next = inbound.batch.fill(&rest.frame, rest.from, rest.received);
        self.rest = next.map(|from| Rest { from, ..rest });
    }
}

/// The upgrade request: no `Origin`, which would cut us to one request in ten seconds, and no extensions.
fn request(url: &Url, authorization: Option<&Secret>) -> Result<Request, DialError> {
    let failed = |cause: String| DialError::new(Stage::Upgrade, cause);
    let mut request = url
        .as_str()
        .into_client_request()
        .map_err(|error| failed(format!("`{url}` cannot be asked for: {}", describe(&error))))?;
    if let Some(authorization) = authorization {
        let mut value = HeaderValue::from_str(authorization.expose())
            .map_err(|_| failed("the access key holds characters that cannot be sent".to_owned()))?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    Ok(request)
}

/// Why a connection ended, for people, and without a received byte.
fn describe(error: &Error) -> String {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => "the connection is closed".to_owned(),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            "the connection ended without a close frame".to_owned()
        }
        Error::Protocol(ProtocolError::HandshakeIncomplete) => "the connection ended before the answer".to_owned(),
        Error::Protocol(ProtocolError::ExpectedFragment(_)) => "a message begins inside another".to_owned(),
        Error::Protocol(violation) => format!("a violation of the WebSocket protocol: {violation}"),
        Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => {
            format!("a message of {size} bytes, more than max_message_bytes ({max_size})")
        }
        Error::Capacity(CapacityError::TooManyHeaders) => "an answer with too many headers".to_owned(),
        Error::AttackAttempt => "an answer whose headers are too long or trickle in".to_owned(),
        Error::Utf8(_) => "a text frame that is not UTF-8".to_owned(),
        Error::WriteBufferFull(_) => "what was sent does not leave".to_owned(),
        Error::Io(error) => match error.kind() {
            io::ErrorKind::ConnectionReset => "connection reset".to_owned(),
            io::ErrorKind::UnexpectedEof => "the connection ended in the middle of a TLS record".to_owned(),
            _ => error.to_string(),
        },
        Error::Http(response) => format!("HTTP {}", response.status()),
        Error::Tls(_) | Error::Url(_) | Error::HttpFormat(_) => error.to_string(),
    }
}

fn describe_close(frame: Option<&CloseFrame>, shows_reason: bool) -> String {
    match frame {
        None => "closed by the exchange without a code".to_owned(),
        Some(frame) => {
            let reason = if shows_reason { frame.reason.as_str() } else { "" };
            let reason =
                if reason.is_empty() { String::new() } else { format!(": {}", printable::line(reason, REASON)) };
            format!("closed by the exchange with {}{reason}", u16::from(frame.code))
        }
    }
}
