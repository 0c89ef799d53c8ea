//! A pool of HTTP connections: proxy, TCP and TLS as for the WebSocket. The only file that has an HTTP client.
//!
//! ```text
//! request ──▶ Pool ──▶ an idle connection, or Dialer ──▶ Way ──▶ Network
//! ```

use super::network::{Network, NetworkStream};
use super::{Dial, DialError};
use crate::clock::Clock;
use crate::upbit::url::Url;
use futures_util::future::BoxFuture;
use hyper::Uri;
use hyper::body::Body;
use hyper::header::HeaderValue;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tower_service::Service;

/// The timeout of resolution, TCP, proxy and TLS together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The header `User-Agent`.
pub const AGENT: HeaderValue = HeaderValue::from_static(concat!("upbit-recorder/", env!("CARGO_PKG_VERSION")));

/// A client whose connections are reused.
pub type Pool<B> = legacy::Client<Dialer, B>;

/// Where a new connection leads, and over what.
#[derive(Clone)]
pub struct Way {
    /// The network.
    pub network: Network,
    /// The address of the host.
    pub url: Url,
}

/// A pool that keeps up to `idle` connections to a host; `way` leads to that of a request.
pub fn pool<B>(
    clock: Clock,
    idle: usize,
    way: impl Fn(&Uri) -> Result<Way, DialError> + Send + Sync + 'static,
) -> Pool<B>
where
    B: Body + Send,
    B::Data: Send,
{
    legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_max_idle_per_host(idle)
        .build(Dialer { way: Arc::new(way), clock })
}

/// The innermost cause of an error: the outer ones say only that a request failed.
pub fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

/// Finds the way to the host of a request.
type FindWay = dyn Fn(&Uri) -> Result<Way, DialError> + Send + Sync;

/// Opens the pool's connections.
#[derive(Clone)]
pub struct Dialer {
    way: Arc<FindWay>,
    clock: Clock,
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer").finish_non_exhaustive()
    }
}

impl Service<Uri> for Dialer {
    type Response = TokioIo<NetworkStream>;
    type Error = DialError;
    type Future = BoxFuture<'static, Result<Self::Response, DialError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let Self { way, clock } = self.clone();
        Box::pin(async move {
            let Way { network, url } = way(&uri)?;
            let opened = network.dial(&url, clock.now() + CONNECT_TIMEOUT).await?;
            Ok(TokioIo::new(opened.stream))
        })
    }
}

impl Connection for NetworkStream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}
