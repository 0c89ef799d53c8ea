//! History over REST: whole pieces of candles or trades, each once, over any number of runs.
//!
//! ```text
//! coverage ─▶ what is missing ─▶ pieces ─▶ walks (a few at a time) ─▶ client ─▶ store, in the order of the pieces
//!                                            └ claims of nothing more ─▶ facts: plausible, contradicted, believed
//! ```
//!
//! Pieces are fetched side by side, because answers take longer than the limit's pace, and committed one after another,
//! so that the candles of a run stand oldest to newest in their stream.

mod checkpoint;
mod coverage;
mod doubt;
mod facts;
mod fetch;
mod listing;
mod outage;
mod piece;
mod plan;
mod store;
mod summary;
mod walk;
mod work;

pub use coverage::Span;
pub use fetch::{BackfillError, Fetched, fetch, fetched};
pub use summary::{Incomplete, Progress, StreamSummary, Summary};

use crate::clock::Clock;
use crate::rest::client::Client;
use crate::tape::stream_key::{StreamKey, WireName};
use crate::upbit::series::Series;
use facts::Facts;
use outage::Outage;
use work::Work;

/// What to fetch.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The pairs.
    pub markets: Vec<String>,
    /// What of them.
    pub series: Series,
    /// When, in milliseconds since the epoch.
    pub span: Span,
}

/// The stream of a pair; `None` where its name cannot be one.
pub fn stream_of(market: &str, series: Series) -> Option<StreamKey> {
    WireName::parse(&series.stream_type(), Some(market)).map(StreamKey::from)
}

/// Fetches what is missing. Dropping the future at any point leaves what a kill would.
async fn run(
    client: &mut Client,
    facts: &mut Facts,
    (wanted, clock): (&Wanted, Clock),
    show: &mut dyn FnMut(&Progress),
) -> Result<Summary, BackfillError> {
    let mut summary = Summary::new(wanted, clock.stamp().as_millis());
    let mut outage = Outage::default();
    let pieces = plan::plan(client, facts, wanted, &mut summary, &mut outage).await?;
    summary.progress.wanted = pieces.iter().map(|(_, span)| span.length()).sum();
    let mut work = Work::new(wanted.series, pieces);
    loop {
        work.begin(client, clock.stamp().as_millis());
        show(&summary.progress(client.tally().sent));
        let Some((number, answer)) = client.next().await? else { break };
        match answer {
            Ok(page) => {
                outage.ends();
                work.handle(client, facts, &mut summary, work::Answer { number, page, now: clock.stamp().as_millis() });
            }
            Err(error) => work.fail(number, outage.note(work.market_of(number), error)?, &mut summary),
        }
        work.commit(&mut facts.store, &mut summary)?;
    }
    // The last pieces may be such as nobody was asked for.
    work.commit(&mut facts.store, &mut summary)?;
    summary.client = client.tally();
    Ok(summary)
}
