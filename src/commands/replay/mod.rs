//! `replay`: serves a local exchange.

mod follow;
mod tape;

use super::descriptors;
use super::output::complain;
use super::process::serve;
use super::work::StopTerms;
use crate::clock::{Clock, Position};
use crate::config::{KeyError, KeySource, KeySources, Sources};
use crate::exit::Exit;
use crate::reading::times::Time;
use crate::replay::{
    self, Exchange, Habits, Keys, MAX_PAIRS, Market, Plan, Recorded, RecordedError, Reel, SentLog, Server, ServerError,
    Source,
};
use crate::upbit::auth::JwtAlgorithm;
use follow::FollowError;
use std::error::Error;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tape::{RecordingError, TapeRecording};
use tokio_util::sync::CancellationToken;

/// A local exchange: plays a recording, frames or a sample market to WebSocket clients.
#[derive(Clone, clap::Args)]
#[command(after_help = "Example:\n  upbit-recorder replay --listen 127.0.0.1:8080 --from /srv/tape --speed 10")]
pub struct ReplayOptions {
    /// Address and port to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,

    /// Play what was recorded in this data directory, to every client what it subscribes, at the pace at which it came.
    /// Time stands still while nobody is subscribed.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["frames", "rate", "codes", "seed"])]
    from: Option<PathBuf>,

    /// Go on with what is being recorded there, as it is written: one connection to the exchange for a whole desk. Without
    /// --start clients begin with the present, as at the exchange. Who takes it too slowly is cut off.
    #[arg(long, requires = "from")]
    follow: bool,

    /// How much faster than it was: a factor, or `max`, which is as fast as each client takes it.
    #[arg(long, value_name = "FACTOR", default_value = "1", value_parser = Speed::parse, requires = "from")]
    speed: Speed,

    /// Where to begin: a time as for `cat --from`, such as 2026-11-22T05:12:00Z or yesterday. Without it: with the first object.
    #[arg(long, value_name = "TIME", requires = "from", allow_hyphen_values = true)]
    start: Option<Time>,

    /// What a gap of the recording is to clients: nothing comes, or their connection ends and waits for them to come back.
    #[arg(long, value_enum, default_value = "silence", requires = "from")]
    gaps: Gaps,

    /// Play the frames of this file verbatim and in order, to each client once it has subscribed; give it again for further
    /// files. A line is {"frame":"…"}, or one of a recorder's; files that end in .zst are decoded. Without it: the sample
    /// market.
    #[arg(long, value_name = "FILE")]
    frames: Vec<PathBuf>,

    /// Frames per second. Sample market: for a client that subscribes trade, orderbook and ticker of all codes
    /// [default: 100]. With --frames: without it, as fast as the client takes them.
    #[arg(long, value_parser = frames_per_second)]
    rate: Option<f64>,

