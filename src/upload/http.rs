//! HTTP for the client of the store, through a [`pool`] of connections.
//!
//! ```text
//! object_store ──HttpRequest──▶ Connector ──▶ Paced: a piece at a time ──▶ Pool
//! object_store ◀──HttpResponse── Connector ◀── Watched: when bytes last came ◀──┘
//! ```
//!
//! One TLS configuration and no redirects. In plain text it speaks to the configured endpoint, to this machine, and to
//! the addresses by which a cloud hands out credentials.

use super::pace::{PIECE, Pace};
use super::trouble::{LastTrouble, StoreError, code_of, shown};
use crate::clock::{self, Clock, Instant};
use crate::net::DialError;
use crate::net::network::Network;
use crate::net::pool::{self, AGENT, Pool, Way};
use crate::tape::words::Stage;
use crate::upbit::url::Url;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{HeaderValue, IF_NONE_MATCH, USER_AGENT};
use hyper::{Method, Uri};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse, HttpResponseBody,
    HttpService,
};
use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

/// Idle connections kept open: requests come one after the other.
const IDLE_CONNECTIONS: usize = 1;

/// The most of a body that refuses: longer ones have no more to tell.
const MOST_REFUSAL: usize = 64 << 10;

/// The most that is received in one step: a list of a thousand objects has a hundredth of it, and an object is read in
/// steps of its own.
const MOST_RECEIVED: u64 = 64 << 20;

/// When bytes last came or went, and how many came since a step began.
#[derive(Clone, Debug)]
pub struct Movement {
    clock: Clock,
    last: Arc<Mutex<Instant>>,
    received: Arc<AtomicU64>,
}

impl Movement {
    /// Now.
    pub fn new(clock: Clock) -> Self {
        Self { clock, last: Arc::new(Mutex::new(clock.now())), received: Arc::default() }
    }

    /// A step begins.
    pub fn begin(&self) {
        self.received.store(0, Ordering::Relaxed);
        self.note();
    }

    /// Bytes moved, or are about to.
    pub fn note(&self) {
        self.note_until(self.clock.now());
    }

    /// When they did last.
    pub fn last(&self) -> Instant {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes came; whether there was room for them in this step.
    fn receive(&self, bytes: usize) -> bool {
        self.note();
        let before = self.received.fetch_add(bytes as u64, Ordering::Relaxed);
        before.saturating_add(bytes as u64) <= MOST_RECEIVED
    }

    /// They will at `at`: until then the bandwidth is used up.
    fn note_until(&self, at: Instant) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = at.max(*last);
    }
}

/// What a connector shares with the store above it.
#[derive(Clone, Debug)]
pub struct Line {
    /// For timeouts and pacing.
    pub clock: Clock,
    /// What was wrong last.
    pub trouble: LastTrouble,
    /// When bytes moved last.
    pub movement: Movement,
    /// The bandwidth.
    pub pace: Arc<Pace>,
    /// Whether a large object is only completed where nothing has its name. The client cannot say so by itself, and only
    /// the language of S3 takes the header unsigned.
    pub is_guarded: Arc<AtomicBool>,
}

/// See the module.
#[derive(Clone)]
pub struct Connector {
    client: Pool<Paced>,
    line: Line,
    /// The authority that plain HTTP may be spoken to.
    plain: Option<String>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("plain", &self.plain).finish_non_exhaustive()
    }
}

/// The two ways out: a cloud's own addresses are behind no proxy.
#[derive(Clone)]
pub struct Ways {
    /// Through the proxies of the environment.
    pub usual: Network,
    /// Directly.
    pub direct: Network,
}

impl Ways {
    fn to(&self, uri: &Uri) -> Result<Way, DialError> {
        let url = address(uri).map_err(|cause| DialError::new(Stage::Resolve, cause))?;
        let network = if is_link_local(url.host()) { &self.direct } else { &self.usual };
        Ok(Way { network: network.clone(), url })
    }
}

