//! A fetch from beginning to end: the client, the lock of the directory, the store, and an end in order whatever happens.

use super::checkpoint::Checkpoint;
use super::coverage::Span;
use super::facts::Facts;
use super::store::Store;
use super::summary::{Progress, Summary};
use super::{Wanted, stream_of};
use crate::clock::{Clock, Stamp};
use crate::config::Config;
use crate::exit::Exit;
use crate::files::disk::Disk;
use crate::recording::lock::{Lock, LockError};
use crate::recording::seal::SealError;
use crate::rest::client::RestError;
use crate::rest::client::budget::Priority;
use crate::rest::{self, FetchError, SetupError};
use crate::tape::reader::Tape;
use crate::tape::stream_key::StreamKey;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Why fetching ended early. What was committed stays, and the next run goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    /// The exchange does not give it, or cannot even be asked.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A name that no stream can have.
    #[error("`{0}` is no pair that could be asked for")]
    Market(String),
    /// Another program fetches into it, or it cannot be locked.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The disk does not take it.
    #[error(transparent)]
    Storage(#[from] SealError),
}

impl From<RestError> for BackfillError {
    fn from(error: RestError) -> Self {
        Self::Fetch(error.into())
    }
}

impl From<SetupError> for BackfillError {
    fn from(error: SetupError) -> Self {
        Self::Fetch(error.into())
    }
}

impl BackfillError {
    /// How a command that needed it ends.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Fetch(error) => error.exit(),
            Self::Market(_) => Exit::Usage,
            Self::Lock(LockError::Held { .. }) => Exit::Locked,
            Self::Lock(_) | Self::Storage(_) => Exit::Io,
        }
    }
}

/// Fetches what is missing of `wanted` into the directory of what is fetched; nothing where it was stopped by
/// `shutdown`. Dropping the future at any point leaves what a kill would.
///
/// # Errors
/// See [`BackfillError`].
pub async fn fetch(
    config: &Config,
    (wanted, clock): (&Wanted, Clock),
    shutdown: &CancellationToken,
    show: &mut dyn FnMut(&Progress),
) -> Result<Option<Summary>, BackfillError> {
    let mut client = rest::connect(config, clock, Priority::History)?;
    let disk = rest::open(&config.data_dir)?;
    let lock = Lock::take(&disk, clock.stamp())?;
    // One that cannot be asked for is refused, and the others are fetched.
    let streams: Vec<_> = wanted.markets.iter().filter_map(|market| stream_of(market, wanted.series)).collect();
    if let (true, Some(market)) = (streams.is_empty(), wanted.markets.first()) {
        return Err(BackfillError::Market(market.clone()));
    }
    let store = Store::open(Arc::new(disk), &config.storage, clock, (wanted.series, streams))?;
    let recorded = Disk::readable(&config.data_dir).map_err(SealError::from)?;
    let mut facts = Facts { store, tape: Tape::new(recorded, &config.data_dir) };
    let mut show = |progress: &Progress| {
        lock.check();
        show(progress);
    };
    let run = super::run(&mut client, &mut facts, (wanted, clock), &mut show);
    let ended = shutdown.run_until_cancelled(run).await;
    // Also after a failure: what was committed is whole.
    facts.store.finish()?;
    ended.transpose()
}

/// What was fetched of a span of a stream.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Whether it is all there.
    pub is_whole: bool,
    /// The stamps between which its lines lie.
    pub stamps: RangeInclusive<Stamp>,
}

/// What was fetched of `span` of a stream, by its checkpoint.
///
/// # Errors
/// The checkpoint cannot be read.
pub fn fetched(data_dir: &Path, stream: &StreamKey, span: Span) -> Result<Fetched, BackfillError> {
    let nothing = Fetched { is_whole: false, stamps: Stamp::MAX..=Stamp::default() };
    let Some(disk) = rest::existing(data_dir) else { return Ok(nothing) };
    let checkpoint = match Checkpoint::read(&disk, stream) {
        // What is in the way of it is moved when the stream is fetched.
        Err(error) if error.is_about_the_file() => return Ok(nothing),
        checkpoint => checkpoint.map_err(SealError::from)?,
    };
    let is_whole = checkpoint.coverage.missing(span).is_empty();
    Ok(Fetched { is_whole, stamps: checkpoint.stamps_of(span) })
}
