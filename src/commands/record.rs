//! `record`: the daemon. Gives the recorder this machine's disk, network and signals, lets it work, and says how it ended.

use super::{GRACE, Host};
use crate::clock::{Boot, Clock, Instant, Wall};
use crate::config::{Config, ConnectionConfig};
use crate::daemon::assembly::{self, AssemblyError, Ending, Place};
use crate::daemon::supervisor::{Failure, Supervisor};
use crate::exit::Exit;
use crate::files::IoError;
use crate::files::disk::Disk;
use crate::history::healing::{self, Healer};
use crate::logging::Screen;
use crate::net::network::Network;
use crate::net::tls;
use crate::ops::status::{Display, Status};
use crate::quantity::parse_duration;
use crate::recording::lock::{Lock, LockError};
use crate::recording::threads;
use crate::rest::codes::{self, VenueError};
use crate::rest::pairs;
use crate::rest::pairs::evidence::ListingEvidence;
use crate::signals::Signals;
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

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
pub async fn run(config: &Config, options: &Options, signals: Signals, host: &Host) -> Exit {
    let clock = Clock::start();
    let run_until = options.run_for.map(|length| clock.now() + length);
    let (status, shown) = watch::channel(Status::default());
    let now = signals.shutdown.now.clone();
    let recording = async {
        codes::check_venues(config)?;
        let (supervisor, _lock) = set_up(config, (clock, host), run_until, status, &signals)?;
        Ok(supervisor.run(signals.shutdown.orderly, signals.requests).await?)
    };
    let screen = host.screen.clone();
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
    #[error(transparent)]
    Directory(IoError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Venue(#[from] VenueError),
    #[error("cannot start the writing threads: {0}")]
    Threads(io::Error),
    #[error(transparent)]
    Assembly(#[from] AssemblyError),
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl RecordError {
    fn exit(&self) -> Exit {
        match self {
            Self::Lock(LockError::Held { .. }) => Exit::Locked,
            Self::Venue(_) | Self::Assembly(AssemblyError::Tls(_) | AssemblyError::Key(_)) => Exit::Config,
            Self::Failed(Failure::Unavailable(_)) => Exit::Unavailable,
            Self::Assembly(AssemblyError::Recovery(_)) => Exit::Io,
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

/// Everything from the lock to the first attempt to connect.
fn set_up(
    config: &Config,
    (clock, host): (Clock, &Host),
    run_until: Option<Instant>,
    status: watch::Sender<Status>,
    signals: &Signals,
) -> Result<(Supervisor, Arc<Lock>), RecordError> {
    if config.storage.keep_for.is_some() || config.storage.keep_bytes.is_some() {
        tracing::warn!("storage.keep_for and storage.keep_bytes are not in force in this version: every file is kept");
    }
    raise_descriptor_limit(config.storage.max_streams);
    if config.private.enabled {
        forbid_core_files();
    }
    let step = |what: &str| format!("{what} {}", config.data_dir.display());
    let wait = &host.waiting;
    let unopened = IoError::at("open the data directory", &config.data_dir);
    let open = || Disk::open(&config.data_dir).map_err(unopened).map_err(RecordError::Directory);
    let files = Arc::new(wait.during(step("the data directory"), GRACE, open)?);
    let lock = Arc::new(wait.during(step("the lock of"), GRACE, || Lock::take(&files, clock.stamp()))?);
    let shutdown = signals.shutdown.orderly.clone();
    let is_needed = codes::has_patterns(config);
    let kept = super::kept_pairs(config, host);
    let evidence = ListingEvidence::new(kept, clock.now());
    let (listing, listed) = watch::channel(evidence.listed());
    let (wall, boot) = (Wall::machine(), Boot::machine());
    let (pid, seed) = (std::process::id(), rand::random());
    let place = Place { files: files.clone(), clock, wall, boot, listed, pid, seed, shutdown };
    let network = |connection: &ConnectionConfig| {
        let tls = tls::client_config(connection.tls_ca_file.as_deref())?;
        Ok(Network::new(clock, tls, &config.proxies))
    };
    let ending = Ending { run_until, status };
    let assemble = || assembly::assemble(config, place, ending, &network);
    let (mut supervisor, mut hosts) = wait.during(step("what the last process left in"), GRACE, assemble)?;
    hosts.syncer.watch(lock.clone());
    threads::spawn(hosts).map_err(RecordError::Threads)?;
    if is_needed || codes::is_checkable(config) {
        pairs::spawn(config, clock, evidence, listing, is_needed).map_err(RecordError::Threads)?;
    }
    if healing::is_wanted(config) {
        let (handle, ports) = healing::connect(clock);
        let healer = Healer::new(config, files, ports, supervisor.heal_with(handle));
        healer.spawn().map_err(RecordError::Threads)?;
    }
    Ok((supervisor, lock))
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

/// A core file would hold the account's keys, orders and balances: none is written, whoever collects them, and no other
/// program of this user may look into the memory.
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
    use rustix::process::dumpable_behavior;

    #[test]
    fn no_core_file_is_written_and_nobody_may_look_in() {
        forbid_core_files();
        let core = getrlimit(Resource::Core);
        assert_eq!((core.current, core.maximum), (Some(0), Some(0)));
        assert_eq!(dumpable_behavior(), Ok(DumpableBehavior::NotDumpable));
    }
}
