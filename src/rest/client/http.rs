//! One request over HTTP: the only file that knows the HTTP client.
//!
//! One pool of connections, one TLS configuration, no redirects, no `Origin`, and bodies that are read to a bound.

use super::request::Request;
use crate::config::Url;
use crate::connection::dial::tls::{self, TlsSetupError};
use crate::upbit::auth::Secret;
use crate::upbit::limits::Answer;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use std::path::Path;
use std::time::Duration;

/// Resolve, TCP and TLS together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// From the first byte sent to the last one received.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The longest body read: the longest list of the exchange, 500 trades or 855 pairs, takes a twentieth of it.
const MAX_BODY: usize = 4 << 20;

/// Connections kept open: as many as requests are under way.
const IDLE_CONNECTIONS: usize = super::MAX_IN_FLIGHT;

/// The way to the exchange.
#[derive(Clone, Debug)]
pub struct Http {
    client: reqwest::Client,
    base: String,
}

/// The client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum HttpSetupError {
    /// The authorities cannot be read.
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
    /// The HTTP client refuses its settings.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(#[from] reqwest::Error),
}

impl Http {
    /// A client of the interface at `url`, which trusts the authorities in `ca_file` too.
    ///
    /// # Errors
    /// The authorities cannot be read.
    pub fn new(url: &Url, ca_file: Option<&Path>) -> Result<Self, HttpSetupError> {
        let tls = tls::client_config(ca_file)?;
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured((*tls).clone())
            .user_agent(concat!("upbit-recorder/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build()?;
        Ok(Self { client, base: url.text.trim_end_matches('/').to_owned() })
    }

    /// Sends a request and reads its answer; where there is none, why not. The second part is `Remaining-Req`.
    pub async fn send(
        self,
        request: Request,
        authorization: Option<Secret>,
    ) -> Result<(Answer, Option<String>), String> {
        let mut url = format!("{}/{}", self.base, request.path);
        let query = request.query.encoded();
        if !query.is_empty() {
            url = format!("{url}?{query}");
        }
        let mut builder = self.client.get(url);
        if let Some(token) = authorization {
            let mut value = HeaderValue::from_str(token.expose()).map_err(|_| "the token is no header".to_owned())?;
            value.set_sensitive(true);
            builder = builder.header(AUTHORIZATION, value);
        }
        let mut response = builder.send().await.map_err(|error| cause(&error))?;
        let header = |name: &str| text(response.headers(), name);
        let (retry_after, date, remaining) = (header("retry-after"), header("date"), header("remaining-req"));
        let location = header("location");
        let mut answer = Answer { status: response.status().as_u16(), retry_after, date, location, body: Vec::new() };
        while let Some(chunk) = response.chunk().await.map_err(|error| cause(&error))? {
            if answer.body.len() + chunk.len() > MAX_BODY {
                return Err(format!("the answer is longer than {MAX_BODY} bytes"));
            }
            answer.body.extend_from_slice(&chunk);
        }
        Ok((answer, remaining))
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// The innermost cause: the outer ones only say that a request failed, and repeat its address.
fn cause(error: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    if error.is_timeout() { format!("no answer in time ({inner})") } else { inner.to_string() }
}
