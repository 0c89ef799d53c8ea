//! The listening side: TCP, TLS, HTTP, WebSocket, and a task for each client. Clients are bounded, by address and in
//! total, and an idle one is disconnected.
//!
//! ```text
//!  accept ─▶ TLS ─▶ http (REST answers, faults) ─▶ upgrade ─▶ socket
//!    └ every step may be made to hang or fail by a fault
//! ```

mod client_stream;
mod crowd;
mod exchange;
mod http;
mod sent;
mod socket;
mod tls;

pub use exchange::Exchange;
pub use http::{PRIVATE_PATH, PUBLIC_PATH};
pub use sent::SentLog;
pub use tls::tls_acceptor;

use super::faults::Stage;
use crate::clock::sleep_until;
use client_stream::ClientStream;
use crowd::Crowd;
use http::Peer;
use rustls::pki_types::pem;
use socket::Socket;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::select;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// How long a client's TLS handshake may take.
const TLS_HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a client that is refused may take to send a request that changes the faults.
const REFUSED: Duration = Duration::from_millis(500);

/// Why the server cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The requested address.
        address: SocketAddr,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The certificate or the key cannot be read.
    #[error("cannot read {path}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: pem::Error,
    },
    /// The certificate and the key cannot be used, or do not belong together.
    #[error("cannot serve TLS with this certificate and key")]
    Tls(#[source] rustls::Error),
    /// The log of sent frames cannot be written.
    #[error("cannot write the log of sent frames")]
    Log(#[source] io::Error),
}

/// A server that listens.
pub struct Server {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    exchange: Arc<Exchange>,
}

impl Server {
    /// Begins to listen; port 0 takes any free one.
    pub async fn bind(
        address: SocketAddr,
        tls: Option<TlsAcceptor>,
        exchange: Arc<Exchange>,
    ) -> Result<Self, ServerError> {
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|source| ServerError::Listen { address, source })?;
        Ok(Self { listener, tls, exchange })
    }

    /// The address clients connect to for market data.
    pub fn url(&self) -> io::Result<String> {
        let scheme = if self.tls.is_some() { "wss" } else { "ws" };
        Ok(format!("{scheme}://{}{PUBLIC_PATH}", self.listener.local_addr()?))
    }

    /// Serves until `shutdown`, then closes every connection.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), ServerError> {
        let (mut clients, mut crowd) = (JoinSet::new(), Crowd::default());
        let mut connection = 0;
        loop {
            select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(ended) = clients.join_next() => crowd.leave(served(ended)?),
                accepted = self.listener.accept(), if crowd.has_room() => {
                    // The client's connection failed, not the listener.
                    let Ok((tcp, peer)) = accepted else { continue };
                    let address = peer.ip().to_canonical();
                    if !crowd.enter(address) {
                        continue;
                    }
                    connection += 1;
                    let (tls, exchange) = (self.tls.clone(), Arc::clone(&self.exchange));
                    let client = Client { address, connection, tls, exchange };
                    let serving = client.serve(tcp, shutdown.clone());
                    clients.spawn(async move { Served { address, result: serving.await } });
                }
            }
        }
        while let Some(ended) = clients.join_next().await {
            served(ended)?;
        }
        self.exchange.log.flush().map_err(ServerError::Log)
    }
}

/// The result of serving a client.
struct Served {
    address: IpAddr,
    result: io::Result<()>,
}

/// The address of a client whose task has ended. The task fails only if its log cannot be written; a panic in it is a
/// bug and propagates.
fn served(ended: Result<Served, tokio::task::JoinError>) -> Result<IpAddr, ServerError> {
    match ended {
        Ok(served) => served.result.map(|()| served.address).map_err(ServerError::Log),
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// A client that is being served.
struct Client {
    address: IpAddr,
    connection: u64,
    tls: Option<TlsAcceptor>,
    exchange: Arc<Exchange>,
}

impl Client {
    async fn serve(self, tcp: TcpStream, shutdown: CancellationToken) -> io::Result<()> {
        let is_refused = self.exchange.refuses();
        let deadline = is_refused.then(|| self.exchange.clock.now() + REFUSED);
        let upgraded = select! {
            biased;
            () = shutdown.cancelled() => None,
            upgraded = self.until_upgrade(tcp, is_refused) => upgraded,
            () = sleep_until(deadline) => None,
        };
        match upgraded {
            Some(upgraded) => Socket::open(upgraded, &self.exchange, self.connection).await.run(shutdown).await,
            None => Ok(()),
        }
    }

    async fn until_upgrade(&self, tcp: TcpStream, is_refused: bool) -> Option<http::Upgraded> {
        if self.tls.is_some() {
            // Without TLS, HTTP hangs there: the faults have to be reached.
            http::hang(&self.exchange, Stage::Connect).await;
        }
        // Frames are collected here, so the system should not wait for more.
        tcp.set_nodelay(true).ok()?;
        let stream = match &self.tls {
            None => ClientStream::new(tcp, self.exchange.faults(), self.exchange.clock),
            Some(tls) => ClientStream::new(self.tls(tls, tcp).await?, self.exchange.faults(), self.exchange.clock),
        };
        http::serve(stream, Peer { address: self.address, is_refused }, &self.exchange).await
    }

    async fn tls(&self, acceptor: &TlsAcceptor, tcp: TcpStream) -> Option<impl client_stream::ByteStream + 'static> {
        let deadline = self.exchange.clock.now() + TLS_HANDSHAKE;
        select! {
            biased;
            accepted = acceptor.accept(tcp) => accepted.ok(),
            () = sleep_until(Some(deadline)) => None,
        }
    }
}
