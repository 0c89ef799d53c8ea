//! Backfill: candles of a minute and of a day and trades of two pairs, over their listing, with stopped runs and faults.

use super::proxy::{Faults, Proxy, Replay, with_paused_clock};
use super::{Golden, NOW, config, millis, stamp, stored};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use tokio_util::sync::CancellationToken;
use upbit_recorder::clock::Clock;
use upbit_recorder::config::Config;
use upbit_recorder::history::backfill::{self, BackfillError, Summary, Wanted};
use upbit_recorder::history::span::Span;
use upbit_recorder::upbit::series::Series;

/// The sample market is listed 400 days before it opens, at 2025-10-18T12:00:00Z.
const PAIRS: [&str; 2] = ["KRW-BTC", "KRW-ETH"];

/// A span of pairs.
pub(super) fn wanted(pairs: &[&str], series: Series, [from, to]: [&str; 2]) -> Wanted {
    let markets = pairs.iter().map(|&pair| pair.to_owned()).collect();
    Wanted { markets, series, span: Span { from: millis(from), to: millis(to) } }
}

pub(super) fn candles(unit: &str) -> Series {
    Series::Candles(unit.parse().unwrap())
}

/// A run on a clock that is anchored with it.
async fn fetch(
    config: &Config,
    wanted: &Wanted,
    shutdown: &CancellationToken,
) -> Result<Option<Summary>, BackfillError> {
    let clock = Clock::anchored(stamp(NOW));
    backfill::fetch(config, wanted, clock, shutdown, &mut |_| {}).await
}

/// A run to its end; returns the requests.
pub(super) async fn run(proxy: &mut Proxy, config: &Config, wanted: &Wanted, faults: Faults) -> Vec<String> {
    let (summary, asked) = proxy.run(faults, fetch(config, wanted, &CancellationToken::new())).await;
    let summary = summary.unwrap().expect("nothing stopped it");
    assert!(summary.refused.is_empty() && summary.incomplete.is_empty(), "{summary}");
    asked
}

/// The lines of all checkpoints, without stamps: those depend on the jitter of retries.
pub(super) fn checkpoints(data_dir: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let entries = std::fs::read_dir(data_dir.join("rest")).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|ending| ending == "checkpoint")).collect();
    paths.sort();
    for path in paths {
        let stream = path.file_stem().unwrap().to_str().unwrap().to_owned();
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            let mut line: Value = serde_json::from_str(line).unwrap();
            line.as_object_mut().unwrap().retain(|key, _| key != "last" && key != "answered");
            lines.push(format!("{stream} {line}"));
        }
    }
    lines
}

#[test]
fn backfill_makes_these_requests() {
    let replay = Replay::start(2);
    let directory = tempfile::tempdir().unwrap();
    let mut golden = Golden::default();
    with_paused_clock(async || {
        let mut proxy = Proxy::listen(replay.address).await;
        let config = config(directory.path(), proxy.address());
        let listing = ["2025-10-17T00:00:00Z", "2025-10-22T06:07:00Z"];
        let minutes = wanted(&PAIRS, candles("1m"), listing);
        let shutdown = CancellationToken::new();
        let faults = Faults { instead: BTreeMap::from([(9, 429)]), stop: Some((20, shutdown.clone())) };
        let (stopped, asked) = proxy.run(faults, fetch(&config, &minutes, &shutdown)).await;
        assert!(stopped.unwrap().is_none(), "it was stopped");
        golden.part("candles of a minute over the listing, stopped", asked);
        golden.part("complete by then", checkpoints(directory.path()));
        let faults = Faults { instead: BTreeMap::from([(5, 502)]), stop: None };
        golden.part("the same again, to its end", run(&mut proxy, &config, &minutes, faults).await);
        golden.part("the same a third time", run(&mut proxy, &config, &minutes, Faults::default()).await);
        let later = wanted(&PAIRS[..1], candles("1m"), ["2025-12-01T00:00:00Z", "2025-12-01T12:00:00Z"]);
        let faults = Faults { instead: BTreeMap::from([(1, 200), (4, 200)]), stop: None };
        let asked = run(&mut proxy, &config, &later, faults).await;
        golden.part("half a day later, with answers that are empty against what is known", asked);
        let days = wanted(&PAIRS, candles("1day"), ["2025-09-01T00:00:00Z", "2026-11-22T00:00:00Z"]);
        let asked = run(&mut proxy, &config, &days, Faults::default()).await;
        golden.part("candles of a day since before the listing", asked);
        let trades = wanted(&PAIRS, Series::Trades, ["2026-11-20T20:00:00Z", "2026-11-22T05:00:00Z"]);
        let shutdown = CancellationToken::new();
        let faults = Faults { stop: Some((11, shutdown.clone())), ..Faults::default() };
        let (stopped, asked) = proxy.run(faults, fetch(&config, &trades, &shutdown)).await;
        assert!(stopped.unwrap().is_none(), "it was stopped");
        golden.part("trades of two nights, stopped", asked);
        let asked = run(&mut proxy, &config, &trades, Faults::default()).await;
        golden.part("the same again, to its end", asked);
    });
    golden.part("complete", checkpoints(directory.path()));
    golden.part("stored", stored(directory.path().join("rest"), |stream| stream != "recorder"));
    golden.check("backfill.txt");
}
