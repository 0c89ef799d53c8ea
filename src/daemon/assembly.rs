//! Assembles a recorder: from the recovery of the data directory to the first connection attempt.
//!
//! ```text
//! recover ──▶ router, gap tracker, stamper ──▶ hosts of the disk ──▶ supervisor ──▶ connections
//! ```
//!
//! Disk, network, time and randomness are injected, so that `record` and the simulated world of the tests run the same
//! recorder. It holds no lock and starts neither thread nor task: the caller does.

use crate::clock::{Boot, Clock, Instant, Position, Stamp, Stamper, Wall};
use crate::config::{Config, ConnectionConfig, KeyError, KeySources};
use crate::connection::actor::{Actor, Wiring};
use crate::connection::session::{ConnectBudget, Settings};
use crate::daemon::gaps::{self, GapTracker};
use crate::daemon::supervisor::{Clocks, SequencerSetup, Setup, Supervisor};
use crate::desired::{Listed, Wanted};
use crate::files::{Files, IoError};
use crate::net::Dial;
use crate::net::tls::TlsSetupError;
use crate::ops::status::Status;
use crate::recording::mark;
use crate::recording::recovery::history::End;
use crate::recording::recovery::{Recovered, recover};
use crate::recording::rotation::Rotation;
use crate::recording::router::Router;
use crate::recording::seal::Provenance;
use crate::recording::threads::{self, Hosts, Storage};
use crate::tape::durable::DurableMark;
use crate::tape::event::Event;
use crate::tape::gap::{Gap, GapKind};
use crate::tape::manifest::TornLine;
use crate::tape::words::RotationReason;
use crate::upbit::auth::Credentials;
use crate::upbit::feed::Feed;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

