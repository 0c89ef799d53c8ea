//! HTTP on one connection: REST answers, the faults, and the upgrade that ends it.
//!
//! ```text
//!  /websocket/v1, /websocket/v1/private ─▶ 101, or 401 429 418      /v1/… ─▶ REST      /_faults ─▶ GET POST DELETE
//! ```
//!
//! `/_faults` is for tests, and exempt from `refuse` and `hang`, or these could not be cleared. A page in a browser may not
//! use it: its requests bear an `Origin`. Where a desk relies on a living tape, this machine alone may.

use super::client_stream::ClientStream;
use super::exchange::Exchange;
use crate::clock::sleep_until;
use crate::replay::faults::Stage;
use crate::replay::rest::{Answer, Query, RestRequest};
use crate::replay::wire::request::Endpoint;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONNECTION, HeaderName, HeaderValue, ORIGIN, UPGRADE};
use hyper::service::service_fn;
use hyper::{Method, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::select;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// Where market data is served.
pub const PUBLIC_PATH: &str = "/websocket/v1";

/// Where the account's events are served.
pub const PRIVATE_PATH: &str = "/websocket/v1/private";

/// The longest body read: a page of faults.
const MAX_BODY: usize = 64 * 1_024;

/// How long a client may take for the head of a request, also of the next one: then it is disconnected.
const HEAD: Duration = Duration::from_secs(15);

/// How long it may take for a body.
const BODY: Duration = Duration::from_secs(10);

/// How often a hanging stage polls whether the fault has ended.
const HANG_CHECK: Duration = Duration::from_millis(50);

/// A stream upgraded to a WebSocket, with the bytes read ahead and the requested endpoint.
pub(super) struct Upgraded {
    pub(super) stream: ClientStream,
    pub(super) read_ahead: Bytes,
    pub(super) endpoint: Endpoint,
}

/// A client of the HTTP server.
#[derive(Clone, Copy)]
pub(super) struct Peer {
    pub(super) address: IpAddr,
    /// It came while connections were refused: nothing is answered but the faults.
    pub(super) is_refused: bool,
}

/// Ends a connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("refused")]
struct Refused;

/// Serves HTTP on a stream until it closes (`None`) or becomes a WebSocket.
pub(super) async fn serve(stream: ClientStream, peer: Peer, exchange: &Exchange) -> Option<Upgraded> {
    let upgrade: Mutex<Option<Endpoint>> = Mutex::new(None);
    let service = service_fn(|request| Box::pin(respond(request, peer, exchange, &upgrade)));
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD);
    let mut connection = http.serve_connection(TokioIo::new(stream), service);
    // The stream is returned open for the WebSocket; without an upgrade, dropping it closes it.
    std::future::poll_fn(|cx| connection.poll_without_shutdown(cx)).await.ok()?;
    let parts = connection.into_parts();
    let endpoint = upgrade.lock().unwrap_or_else(PoisonError::into_inner).take()?;
    let mut stream = parts.io.into_inner();
    stream.wait_for_reader();
    Some(Upgraded { stream, read_ahead: parts.read_buf, endpoint })
}

/// Waits for as long as the exchange hangs at a stage.
pub(super) async fn hang(exchange: &Exchange, stage: Stage) {
    while exchange.hangs(stage) {
        sleep_until(Some(exchange.clock.now() + HANG_CHECK)).await;
    }
}

async fn respond(
    request: hyper::Request<Incoming>,
    peer: Peer,
    exchange: &Exchange,
    upgrade: &Mutex<Option<Endpoint>>,
) -> Result<Response<Full<Bytes>>, Refused> {
    let path = request.uri().path().to_owned();
    if path == "/_faults" {
        return Ok(plain(match may_plan(peer.address, exchange.is_living()) {
            true => faults(request, exchange).await,
            false => Answer::text(403, "only this machine plans faults of what others rely on\n"),
        }));
    }
    if peer.is_refused {
        return Err(Refused);
    }
    hang(exchange, Stage::Connect).await;
    hang(exchange, Stage::Upgrade).await;
    Ok(exchange_response(&request, &path, peer.address, exchange, upgrade).await)
}

/// Whether a client may plan faults.
fn may_plan(address: IpAddr, is_living: bool) -> bool {
    !is_living || address.is_loopback()
}

/// The exchange's response: an upgrade, or an answer.
async fn exchange_response(
    request: &hyper::Request<Incoming>,
    path: &str,
    address: IpAddr,
    exchange: &Exchange,
    upgrade: &Mutex<Option<Endpoint>>,
) -> Response<Full<Bytes>> {
    let header = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let asked = RestRequest {
        address,
        path,
        query: Query::parse(request.uri().query().unwrap_or_default()),
        authorization: header(AUTHORIZATION),
        has_origin: request.headers().contains_key(ORIGIN),
    };
    let endpoint = match path {
        PUBLIC_PATH => Endpoint::Public,
        PRIVATE_PATH => Endpoint::Private,
        _ if request.method() == Method::GET => return plain(exchange.answer(&asked).await),
        _ => return plain(Answer::not_found()),
    };
    let Some(accept) =
        header(HeaderName::from_static("sec-websocket-key")).map(|key| derive_accept_key(key.as_bytes()))
    else {
        return plain(Answer::error(400, "bad_request", "expected a WebSocket upgrade"));
    };
    if let Err(refusal) = exchange.admit(endpoint, &asked) {
        return plain(refusal);
    }
    *upgrade.lock().unwrap_or_else(PoisonError::into_inner) = Some(endpoint);
    switching(&accept)
}

