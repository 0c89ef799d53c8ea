//! Assembles a recorder: from the recovery of the data directory to the first connection attempt.
//!
//! ```text
//! recover ──▶ router, gap tracker, stamper ──▶ hosts of the disk ──▶ supervisor ──▶ connections ──▶ healer
//! ```
//!
//! Disk, network, time and randomness are injected, so that `record` and the simulated world of the tests run the same
//! recorder. It holds no lock and starts neither thread nor task: the caller does.

use crate::clock::discipline::Discipline;
use crate::clock::{Boot, Clock, Instant, Stamper, Wall};
use crate::config::{Config, ConnectionConfig, KeyError, KeySources};
use crate::connection::actor::{Actor, Wiring};
use crate::connection::session::{ConnectBudget, Settings};
use crate::daemon::gaps::GapTracker;
use crate::daemon::supervisor::{Clocks, Others, SequencerSetup, Setup, Supervisor};
use crate::desired::{Listed, Wanted};
use crate::files::Files;
use crate::history::healing::{self, Fetch, Healer};
use crate::net::Dial;
use crate::net::tls::TlsSetupError;
use crate::ops::status::{About, Limit, Limits, Status};
use crate::recording::mend::Mended;
use crate::recording::retention::plan::KeepLimits;
use crate::recording::rotation::Rotation;
use crate::recording::router::Router;
use crate::recording::seal::Provenance;
use crate::recording::start::{self, StartError, Started, Terms};
use crate::recording::threads::{self, Hosts, RetentionSettings, Storage};
use crate::tape::event::{ClockHealth, Event, Start};
use crate::tape::manifest::TornLine;
use crate::tape::segment_name::date;
use crate::tape::state::OpenGap;
use crate::upbit::auth::Credentials;
use crate::upbit::feed::{Feed, PerFeed};
use crate::upbit::limits::{CONNECTS_PER_SECOND, MESSAGES_PER_SECOND, REST_PER_SECOND};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

/// The environment of a recorder: disk, time, randomness.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The files of the data directory.
    pub files: Arc<dyn Files>,
    /// The clock that makes the stamps.
    pub clock: Clock,
    /// The wall clock that the clock is compared with while the recorder runs.
    pub wall: Wall,
    /// Reads the total length of the machine's suspensions.
    pub boot: Boot,
    /// Tells whether the wall clock is synchronised.
    pub discipline: Discipline,
    /// The interval in which old files are looked for.
    pub prune_interval: Duration,
    /// The exchange's list of pairs, by which patterns are resolved.
    pub listed: watch::Receiver<Listed>,
    /// The process id, for the `started` event.
    pub pid: u32,
    /// Feeds jitter, tickets and nonces; must differ between processes.
    pub seed: u64,
    /// Cancelled to stop the recorder.
    pub shutdown: CancellationToken,
}

/// When a recorder stops by itself, and the channel of its status.
#[derive(Clone, Debug)]
pub struct StopConditions {
    /// When to stop without a signal.
    pub run_until: Option<Instant>,
    /// The channel of the status.
    pub status: watch::Sender<Status>,
    /// What is shown with it.
    pub others: Others,
}

/// A recorder, of which nothing runs yet.
pub struct Assembled<F> {
    /// Stamps and sequences everything; has the connections.
    pub supervisor: Supervisor,
    /// The hosts of its disk.
    pub hosts: Hosts,
    /// Fetches what is missed in gaps, where the configuration wants it.
    pub healer: Option<Healer<F>>,
}

/// Why a recorder could not be assembled.
#[derive(Debug, thiserror::Error)]
pub enum AssemblyError {
    /// The data directory cannot be recorded into.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The network cannot be used as configured.
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
    /// The account's keys cannot be read.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl AssemblyError {
    /// Whether waiting can help, without maintenance of the disk.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Start(StartError::Io(error)) if error.is_passing())
    }
}

