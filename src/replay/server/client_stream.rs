//! The byte stream to one client: TCP or TLS, as slow as the faults make it.

use crate::clock::{Clock, sleep_until};
use crate::replay::faults::{Fault, Faults};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

/// How long HTTP waits for a client to read on; a WebSocket waits as long as its session does.
const STALL: Duration = Duration::from_secs(15);

/// TCP, or TLS over it.
pub(super) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

/// One client's byte stream.
pub(super) struct ClientStream {
    stream: Box<dyn ByteStream>,
    faults: watch::Receiver<Arc<Faults>>,
    clock: Clock,
    /// Runs while the last byte has not earned the next one.
    pause: Option<Pause>,
    /// How long it may take a client to take the next byte.
    patience: Option<Duration>,
    /// Runs while it takes none.
    stalled: Option<Pause>,
}

type Pause = Pin<Box<dyn Future<Output = ()> + Send>>;

impl ClientStream {
    pub(super) fn new(stream: impl ByteStream + 'static, faults: watch::Receiver<Arc<Faults>>, clock: Clock) -> Self {
        Self { stream: Box::new(stream), faults, clock, pause: None, patience: Some(STALL), stalled: None }
    }

    /// From now on a client may take as long as it likes to read.
    pub(super) fn wait_for_reader(&mut self) {
        (self.patience, self.stalled) = (None, None);
    }

    /// Returns the result of a write, or fails where the client has read nothing for too long.
    fn watched<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let Some(patience) = self.patience.filter(|_| polled.is_pending()) else {
            self.stalled = None;
            return polled;
        };
        let until = self.clock.now() + patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep_until(Some(until))));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn bytes_per_second(&self) -> Option<u32> {
        let faults = self.faults.borrow();
        if faults.is_empty() {
            return None;
        }
        let slow = |fault: &Fault| if let Fault::Slow(rate) = fault { Some(*rate) } else { None };
        faults.active(self.clock.stamp()).filter_map(slow).min()
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        let Some(rate) = self.bytes_per_second() else {
            let polled = Pin::new(&mut *self.stream).poll_write(cx, bytes);
            return self.watched(cx, polled);
        };
        // Ten portions a second, or a byte at a time where that is less.
        let portion = bytes.len().min(usize::try_from(rate / 10).unwrap_or(usize::MAX).max(1));
        let polled = Pin::new(&mut *self.stream).poll_write(cx, &bytes[..portion]);
        let written = ready!(self.watched(cx, polled))?;
        let earned = Duration::from_secs(1) * u32::try_from(written).unwrap_or(u32::MAX) / rate;
        self.pause = Some(Box::pin(sleep_until(Some(self.clock.now() + earned))));
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut *self.stream).poll_flush(cx);
        self.watched(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_shutdown(cx)
    }
}