impl Connector {
    /// Over `ways`; `endpoint` is the configured one.
    pub fn new(ways: Ways, line: Line, endpoint: Option<&Url>) -> Self {
        let client = pool::pool(line.clock, IDLE_CONNECTIONS, move |uri| ways.to(uri));
        let plain = endpoint.filter(|endpoint| !endpoint.tls()).map(Url::authority);
        Self { client, line, plain }
    }

    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (mut parts, body) = request.into_parts();
        if let Err(text) = self.check_plain(&parts.uri) {
            return Err(self.failed(HttpErrorKind::Unknown, StoreError::Other(text)));
        }
        parts.headers.entry(USER_AGENT).or_insert(AGENT);
        let is_completion = parts.method == Method::POST
            && parts.uri.query().is_some_and(|query| query.split('&').any(|pair| pair.starts_with("uploadId=")));
        if is_completion && self.line.is_guarded.load(Ordering::Relaxed) {
            parts.headers.insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
        }
        let is_of_cloud = parts.uri.host().is_some_and(is_link_local);
        let paced = Paced { body, rest: Bytes::new(), pause: None, line: self.line.clone() };
        let asked = self.client.request(hyper::Request::from_parts(parts, paced)).await;
        let response = asked.map_err(|error| self.broken(&error, is_of_cloud))?;
        self.line.movement.note();
        let status = response.status();
        if status.is_success() || status.is_informational() {
            let (parts, body) = response.into_parts();
            let body = Watched { body, line: self.line.clone() };
            return Ok(HttpResponse::from_parts(parts, HttpResponseBody::new(body)));
        }
        self.refused(response, is_of_cloud).await
    }

    /// An answer that is no success, with as much of its body as tells why.
    async fn refused(&self, response: hyper::Response<Incoming>, is_of_cloud: bool) -> Result<HttpResponse, HttpError> {
        let (parts, mut body) = response.into_parts();
        let mut content = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| self.broken(&error, false))?;
            let room = MOST_REFUSAL - content.len();
            let Some(data) = frame.data_ref() else { continue };
            content.extend_from_slice(&data[..data.len().min(room)]);
            if content.len() == MOST_REFUSAL {
                break;
            }
        }
        let code = parts.headers.get("x-ms-error-code").and_then(|value| value.to_str().ok()).map(shown);
        let code = code.or_else(|| code_of(&content));
        let status = parts.status.as_u16();
        self.line.trouble.note(match is_of_cloud {
            true => without_credentials(&format!("it answers {status}")),
            false => StoreError::of_answer(status, code.as_deref()),
        });
        Ok(HttpResponse::from_parts(parts, content.into()))
    }

    /// A request that had no answer: the innermost cause, since the outer ones say only that it failed. A cloud's own
    /// addresses are asked where no credentials are set.
    fn broken(&self, error: &(dyn std::error::Error + 'static), is_of_cloud: bool) -> HttpError {
        let cause = shown(&pool::innermost(error));
        let told = match is_of_cloud {
            true => without_credentials(&cause),
            false => StoreError::Down(cause),
        };
        self.failed(HttpErrorKind::Connect, told)
    }

    fn failed(&self, kind: HttpErrorKind, error: StoreError) -> HttpError {
        self.line.trouble.note(error.clone());
        HttpError::new(kind, error)
    }

    fn check_plain(&self, uri: &Uri) -> Result<(), String> {
        if uri.scheme_str() == Some("https") {
            return Ok(());
        }
        let url = address(uri).map_err(|error| shown(&error))?;
        let is_meant = self.plain.as_ref() == Some(&url.authority()) || url.is_loopback() || is_link_local(url.host());
        if is_meant { Ok(()) } else { Err(format!("{} would be asked in plain text", shown(url.host()))) }
    }
}

fn without_credentials(cause: &str) -> StoreError {
    StoreError::Forbidden(format!("no credentials are set, and no cloud gives this machine any ({cause})"))
}

/// Whether an address is one by which a cloud tells its machines who they are.
fn is_link_local(host: &str) -> bool {
    match host.trim_matches(['[', ']']).parse() {
        Ok(IpAddr::V4(address)) => address.is_link_local(),
        Ok(IpAddr::V6(address)) => address.is_unicast_link_local() || address.is_unique_local(),
        Err(_) => false,
    }
}

fn address(uri: &Uri) -> Result<Url, String> {
    let (scheme, authority) = (uri.scheme_str().unwrap_or_default(), uri.authority().map_or("", |part| part.as_str()));
    Url::http(&format!("{scheme}://{authority}/")).map_err(|error| error.to_string())
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

impl HttpService for Connector {
    fn call<'a, 'b>(&'a self, request: HttpRequest) -> BoxFuture<'b, Result<HttpResponse, HttpError>>
    where
        'a: 'b,
        Self: 'b,
    {
        self.line.trouble.clear();
        Box::pin(self.exchange(request))
    }
}

/// A body that is sent at the pace of the bandwidth.
pub struct Paced {
    body: HttpRequestBody,
    rest: Bytes,
    /// Until when the bandwidth is used up.
    pause: Option<BoxFuture<'static, ()>>,
    line: Line,
}

impl Body for Paced {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.get_mut();
        if this.rest.is_empty() {
            match Pin::new(&mut this.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                other => return other,
            }
        }
        if this.pause.is_none() {
            let at = this.line.pace.take(this.line.clock.now(), this.rest.len().min(PIECE));
            this.line.movement.note_until(at);
            this.pause = Some(Box::pin(clock::sleep_until(Some(at))));
        }
        if let Some(pause) = &mut this.pause
            && pause.as_mut().poll(cx).is_pending()
        {
            return Poll::Pending;
        }
        this.pause = None;
        this.line.movement.note();
        let piece = this.rest.split_to(this.rest.len().min(PIECE));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.body.size_hint().exact().unwrap_or_default();
        SizeHint::with_exact(rest + self.rest.len() as u64)
    }
}

/// A body that notes when it comes.
struct Watched {
    body: Incoming,
    line: Line,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.get_mut();
        let failed = |told: StoreError| {
            this.line.trouble.note(told.clone());
            HttpError::new(HttpErrorKind::Interrupted, told)
        };
        let polled = std::task::ready!(Pin::new(&mut this.body).poll_frame(cx));
        let bytes = polled.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()).map_or(0, Bytes::len);
        if !this.line.movement.receive(bytes) {
            let told = format!("an answer has more than {} MiB", MOST_RECEIVED >> 20);
            return Poll::Ready(Some(Err(failed(StoreError::Other(told)))));
        }
        Poll::Ready(polled.map(|frame| frame.map_err(|error| failed(StoreError::Down(shown(&error.to_string()))))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    /// Not what the store says: the client would make room for that at once.
    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