/// The environment of a recorder: disk, time, randomness.
#[derive(Debug)]
pub struct Environment {
    /// The files of the data directory.
    pub files: Arc<dyn Files>,
    /// The clock that makes the stamps.
    pub clock: Clock,
    /// The wall clock that the clock is compared with while the recorder runs.
    pub wall: Wall,
    /// Reads the total length of the machine's suspensions.
    pub boot: Boot,
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
#[derive(Debug)]
pub struct StopConditions {
    /// When to stop without a signal.
    pub run_until: Option<Instant>,
    /// The channel of the status.
    pub status: watch::Sender<Status>,
}

/// Why a recorder could not be assembled.
#[derive(Debug, thiserror::Error)]
pub enum AssemblyError {
    /// The data directory could not be read or recovered.
    #[error("cannot put the data directory in order: {0}")]
    Recovery(#[from] IoError),
    /// The network cannot be used as configured.
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
    /// The account's keys cannot be read.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Assembles a recorder: its supervisor, with the connections, and the hosts of its disk, which the caller has to run.
/// `network` makes the route of one connection at a time.
///
/// # Errors
///
/// Nothing was recorded, and nothing has to be undone.
pub fn assemble<D: Dial>(
    config: &Config,
    environment: Environment,
    stop: StopConditions,
    network: &dyn Fn(&ConnectionConfig) -> Result<D, TlsSetupError>,
) -> Result<(Supervisor, Hosts), AssemblyError> {
    let clock = environment.clock;
    // First, since nothing may fail behind recovery: its findings are recorded only by the events of this start.
    let routes = routes(config, network)?;
    let rotation = Rotation { interval: config.storage.rotate_interval, bytes: config.storage.rotate_bytes };
    let recovered = recover(&*environment.files, rotation, clock.stamp())?;
    report(&recovered, &config.data_dir);

    let now = clock.stamp();
    // Where stamps are ahead of the clock, they continue from the clock instead of staying ahead for ever.
    let before = if recovered.goes_back { now.previous() } else { recovered.last.unwrap_or_default() };
    let mut stamper = Stamper::after(before);
    let step = recovered.goes_back.then(|| stamper.raise(now));
    let run = stamper.raise(now);
    let mut router = Router::new(config.storage.max_streams);
    for segment in &recovered.resumable {
        router.register(segment.name().feed, segment.name().stream.clone());
    }
    let connections = enabled(config);
    let (tracker, missing_since) = open_gaps(&connections, &recovered, run);
    let ended = ended_gaps(&connections, &recovered);
    write_mark(&*environment.files, &recovered, run);
    let epoch = recovered.epoch;
    let provenance = Provenance { run, venue: config.venue() };
    let settings = threads::Settings { rotation, zstd_level: config.storage.zstd_level, provenance, epoch, clock };
    let (backlog, ended_segments) = (recovered.backlog.len(), ended_segments(&recovered));
    let ground =
        Storage { files: environment.files.clone(), resumable: recovered.resumable, backlog: recovered.backlog };
    let (threads, hosts) = threads::prepare(&settings, ground);
    let StopConditions { run_until, status } = stop;
    let mut supervisor = Supervisor::new(Setup {
        clocks: Clocks { clock, wall: environment.wall.clone(), boot: environment.boot.clone() },
        listed: environment.listed.clone(),
        threads,
        status,
        sequencer: SequencerSetup {
            epoch,
            stamper,
            router,
            gaps: tracker,
            backlog,
            sync_interval: config.storage.sync_interval,
            min_free_bytes: config.storage.min_free_bytes,
            run_until,
        },
    });
    if let (Some(after), Some(before)) = (step, recovered.last) {
        // If this process dies before they are on record, the next one records them.
        let untold = ended.iter().filter(|gap| gap.only.is_none() && gap.to == before);
        let missing_since = untold.map(|gap| (gap.connection, gap.from)).collect();
        supervisor.sequencer.event_at(after, &Event::ClockStep { before, after, epoch, missing_since });
    }
    let names = connections.iter().map(|(id, _)| *id).collect();
    let started = Event::started(environment.pid, config.venue(), names, epoch, missing_since);
    supervisor.sequencer.event_at(run, &started);
    for (epoch, segments) in ended_segments {
        let reason = RotationReason::Recovered.into();
        supervisor.sequencer.event(&Event::Rotated { reason, segments, epoch: Some(epoch) });
    }
    recovered.torn.into_iter().for_each(|torn| supervisor.sequencer.event(&Event::from(torn)));
    recovered.quarantined.into_iter().for_each(|moved| supervisor.sequencer.event(&Event::from(moved)));
    connect(&mut supervisor, config, &environment, routes);
    supervisor.sequencer.record_gaps(ended);
    Ok((supervisor, hosts))
}

/// The enabled connections.
fn enabled(config: &Config) -> Vec<(Feed, &ConnectionConfig)> {
    let all = [(Feed::Public, &config.public), (Feed::Private, &config.private)];
    all.into_iter().filter(|(_, connection)| connection.enabled).collect()
}

/// The reason for the gap between the previous process and this one.
fn reason(recovered: &Recovered) -> (GapKind, &'static str) {
    match recovered.history.end {
        End::Stopped(_) if recovered.is_clean => (GapKind::Stopped, "the recorder had been stopped"),
        End::Stopped(_) => (GapKind::Unsure, "the recorder had been stopped before its last sync ended"),
        End::SyncFailed(_) => (GapKind::Unsure, "a sync had failed"),
        End::Died => (GapKind::Killed, "the recorder had died"),
    }
}

/// The gaps between the previous process and the first data, and where each begins, for the record: if this process
/// dies before one is closed, the next one reopens it.
fn open_gaps(
    connections: &[(Feed, &ConnectionConfig)],
    recovered: &Recovered,
    run: Stamp,
) -> (GapTracker, BTreeMap<Feed, Stamp>) {
    let (mut tracker, mut since) = (GapTracker::new(recovered.epoch), BTreeMap::new());
    let (kind, cause) = reason(recovered);
    for (id, _) in connections {
        let (from, kind, cause) = match recovered.reached[*id] {
            None => (run, GapKind::Disconnected, "the first start"),
            // The time before the step has a gap of its own.
            Some(_) if recovered.goes_back => (run, kind, cause),
            Some(reached) => (reached, kind, cause),
        };
        tracker.open(*id, from, kind, cause);
        since.insert(*id, from);
    }
    (tracker, since)
}

/// The gaps that were open in the previous process and ended with it: those of suspected streams, all of them where its
/// epoch ended, too, and those of that epoch that are not on record yet.
fn ended_gaps(connections: &[(Feed, &ConnectionConfig)], recovered: &Recovered) -> Vec<Gap> {
    let (kind, cause) = reason(recovered);
    let epoch = recovered.epoch - u64::from(recovered.goes_back);
    let mut ended = Vec::new();
    for (id, _) in connections {
        let Some(reached) = recovered.reached[*id] else { continue };
        ended.extend(gaps::suspicions(*id, recovered.history.suspected[*id].clone(), Position { epoch, stamp: reached }));
        let rest = recovered.last.filter(|last| recovered.goes_back && reached < *last);
        let gap = |epoch, from, to, kind, cause: &str| {
            Gap { connection: *id, epoch, from, to, kind, cause: cause.to_owned(), only: None }
        };
        let (untold, older) =
            (recovered.history.untold.iter().filter(|untold| untold.feed == *id), epoch.saturating_sub(1));
        let died = |from, to| gap(older, from, to, GapKind::Killed, "the recorder had died");
        ended.extend(untold.map(|untold| died(untold.from, untold.to)));
        ended.extend(rest.map(|to| gap(epoch, reached, to, kind, cause)));
    }
    ended
}

/// The segments ended by this start, by epoch. If this process dies before they are sealed, nothing else on disk holds
/// their epoch.
fn ended_segments(recovered: &Recovered) -> BTreeMap<u64, Vec<String>> {
    let mut ended: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for (epoch, name) in &recovered.set_aside {
        ended.entry(*epoch).or_default().push(name.clone());
    }
    for segment in &recovered.backlog {
        let name = segment.name.plain_name();
        if recovered.history.ended_in(&name).is_none() {
            ended.entry(segment.name.epoch).or_default().push(name);
        }
    }
    ended
}

/// After an orderly stop, or in an empty directory, everything is durable; otherwise the durable mark stays until the
/// gap is on record.
fn write_mark(files: &dyn Files, recovered: &Recovered, run: Stamp) {
    if recovered.is_clean || recovered.last.is_none() {
        let certain = DurableMark { durable: run.previous(), epoch: recovered.epoch };
        if let Err(error) = mark::write(files, certain) {
            tracing::warn!(%error, "the gap after a crash would begin earlier than it has to");
        }
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
    enabled(config).into_iter().map(route).collect()
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

/// Logs the findings of recovery.
fn report(recovered: &Recovered, data_dir: &Path) {
    let data_dir = data_dir.display();
    for torn in &recovered.torn {
        let (file, TornLine { offset, length, .. }) = (torn.file.display(), &torn.line);
        tracing::warn!(%file, offset, length, "ended a line that was torn when the last process died");
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
