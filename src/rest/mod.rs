//! The exchange's history and listings over REST.
//!
//! ```text
//! client/   sends requests: signs, respects the limits, retries
//! quotation the requests for candles and trades
//! answer    validates an answer against its question
//! markets   the exchange's pairs: an answer, and the list kept on disk
//! pairs/    how far a list is believed; the list followed in the background of the recorder
//! backfill/ candles and trades of the past
//! healing/  data missed in a gap, in the background of the recorder
//! codes     checks the configured codes and patterns against the list, and that all is of one venue
//! venue     the venue of the addresses in use, and of the directory
//! ```
//!
//! Fetched data is kept verbatim: numbers are never parsed and printed again. It is stored in `rest/` below the data
//! directory.

pub mod answer;
pub mod client;
pub mod codes;
pub mod keys;
pub mod markets;
pub mod pairs;
pub mod quotation;
pub mod venue;

use crate::clock::{Clock, Stamp};
use crate::config::Config;
use crate::exit::Exit;
use crate::files::disk::Disk;
use crate::files::{EntryKind, Files, IoError};
use crate::net::network::Network;
use crate::net::tls::{self, TlsSetupError};
use crate::tape::quarantine::clear;
use crate::upbit::feed::Feed;
use crate::upbit::url::Url;
use client::budget::{Budget, BudgetError, Priority};
use client::http::Http;
use client::{Client, RestError};
use std::path::{Path, PathBuf};
use venue::VenueError;

/// The directory of fetched data, relative to the data directory.
pub const DIRECTORY: &str = "rest";

/// The directory of fetched data.
pub fn directory(data_dir: &Path) -> PathBuf {
    data_dir.join(DIRECTORY)
}

/// Why no client could be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The REST directory cannot be opened or created.
    #[error(transparent)]
    Storage(#[from] IoError),
    /// The certificate authorities cannot be read.
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
    /// The addresses or the fetched data are of another venue.
    #[error(transparent)]
    Venue(#[from] VenueError),
}

/// Why a fetch failed.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No client could be set up.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A request failed.
    #[error(transparent)]
    Rest(#[from] RestError),
    /// The exchange's list of pairs is empty.
    #[error("the exchange's list of pairs is empty: it answers so in maintenance")]
    Empty,
}

impl FetchError {
    /// The earliest time of a retry, where it is known.
    pub fn until(&self) -> Option<Stamp> {
        match self {
            Self::Rest(RestError::Budget(BudgetError::Spent { until })) => Some(*until),
            _ => None,
        }
    }

    /// The exit code of a command that needed the answer.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Setup(SetupError::Tls(_)) => Exit::Config,
            Self::Setup(SetupError::Venue(error)) => error.exit(),
            Self::Setup(SetupError::Storage(_)) | Self::Rest(RestError::Budget(_)) => Exit::Io,
            Self::Rest(RestError::Credentials(_) | RestError::Signing(_)) => Exit::Refused,
            Self::Rest(RestError::Refused(_) | RestError::Unavailable { .. }) | Self::Empty => Exit::Unavailable,
        }
    }
}

/// Opens the REST directory, creating it if missing. An entry of another kind under its name is moved to the quarantine
/// of the data directory.
///
/// # Errors
/// It cannot be created or opened.
pub fn open(data_dir: &Path) -> Result<Disk, SetupError> {
    let name = Path::new(DIRECTORY);
    let disk = Disk::open(data_dir).map_err(IoError::at("open the directory", data_dir))?;
    clear(&disk, Feed::Public, name, EntryKind::Directory)?;
    disk.make_directory(name).map_err(IoError::at("make the directory", name))?;
    Ok(disk.beneath(name).map_err(IoError::at("open", name))?)
}

/// The REST directory for reading; `None` if it is missing or unreadable.
pub fn existing(data_dir: &Path) -> Option<Disk> {
    Disk::existing(data_dir).and_then(|disk| disk.beneath(Path::new(DIRECTORY))).ok()
}

/// A warning if REST traffic leaves this machine unencrypted.
pub fn exposure(url: &Url) -> Option<&'static str> {
    let is_exposed = !url.tls() && !url.is_loopback();
    is_exposed.then_some("rest.url is http:// to another machine: what is fetched can be read and changed on the way")
}

/// A client of the configured exchange. It trusts the same authorities as the market data connection. The directory is
/// from then on one of this venue.
///
/// # Errors
/// The directory cannot be created, or has another venue's data; or the authorities cannot be read.
pub fn connect(config: &Config, clock: Clock, priority: Priority) -> Result<Client, SetupError> {
    let disk = open(&config.data_dir)?;
    venue::claim(&disk, config)?;
    let tls = tls::client_config(config.tls_roots, config.public.tls_ca_file.as_deref())?;
    let network = Network::new(clock, tls, &config.proxies);
    let http = Http::new(&config.rest.url, network, clock);
    let budget = Budget::new(disk, config.rest.requests_per_second, priority);
    Ok(Client::new(http, clock, budget, rand::random()))
}
