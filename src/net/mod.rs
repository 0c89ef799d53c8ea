//! Opening a byte stream to the exchange: the seam between the recorder and the network.
//!
//! ```text
//! Dial ──▶ resolve ──▶ TCP, addresses raced ─────────────────▶ TLS ──▶ Opened       the upgrade, or REST, follows
//!    │     network     happy_eyeballs                          tls
//!    └──▶ the same to a proxy, where there is one ──▶ tunnel ───┘
//! ```
//!
//! Each step fails with its own [`Stage`] and a cause for people; all steps share one deadline. Tests implement
//! [`Dial`] by a duplex pipe with a real server at its end.

mod happy_eyeballs;
pub(crate) mod head;
pub mod network;
pub mod pool;
pub mod proxy;
pub mod tls;
mod tunnel;

use crate::clock::{self, Instant};
use crate::tape::words::Stage;
use crate::upbit::limits::Answer;
use crate::upbit::url::Url;
use std::future::Future;
use tokio::io::{AsyncRead, AsyncWrite};

/// Opens byte streams.
pub trait Dial: Send + Sync + 'static {
    /// The opened byte stream.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Opens a stream to the host of `url`, over TLS for `wss` and `https`, before `deadline`.
    ///
    /// # Errors
    /// The stage that failed, and why.
    fn dial(
        &self,
        url: &Url,
        deadline: Instant,
    ) -> impl Future<Output = Result<Opened<Self::Stream>, DialError>> + Send;
}

/// An open byte stream.
#[derive(Debug)]
pub struct Opened<S> {
    /// The stream.
    pub stream: S,
    /// The peer, for people: address and port.
    pub address: String,
}

/// An attempt that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub struct DialError {
    /// The stage that failed.
    pub stage: Stage,
    /// Why, for people.
    pub cause: String,
    /// The exchange's answer to the upgrade, where it refused it.
    pub answer: Option<Box<Answer>>,
}

impl DialError {
    /// A failure without an answer of the exchange's.
    pub fn new(stage: Stage, cause: impl Into<String>) -> Self {
        Self { stage, cause: cause.into(), answer: None }
    }
}

/// Runs one step of an attempt; `doing` completes the sentence "… took too long".
pub(super) async fn within<T>(
    deadline: Instant,
    stage: Stage,
    doing: impl FnOnce() -> String,
    step: impl Future<Output = Result<T, DialError>>,
) -> Result<T, DialError> {
    tokio::select! {
        biased;
        result = step => result,
        () = clock::sleep_until(Some(deadline)) => Err(DialError::new(stage, format!("{} took too long", doing()))),
    }
}
