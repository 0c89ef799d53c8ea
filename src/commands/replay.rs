//! `replay`: serves a local exchange.

use crate::clock::Clock;
use crate::replay::{self, MAX_PAIRS, Market, Recorded, RecordedError, SentLog, Server, ServerError, Service, Source};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// A local exchange: plays recorded frames or a sample market to WebSocket clients.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Example:\n  upbit-recorder replay --listen 127.0.0.1:8080 --codes 20 --rate 500 --sent sent.jsonl"
)]
pub struct Args {
    /// Address and port to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,

    /// Play the frames of this file (lines like {"frame":"…"}), verbatim and in order, to each client once it has
    /// subscribed; give it again for further files. Without it: the sample market.
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
}

/// Why `replay` cannot do its work.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The recorded frames cannot be used.
    #[error(transparent)]
    Recorded(#[from] RecordedError),
    /// The server cannot serve.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The log of sent frames cannot be made.
    #[error("cannot create {path}")]
    Sent {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Standard output is gone.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

/// Serves until `shutdown`.
pub async fn run(args: Args, shutdown: CancellationToken) -> Result<(), ReplayError> {
    let clock = Clock::start();
    let source = source(&args, &clock)?;
    let log = match args.sent {
        None => SentLog::default(),
        Some(path) => SentLog::create(&path).map_err(|source| ReplayError::Sent { path, source })?,
    };
    let tls = match (&args.tls_cert, &args.tls_key) {
        (Some(certificates), Some(key)) => Some(replay::tls_acceptor(certificates, key)?),
        _ => None,
    };
    let server = Server::bind(args.listen, tls, Service { source, log, clock }).await?;
    let mut stdout = io::stdout().lock();
    server
        .url()
        .and_then(|url| writeln!(stdout, "replay: listening on {url}"))
        .and_then(|()| stdout.flush())
        .map_err(ReplayError::Output)?;
    drop(stdout);
    Ok(server.run(shutdown).await?)
}

fn source(args: &Args, clock: &Clock) -> Result<Source, RecordedError> {
    if args.frames.is_empty() {
        let opened = clock.stamp().as_micros() / 1_000;
        let market = Market::new(usize::from(args.codes), args.rate.unwrap_or(100.0), args.seed, opened);
        return Ok(Source::Market(Arc::new(market)));
    }
    Ok(Source::Recorded { frames: Recorded::read(&args.frames)?, rate: args.rate })
}

/// A rate that a loopback connection can carry; the slowest is a frame in about three hours.
fn frames_per_second(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "expected a number of frames per second".to_owned())?;
    if (0.000_1..=1e6).contains(&rate) { Ok(rate) } else { Err("expected 0.0001 to 1000000".to_owned()) }
}
