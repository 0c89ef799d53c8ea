//! The exchange's history and listings over REST.
//!
//! ```text
//! client/   asks: signs, keeps to the limits, asks again
//! quotation what its candles and trades can be asked for
//! answer    holds an answer against its question
//! markets   which pairs there are: an answer, and the list kept on disk
//! pairs/    what an answer is worth; the list followed in the background of the recorder
//! backfill/ candles and trades of the past
//! healing/  what was missed in a gap, in the background of the recorder
//! codes     the configuration's codes and patterns, held against that
//! ```
//!
//! What is fetched is kept verbatim: numbers are never parsed and printed again. All of it lies in `rest/` below the
//! data directory.

pub mod answer;
pub mod client;
pub mod codes;
pub mod markets;
pub mod pairs;
pub mod quotation;

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

/// Where what is fetched lies, below the data directory.
pub const DIRECTORY: &str = "rest";

/// The directory of what is fetched.
pub fn directory(data_dir: &Path) -> PathBuf {
    data_dir.join(DIRECTORY)
}

/// Why the exchange cannot even be asked.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The directory of what is fetched cannot be opened, or made.
    #[error(transparent)]
    Storage(#[from] IoError),
    /// The authorities cannot be read.
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
}

/// Why something was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The exchange cannot even be asked.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// It was asked.
    #[error(transparent)]
    Rest(#[from] RestError),
    /// It was asked for its pairs and listed none.
    #[error("the exchange's list of pairs is empty: it answers so in maintenance")]
    Empty,
}

impl FetchError {
    /// Since when it can be asked again, where that is a time.
    pub fn until(&self) -> Option<Stamp> {
        match self {
            Self::Rest(RestError::Budget(BudgetError::Spent { until })) => Some(*until),
            _ => None,
        }
    }

    /// How a command that needed the answer ends.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Setup(SetupError::Tls(_)) => Exit::Config,
            Self::Setup(SetupError::Storage(_)) | Self::Rest(RestError::Budget(_)) => Exit::Io,
            Self::Rest(RestError::Credentials(_) | RestError::Signing(_)) => Exit::Refused,
            Self::Rest(RestError::Refused(_) | RestError::Unavailable { .. }) | Self::Empty => Exit::Unavailable,
        }
    }
}

/// Opens the directory of what is fetched, making it where it is not there. What is in its way goes to the quarantine of
/// the data directory.
///
/// # Errors
/// It cannot be made or opened.
pub fn open(data_dir: &Path) -> Result<Disk, SetupError> {
    let name = Path::new(DIRECTORY);
    let disk = Disk::open(data_dir).map_err(IoError::at("open the directory", data_dir))?;
    clear(&disk, Feed::Public, name, EntryKind::Directory)?;
    disk.make_directory(name).map_err(IoError::at("make the directory", name))?;
    Ok(disk.beneath(name).map_err(IoError::at("open", name))?)
}

/// The directory of what is fetched, to read what is there; `None` where there is none that can be read.
pub fn existing(data_dir: &Path) -> Option<Disk> {
    Disk::existing(data_dir).and_then(|disk| disk.beneath(Path::new(DIRECTORY))).ok()
}

/// What is wrong with the way to REST, where it is in the clear and leaves this machine.
pub fn exposure(url: &Url) -> Option<&'static str> {
    let is_exposed = !url.tls() && !url.is_loopback();
    is_exposed.then_some("rest.url is http:// to another machine: what is fetched can be read and changed on the way")
}

/// A client of the exchange that is configured. It trusts what the market data connection trusts.
///
/// # Errors
/// The directory cannot be made, or the authorities cannot be read.
pub fn connect(config: &Config, clock: Clock, priority: Priority) -> Result<Client, SetupError> {
    let disk = open(&config.data_dir)?;
    let tls = tls::client_config(config.public.tls_ca_file.as_deref())?;
    let network = Network::new(clock, tls, &config.proxies);
    let http = Http::new(&config.rest.url, network, clock);
    let budget = Budget::new(disk, config.rest.requests_per_second, priority);
    Ok(Client::new(http, clock, budget, rand::random()))
}
