//! `audit`: compares a day of recorded and healed trades with the exchange's own candles.

mod text;

use super::output::{Form, print};
use super::pairs::select_of_all;
use super::process::{Host, serve_and_ask};
use super::progress;
use super::work::StopTerms;
use crate::clock::Clock;
use crate::config::{Config, Sources};
use crate::exit::Exit;
use crate::files::IoError;
use crate::files::disk::Disk;
use crate::files::open::Access;
use crate::history::audit::{AuditError, Auditor, Certificate, Day, Gaps, Totals};
use crate::history::backfill::{self, BackfillError, Fetched, Progress, Summary, Wanted};
use crate::history::span::Span;
use crate::rest;
use crate::rest::codes::RestUse;
use crate::tape::certificate::Unaudited;
use crate::tape::reader::{Tape, TapeError};
use crate::tape::stream_key::StreamKey;
use crate::upbit::series::Series;
use clap::Args;
use jiff::civil::Date;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use text::AuditReport;
use tokio_util::sync::CancellationToken;

/// What to audit.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example:\n  upbit-recorder audit --date 2026-11-22 --markets 'KRW-*'")]
pub struct AuditOptions {
    /// The day, UTC. Of one that is not over, the minutes that are.
    #[arg(long, value_name = "YYYY-MM-DD")]
    date: Date,

    /// Pairs, with commas between them, or patterns: 'KRW-*', '!KRW-DOGE'. Without it: all whose trades are on the tape.
    #[arg(long, value_name = "CODE,…", value_delimiter = ',')]
    markets: Vec<String>,

