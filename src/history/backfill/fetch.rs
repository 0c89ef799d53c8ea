//! A fetch from start to end: the client, the directory lock, the store, and an orderly close on every exit path.

use super::checkpoint::Checkpoint;
use super::error::BackfillError;
use super::holdings::Holdings;
use super::outage::Outage;
use super::plan;
use super::store::Store;
use super::summary::{Progress, Summary};
use super::wanted::Wanted;
use super::work::Work;
use crate::clock::{Clock, Stamp};
use crate::config::Config;
use crate::files::disk::Disk;
use crate::history::span::Span;
use crate::recording::lock::Lock;
use crate::recording::seal::SealError;
use crate::rest;
use crate::rest::client::budget::Priority;
use crate::rest::client::{Client, Done};
use crate::tape::reader::Tape;
use crate::tape::stream_key::StreamKey;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Fetches the missing parts of `wanted` into the REST directory; `None` if `shutdown` cancelled it. The future may be
/// dropped at any point: the state on disk is then that of a kill.
///
/// # Errors
/// See [`BackfillError`].
pub async fn fetch(
    config: &Config,
    wanted: &Wanted,
    clock: Clock,
    shutdown: &CancellationToken,
    show: &mut dyn FnMut(&Progress),
) -> Result<Option<Summary>, BackfillError> {
    let mut client = rest::connect(config, clock, Priority::History)?;
    let disk = rest::open(&config.data_dir)?;
    let lock = Lock::take(&disk, clock.stamp())?;
    // A market without a stream is skipped by the planner as refused; the others are fetched.
    let streams: Vec<_> = wanted.markets.iter().filter_map(|market| StreamKey::of(market, wanted.series)).collect();
    if let (true, Some(market)) = (streams.is_empty(), wanted.markets.first()) {
        return Err(BackfillError::Market(market.clone()));
    }
    let store = Store::open(Arc::new(disk), config, clock, streams)?;
    let recorded = Disk::readable(&config.data_dir).map_err(SealError::from)?;
    let mut holdings = Holdings { store, tape: Tape::new(recorded, &config.data_dir) };
    let mut show = |progress: &Progress| {
        lock.check();
        show(progress);
    };
    let run = run(&mut client, &mut holdings, wanted, &mut show);
    let ended = shutdown.run_until_cancelled(run).await;
    // Runs after a failure too: committed pieces are complete.
    holdings.store.finish()?;
    ended.transpose()
}

/// Fetches the missing parts of `wanted`. The future may be dropped at any point, as in [`fetch`].
async fn run(
    client: &mut Client,
    holdings: &mut Holdings,
    wanted: &Wanted,
    show: &mut dyn FnMut(&Progress),
) -> Result<Summary, BackfillError> {
    let mut summary = Summary::new(wanted, holdings.now());
    let mut outage = Outage::default();
    let missing = plan::plan(client, holdings, wanted, &mut summary, &mut outage).await?;
    summary.progress.wanted = missing.iter().map(|missing| missing.span.length()).sum();
    let mut work = Work::new(wanted.series, missing, summary);
    loop {
        work.begin(client, holdings.now());
        show(&work.summary.progress(client.tally().sent));
        let Some(Done { id, outcome }) = client.next().await? else { break };
        match outcome {
            Ok(page) => {
                outage.ends();
                work.handle(id, page, client, holdings);
            }
            Err(error) => work.fail(id, outage.note(work.market_of(id), error)?),
        }
        work.commit(&mut holdings.store)?;
    }
    // The last pieces may have ended without a request.
    work.commit(&mut holdings.store)?;
    let mut summary = work.summary;
    summary.client = client.tally();
    Ok(summary)
}

/// How far a span of a stream was fetched.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Whether the span is complete.
    pub is_whole: bool,
    /// The range of stamps of its lines.
    pub stamps: RangeInclusive<Stamp>,
}

/// How far `span` of a stream was fetched, by its checkpoint.
///
/// # Errors
/// The checkpoint cannot be read.
pub fn fetched(data_dir: &Path, stream: &StreamKey, span: Span) -> Result<Fetched, BackfillError> {
    let nothing = Fetched { is_whole: false, stamps: Stamp::MAX..=Stamp::default() };
    let Some(disk) = rest::existing(data_dir) else { return Ok(nothing) };
    let checkpoint = match Checkpoint::read(&disk, stream) {
        // An entry of another kind under this name is quarantined by the next fetch of the stream.
        Err(error) if error.is_about_the_file() => return Ok(nothing),
        checkpoint => checkpoint.map_err(SealError::from)?,
    };
    let is_whole = checkpoint.coverage.missing(span).is_empty();
    Ok(Fetched { is_whole, stamps: checkpoint.stamps_of(span) })
}
