//! The byte stream under a WebSocket: how many bytes came, and the stream itself when an upgrade fails.
//!
//! A byte proves liveness long before its message is whole, so bytes read are counted. A failed upgrade drops the
//! stream together with the part of the answer's body that was still on its way, which may say how long to stay away:
//! until it is [detached](Wire::detach), a dropped stream goes back through a [`Return`]. Interim answers before the
//! final one are left out.

use super::interim::Interim;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A counted stream.
pub(super) struct Wire<S> {
    /// `None` only while it is being dropped.
    stream: Option<S>,
    read: u64,
    /// Until the final answer begins.
    interim: Option<Interim>,
    /// Its beginning, as far as it is not read.
    begun: Vec<u8>,
    back: Option<Return<S>>,
}

/// Where a stream arrives that was dropped elsewhere.
pub(super) struct Return<S>(Arc<Mutex<Option<S>>>);

impl<S> Return<S> {
    /// The stream, once it was dropped.
    pub(super) fn take(&self) -> Option<S> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<S> Wire<S> {
    /// Counts a stream, which comes back through the [`Return`] unless it is detached.
    pub(super) fn new(stream: S) -> (Self, Return<S>) {
        let back = Arc::new(Mutex::new(None));
        let returning = Some(Return(Arc::clone(&back)));
        let interim = Some(Interim::default());
        (Self { stream: Some(stream), read: 0, interim, begun: Vec::new(), back: returning }, Return(back))
    }

    /// From now on a drop closes the stream.
    pub(super) fn detach(&mut self) {
        self.back = None;
    }

    /// Bytes read so far.
    pub(super) fn read(&self) -> u64 {
        self.read
    }
}

impl<S: Unpin> Wire<S> {
    fn stream(&mut self) -> Pin<&mut S> {
        Pin::new(self.stream.as_mut().expect("only dropping takes the stream away"))
    }
}

impl<S: AsyncRead + Unpin> Wire<S> {
    /// Reads until the final answer has begun, or nothing more comes.
    fn poll_begin(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(interim) = &self.interim {
            let mut bytes = vec![0; interim.wanted()];
            let mut buf = ReadBuf::new(&mut bytes);
            ready!(self.stream().poll_read(cx, &mut buf))?;
            self.read += buf.filled().len() as u64;
            let begun = self.interim.as_mut().map(|interim| interim.take(buf.filled()));
            if let Some(begun) = begun.transpose()?.flatten() {
                (self.interim, self.begun) = (None, begun);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S> Drop for Wire<S> {
    fn drop(&mut self) {
        if let Some(Return(slot)) = self.back.take() {
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = self.stream.take();
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_begin(cx))?;
        if !self.begun.is_empty() {
            let taken = self.begun.len().min(buf.remaining());
            buf.put_slice(&self.begun[..taken]);
            self.begun.drain(..taken);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let poll = self.stream().poll_read(cx, buf);
        self.read += (buf.filled().len() - before) as u64;
        poll
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.stream().poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }
}
