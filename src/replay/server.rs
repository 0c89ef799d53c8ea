//! The listening side: TCP, TLS, the upgrade to WebSocket, and a task for each client.

use super::sent::SentLog;
use super::session::{Session, Source};
use super::socket::Socket;
use crate::clock::{Clock, sleep_until};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::select;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::accept_hdr_async_with_config;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_util::sync::CancellationToken;

/// Where the public stream is served.
pub const PUBLIC_PATH: &str = "/websocket/v1";

/// How long a client may take from TCP to WebSocket.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Clients at a time: more than any test needs, and far below the usual limit of descriptors.
const MAX_CLIENTS: usize = 256;

/// Bytes collected for one write to the socket: about a hundred books.
const WRITE_BUFFER: usize = 256 * 1_024;

/// Why the server cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The certificate or the key cannot be read.
    #[error("cannot read {path}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
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

/// What every client gets.
#[derive(Clone)]
pub struct Service {
    /// Where frames come from.
    pub source: Source,
    /// Where they are noted.
    pub log: SentLog,
    /// What time it is.
    pub clock: Clock,
}

/// A server that listens.
pub struct Server {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    service: Service,
}

impl Server {
    /// Begins to listen; port 0 takes any free one.
    pub async fn bind(address: SocketAddr, tls: Option<TlsAcceptor>, service: Service) -> Result<Self, ServerError> {
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|source| ServerError::Listen { address, source })?;
        Ok(Self { listener, tls, service })
    }

    /// The address clients connect to.
    pub fn url(&self) -> io::Result<String> {
        let scheme = if self.tls.is_some() { "wss" } else { "ws" };
        Ok(format!("{scheme}://{}{PUBLIC_PATH}", self.listener.local_addr()?))
    }

    /// Serves until `shutdown`, then says goodbye to every client.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), ServerError> {
        let mut clients: JoinSet<io::Result<()>> = JoinSet::new();
        let mut connection = 0;
        loop {
            select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(ended) = clients.join_next() => logged(ended)?,
                accepted = self.listener.accept(), if clients.len() < MAX_CLIENTS => {
                    // What fails here is the client's connection, not the listener.
                    let Ok((tcp, _)) = accepted else { continue };
                    connection += 1;
                    clients.spawn(welcome(tcp, self.tls.clone(), (self.service.clone(), connection), shutdown.clone()));
                }
            }
        }
        while let Some(ended) = clients.join_next().await {
            logged(ended)?;
        }
        self.service.log.flush().map_err(ServerError::Log)
    }
}

/// The acceptor for a certificate chain and its key, both PEM files.
pub fn tls_acceptor(certificates: &Path, key: &Path) -> Result<TlsAcceptor, ServerError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        |source| ServerError::Pem { path, source }
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(certificates).and_then(Iterator::collect);
    let chain = chain.map_err(failed(certificates))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(failed(key))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(ServerError::Tls)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// A client's task ends well or because its log cannot be written; a panic in it is ours.
fn logged(ended: Result<io::Result<()>, tokio::task::JoinError>) -> Result<(), ServerError> {
    match ended {
        Ok(served) => served.map_err(ServerError::Log),
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

async fn welcome(
    tcp: TcpStream,
    tls: Option<TlsAcceptor>,
    (service, connection): (Service, u64),
    shutdown: CancellationToken,
) -> io::Result<()> {
    // Frames are collected here, so the system should not wait for more.
    if tcp.set_nodelay(true).is_err() {
        return Ok(());
    }
    match tls {
        None => upgrade(tcp, (service, connection), shutdown).await,
        Some(tls) => match within(service.clock, tls.accept(tcp)).await {
            Some(Ok(stream)) => upgrade(stream, (service, connection), shutdown).await,
            Some(Err(_)) | None => Ok(()),
        },
    }
}

async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    (service, connection): (Service, u64),
    shutdown: CancellationToken,
) -> io::Result<()> {
    let config = WebSocketConfig::default().write_buffer_size(WRITE_BUFFER);
    let accepted = within(service.clock, accept_hdr_async_with_config(stream, known_path, Some(config))).await;
    let Some(Ok(socket)) = accepted else {
        return Ok(());
    };
    let session = Session::new(service.source);
    Socket::new(socket, session, service.log, (service.clock, connection)).run(shutdown).await
}

#[expect(clippy::result_large_err, reason = "the library's own type of answer")]
fn known_path(request: &Request, response: Response) -> Result<Response, ErrorResponse> {
    if request.uri().path() == PUBLIC_PATH {
        return Ok(response);
    }
    let mut refusal = ErrorResponse::new(Some(
        r#"{"error":{"name":"not_found","message":"no Route matched with those values"}}"#.to_owned(),
    ));
    *refusal.status_mut() = tokio_tungstenite::tungstenite::http::StatusCode::NOT_FOUND;
    Err(refusal)
}

/// A step of the handshake, which must not take longer than [`HANDSHAKE`].
async fn within<T>(clock: Clock, step: impl Future<Output = T>) -> Option<T> {
    let deadline = clock.now() + HANDSHAKE;
    select! {
        biased;
        done = step => Some(done),
        () = sleep_until(Some(deadline)) => None,
    }
}
