//! `record`: the daemon. Puts the rooms together, lets them work, and says how it ended.

use crate::clock::{Clock, Instant, Stamp, Stamper};
use crate::config::{Config, ConnectionConfig, KeyError, KeyPlaces, parse_duration};
use crate::connection::actor::{Actor, Wiring};
use crate::connection::dial::network::Network;
use crate::connection::dial::tls::{self, TlsSetupError};
use crate::connection::session::{ConnectBudget, Settings};
use crate::connection::{ConnectionId, Delivery};
use crate::desired;
use crate::events::Event;
use crate::exit::Exit;
use crate::ledger::{Kind, Ledger};
use crate::logging::{Logging, Screen};
use crate::recording::files::disk::Disk;
use crate::recording::files::{Files, StorageError};
use crate::recording::lock::{Lock, LockError};
use crate::recording::naming::layout::Tree;
use crate::recording::recovery::{Recovered, recover};
use crate::recording::rotation::Rotation;
use crate::recording::router::Router;
use crate::recording::threads;
use crate::signals::Signals;
use crate::status::{Display, Status};
use crate::supervisor::{self, Failure, Setup, Supervisor};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};

/// Shown below the help.
pub const EXAMPLE: &str = "Example:\n  upbit-recorder record --config recorder.toml --for 8h";

/// Descriptors beside those of the streams: sockets, the files being sealed and synced, standard streams.
pub(super) const OTHER_DESCRIPTORS: usize = 64;

/// How to record.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Stop by itself after this long, such as 30s or 8h.
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    run_for: Option<Duration>,
}

/// Records until a signal, the end of `--for`, or a failure.
pub async fn run(config: &Config, options: &Options, signals: Signals, logging: &Logging) -> Exit {
    let clock = Clock::start();
    let run_until = options.run_for.map(|length| clock.now() + length);
    let (status, shown) = watch::channel(Status::default());
    let now = signals.shutdown.now.clone();
    let recording = async {
        let (supervisor, _lock) = set_up(config, clock, run_until, status, &signals)?;
        Ok(supervisor.run(signals.shutdown.orderly, signals.requests).await?)
    };
    let screen = logging.screen.clone();
    let ended: Result<(), RecordError> = tokio::select! {
        biased;
        () = now.cancelled() => {
            tracing::warn!("stopped at once: what was written stays, and the next start closes the gap");
            Ok(())
        }
        ended = recording => ended,
        () = display(shown, screen.clone(), clock) => Ok(()),
    };
    screen.clear();
    match ended {
        Ok(()) => Exit::Success,
        Err(error) => {
            tracing::error!("{error}");
            error.exit()
        }
    }
}

/// Why there is nothing, or no longer anything, recorded.
#[derive(Debug, thiserror::Error)]
enum RecordError {
    #[error("cannot open the data directory {path}: {source}")]
    Directory { path: String, source: io::Error },
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error("cannot put the data directory in order: {0}")]
    Recovery(#[from] StorageError),
    #[error("cannot start the writing threads: {0}")]
    Threads(io::Error),
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl RecordError {
    fn exit(&self) -> Exit {
        match self {
            Self::Lock(LockError::Held { .. }) => Exit::Locked,
            Self::Tls(_) | Self::Key(_) => Exit::Config,
            Self::Failed(Failure::Unavailable(_)) => Exit::Unavailable,
            Self::Directory { .. } | Self::Lock(_) | Self::Recovery(_) | Self::Threads(_) | Self::Failed(_) => Exit::Io,
        }
    }
}

/// Shows the status as often as it is published.
async fn display(mut status: watch::Receiver<Status>, screen: Screen, clock: Clock) {
    let mut display = Display::default();
    while screen.is_shown() && status.changed().await.is_ok() {
        let line = display.line(&status.borrow_and_update(), clock.now(), clock.stamp());
        screen.show(&line);
    }
    std::future::pending().await
}

/// Everything from the lock to the first attempt to connect.
fn set_up(
    config: &Config,
    clock: Clock,
    run_until: Option<Instant>,
    status: watch::Sender<Status>,
    signals: &Signals,
) -> Result<(Supervisor, Lock), RecordError> {
    raise_descriptor_limit(config.storage.max_streams);
    let directory = |source| RecordError::Directory { path: config.data_dir.display().to_string(), source };
    let files: Arc<dyn Files> = Arc::new(Disk::open(&config.data_dir).map_err(directory)?);
    let lock = Lock::take(&config.data_dir, clock.stamp())?;
    let rotation = Rotation { interval: config.storage.rotate_interval, bytes: config.storage.rotate_bytes };
    let recovered = recover(&*files, rotation, clock.stamp())?;
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
    let threads =
        threads::start(&files, &settings, recovered.resumable, recovered.backlog).map_err(RecordError::Threads)?;
    let (inbox_sender, inbox) = mpsc::channel(supervisor::INBOX);
    let sync_interval = config.storage.sync_interval;
    let setup = Setup { clock, stamper, router, ledger, threads, inbox, backlog, sync_interval, run_until, status };
    let mut supervisor = Supervisor::new(setup);
    let names = connections.iter().map(|(id, _)| id.to_string()).collect();
    supervisor.event_at(run, &Event::started(names));
    recovered.torn.into_iter().for_each(|torn| supervisor.event(&Event::from(torn)));
    connect(&mut supervisor, config, &inbox_sender, clock, signals)?;
    Ok((supervisor, lock))
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

fn connect(
    supervisor: &mut Supervisor,
    config: &Config,
    inbox: &mpsc::Sender<Delivery>,
    clock: Clock,
    signals: &Signals,
) -> Result<(), RecordError> {
    let connects = Arc::new(ConnectBudget::new(config.public.connects_per_second, clock.now()));
    for (id, connection) in enabled(config) {
        let (_, requests) = watch::channel(desired::request(connection));
        let tls = tls::client_config(connection.tls_ca_file.as_deref())?;
        let wiring = Wiring {
            inbox: inbox.clone(),
            room: Arc::new(Semaphore::new(config.storage.buffer_bytes)),
            requests: requests.clone(),
            shutdown: signals.shutdown.orderly.clone(),
            clock,
            connects: connects.clone(),
            seed: rand::random(),
            dial: Network::new(clock, tls),
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

/// Every stream keeps its file open, and the usual soft limit of 1,024 is for programs that use `select`.
fn raise_descriptor_limit(max_streams: usize) {
    let limit = getrlimit(Resource::Nofile);
    // Refused only where the hard limit was lowered meanwhile; what holds is read below.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let needed = (max_streams + OTHER_DESCRIPTORS) as u64;
    if let Some(open_files) = getrlimit(Resource::Nofile).current.filter(|current| *current < needed) {
        tracing::debug!(open_files, needed, "not every one of storage.max_streams could keep its file open");
    }
}