async fn faults(request: hyper::Request<Incoming>, exchange: &Exchange) -> Answer {
    if request.headers().contains_key(ORIGIN) {
        return Answer::text(403, "a page in a browser has no business here\n");
    }
    match *request.method() {
        Method::GET => exchange.show_faults(),
        Method::DELETE => exchange.clear_faults(),
        Method::POST => {
            let deadline = exchange.clock.now() + BODY;
            let body = select! {
                biased;
                body = Limited::new(request.into_body(), MAX_BODY).collect() => body.ok(),
                () = sleep_until(Some(deadline)) => None,
            };
            match body {
                Some(body) => exchange.plan_faults(&String::from_utf8_lossy(&body.to_bytes())),
                None => Answer::text(400, "the body cannot be read\n"),
            }
        }
        _ => Answer::text(405, "expected GET, POST or DELETE\n"),
    }
}

fn plain(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).expect("answers carry statuses of HTTP");
    for (name, value) in answer.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("answers carry names of HTTP");
        response.headers_mut().insert(name, HeaderValue::from_str(&value).expect("answers carry printable values"));
    }
    response
}

fn switching(accept: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let accept = HeaderValue::from_str(accept).expect("base64 is printable");
    response.headers_mut().insert("sec-websocket-accept", accept);
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Stamp};
    use crate::replay::{Habits, Market, Source};
    use std::sync::Arc;
    use tokio::io::{AsyncWriteExt, DuplexStream};

    /// How long a client with this behaviour is served, in seconds.
    async fn served(client: impl AsyncFnOnce(DuplexStream)) -> u64 {
        let clock = Clock::anchored(Stamp::default());
        let market = Market::new(100, 1.0, 1, 1_795_324_324_113);
        let exchange = Exchange::new(Source::Market(Arc::new(market)), Habits::default(), None, clock);
        let (ours, theirs) = tokio::io::duplex(1024);
        let stream = ClientStream::new(ours, exchange.faults(), clock);
        let peer = Peer { address: IpAddr::from([10, 0, 0, 1]), is_refused: false };
        let serving = async {
            assert!(serve(stream, peer, &exchange).await.is_none());
            clock.now()
        };
        let begin = clock.now();
        let (ended, ()) = tokio::join!(serving, client(theirs));
        (ended - begin).as_secs()
    }

    async fn hold(_client: DuplexStream) {
        std::future::pending().await
    }

    async fn trickle(mut client: DuplexStream) {
        let clock = Clock::anchored(Stamp::default());
        while client.write_all(b"x").await.is_ok() {
            sleep_until(Some(clock.now() + Duration::from_secs(1))).await;
        }
    }

    /// Runs the client with a timeout: by itself it would block for ever.
    async fn within(length: Duration, client: impl AsyncFnOnce(DuplexStream), stream: DuplexStream) {
        let clock = Clock::anchored(Stamp::default());
        select! {
            () = client(stream) => {}
            () = sleep_until(Some(clock.now() + length)) => {}
        }
    }

    #[test]
    fn what_others_rely_on_is_disturbed_from_this_machine_alone() {
        let [own, other] = [[127, 0, 0, 1], [10, 0, 0, 1]].map(IpAddr::from);
        assert!(may_plan(own, true) && may_plan(other, false) && !may_plan(other, true));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_says_nothing_or_trickles_is_let_go() {
        let minute = Duration::from_secs(60);
        assert_eq!(served(async |client| within(minute, hold, client).await).await, HEAD.as_secs());
        assert_eq!(served(async |client| within(minute, trickle, client).await).await, HEAD.as_secs());
        let kept_alive = async |mut client: DuplexStream| {
            client.write_all(b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            within(minute, hold, client).await;
        };
        assert_eq!(served(kept_alive).await, HEAD.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_reads_its_answer_is_let_go() {
        let minute = Duration::from_secs(60);
        let deaf = async |mut client: DuplexStream| {
            client.write_all(b"GET /v1/market/all HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            within(minute, hold, client).await;
        };
        assert_eq!(served(deaf).await, 15);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_not_waited_for() {
        let minute = Duration::from_secs(60);
        let promising = async |mut client: DuplexStream| {
            client.write_all(b"POST /_faults HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nref").await.unwrap();
            within(minute, hold, client).await;
        };
        let seconds = served(promising).await;
        assert!((BODY.as_secs()..=BODY.as_secs() + HEAD.as_secs()).contains(&seconds), "{seconds}");
    }
}
