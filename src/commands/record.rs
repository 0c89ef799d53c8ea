//! `record`: the daemon. Runs the recorder on the real disk, network and signals, and maps its end to an exit code.

use super::descriptors;
use super::notify;
use super::pairs as known_pairs;
use super::process::{GRACE, Host, serve_and_ask};
use super::reload::Reloader;
use super::work::StopTerms;
use crate::clock::discipline::Discipline;
use crate::clock::{self, Boot, Clock, Wall};
use crate::config::{Config, ConnectionConfig, Loaded, Sources};
use crate::daemon::assembly::{self, Assembled, AssemblyError, Environment, StopConditions};
use crate::daemon::supervisor::{Failure, Others, PairsHandle, Supervisor};
use crate::desired::Listed;
use crate::exit::Exit;
use crate::files::IoError;
use crate::files::disk::Disk;
use crate::history::healing::{Exchange, Healer};
use crate::logging::Screen;
use crate::net::network::Network;
use crate::net::tls;
use crate::ops::display::Display;
use crate::ops::http::Server;
use crate::ops::shown::Owner;
use crate::ops::status::Status;
use crate::ops::systemd::Notifier;
use crate::quantity::parse_duration;
use crate::recording::lock::{Lock, LockError};
use crate::recording::threads;
use crate::rest::codes::RestUse;
use crate::rest::keys;
use crate::rest::pairs::evidence::ListingEvidence;
use crate::rest::pairs::{self, Ports};
use crate::upload::host::Host as Uploader;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};

/// The interval in which a start is tried again that finds no room.
const NO_ROOM: Duration = Duration::from_secs(1);

/// How long the service manager may take for the last message, within the half second that a second signal leaves.
const LAST_WORD: Duration = Duration::from_millis(200);

/// How to record.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example:\n  upbit-recorder record --config recorder.toml --for 8h")]
pub struct RecordOptions {
    /// Stop by itself after this long, such as 30s or 8h.
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    run_for: Option<Duration>,
}

/// Records until a signal, the end of `--for`, or a failure.
pub fn run(sources: Sources, options: RecordOptions) -> Exit {
    serve_and_ask(sources, StopTerms::ORDERLY, RestUse::AsConfigured, async move |host| record(host, &options).await)
}

async fn record(host: Host, options: &RecordOptions) -> Exit {
    let (status, shown) = watch::channel(Status::default());
    let seen = shown.clone();
    let stop = StopConditions {
        run_until: options.run_for.map(|length| host.clock.now() + length),
        status,
        others: Others::none(),
    };
    let (clock, screen, now) = (host.clock, host.screen.clone(), host.signals.shutdown.now.clone());
    let notifier = match notify::start() {
        Ok(notifier) => notifier,
        Err(error) => return RecordError::Threads(error).tell(),
    };
    let told = notifier.clone();
    let announced = announce(shown.clone(), notifier.clone(), clock);
    let recording = async move {
        let orderly = host.signals.shutdown.orderly.clone();
        let (in_force, watched) = watch::channel(Arc::new(host.config.clone()));
        let (supervisor, _lock) = tokio::select! {
            biased;
            set_up = set_up(&host, stop, &notifier, Followed { in_force: watched, shown: seen }) => set_up?,
            // It yields only where it waits for room.
            () = orderly.cancelled() => return Ok(()),
        };
        let Host { config, settings, sources, level, signals, .. } = host;
        let reloader = Reloader { sources, loaded: Loaded { config, settings }, level, notifier, in_force };
        let requests = reloader.spawn(signals.requests).map_err(RecordError::Threads)?;
        Ok(supervisor.run(signals.shutdown.orderly, requests).await?)
    };
    let ended: Result<(), RecordError> = tokio::select! {
        biased;
        () = now.cancelled() => {
            tracing::warn!("stopped at once: what was written stays, and the next start closes the gap");
            Ok(())
        }
        ended = recording => ended,
        () = display(shown, screen.clone(), clock) => Ok(()),
        () = announced => Ok(()),
    };
    tokio::select! {
        () = told.end() => {}
        () = clock::sleep_until(Some(clock.now() + LAST_WORD)) => {}
    }
    screen.clear();
    match ended {
        Ok(()) => Exit::Success,
        Err(error) => error.tell(),
    }
}

