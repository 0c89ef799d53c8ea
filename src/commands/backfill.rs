//! `backfill`: fetches candles or trades of the past into `rest/` below the data directory.

use super::Host;
use crate::clock::Clock;
use crate::config::Config;
use crate::exit::Exit;
use crate::history::backfill::{self, BackfillError, Progress, Summary, Wanted};
use crate::history::span::Span;
use crate::quantity::rounded_duration;
use crate::rest::FetchError;
use crate::rest::pairs;
use crate::signals::Signals;
use crate::upbit::codes::{is_pattern, select};
use crate::upbit::series::{Series, Unit};
use clap::Args;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Shown below the help.
pub const EXAMPLE: &str =
    "Example:\n  upbit-recorder backfill --markets KRW-BTC,KRW-ETH --unit 1m --from 2026-03-01 --to 2026-04-01";

/// Cells of the progress bar.
const BAR: usize = 30;

/// What to fetch.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Pairs, with commas between them; or patterns: 'KRW-*', '!KRW-DOGE'.
    #[arg(long, value_name = "CODE,…", value_delimiter = ',', required = true)]
    markets: Vec<String>,

    /// The unit of the candles: 1s 1m 3m 5m 10m 15m 30m 60m 240m 1day 1week 1month 1year.
    #[arg(long, default_value = "1m", conflicts_with = "ticks")]
    unit: Unit,

    /// Fetches trades instead of candles: those of the last seven days.
    #[arg(long)]
    ticks: bool,

    /// The first moment, UTC: 2026-03-01 or 2026-03-01T12:00:00. Without it: the earliest that the exchange has.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<i64>,

    /// The first moment that is not wanted any more. Without it: now.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to: Option<i64>,

    /// Prints the summary as one JSON object.
    #[arg(long)]
    json: bool,
}

/// Fetches until everything is there, or until it is told to stop.
pub async fn run(config: &Config, options: &Options, signals: Signals, host: &Host) -> Exit {
    let clock = Clock::start();
    let (now, shutdown) = (&signals.shutdown.now, &signals.shutdown.orderly);
    let fetched = now.run_until_cancelled(fetch(config, options, clock, shutdown, host)).await;
    host.screen.clear();
    match fetched {
        None | Some(Ok(None)) => {
            tracing::info!("stopped: the next run goes on from here");
            Exit::Success
        }
        Some(Ok(Some(summary))) => super::print(super::Form::of(options.json), |out| {
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

/// Nothing where it was stopped.
async fn fetch(
    config: &Config,
    options: &Options,
    clock: Clock,
    shutdown: &CancellationToken,
    host: &Host,
) -> Result<Option<Summary>, BackfillError> {
    let Some(markets) = shutdown.run_until_cancelled(markets(config, options, clock, host)).await.transpose()? else {
        return Ok(None);
    };
    let wanted = wanted(options, markets, clock);
    let begin = clock.now();
    let mut show = |progress: &Progress| host.screen.show(&bar(progress, clock.now() - begin));
    backfill::fetch(config, &wanted, clock, shutdown, &mut show).await
}

/// The pairs meant; the exchange is asked only where patterns are among them.
async fn markets(config: &Config, options: &Options, clock: Clock, host: &Host) -> Result<Vec<String>, FetchError> {
    let listed = match options.markets.iter().any(|code| is_pattern(code)) {
        true => pairs::ask_once(config, clock, super::kept_pairs(config, host)).await?.markets.codes(),
        false => Vec::new(),
    };
    Ok(select(&options.markets, &listed))
}

fn wanted(options: &Options, markets: Vec<String>, clock: Clock) -> Wanted {
    let now = i64::try_from(clock.stamp().as_micros() / 1_000).unwrap_or(i64::MAX);
    let series = if options.ticks { Series::Trades } else { Series::Candles(options.unit) };
    let from = options.from.unwrap_or_else(|| series.reach(now).unwrap_or_default());
    Wanted { markets, series, span: Span { from, to: options.to.unwrap_or(now) } }
}

/// `[=========>          ] 34 % · 7.9 requests/s · 3 min left`
pub(super) fn bar(progress: &Progress, elapsed: Duration) -> String {
    let share = progress.share();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a few cells")]
    let full = (share * BAR as f64) as usize;
    let seconds = elapsed.as_secs_f64().max(0.001);
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = progress.requests as f64 / seconds;
    let left = match share {
        share if share > 0.0 => rounded_duration(Duration::from_secs_f64(seconds * (1.0 - share) / share)),
        _ => "?".to_owned(),
    };
    let (done, open) = ("=".repeat(full.min(BAR)), " ".repeat(BAR - full.min(BAR)));
    format!("[{done}>{open}] {:.0} % · {rate:.1} requests/s · {left} left", share * 100.0)
}

/// Reads a date, a time without offset (UTC), or one with it.
fn moment(text: &str) -> Result<i64, String> {
    let civil = || text.parse::<DateTime>().ok().and_then(|civil| Offset::UTC.to_timestamp(civil).ok());
    let moment = text.parse::<Timestamp>().ok().or_else(civil).map(Timestamp::as_millisecond);
    moment.ok_or_else(|| format!("`{text}` is no time: write 2026-03-01 or 2026-03-01T12:00:00"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_where_they_do_not_say() {
        assert_eq!(moment("1970-01-02"), Ok(86_400_000));
        assert_eq!(moment("1970-01-01T09:00:01+09:00"), Ok(1_000));
        assert!(moment("yesterday").is_err());
    }

    #[test]
    fn the_bar_tells_share_rate_and_time_left() {
        let progress = Progress { wanted: 100, done: 25, requests: 40 };
        let text = bar(&progress, Duration::from_secs(5));
        assert!(text.starts_with("[=======>") && text.ends_with("] 25 % · 8.0 requests/s · 15 s left"), "{text}");
    }
}
