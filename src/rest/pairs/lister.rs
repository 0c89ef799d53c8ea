//! Where lists of pairs come from, and where the known one is kept: the exchange over REST, and the data directory.

use crate::clock::Clock;
use crate::config::Config;
use crate::counters::requests::SharedRequests;
use crate::rest::client::budget::Priority;
use crate::rest::client::request::Request;
use crate::rest::client::{Client, RestError};
use crate::rest::markets::{FILE, Markets, Pair};
use crate::rest::{SetupError, connect};
use std::future::Future;
use std::path::Path;

/// Pairs that one request for instruments names: an address of a kilobyte, which every proxy takes.
const INSTRUMENTS: usize = 100;

/// Refusals of requests for instruments after which the rest waits for the next time: two pairs that the exchange does not
/// know any more cost seven each.
const REFUSALS: usize = 16;

/// The source of lists of pairs, and the store of the known list.
pub trait Lister {
    /// Requests the list; an error holds the reason.
    fn ask(&mut self) -> impl Future<Output = Result<Markets, String>>;

    /// Keeps the known list for a start without REST.
    fn keep(&mut self, known: &Markets);

    /// Requests how these pairs are traded; an error holds the reason.
    fn ask_instruments(&mut self, _codes: &[String]) -> impl Future<Output = Result<Vec<Pair>, String>> {
        std::future::ready(Ok(Vec::new()))
    }
}

/// The configured exchange over REST, and its data directory.
pub(super) struct Exchange {
    config: Config,
    clock: Clock,
    requests: SharedRequests,
    client: Option<Client>,
}

impl Exchange {
    /// The exchange of `config`, which is not asked yet; `requests` counts what it is asked.
    pub(super) fn new(config: Config, clock: Clock, requests: SharedRequests) -> Self {
        Self { config, clock, requests, client: None }
    }

    fn take_client(&mut self) -> Result<Client, String> {
        let connect = || {
            let client = connect(&self.config, self.clock, Priority::History)?;
            Ok::<_, SetupError>(client.counting(self.requests.clone()))
        };
        self.client.take().map_or_else(connect, Ok).map_err(|error| error.to_string())
    }
}

impl Lister for Exchange {
    async fn ask(&mut self) -> Result<Markets, String> {
        let mut client = self.take_client()?;
        let has_details = self.config.rest.instruments;
        let answer = Markets::fetch(&mut client, has_details).await.map_err(|error| error.to_string())?;
        // The client is dropped after a failure, because it may hold requests in flight: the next request makes a new
        // one.
        self.client = Some(client);
        Ok(answer)
    }

    fn keep(&mut self, known: &Markets) {
        keep(known, &self.config.data_dir);
    }

    async fn ask_instruments(&mut self, codes: &[String]) -> Result<Vec<Pair>, String> {
        let mut client = self.take_client()?;
        let mut waiting: Vec<&[String]> = codes.chunks(INSTRUMENTS).rev().collect();
        let (mut pairs, mut refused) = (Vec::new(), 0);
        while let Some(part) = waiting.pop() {
            match client.get(Request::new("orderbook/instruments").with("markets", part.join(","))).await {
                Ok(page) => pairs.extend(Markets::of(page).pairs),
                // A pair that it does not know fails the whole request, so that it is looked for.
                Err(RestError::Refused(_)) if refused < REFUSALS => {
                    refused += 1;
                    if part.len() > 1 {
                        let (one, other) = part.split_at(part.len() / 2);
                        waiting.extend([other, one]);
                    }
                }
                Err(error) => return Err(error.to_string()),
            }
        }
        self.client = Some(client);
        Ok(pairs)
    }
}

/// Keeps the known list below a data directory, for a start without the exchange.
pub(super) fn keep(known: &Markets, data_dir: &Path) {
    if let Err(error) = known.keep(data_dir) {
        tracing::warn!(%error, file = FILE, "the list of pairs cannot be kept for a start without the exchange");
    }
}
