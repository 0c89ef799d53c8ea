//! Puts the rooms together: from what earlier processes left on the disk to the first attempt to connect.
//!
//! ```text
//! recover ──▶ router, ledger, stamper ──▶ hosts of the disk ──▶ supervisor ──▶ connections
//! ```
//!
//! Disk, network, time and randomness are given, so that `record` and the simulated world of the tests run the same
//! recorder. It holds no lock, and starts neither thread nor task: the caller does.

use crate::clock::{Clock, Instant, Stamp, Stamper};
use crate::config::{Config, ConnectionConfig, KeyError, KeyPlaces};
use crate::connection::actor::{Actor, Wiring};
use crate::connection::dial::Dial;
use crate::connection::dial::tls::TlsSetupError;
use crate::connection::session::{ConnectBudget, Settings};
use crate::connection::{ConnectionId, Delivery};
use crate::desired;
use crate::events::Event;
use crate::ledger::{Kind, Ledger};
use crate::recording::files::{Files, StorageError};
use crate::recording::naming::layout::Tree;
use crate::recording::recovery::{Recovered, recover};
use crate::recording::rotation::Rotation;
use crate::recording::router::Router;
use crate::recording::threads::{self, Ground, Hosts};
use crate::status::Status;
use crate::supervisor::{self, Setup, Supervisor};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Where a recorder works.
#[derive(Debug)]
pub struct Place {
    /// The data directory.
    pub files: Arc<dyn Files>,
    /// The time.
    pub clock: Clock,
    /// The process id, for the record.
    pub pid: u32,
    /// Feeds jitter, tickets and nonces; must differ between processes.
    pub seed: u64,
    /// Cancelled when the user wants it to end.
    pub shutdown: CancellationToken,
}

/// When it ends by itself, and whom it tells how it is.
#[derive(Debug)]
pub struct Ending {
    /// When to stop without being asked to.
    pub run_until: Option<Instant>,
    /// Where the status is published.
    pub status: watch::Sender<Status>,
}

/// Why there is no recorder.
#[derive(Debug, thiserror::Error)]
pub enum AssemblyError {
    /// What earlier processes left could not be read or mended.
    #[error("cannot put the data directory in order: {0}")]
    Recovery(#[from] StorageError),
    /// The network cannot be used as configured.
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
    /// The account's keys cannot be read.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Makes a recorder: its supervisor, with the connections in it, and the hosts of its disk, which the caller has to run.
/// `network` is asked for one connection's way out at a time.
///
/// # Errors
///
/// Nothing was recorded, and nothing begun that needs to be undone.
pub fn assemble<D: Dial>(
    config: &Config,
    place: Place,
    ending: Ending,
    network: &dyn Fn(&ConnectionConfig) -> Result<D, TlsSetupError>,
) -> Result<(Supervisor, Hosts), AssemblyError> {
    let clock = place.clock;
    let rotation = Rotation { interval: config.storage.rotate_interval, bytes: config.storage.rotate_bytes };
    let recovered = recover(&*place.files, rotation, clock.stamp())?;
    report(&recovered, &config.data_dir);

    let mut stamper = Stamper::after(recovered.last.unwrap_or_default());
    let run = stamper.raise(clock.stamp());
    let mut router = Router::new(config.storage.max_streams);
    for segment in &recovered.resumable {
        router.register(segment.name().tree, segment.name().stream.clone());
    }
    let connections = enabled(config);
    let ledger = open_gaps(&connections, &recovered, run);
    let settings = threads::Settings { rotation, zstd_level: config.storage.zstd_level, run, clock };
    let backlog = recovered.backlog.len();
    let ground = Ground { files: place.files.clone(), resumable: recovered.resumable, backlog: recovered.backlog };
    let (threads, hosts) = threads::prepare(&settings, ground);
    let (inbox_sender, inbox) = mpsc::channel(supervisor::INBOX);
    let sync_interval = config.storage.sync_interval;
    let Ending { run_until, status } = ending;
    let setup = Setup { clock, stamper, router, ledger, threads, inbox, backlog, sync_interval, run_until, status };
    let mut supervisor = Supervisor::new(setup);
    let names = connections.iter().map(|(id, _)| id.to_string()).collect();
    supervisor.event_at(run, &Event::started(place.pid, names));
    recovered.torn.into_iter().for_each(|torn| supervisor.event(&Event::from(torn)));
    connect(&mut supervisor, config, (&place, inbox_sender), network)?;
    Ok((supervisor, hosts))
}

/// The connections that the configuration asks for.
fn enabled(config: &Config) -> Vec<(ConnectionId, &ConnectionConfig)> {
    let all = [(ConnectionId::Public, &config.public), (ConnectionId::Private, &config.private)];
    all.into_iter().filter(|(_, connection)| connection.enabled).collect()
}

/// The time since the process before this one belongs to nobody until the first data comes.
fn open_gaps(connections: &[(ConnectionId, &ConnectionConfig)], recovered: &Recovered, run: Stamp) -> Ledger {
    let mut ledger = Ledger::default();
    for (id, _) in connections {
        let tree = Tree::from(*id) as usize;
        let last = recovered.last_data[tree].max(recovered.history.gaps_until[tree]);
        match last {
            Some(last) if recovered.history.is_clean => {
                ledger.open(*id, last, Kind::Stopped, "the recorder had been stopped");
            }
            Some(last) => ledger.open(*id, last, Kind::Killed, "the recorder had died"),
            None => ledger.open(*id, run, Kind::Disconnected, "the first start"),
        }
    }
    ledger
}

fn connect<D: Dial>(
    supervisor: &mut Supervisor,
    config: &Config,
    (place, inbox): (&Place, mpsc::Sender<Delivery>),
    network: &dyn Fn(&ConnectionConfig) -> Result<D, TlsSetupError>,
) -> Result<(), AssemblyError> {
    let clock = place.clock;
    let connects = Arc::new(ConnectBudget::new(config.public.connects_per_second, clock.now()));
    for (id, connection) in enabled(config) {
        let (_, requests) = watch::channel(desired::request(connection));
        let wiring = Wiring {
            inbox: inbox.clone(),
            room: Arc::new(Semaphore::new(config.storage.buffer_bytes)),
            requests: requests.clone(),
            shutdown: place.shutdown.clone(),
            clock,
            connects: connects.clone(),
            seed: place.seed.wrapping_add(id as u64),
            dial: network(connection)?,
        };
        let keys = config.credentials.as_ref().filter(|_| id == ConnectionId::Private);
        let credentials = keys.map(KeyPlaces::load).transpose()?;
        let settings = Settings { id, config: connection.clone(), credentials };
        supervisor.own(id, requests, Actor::new(settings, wiring).run());
    }
    Ok(())
}

/// Says once what was found in the data directory.
fn report(recovered: &Recovered, data_dir: &Path) {
    let data_dir = data_dir.display();
    for torn in &recovered.torn {
        let file = torn.file.display();
        tracing::warn!(%file, torn.offset, torn.length, "ended a line that was torn when the last process died");
    }
    if !recovered.foreign.is_empty() {
        let files: Vec<_> = recovered.foreign.iter().map(|path| path.display().to_string()).collect();
        tracing::warn!(%data_dir, ?files, "not ours: these are left alone");
    }
    tracing::info!(
        %data_dir,
        continued = recovered.resumable.len(),
        to_seal = recovered.backlog.len(),
        "recording into this directory"
    );
}
