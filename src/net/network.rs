//! The real network: names resolved anew for each attempt, addresses raced, through a proxy where the environment names
//! one, TLS for `wss` and `https`.

use super::proxy::Proxies;
use super::{Dial, DialError, Opened, happy_eyeballs, tunnel, within};
use crate::clock::{Clock, Instant};
use crate::config::proxy::{Proxy, ProxyConfig};
use crate::tape::words::Stage;
use crate::upbit::url::Url;
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

/// Failures named in one cause; the others are alike.
const CAUSES_SHOWN: usize = 3;

/// Dials over the machine's network.
#[derive(Clone)]
pub struct Network {
    clock: Clock,
    tls: TlsConnector,
    proxies: Proxies,
}

impl Network {
    /// Trusts the authorities of `tls` (see [`super::tls::client_config`]), and uses `proxies` for the hosts they are
    /// for.
    pub fn new(clock: Clock, tls: Arc<ClientConfig>, proxies: &ProxyConfig) -> Self {
        Self { clock, tls: TlsConnector::from(tls), proxies: Proxies::new(proxies) }
    }

    /// Resolve, TCP, and TLS where it is wanted.
    async fn reach(&self, url: &Url, deadline: Instant) -> Result<(NetworkStream, SocketAddr), DialError> {
        let host = url.host();
        let resolving = || format!("looking up the host {host}");
        let addresses = within(deadline, Stage::Resolve, resolving, resolve(url)).await?;
        let connecting = || format!("connecting to {}", names(&addresses));
        let connect = self.connect(host, addresses.clone());
        let (stream, address) = within(deadline, Stage::Tcp, connecting, connect).await?;
        let stream = NetworkStream::Tcp(stream);
        let stream = if url.tls() { self.encrypt(host, stream, address, deadline).await? } else { stream };
        Ok((stream, address))
    }

    async fn connect(&self, host: &str, addresses: Vec<SocketAddr>) -> Result<(TcpStream, SocketAddr), DialError> {
        let raced = happy_eyeballs::race(addresses, self.clock, TcpStream::connect).await;
        let (stream, address) = raced.map_err(|failures| DialError::new(Stage::Tcp, unreachable(host, &failures)))?;
        // A ping must not wait for more to send; where the option cannot be set, it only comes a little later.
        let _ = stream.set_nodelay(true);
        Ok((stream, address))
    }

    /// TLS with `host` over a stream to `address`, which is the host's or its proxy's.
    async fn encrypt(
        &self,
        host: &str,
        stream: NetworkStream,
        address: SocketAddr,
        deadline: Instant,
    ) -> Result<NetworkStream, DialError> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| DialError::new(Stage::Tls, format!("`{host}` is no name that a certificate could have")))?;
        let handshake = async {
            let encrypted = self.tls.connect(name, stream).await;
            encrypted.map_err(|error| DialError::new(Stage::Tls, format!("no TLS with {host}: {error}")))
        };
        let encrypting = || format!("the TLS handshake with {host} ({address})");
        let encrypted = within(deadline, Stage::Tls, encrypting, handshake).await?;
        Ok(NetworkStream::Tls(Box::new(encrypted)))
    }

    /// A stream to the host of `url` through the proxy; every failure until it is open is of the stage `proxy`.
    async fn tunnel(
        &self,
        proxy: &Proxy,
        url: &Url,
        deadline: Instant,
    ) -> Result<(NetworkStream, SocketAddr), DialError> {
        let unreached =
            |error: DialError| DialError::new(Stage::Proxy, format!("no way to the proxy {proxy}: {}", error.cause));
        let (mut stream, address) = self.reach(&proxy.url, deadline).await.map_err(unreached)?;
        let asking = || format!("the answer of the proxy {proxy}");
        let opening =
            async { tunnel::open(&mut stream, proxy, url).await.map_err(|cause| DialError::new(Stage::Proxy, cause)) };
        within(deadline, Stage::Proxy, asking, opening).await?;
        Ok((stream, address))
    }
}

impl Dial for Network {
    type Stream = NetworkStream;

    async fn dial(&self, url: &Url, deadline: Instant) -> Result<Opened<NetworkStream>, DialError> {
        let proxy = self.proxies.between(url);
        let proxy = proxy.map_err(|unusable| DialError::new(Stage::Proxy, unusable.to_string()))?;
        let Some(proxy) = proxy else {
            let (stream, address) = self.reach(url, deadline).await?;
            return Ok(Opened { stream, address: address.to_string() });
        };
        let (stream, address) = self.tunnel(proxy, url, deadline).await?;
        let stream = if url.tls() { self.encrypt(url.host(), stream, address, deadline).await? } else { stream };
        Ok(Opened { stream, address: address.to_string() })
    }
}

async fn resolve(url: &Url) -> Result<Vec<SocketAddr>, DialError> {
    let host = url.host();
    let failed = |cause: String| DialError::new(Stage::Resolve, cause);
    let found = tokio::net::lookup_host((host, url.port())).await;
    let found = found.map_err(|error| failed(format!("the host {host} cannot be found ({error})")))?;
    let addresses: Vec<SocketAddr> = found.collect();
    if addresses.is_empty() {
        return Err(failed(format!("the host {host} has no address")));
    }
    Ok(addresses)
}

fn unreachable(host: &str, failures: &[(SocketAddr, io::Error)]) -> String {
    let causes = failures.iter().take(CAUSES_SHOWN).map(|(address, error)| match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("connection refused by {address}"),
        io::ErrorKind::NetworkUnreachable => format!("no way to the network of {address}"),
        io::ErrorKind::HostUnreachable => format!("no way to {address}"),
        io::ErrorKind::TimedOut => format!("no answer from {address}"),
        _ => format!("{address}: {error}"),
    });
    let causes: Vec<String> = causes.collect();
    if causes.is_empty() { format!("the host {host} has no address") } else { causes.join(", ") }
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
    /// Encrypted, over a stream that may be encrypted itself, as far as a proxy.
    Tls(Box<TlsStream<NetworkStream>>),
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
