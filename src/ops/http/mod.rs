//! The HTTP side: health, status, metrics and the page, from the newest snapshot.
//!
//! ```text
//! listen ──taken: a WARN, and again every 10 s──▶ accept ──one request each──▶ answer (pure) ──▶ bytes
//! ```
//!
//! It has a thread of its own: what is asked for here never delays a read of a socket to the exchange, and a loop that
//! hangs there is told from here. Nothing needs a password, so nothing here is secret, and nothing can be changed.

mod answer;

use super::shown::Owner;
use super::status::Status;
use crate::clock::{Clock, sleep_until};
use answer::{Answer, View};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Connections at a time: a Prometheus or two, a health check and some open pages. Further ones wait in the system's
/// queue, for as long as a connection may take at the most.
const CONNECTIONS: usize = 32;

/// How long a connection may take for its one request and the answer: the slowest way that a page is read on.
const CONNECTION: Duration = Duration::from_secs(10);

/// The longest head of a request: hyper's least. A browser's takes an eighth.
const HEAD_BYTES: usize = 8 * 1024;

/// Headers of a request: four times a browser's.
const HEADERS: usize = 64;

/// How often an address that is taken is tried: a recorder that this one replaces has ended by then.
const TAKEN: Duration = Duration::from_secs(10);

/// How long the listener rests after a connection could not be accepted: descriptors may have run out.
const UNACCEPTED: Duration = Duration::from_millis(100);

/// The page has its style and script inside, asks this server alone, and is shown in no frame.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The parts of a server.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The newest snapshot.
    pub status: watch::Receiver<Status>,
    /// Which process this is.
    pub owner: Arc<Owner>,
    /// The time.
    pub clock: Clock,
}

impl Server {
    /// Serves on a thread that ends with the process.
    ///
    /// # Errors
    /// The thread cannot be spawned.
    pub fn spawn(self) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("http".to_owned()).spawn(move || runtime.block_on(self.run())).map(drop)
    }

    /// Serves for ever.
    async fn run(self) {
        let listener = self.listen().await;
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                // A panic in one is a bug, and costs that one answer.
                Some(_) = connections.join_next() => {}
                accepted = listener.accept(), if connections.len() < CONNECTIONS => match accepted {
                    Ok((stream, _)) => drop(connections.spawn(self.clone().serve(stream))),
                    Err(_) => sleep_until(Some(self.clock.now() + UNACCEPTED)).await,
                },
            }
        }
    }

    /// Listens, as soon as the address is free.
    async fn listen(&self) -> TcpListener {
        let mut is_told = false;
        loop {
            match TcpListener::bind(self.listen).await {
                Ok(listener) => {
                    tracing::info!(listen = %self.listen, "metrics, health and status over HTTP");
                    return listener;
                }
                Err(error) if !std::mem::replace(&mut is_told, true) => {
                    tracing::warn!(listen = %self.listen, %error, "no metrics, health or status: http.listen cannot be listened on; recording goes on, and it is tried again");
                }
                Err(_) => {}
            }
            sleep_until(Some(self.clock.now() + TAKEN)).await;
        }
    }

    /// Serves one request.
    async fn serve(self, stream: TcpStream) {
        let deadline = self.clock.now() + CONNECTION;
        let service = service_fn(async |request| self.respond(&request));
        let mut http = http1::Builder::new();
        http.keep_alive(false).max_buf_size(HEAD_BYTES).max_headers(HEADERS);
        tokio::select! {
            biased;
            // Ignored: the client has gone, or spoke no HTTP.
            _ = http.serve_connection(TokioIo::new(stream), service) => {}
            () = sleep_until(Some(deadline)) => {}
        }
    }

    fn respond(&self, request: &hyper::Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let status = self.status.borrow().clone();
        let view = View { status: &status, owner: &self.owner, now: self.clock.now() };
        let answer = Answer::to(request.method(), request.uri().path(), &view);
        Ok(response(answer, request.method() == Method::HEAD))
    }
}

fn response(answer: Answer, is_head: bool) -> Response<Full<Bytes>> {
    let Answer { status, content_type, body } = answer;
    let body = if is_head { String::new() } else { body };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, content_type),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, POLICY),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
