//! The seam between healing and the exchange: one request at a time. The real one has a budget of its own.

use crate::clock::Clock;
use crate::config::Config;
use crate::counters::requests::SharedRequests;
use crate::rest::client::budget::Priority;
use crate::rest::client::request::Request;
use crate::rest::client::verdict::Page;
use crate::rest::client::{Client, RestError};
use crate::rest::{self, FetchError};
use std::future::Future;

/// Fetches pages of the exchange's history.
pub trait Fetch: Send + 'static {
    /// Fetches the page that a request asks for; `clock` makes the stamps now. The page answers its question.
    fn fetch(&mut self, request: Request, clock: Clock) -> impl Future<Output = Fetched> + Send;
}

/// What became of a request.
#[derive(Debug)]
pub struct Fetched {
    /// Requests sent for it, repeated ones among them.
    pub requests: u64,
    /// The page, or why there is none.
    pub outcome: Result<Page, FetchError>,
}

/// The configured exchange over REST.
pub struct Exchange {
    config: Config,
    requests: SharedRequests,
    /// The client, and the clock it runs by.
    client: Option<(Client, Clock)>,
}

impl Exchange {
    /// The exchange of `config`, which counts its `requests`; connects with the first.
    pub fn new(config: &Config, requests: SharedRequests) -> Self {
        Self { config: config.clone(), requests, client: None }
    }
}

impl Fetch for Exchange {
    async fn fetch(&mut self, request: Request, clock: Clock) -> Fetched {
        let mut client = match self.client.take() {
            Some((client, of)) if of == clock => client,
            _ => {
                let priority = Priority::Healing { per_day: self.config.rest.heal_max };
                match rest::connect(&self.config, clock, priority) {
                    Ok(client) => client.counting(self.requests.clone()),
                    Err(error) => return Fetched { requests: 0, outcome: Err(error.into()) },
                }
            }
        };
        let before = client.tally().sent;
        let outcome = client.get(request).await;
        let requests = client.tally().sent - before;
        // Another error may have left the client in mid-request: it is rebuilt for the next one.
        if let Ok(_) | Err(RestError::Refused(_)) = outcome {
            self.client = Some((client, clock));
        }
        Fetched { requests, outcome: outcome.map_err(FetchError::from) }
    }
}
