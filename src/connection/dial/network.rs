//! The real network: names resolved anew for each attempt, addresses raced, TLS where the address says `wss`.

use super::{Dial, DialError, Opened, happy_eyeballs, within};
use crate::clock::{Clock, Instant};
use crate::config::Url;
use crate::connection::Stage;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Failures named in one cause; the others say the same.
const CAUSES_SHOWN: usize = 3;

/// Dials over the machine's network.
#[derive(Clone)]
pub struct Network {
    clock: Clock,
    tls: TlsConnector,
}

impl Network {
    /// Trusts what `tls` trusts (see [`super::tls::client_config`]).
    pub fn new(clock: Clock, tls: Arc<ClientConfig>) -> Self {
        Self { clock, tls: TlsConnector::from(tls) }
    }

    async fn connect(&self, url: &Url, addresses: Vec<SocketAddr>) -> Result<(TcpStream, SocketAddr), DialError> {
        let raced = happy_eyeballs::race(addresses, self.clock, TcpStream::connect).await;
        let (stream, address) = raced.map_err(|failures| DialError::new(Stage::Tcp, unreachable(url, &failures)))?;
        // A ping must not wait for more to send; where the option cannot be set, it only comes a little later.
        let _ = stream.set_nodelay(true);
        Ok((stream, address))
    }

    async fn encrypt(&self, url: &Url, stream: TcpStream) -> Result<TlsStream<TcpStream>, DialError> {
        let host = &url.host;
        let name = ServerName::try_from(host.clone())
            .map_err(|_| DialError::new(Stage::Tls, format!("`{host}` is no name that a certificate could have")))?;
        let encrypted = self.tls.connect(name, stream).await;
        encrypted.map_err(|error| DialError::new(Stage::Tls, format!("no TLS with {host}: {error}")))
    }
}

impl Dial for Network {
    type Stream = NetworkStream;

    async fn dial(&self, url: &Url, deadline: Instant) -> Result<Opened<NetworkStream>, DialError> {
        let resolving = || format!("looking up the host {}", url.host);
        let addresses = within(deadline, Stage::Resolve, resolving, resolve(url)).await?;
        let connecting = || format!("connecting to {}", names(&addresses));
        let connect = self.connect(url, addresses.clone());
        let (stream, address) = within(deadline, Stage::Tcp, connecting, connect).await?;
        let stream = if url.tls {
            let encrypting = || format!("the TLS handshake with {} ({address})", url.host);
            let stream = within(deadline, Stage::Tls, encrypting, self.encrypt(url, stream)).await?;
            NetworkStream::Tls(Box::new(stream))
        } else {
            NetworkStream::Tcp(stream)
        };
        Ok(Opened { stream, address: address.to_string() })
    }
}

async fn resolve(url: &Url) -> Result<Vec<SocketAddr>, DialError> {
    let host = &url.host;
    let failed = |cause: String| DialError::new(Stage::Resolve, cause);
    let found = tokio::net::lookup_host((host.as_str(), url.port)).await;
    let found = found.map_err(|error| failed(format!("the host {host} cannot be found ({error})")))?;
    let addresses: Vec<SocketAddr> = found.collect();
    if addresses.is_empty() {
        return Err(failed(format!("the host {host} has no address")));
    }
    Ok(addresses)
}

fn unreachable(url: &Url, failures: &[(SocketAddr, io::Error)]) -> String {
    let causes = failures.iter().take(CAUSES_SHOWN).map(|(address, error)| match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("connection refused by {address}"),
        io::ErrorKind::NetworkUnreachable => format!("no way to the network of {address}"),
        io::ErrorKind::HostUnreachable => format!("no way to {address}"),
        io::ErrorKind::TimedOut => format!("no answer from {address}"),
        _ => format!("{address}: {error}"),
    });
    let causes: Vec<String> = causes.collect();
    if causes.is_empty() { format!("the host {} has no address", url.host) } else { causes.join(", ") }
}

fn names(addresses: &[SocketAddr]) -> String {
    let names: Vec<String> = addresses.iter().take(CAUSES_SHOWN).map(ToString::to_string).collect();
    names.join(", ")
}

/// A stream over TCP, encrypted or not.
#[derive(Debug)]
pub enum NetworkStream {
    /// In the clear, for a server on this machine.
    Tcp(TcpStream),
    /// Encrypted.
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for NetworkStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for NetworkStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
