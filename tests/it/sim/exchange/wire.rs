//! The network between the recorder and the simulated exchange: a pipe that knows when each byte was read.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

/// One end of the pipe.
pub(crate) struct Wire<F> {
    stream: DuplexStream,
    /// Bytes written into this end.
    written: Arc<AtomicU64>,
    read: u64,
    /// Called with how many bytes this end has read, after each read.
    on_read: F,
}

impl<F: Fn(u64)> Wire<F> {
    pub(crate) fn new(stream: DuplexStream, on_read: F) -> Self {
        Self { stream, written: Arc::default(), read: 0, on_read }
    }

    pub(crate) fn written(&self) -> Arc<AtomicU64> {
        self.written.clone()
    }
}

impl<F: Fn(u64) + Unpin> AsyncRead for Wire<F> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(cx, buf);
        let read = (buf.filled().len() - before) as u64;
        if read > 0 {
            self.read += read;
            (self.on_read)(self.read);
        }
        poll
    }
}

impl<F: Unpin> AsyncWrite for Wire<F> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(length)) = poll {
            self.written.fetch_add(length as u64, Ordering::Relaxed);
        }
        poll
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
