//! The healer's REST access: one request at a time, out of healing's own budget.

use super::interrupted::Interrupted;
use super::plan::Task;
use crate::clock::Clock;
use crate::config::Config;
use crate::rest;
use crate::rest::client::budget::Priority;
use crate::rest::client::request::Request;
use crate::rest::client::verdict::Page;
use crate::rest::client::{Client, Denial, RestError};

/// See the module.
pub(super) struct Exchange {
    config: Config,
    /// The client, and the clock it runs by.
    client: Option<(Client, Clock)>,
}

impl Exchange {
    pub(super) fn new(config: &Config) -> Self {
        Self { config: config.clone(), client: None }
    }

    /// Fetches a page and counts its requests on the task; an error where the exchange refuses.
    pub(super) async fn fetch(
        &mut self,
        request: Request,
        task: &mut Task,
        clock: Clock,
    ) -> Result<Result<Page, Denial>, Interrupted> {
        let mut client = match self.client.take() {
            Some((client, of)) if of == clock => client,
            _ => {
                let priority = Priority::Healing { per_day: self.config.rest.heal_max };
                rest::connect(&self.config, clock, priority).map_err(|error| Interrupted::Rest(error.into()))?
            }
        };
        let before = client.tally().sent;
        let answer = client.get(request).await;
        task.requests += client.tally().sent - before;
        let answer = match answer {
            Ok(page) => Ok(page),
            Err(RestError::Refused(denial)) => Err(denial),
            // The client may have been left in mid-request: it is rebuilt for the next one.
            Err(error) => return Err(Interrupted::Rest(error.into())),
        };
        self.client = Some((client, clock));
        Ok(answer)
    }
}