/// Assembles a recorder, which the caller has to run. `network` makes the route of one connection at a time; `exchange`
/// has the history by which gaps are healed.
///
/// # Errors
///
/// Nothing was recorded, and nothing has to be undone.
pub fn assemble<D: Dial, F: Fetch>(
    config: &Config,
    environment: Environment,
    stop: StopConditions,
    network: &dyn Fn(&ConnectionConfig) -> Result<D, TlsSetupError>,
    exchange: F,
) -> Result<Assembled<F>, AssemblyError> {
    let clock = environment.clock;
    // First, since nothing may fail behind the start: its findings are recorded only by the events of this process.
    let routes = routes(config, network)?;
    let rotation = Rotation { interval: config.storage.rotate_interval, bytes: config.storage.rotate_bytes };
    let wanted = PerFeed::from_fn(|feed| config.enabled().any(|(enabled, _)| enabled == feed));
    let venue = config.venue();
    let terms = Terms { venue: &venue, wanted, rotation, directory: &config.data_dir, now: clock.stamp() };
    let Started { state, reason, last, has_begun, mended, checkpoint } =
        start::start(environment.files.clone(), &terms)?;
    report(&mended, &config.data_dir);

    let mut stamper = Stamper::after(last);
    let run = stamper.raise(if has_begun { clock.stamp() } else { last.next() });
    let mut router = Router::new(config.storage.max_streams);
    for segment in &mended.resumable {
        router.register(segment.name().feed, segment.name().stream.clone());
    }
    let mut gaps = GapTracker::new(state.epoch);
    for (feed, _) in config.enabled() {
        if let Some(OpenGap { from, kind, cause }) = &state.feeds[feed].open {
            gaps.open(feed, *from, *kind, cause);
        }
    }
    let epoch = state.epoch;
    let about = About {
        pid: environment.pid,
        run,
        venue: venue.clone(),
        min_free_bytes: config.storage.min_free_bytes,
        limits: limits(config),
    };
    let provenance = Provenance { run, venue };
    let retention = retention(config, &environment);
    let zstd_level = config.storage.zstd_level;
    let settings = threads::Settings { rotation, zstd_level, retention, provenance, epoch, clock };
    let waiting = mended.backlog.iter().map(|finished| date(finished.name.first)).collect();
    let Mended { resumable, backlog, torn, quarantined, .. } = mended;
    let storage = Storage { files: environment.files.clone(), resumable, backlog, checkpoint };
    let (threads, hosts) = threads::prepare(&settings, storage);
    let StopConditions { run_until, status, others } = stop;
    let mut supervisor = Supervisor::new(Setup {
        clocks: Clocks {
            clock,
            wall: environment.wall.clone(),
            boot: environment.boot.clone(),
            discipline: environment.discipline.clone(),
        },
        listed: environment.listed.clone(),
        threads,
        status,
        others,
        sequencer: SequencerSetup {
            about,
            state,
            waiting,
            listed: environment.listed.borrow().clone(),
            stamper,
            router,
            gaps,
            rotation,
            sync_interval: config.storage.sync_interval,
            run_until,
        },
    });
    let names = config.enabled().map(|(feed, _)| feed).collect();
    let sequencer = &mut supervisor.sequencer;
    let health = ClockHealth::from(&environment.discipline.read());
    let (pid, venue) = (environment.pid, config.venue());
    let start = Start { pid, venue, connections: names, epoch, reason, clock: health };
    sequencer.event_at(run, &Event::started(start));
    torn.into_iter().for_each(|torn| sequencer.event(&Event::from(torn)));
    quarantined.into_iter().for_each(|moved| sequencer.event(&Event::from(moved)));
    connect(&mut supervisor, config, &environment, routes);
    supervisor.sequencer.tell_decided();
    let healer = healing::is_wanted(config).then(|| {
        let (handle, ports) = healing::connect(clock);
        Healer::new(config, environment.files, exchange, ports, supervisor.heal_with(handle))
    });
    Ok(Assembled { supervisor, hosts, healer })
}