/// Why recording did not start, or stopped.
#[derive(Debug, thiserror::Error)]
enum RecordError {
    #[error(transparent)]
    Directory(IoError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error("cannot start a thread: {0}")]
    Threads(io::Error),
    #[error(transparent)]
    Assembly(#[from] AssemblyError),
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl RecordError {
    /// Logs it, and maps it to the exit code.
    fn tell(&self) -> Exit {
        tracing::error!("{self}");
        self.exit()
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Lock(LockError::Held { .. }) => Exit::Locked,
            Self::Assembly(AssemblyError::Tls(_) | AssemblyError::Key(_)) => Exit::Config,
            Self::Failed(Failure::Unavailable(_)) => Exit::Unavailable,
            Self::Assembly(AssemblyError::Start(error)) => error.exit(),
            Self::Directory(_) | Self::Lock(_) | Self::Threads(_) | Self::Failed(_) => Exit::Io,
        }
    }
}

/// Shows the status as often as it is published.
async fn display(mut status: watch::Receiver<Status>, screen: Screen, clock: Clock) {
    let mut display = Display::default();
    while screen.is_shown() && status.changed().await.is_ok() {
        let line = display.line(&status.borrow_and_update(), clock.now());
        screen.show(&line);
    }
    std::future::pending().await
}

/// Tells the service manager what is published. Each snapshot is a turn of the supervisor's loop, seen on the thread that
/// the connections run on: it proves that this thread turns, whatever the disk and the exchange do.
async fn announce(mut status: watch::Receiver<Status>, notifier: Notifier, clock: Clock) {
    let (mut display, mut reloads) = (Display::default(), 0);
    while notifier.is_heard() && status.changed().await.is_ok() {
        let newest = status.borrow_and_update();
        notifier.status(&display.line(&newest, clock.now()));
        notifier.watchdog();
        if newest.is_stopping {
            notifier.stopping()
        } else {
            notifier.started()
        }
        if newest.reload.ended != std::mem::replace(&mut reloads, newest.reload.ended) {
            notifier.ready();
        }
    }
    std::future::pending().await
}

/// What others follow while it records.
struct Followed {
    /// The configuration in force.
    in_force: watch::Receiver<Arc<Config>>,
    /// The newest snapshot.
    shown: watch::Receiver<Status>,
}

/// The start, from the lock to the first connection attempt.
async fn set_up(
    host: &Host,
    mut stop: StopConditions,
    notifier: &Notifier,
    followed: Followed,
) -> Result<(Supervisor, Arc<Lock>), RecordError> {
    let Host { config, clock, waiting, .. } = host;
    descriptors::raise_limit(config.storage.max_streams);
    if config.private.enabled {
        forbid_core_files();
    }
    let step = |what: &str| {
        let step = format!("{what} {}", config.data_dir.display());
        notifier.status(&format!("starting: {step}"));
        step
    };
    let unopened = IoError::at("open the data directory", &config.data_dir);
    let open = || Disk::open(&config.data_dir).map_err(unopened).map_err(RecordError::Directory);
    let files = Arc::new(waiting.during(step("the data directory"), GRACE, open)?);
    let lock = Arc::new(waiting.during(step("the lock of"), GRACE, || Lock::take(&files, clock.stamp()))?);
    if let Some(listen) = config.http.listen {
        let owner = Arc::new(Owner::from(lock.holder().clone()));
        Server { listen, status: followed.shown, owner, clock: *clock }.spawn().map_err(RecordError::Threads)?;
    }
    let evidence = ListingEvidence::new(known_pairs::kept(host), clock.now());
    let (listing, listed) = watch::channel(evidence.listed());
    let (expires, key_expires) = watch::channel(None);
    stop.others.key_expires = key_expires;
    let disk = (*files).clone();
    let environment = Environment {
        files,
        clock: *clock,
        wall: Wall::machine(),
        boot: Boot::machine(),
        discipline: Discipline::machine(),
        prune_interval: threads::PRUNE_INTERVAL,
        listed,
        pid: std::process::id(),
        seed: rand::random(),
        shutdown: host.signals.shutdown.orderly.clone(),
    };
    let network = |connection: &ConnectionConfig| {
        let tls = tls::client_config(config.tls_roots, connection.tls_ca_file.as_deref())?;
        Ok(Network::new(*clock, tls, &config.proxies))
    };
    let mut is_full = false;
    let Assembled { mut supervisor, mut hosts, healer } = loop {
        let exchange = Exchange::new(config, stop.others.requests.clone());
        let assemble = || assembly::assemble(config, environment.clone(), stop.clone(), &network, exchange);
        match waiting.during(step("what the last process left in"), GRACE, assemble) {
            Err(error) if error.is_passing() => {
                if !std::mem::replace(&mut is_full, true) {
                    tracing::error!(%error, "nothing can be recorded: tried again every second until it can");
                }
                notifier.status(&format!("NOT RECORDING, {error}: tried again every second"));
                clock::sleep_until(Some(clock.now() + NO_ROOM)).await;
            }
            assembled => break assembled?,
        }
    };
    hosts.syncer.watch(lock.clone());
    threads::spawn(hosts).map_err(RecordError::Threads)?;
    supervisor.follow_pairs(follow_pairs(*clock, evidence, listing, followed.in_force, &stop)?);
    if keys::is_asked(config)
        && let Some(sources) = &config.credentials
    {
        let credentials = sources.load().map_err(AssemblyError::Key)?;
        keys::spawn(config, *clock, credentials, expires, stop.others.requests.clone())
            .map_err(RecordError::Threads)?;
    }
    if config.upload.enabled {
        let cancel = host.signals.shutdown.orderly.clone();
        let uploads = stop.others.uploads.clone();
        let uploader = Uploader { config: config.clone(), disk, clock: *clock, uploads, cancel };
        uploader.spawn().map_err(RecordError::Threads)?;
    }
    healer.map(Healer::spawn).transpose().map_err(RecordError::Threads)?;
    #[cfg(feature = "export")]
    if config.export.enabled {
        let shutdown = host.signals.shutdown.orderly.clone();
        super::export::nightly::spawn(config, *clock, shutdown).map_err(RecordError::Threads)?;
    }
    Ok((supervisor, lock))
}

/// Has the list of pairs followed, as the configuration in force needs it.
fn follow_pairs(
    clock: Clock,
    evidence: ListingEvidence,
    listed: watch::Sender<Listed>,
    config: watch::Receiver<Arc<Config>>,
    stop: &StopConditions,
) -> Result<PairsHandle, RecordError> {
    let (look, (objects, fetched)) = (Arc::new(Notify::new()), mpsc::channel(1));
    let requests = stop.others.requests.clone();
    let ports = Ports { listed, config, look: look.clone(), objects, requests, wall: Wall::machine() };
    pairs::spawn(clock, evidence, ports).map_err(RecordError::Threads)?;
    Ok(PairsHandle { look, objects: fetched })
}

/// Forbids core files, and other programs of this user to read the memory: both hold the account's keys, orders and
/// balances.
fn forbid_core_files() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let forbidden = setrlimit(Resource::Core, none).and(set_dumpable_behavior(DumpableBehavior::NotDumpable));
    if let Err(error) = forbidden {
        tracing::warn!(%error, "core files cannot be forbidden; one would hold the account's keys");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{dumpable_behavior, getrlimit};

    #[test]
    fn no_core_file_is_written_and_memory_is_not_readable() {
        forbid_core_files();
        let core = getrlimit(Resource::Core);
        assert_eq!((core.current, core.maximum), (Some(0), Some(0)));
        assert_eq!(dumpable_behavior(), Ok(DumpableBehavior::NotDumpable));
    }
}