    /// How many pairs the sample market has, beginning with KRW-BTC, KRW-ETH, KRW-XRP.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=MAX_PAIRS as i64),
          conflicts_with = "frames")]
    codes: u16,

    /// The seed that the sample market's prices, books and trades follow from.
    #[arg(long, default_value_t = 1, conflicts_with = "frames")]
    seed: u64,

    /// Log every frame handed to a socket into this file, which is emptied first.
    #[arg(long, value_name = "FILE")]
    sent: Option<PathBuf>,

    /// Serve wss:// with this certificate chain.
    #[arg(long, value_name = "PEM", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The key of --tls-cert.
    #[arg(long, value_name = "PEM", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// A file with the account's access key. Without this and the next, the keys are those in UPBIT_ACCESS_KEY and
    /// UPBIT_SECRET_KEY; without any keys the private stream refuses everybody.
    #[arg(long, value_name = "FILE", requires = "secret_key_file", conflicts_with = "access_key")]
    access_key_file: Option<PathBuf>,

    /// A file with the account's secret key.
    #[arg(long, value_name = "FILE", requires = "access_key_file", conflicts_with = "secret_key")]
    secret_key_file: Option<PathBuf>,

    /// The access key itself, for tests: whoever lists the processes of this machine (ps) sees it.
    #[arg(long, value_name = "KEY", requires = "secret_key")]
    access_key: Option<String>,

    /// The secret key itself, for tests: ps shows it, too.
    #[arg(long, value_name = "KEY", requires = "access_key")]
    secret_key: Option<String>,

    /// Drop a connection after this long without traffic.
    #[arg(long, value_name = "SECONDS", default_value = "60s", value_parser = seconds)]
    idle: Duration,

    /// The pings of a client do not count as traffic.
    #[arg(long)]
    pings_do_not_count: bool,

    /// Do not limit connects, messages and REST requests.
    #[arg(long)]
    no_limits: bool,

    /// Objects in a frame of the formats JSON_LIST and SIMPLE_LIST, at most.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    list_batch: u16,

    /// Send snapshots as bare objects even in the list formats.
    #[arg(long)]
    bare_snapshots: bool,

    /// Send text frames instead of binary ones.
    #[arg(long)]
    text: bool,

    /// Something that goes wrong, NAME[=VALUE][@AFTER][+FOR], for example drop@5s or silence=KRW-BTC_trade@5s+30s;
    /// give it again for more. Names: refuse hang silence hold flood deny 429 418 slow drop close half garbage huge.
    /// The same is taken, one in a line, by POST /_faults; DELETE /_faults forgets all.
    #[arg(long, value_name = "FAULT")]
    fault: Vec<Plan>,
}

/// How fast a recording is played.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Speed {
    /// So many times as fast as it was.
    Times(f64),
    /// As fast as each client takes it.
    Max,
}

impl Speed {
    /// Up to a day in a tenth of a second, and down to a second in a quarter of an hour.
    fn parse(text: &str) -> Result<Self, String> {
        match text.parse::<f64>() {
            _ if text == "max" => Ok(Self::Max),
            Ok(times) if (0.001..=1e6).contains(&times) => Ok(Self::Times(times)),
            _ => Err("expected `max`, or a factor from 0.001 to 1000000".to_owned()),
        }
    }

    fn times(self) -> Option<f64> {
        match self {
            Self::Times(times) => Some(times),
            Self::Max => None,
        }
    }
}

/// What a gap is to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Gaps {
    /// Nothing comes.
    Silence,
    /// The connection ends.
    Disconnect,
}