    /// Prints the certificate: one JSON object.
    #[arg(long)]
    json: bool,
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The day has not begun.
    #[error("not a minute of {0} is over yet")]
    TooEarly(Date),
    /// No recorded pair is selected.
    #[error("there are no trades of these pairs to audit")]
    Nothing,
    /// Lines of all pairs were deleted. An audit of before that must not be replaced.
    #[error("trades of all these pairs on {0} were deleted by the retention: there is nothing left to audit")]
    Pruned(Date),
    /// The exchange returns complete candles for none of the pairs.
    #[error("none of these pairs can be audited; of the first: {reason}")]
    NoCandles {
        /// The reason for the first pair.
        reason: String,
        /// How the fetch ended.
        exit: Exit,
    },
    /// The candles cannot be fetched or written.
    #[error(transparent)]
    Candles(#[from] BackfillError),
    /// The tape cannot be read.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The certificate cannot be written.
    #[error(transparent)]
    Certificate(#[from] IoError),
    /// Stopped by a signal.
    #[error("stopped before there was a verdict")]
    Stopped,
}

impl From<TapeError> for Failure {
    fn from(error: TapeError) -> Self {
        Self::Audit(error.into())
    }
}

impl Failure {
    fn exit(&self) -> Exit {
        match self {
            Self::TooEarly(_) => Exit::Usage,
            Self::Candles(error) => error.exit(),
            Self::NoCandles { exit, .. } => *exit,
            Self::Audit(_) | Self::Certificate(_) => Exit::Io,
            // No verdict must not pass as success.
            Self::Nothing | Self::Pruned(_) | Self::Stopped => Exit::Wrong,
        }
    }
}

/// A day that was audited.
#[derive(Debug)]
pub struct Audited {
    report: AuditReport,
    /// The findings, summed over all streams.
    pub totals: Totals,
    /// The path of the certificate, including the data directory.
    pub certificate: PathBuf,
}

/// Audits, and prints the result.
pub fn run(sources: Sources, options: AuditOptions) -> Exit {
    let terms = StopTerms { unfinished: Exit::Wrong, ..StopTerms::ORDERLY };
    serve_and_ask(sources, terms, RestUse::Always, async move |host| audit_and_print(&host, &options).await)
}

async fn audit_and_print(host: &Host, options: &AuditOptions) -> Exit {
    let shutdown = &host.signals.shutdown;
    let mut show = progress::show(host);
    let audited = audit(&host.config, options, host.clock, &shutdown.orderly, &mut show);
    let audited = shutdown.now.run_until_cancelled(audited).await.unwrap_or(Err(Failure::Stopped));
    host.screen.clear();
    match audited {
        Ok(Audited { report, totals, certificate }) => print(Form::text_or_verbatim(options.json), |out| {
            match options.json {
                true => drop(io::copy(&mut open(&host.config, &certificate)?, out)?),
                false => report.write(out, &totals, &certificate)?,
            }
            Ok(if totals.is_exact() { Exit::Success } else { Exit::Wrong })
        }),
        Err(error) => {
            tracing::error!("{error}");
            error.exit()
        }
    }
}

/// Audits by `clock`, until `shutdown`. Missing candles are fetched; `show` receives the progress.
///
/// # Errors
///
/// There is no verdict.
pub async fn audit(
    config: &Config,
    options: &AuditOptions,
    clock: Clock,
    shutdown: &CancellationToken,
    show: &mut dyn FnMut(&Progress),
) -> Result<Audited, Failure> {
    let data_dir = &config.data_dir;
    let day = Day::settled(options.date, clock.stamp().as_millis()).ok_or(Failure::TooEarly(options.date))?;
    let tape = Tape::new(Disk::readable(data_dir).map_err(TapeError::from)?, data_dir);
    let streams = streams(&tape, options)?;
    let fetch = async |wanted: &Wanted| backfill::fetch(config, wanted, clock, shutdown, show).await;
    let Candles { found, unaudited } = candles(data_dir, &streams, &day, fetch).await?;
    let gaps = Gaps::read(&tape, &day, &streams)?;
    let auditor = Auditor { fetched: tape.beneath(Path::new(rest::DIRECTORY)), tape, day, gaps };
    let unaudited = with_pruned(&auditor, &streams, unaudited)?;
    let mut certificate = Certificate::begin(data_dir, &day, clock.stamp())?;
    let mut report = AuditReport::new(day);
    for (place, (stream, (candle_stream, fetched))) in (0..).zip(streams.iter().zip(found)) {
        if shutdown.is_cancelled() {
            return Err(Failure::Stopped);
        }
        if let Some(reason) = stream.code().and_then(|code| unaudited.get(code)) {
            let unaudited = Unaudited { stream: stream.to_string(), reason: reason.clone() };
            report.leave_out(&unaudited);
            certificate.leave_out(unaudited);
            continue;
        }
        let audit = auditor.audit(stream, place, &candle_stream, fetched.stamps)?;
        for fault in &audit.faults {
            tracing::warn!(%stream, "{fault}");
        }
        certificate.add(&audit)?;
        report.add(&audit);
    }
    let totals = certificate.totals.clone();
    Ok(Audited { report, totals, certificate: certificate.finish()? })
}

/// The pairs that cannot be audited, with those of which trades were deleted.
fn with_pruned(
    auditor: &Auditor,
    streams: &[StreamKey],
    mut unaudited: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Failure> {
    let mut pruned = 0;
    for stream in streams {
        if auditor.is_pruned(stream)? {
            pruned += 1;
            let code = stream.code().unwrap_or_default().to_owned();
            unaudited.insert(code, "trades of this day were deleted by the retention".to_owned());
        }
    }
    if pruned == streams.len() { Err(Failure::Pruned(auditor.day.date)) } else { Ok(unaudited) }
}

/// Opens the certificate just written, below the data directory.
fn open(config: &Config, certificate: &Path) -> io::Result<File> {
    let path = certificate.strip_prefix(&config.data_dir).map_err(io::Error::other)?;
    Disk::existing(&config.data_dir)?.file(path, Access::Read)
}

/// The trade streams of the selected pairs; the places of so many fit the exchange seventy times.
fn streams(tape: &Tape, options: &AuditOptions) -> Result<Vec<StreamKey>, Failure> {
    let recorded = tape.streams()?;
    let traded = recorded.iter().filter(|stream| ["trade", "trade.healed"].contains(&stream.kind()));
    let codes: BTreeSet<&str> = traded.filter_map(StreamKey::code).collect();
    let codes: Vec<String> = codes.into_iter().map(str::to_owned).collect();
    let markets = select_of_all(&options.markets, &codes);
    if markets.is_empty() || markets.len() > usize::from(u16::MAX) {
        return Err(Failure::Nothing);
    }
    let stream = |market: &String| stream_of(market, Series::Trades);
    Ok(markets.iter().map(stream).collect::<Result<Vec<_>, _>>()?)
}

/// The candles that the trades are compared with.
struct Candles {
    /// The candle stream of each trade stream, and the location of its records.
    found: Vec<(StreamKey, Fetched)>,
    /// Pairs with incomplete candles, and the reason.
    unaudited: BTreeMap<String, String>,
}

/// The candles of each stream and their location; missing ones are fetched first.
async fn candles(
    data_dir: &Path,
    streams: &[StreamKey],
    day: &Day,
    fetch: impl AsyncFnOnce(&Wanted) -> Result<Option<Summary>, BackfillError>,
) -> Result<Candles, Failure> {
    let series = Series::Candles("1m".parse().expect("it is one of the units"));
    let span = Span { from: day.from, to: day.until };
    let markets = || streams.iter().filter_map(StreamKey::code);
    let look = |market: &str| -> Result<(StreamKey, Fetched), BackfillError> {
        let stream = stream_of(market, series)?;
        let fetched = backfill::fetched(data_dir, &stream, span)?;
        Ok((stream, fetched))
    };
    let mut missing = Vec::new();
    let mut unaudited = BTreeMap::new();
    for market in markets() {
        if !look(market)?.1.is_whole {
            missing.push(market.to_owned());
        }
    }
    if !missing.is_empty() {
        let wanted = Wanted { markets: missing, series, span };
        let summary = fetch(&wanted).await?.ok_or(Failure::Stopped)?;
        let exit = summary.exit();
        unaudited.extend(summary.incomplete.into_iter().map(|(market, incomplete)| (market, incomplete.reason)));
        unaudited.extend(summary.refused);
        // An empty certificate must not replace an earlier one.
        if let (true, Some(reason)) = (unaudited.len() == streams.len(), unaudited.values().next()) {
            return Err(Failure::NoCandles { reason: reason.clone(), exit });
        }
    }
    Ok(Candles { found: markets().map(look).collect::<Result<Vec<_>, _>>()?, unaudited })
}

fn stream_of(market: &str, series: Series) -> Result<StreamKey, BackfillError> {
    StreamKey::of(market, series).ok_or_else(|| BackfillError::Market(market.to_owned()))
}
