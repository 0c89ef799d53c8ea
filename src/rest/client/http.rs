//! One request over HTTP to the one host of the API, through a [`pool`] of connections.
//!
//! One TLS configuration, no redirects, no `Origin`, and a size bound for bodies.

use super::request::Request;
use crate::clock::{self, Clock};
use crate::net::network::Network;
use crate::net::pool::{self, AGENT, Pool, Way};
use crate::printable;
use crate::upbit::auth::Secret;
use crate::upbit::limits::Answer;
use crate::upbit::url::Url;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, USER_AGENT};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The timeout from the first byte sent to the last one received.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The size bound of a body: the exchange's longest lists, 500 trades or 855 pairs, take a twentieth of it.
const MAX_BODY: usize = 4 << 20;

/// Concurrent requests: at ten a second, answers may take one and a half seconds without reducing the rate.
pub const MAX_IN_FLIGHT: usize = 16;

/// Idle connections kept open: one for each concurrent request.
const IDLE_CONNECTIONS: usize = MAX_IN_FLIGHT;

/// An HTTP response.
#[derive(Debug)]
pub struct Response {
    /// Status, headers and body.
    pub answer: Answer,
    /// The header `Remaining-Req`.
    pub remaining: Option<String>,
}

/// An HTTP client of one host.
#[derive(Clone)]
pub struct Http {
    client: Pool<Empty<Bytes>>,
    clock: Clock,
    base: Arc<str>,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Http {
    /// A client of the API at `url`, over `network`.
    pub fn new(url: &Url, network: Network, clock: Clock) -> Self {
        let way = Way { network, url: url.clone() };
        let client = pool::pool(clock, IDLE_CONNECTIONS, move |_| Ok(way.clone()));
        Self { client, clock, base: url.as_str().trim_end_matches('/').into() }
    }

    /// Sends a request and reads the response; an error holds the reason.
    pub async fn send(self, request: Request, authorization: Option<Secret>) -> Result<Response, String> {
        let deadline = self.clock.now() + TIMEOUT;
        tokio::select! {
            biased;
            answer = self.exchange(request, authorization) => answer,
            () = clock::sleep_until(Some(deadline)) => Err(format!("no answer in {} s", TIMEOUT.as_secs())),
        }
    }

    async fn exchange(&self, request: Request, authorization: Option<Secret>) -> Result<Response, String> {
        let mut url = format!("{}/{}", self.base, request.path);
        let query = request.query.encoded();
        if !query.is_empty() {
            url = format!("{url}?{query}");
        }
        let mut builder = hyper::Request::get(url).header(USER_AGENT, AGENT).header(ACCEPT, "*/*");
        if let Some(token) = authorization {
            let mut value = HeaderValue::from_str(token.expose()).map_err(|_| "the token is no header".to_owned())?;
            value.set_sensitive(true);
            builder = builder.header(AUTHORIZATION, value);
        }
        let asked = builder.body(Empty::new()).map_err(|error| format!("this cannot be asked for: {error}"))?;
        let response = self.client.request(asked).await.map_err(|error| cause(&error))?;
        read(response).await
    }
}

async fn read(response: hyper::Response<hyper::body::Incoming>) -> Result<Response, String> {
    let header = |name: &str| text(response.headers(), name);
    let remaining = header("remaining-req");
    let mut answer = Answer {
        status: response.status().as_u16(),
        retry_after: header("retry-after"),
        date: header("date"),
        location: header("location"),
        body: Vec::new(),
    };
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| cause(&error))?;
        let Some(chunk) = frame.data_ref() else { continue };
        if answer.body.len() + chunk.len() > MAX_BODY {
            return Err(format!("the answer is longer than {MAX_BODY} bytes"));
        }
        answer.body.extend_from_slice(chunk);
    }
    Ok(Response { answer, remaining })
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    printable::line(&pool::innermost(error), printable::SENTENCE)
}
