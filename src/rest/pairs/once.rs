//! The list of pairs for a command that asks once, and does not follow it.

use super::evidence::ListingEvidence;
use super::lister::keep;
use super::report::ListingReport;
use crate::clock::{Clock, sleep_until};
use crate::config::Config;
use crate::quantity::rounded_duration;
use crate::rest::client::budget::Priority;
use crate::rest::markets::Markets;
use crate::rest::{FetchError, connect};
use std::time::Duration;

/// How often the request is repeated before a short list is reported, and the pause before each
/// repetition.
const ONCE: u32 = 3;
const ONCE_PAUSE: Duration = Duration::from_secs(2);

/// The list of pairs used by a one-shot command.
#[derive(Debug)]
pub struct ListingAnswer {
    /// The answer's pairs, or the known ones if the answer is unreliable.
    pub markets: Markets,
    /// The answer lacked too many known pairs, also when it was repeated.
    pub is_short: bool,
}

/// Requests the configured exchange's list once, and keeps the result below its data directory if it is reliable;
/// `kept` is the list of an earlier process.
///
/// # Errors
/// The request failed, or the list is empty and none is known.
pub async fn ask_once(config: &Config, clock: Clock, kept: Option<Markets>) -> Result<ListingAnswer, FetchError> {
    let mut client = connect(config, clock, Priority::History)?;
    let mut evidence = ListingEvidence::new(kept, clock.now());
    let report = ListingReport::default();
    for round in 1..=ONCE {
        let answer = Markets::fetch(&mut client, false).await?;
        let listed = answer.clone();
        let changed = evidence.handle_answer(clock.now(), answer).cloned();
        std::iter::from_fn(|| evidence.poll_finding()).for_each(|finding| report.finding(finding, clock.now()));
        if let Some(known) = changed {
            keep(&known, &config.data_dir);
            return Ok(ListingAnswer { markets: listed, is_short: false });
        }
        if round < ONCE {
            let pause = ONCE_PAUSE * round;
            let (pairs, again_in) = (listed.pairs.len(), rounded_duration(pause));
            tracing::warn!(pairs, again_in, "the list of pairs is empty or much shorter than known: asking again");
            sleep_until(Some(clock.now() + pause)).await;
        }
    }
    let markets = evidence.known().clone();
    if markets.pairs.is_empty() { Err(FetchError::Empty) } else { Ok(ListingAnswer { markets, is_short: true }) }
}
