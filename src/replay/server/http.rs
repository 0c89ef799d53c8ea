//! HTTP on one connection: REST answers, the faults, and the upgrade that ends it.
//!
//! ```text
//!  /websocket/v1, /websocket/v1/private ─▶ 101, or 401 429 418      /v1/… ─▶ REST      /_faults ─▶ GET POST DELETE
//! ```

use super::exchange::Exchange;
use super::line::Line;
use crate::clock::sleep_until;
use crate::replay::faults::Stage;
use crate::replay::rest::{Answer, Query, Request};
use crate::replay::wire::request::Seat;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONNECTION, HeaderName, HeaderValue, ORIGIN, UPGRADE};
use hyper::service::service_fn;
use hyper::{Method, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// Where market data is served.
pub const PUBLIC_PATH: &str = "/websocket/v1";

/// Where the account's events are served.
pub const PRIVATE_PATH: &str = "/websocket/v1/private";

/// The longest body read: a page of faults.
const MAX_BODY: usize = 64 * 1_024;

/// How often a hanging stage looks whether it still hangs.
const HANG_CHECK: Duration = Duration::from_millis(50);

/// A line that has become a WebSocket: what was read ahead, and whose it is.
pub(super) struct Upgraded {
    pub(super) line: Line,
    pub(super) read_ahead: Bytes,
    pub(super) seat: Seat,
}

/// Serves HTTP on a line until it closes (`None`) or becomes a WebSocket.
pub(super) async fn serve(line: Line, address: IpAddr, exchange: &Exchange) -> Option<Upgraded> {
    let upgrade: Mutex<Option<Seat>> = Mutex::new(None);
    let service = service_fn(|request| {
        Box::pin(async { Ok::<_, Infallible>(respond(request, address, exchange, &upgrade).await) })
    });
    let mut connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(line), service);
    // The line comes back unclosed, as it must for a WebSocket; where there is none it is closed by being dropped.
    std::future::poll_fn(|cx| connection.poll_without_shutdown(cx)).await.ok()?;
    let parts = connection.into_parts();
    let seat = upgrade.lock().unwrap_or_else(PoisonError::into_inner).take()?;
    Some(Upgraded { line: parts.io.into_inner(), read_ahead: parts.read_buf, seat })
}

/// Waits for as long as the exchange hangs at a stage.
pub(super) async fn hang(exchange: &Exchange, stage: Stage) {
    while exchange.hangs(stage) {
        sleep_until(Some(exchange.clock().now() + HANG_CHECK)).await;
    }
}

async fn respond(
    request: hyper::Request<Incoming>,
    address: IpAddr,
    exchange: &Exchange,
    upgrade: &Mutex<Option<Seat>>,
) -> Response<Full<Bytes>> {
    hang(exchange, Stage::Upgrade).await;
    let path = request.uri().path().to_owned();
    if path == "/_faults" {
        return plain(faults(request, exchange).await);
    }
    let header = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let asked = Request {
        address,
        path: &path,
        query: Query::parse(request.uri().query().unwrap_or_default()),
        authorization: header(AUTHORIZATION),
        has_origin: request.headers().contains_key(ORIGIN),
    };
    let seat = match path.as_str() {
        PUBLIC_PATH => Seat::Public,
        PRIVATE_PATH => Seat::Private,
        _ if request.method() == Method::GET => return plain(exchange.answer(&asked)),
        _ => return plain(Answer::not_found()),
    };
    let Some(accept) =
        header(HeaderName::from_static("sec-websocket-key")).map(|key| derive_accept_key(key.as_bytes()))
    else {
        return plain(Answer::error(400, "bad_request", "expected a WebSocket upgrade"));
    };
    if let Err(refusal) = exchange.admit(seat, &asked) {
        return plain(refusal);
    }
    *upgrade.lock().unwrap_or_else(PoisonError::into_inner) = Some(seat);
    switching(&accept)
}

async fn faults(request: hyper::Request<Incoming>, exchange: &Exchange) -> Answer {
    match *request.method() {
        Method::GET => exchange.show_faults(),
        Method::DELETE => exchange.clear_faults(),
        Method::POST => match Limited::new(request.into_body(), MAX_BODY).collect().await {
            Ok(body) => exchange.plan_faults(&String::from_utf8_lossy(&body.to_bytes())),
            Err(_) => Answer::text(400, "the body cannot be read\n"),
        },
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