/// Why `replay` fails.
#[derive(Debug, thiserror::Error)]
enum ReplayError {
    /// The recorded frames cannot be used.
    #[error(transparent)]
    Recorded(#[from] RecordedError),
    /// The recording cannot be played.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// The recording cannot be followed.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// The account's keys cannot be read.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The server cannot serve.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The log of sent frames cannot be made.
    #[error("cannot create {path}")]
    Sent {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// Standard output is gone.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

impl ReplayError {
    fn exit(&self) -> Exit {
        match self {
            Self::Keys(_) => Exit::Config,
            Self::Recorded(_)
            | Self::Recording(_)
            | Self::Follow(_)
            | Self::Server(_)
            | Self::Sent { .. }
            | Self::Output(_) => Exit::Io,
        }
    }
}

/// Serves until a signal arrives.
pub fn run(sources: Sources, options: ReplayOptions) -> Exit {
    serve(sources, StopTerms::ORDERLY, async move |host| {
        // A stream that is played, or followed, has a file open, and a client a socket.
        descriptors::raise_limit(host.config.storage.max_streams);
        match replay(options, host.clock, host.signals.shutdown.orderly).await {
            Ok(()) => Exit::Success,
            Err(error) => {
                complain(&with_causes(&error));
                error.exit()
            }
        }
    })
}

async fn replay(options: ReplayOptions, clock: Clock, shutdown: CancellationToken) -> Result<(), ReplayError> {
    let source = source(&options, clock, &shutdown)?;
    let mut exchange = Exchange::new(source, habits(&options), keys(&options)?, clock);
    if let Some(path) = options.sent {
        let log = SentLog::create(&path).map_err(|source| ReplayError::Sent { path, source })?;
        exchange = exchange.logging_to(log);
    }
    options.fault.into_iter().for_each(|plan| exchange.plan(plan));
    let tls = match (&options.tls_cert, &options.tls_key) {
        (Some(certificates), Some(key)) => Some(replay::tls_acceptor(certificates, key)?),
        _ => None,
    };
    let server = Server::bind(options.listen, tls, Arc::new(exchange)).await?;
    let mut stdout = io::stdout().lock();
    server
        .url()
        .and_then(|url| writeln!(stdout, "replay: listening on {url}"))
        .and_then(|()| stdout.flush())
        .map_err(ReplayError::Output)?;
    drop(stdout);
    Ok(server.run(shutdown).await?)
}

/// The account's keys: from the command line, files, or the environment.
fn keys(options: &ReplayOptions) -> Result<Option<Keys>, KeyError> {
    if let Some((access, secret)) = options.access_key.as_ref().zip(options.secret_key.as_ref()) {
        return Ok(Some(Keys { access: access.clone(), secret: secret.clone() }));
    }
    let files = options.access_key_file.clone().zip(options.secret_key_file.clone());
    let places = match files.map(|(access, secret)| (KeySource::File(access), KeySource::File(secret))) {
        Some((access_key, secret_key)) => {
            Some(KeySources { access_key, secret_key, jwt_algorithm: JwtAlgorithm::default() })
        }
        None => KeySources::in_environment(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))?,
    };
    let Some(credentials) = places.map(|places| places.load()).transpose()? else { return Ok(None) };
    let [access, secret] = [credentials.access_key, credentials.secret_key].map(|key| key.expose().to_owned());
    Ok(Some(Keys { access, secret }))
}

/// An error and what caused it.
fn with_causes(error: &dyn Error) -> String {
    let (mut texts, mut cause) = (vec![error.to_string()], error.source());
    while let Some(error) = cause {
        texts.push(error.to_string());
        cause = error.source();
    }
    // An error may have its cause in its own words.
    texts.dedup_by(|cause, error| error.ends_with(&**cause));
    texts.join(": ")
}

fn source(options: &ReplayOptions, clock: Clock, shutdown: &CancellationToken) -> Result<Source, ReplayError> {
    if let Some(directory) = &options.from {
        let recording = TapeRecording::open(directory, clock.stamp(), options.follow)?;
        let tape = recording.tape();
        let start = options.start.map(|time| Position { epoch: 0, stamp: time.stamp(clock.stamp()) });
        let cuts = options.gaps == Gaps::Disconnect;
        let mut reel = Reel::new(Box::new(recording), start, options.speed.times(), cuts);
        if options.follow {
            let live = follow::begin(directory.clone(), tape, clock, shutdown.clone())?;
            reel = reel.going_on(live, options.start.is_none());
        }
        return Ok(Source::Reel(Arc::new(reel)));
    }
    if options.frames.is_empty() {
        let opened = clock.stamp().as_micros() / 1_000;
        let market = Market::new(usize::from(options.codes), options.rate.unwrap_or(100.0), options.seed, opened);
        return Ok(Source::Market(Arc::new(market)));
    }
    Ok(Source::Recorded { frames: Recorded::read(&options.frames)?, rate: options.rate })
}

fn habits(options: &ReplayOptions) -> Habits {
    Habits {
        idle: options.idle,
        ping_counts: !options.pings_do_not_count,
        limits: !options.no_limits,
        list_batch: usize::from(options.list_batch),
        bare_snapshots: options.bare_snapshots,
        text: options.text,
    }
}

/// Whole seconds, with or without the unit.
fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.strip_suffix('s').unwrap_or(text).parse();
    number.map(Duration::from_secs).map_err(|_| "expected a number of seconds such as 60s".to_owned())
}

/// A rate that a loopback connection can carry; the slowest is a frame in about three hours.
fn frames_per_second(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "expected a number of frames per second".to_owned())?;
    if (0.000_1..=1e6).contains(&rate) { Ok(rate) } else { Err("expected 0.0001 to 1000000".to_owned()) }
}
