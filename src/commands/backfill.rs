//! `backfill`: fetches candles or trades of the past into `rest/` below the data directory.

use super::output::{Form, print};
use super::pairs as known_pairs;
use super::process::{Host, serve_and_ask};
use super::progress;
use super::work::StopTerms;
use crate::config::Sources;
use crate::exit::Exit;
use crate::history::backfill::{self, BackfillError, Summary, Wanted};
use crate::history::span::Span;
use crate::reading::times::Time;
use crate::rest::FetchError;
use crate::rest::codes::RestUse;
use crate::rest::pairs;
use crate::upbit::codes::{is_pattern, select};
use crate::upbit::series::{Series, Unit};
use clap::Args;

/// What to fetch.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Example:\n  upbit-recorder backfill --markets KRW-BTC,KRW-ETH --unit 1m --from 2026-03-01 --to 2026-04-01"
)]
pub struct BackfillOptions {
    /// Pairs, with commas between them; or patterns: 'KRW-*', '!KRW-DOGE'.
    #[arg(long, value_name = "CODE,…", value_delimiter = ',', required = true)]
    markets: Vec<String>,

    /// The unit of the candles: 1s 1m 3m 5m 10m 15m 30m 60m 240m 1day 1week 1month 1year.
    #[arg(long, default_value = "1m", conflicts_with = "ticks")]
    unit: Unit,

    /// Fetches trades instead of candles: those of the last seven days.
    #[arg(long)]
    ticks: bool,

    /// The first moment: a time as for `cat --from`, such as 2026-03-01, 2026-03-01T12:00:00 (UTC) or -2d. Without it: the
    /// earliest that the exchange has.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<Time>,

    /// The first moment that is not wanted any more. Without it: now.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<Time>,

    /// Prints the summary as one JSON object.
    #[arg(long)]
    json: bool,
}

/// Fetches until the range is complete or a signal arrives.
pub fn run(sources: Sources, options: BackfillOptions) -> Exit {
    serve_and_ask(sources, StopTerms::ORDERLY, RestUse::Always, async move |host| backfill(&host, &options).await)
}

async fn backfill(host: &Host, options: &BackfillOptions) -> Exit {
    let fetched = host.signals.shutdown.now.run_until_cancelled(fetch(host, options)).await;
    host.screen.clear();
    match fetched {
        None | Some(Ok(None)) => {
            tracing::info!("stopped: the next run goes on from here");
            Exit::Success
        }
        Some(Ok(Some(summary))) => print(Form::of(options.json), |out| {
            if options.json {
                writeln!(out, "{}", summary.to_json())?
            } else {
                writeln!(out, "{summary}")?
            }
            Ok(summary.exit())
        }),
        Some(Err(error)) => {
            tracing::error!("{error}");
            error.exit()
        }
    }
}

/// `None`: stopped by a signal.
async fn fetch(host: &Host, options: &BackfillOptions) -> Result<Option<Summary>, BackfillError> {
    let stop = &host.signals.shutdown.orderly;
    let Some(markets) = stop.run_until_cancelled(markets(host, options)).await.transpose()? else {
        return Ok(None);
    };
    let wanted = wanted(host, options, markets);
    backfill::fetch(&host.config, &wanted, host.clock, stop, &mut progress::show(host)).await
}

/// The selected pairs; the list is requested from the exchange only if there are patterns to resolve.
async fn markets(host: &Host, options: &BackfillOptions) -> Result<Vec<String>, FetchError> {
    let listed = match options.markets.iter().any(|code| is_pattern(code)) {
        true => pairs::ask_once(&host.config, host.clock, known_pairs::kept(host)).await?.markets.codes(),
        false => Vec::new(),
    };
    Ok(select(&options.markets, &listed))
}

fn wanted(host: &Host, options: &BackfillOptions, markets: Vec<String>) -> Wanted {
    let stamp = host.clock.stamp();
    let (now, moment) = (stamp.as_millis(), |time: Option<Time>| time.map(|time| time.stamp(stamp).as_millis()));
    let series = if options.ticks { Series::Trades } else { Series::Candles(options.unit) };
    let from = moment(options.from).unwrap_or_else(|| series.reach(now).unwrap_or_default());
    Wanted { markets, series, span: Span { from, to: moment(options.to).unwrap_or(now) } }
}