/// What may be sent in a second, by the lower limit of both connections.
fn limits(config: &Config) -> Limits {
    let least = |of: fn(&ConnectionConfig) -> u32| config.enabled().map(|(_, connection)| of(connection)).min();
    let limit = |configured, exchange| Limit { configured, exchange };
    let connects = least(|connection| connection.connects_per_second).unwrap_or(CONNECTS_PER_SECOND);
    let messages = least(|connection| connection.messages_per_second).unwrap_or(MESSAGES_PER_SECOND);
    Limits {
        rest: limit(config.rest.requests_per_second, REST_PER_SECOND),
        connects: limit(connects, CONNECTS_PER_SECOND),
        messages: limit(messages, MESSAGES_PER_SECOND),
    }
}

fn retention(config: &Config, environment: &Environment) -> RetentionSettings {
    let storage = &config.storage;
    RetentionSettings {
        limits: KeepLimits { keep_for: storage.keep_for, keep_bytes: storage.keep_bytes },
        uploaded_to: config.uploaded_to(),
        min_free_bytes: storage.min_free_bytes,
        interval: environment.prune_interval,
        discipline: environment.discipline.clone(),
    }
}

/// A connection with its route to the exchange and its keys.
struct Route<'a, D> {
    feed: Feed,
    connection: &'a ConnectionConfig,
    dial: D,
    credentials: Option<Credentials>,
}

fn routes<'a, D: Dial>(
    config: &'a Config,
    network: &dyn Fn(&ConnectionConfig) -> Result<D, TlsSetupError>,
) -> Result<Vec<Route<'a, D>>, AssemblyError> {
    let route = |(feed, connection)| {
        let keys = config.credentials.as_ref().filter(|_| feed == Feed::Private);
        Ok(Route { feed, connection, dial: network(connection)?, credentials: keys.map(KeySources::load).transpose()? })
    };
    config.enabled().map(route).collect()
}

fn connect<D: Dial>(
    supervisor: &mut Supervisor,
    config: &Config,
    environment: &Environment,
    routes: Vec<Route<'_, D>>,
) {
    let clock = environment.clock;
    // Both limits apply to the address, since it makes all connects: the lower one holds.
    let per_second = routes.iter().map(|route| route.connection.connects_per_second).min().unwrap_or(1);
    let connects = Arc::new(ConnectBudget::new(per_second, clock.now()));
    for Route { feed, connection, dial, credentials } in routes {
        let wiring = |inbox, requests| Wiring {
            inbox,
            room: Arc::new(Semaphore::new(config.storage.buffer_bytes)),
            requests,
            shutdown: environment.shutdown.clone(),
            clock,
            boot: environment.boot.clone(),
            connects: connects.clone(),
            seed: environment.seed.wrapping_add(feed as u64),
            dial,
        };
        let settings = Settings { feed, config: connection.clone(), credentials };
        let wanted = Wanted::of(connection);
        supervisor.own(feed, wanted, |inbox, requests| Actor::new(settings, wiring(inbox, requests)).run());
    }
}

/// Logs what was found.
fn report(mended: &Mended, data_dir: &Path) {
    let data_dir = data_dir.display();
    for torn in &mended.torn {
        let (file, TornLine { offset, length, .. }) = (torn.file.display(), &torn.line);
        tracing::warn!(%file, offset, length, "ended a line that was torn when the last process died");
    }
    if !mended.foreign.is_empty() {
        let files: Vec<_> = mended.foreign.iter().map(|path| path.display().to_string()).collect();
        tracing::warn!(%data_dir, ?files, "not ours: these are left alone");
    }
    tracing::info!(
        %data_dir,
        continued = mended.resumable.len(),
        to_seal = mended.backlog.len(),
        "recording into this directory"
    );
}
