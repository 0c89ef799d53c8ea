//! Audit: a day of four pairs. The first has a sealed tape, with a gap that was healed in part and another missing trade;
//! the second is whole; the third has some candles in `rest/` already; the fourth is delisted.

use super::backfill::{candles, checkpoints, run as backfill, wanted};
use super::proxy::{Faults, Proxy, Replay, with_paused_clock};
use super::tape::{Format, Gap, line, received, span, trade, trades, write};
use super::{Golden, NOW, config, millis, stamp};
use clap::Parser;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use upbit_recorder::cli::{Cli, Verb};
use upbit_recorder::clock::Clock;
use upbit_recorder::commands::audit::audit;
use upbit_recorder::config::Config;
use upbit_recorder::files::disk::Disk;
use upbit_recorder::recording::seal::{Provenance, Sealer};
use upbit_recorder::recording::segment::Finished;
use upbit_recorder::upbit::venue::Venue;

const GAP: Gap<'_> =
    Gap { from: "2026-11-21T05:00:00Z", to: "2026-11-21T05:10:00Z", streams: &["KRW-BTC_trade", "KRW-BTC_ticker"] };

/// The gap was healed from here on.
const HEALED: &str = "2026-11-21T05:05:00Z";

fn day_of(replay: &Replay, code: &str) -> Vec<Value> {
    trades(replay, code, 1, span("2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"))
}

fn of_stream(trades: &[Value]) -> Vec<String> {
    received(trades.iter().map(|found| trade(Format::Default, found, "REALTIME")), "trade_timestamp")
}

/// Writes the sealed tape, and the healed part of its gap.
fn record_sealed(replay: &Replay, data_dir: &Path) {
    let (missed, mut came): (Vec<Value>, Vec<Value>) = day_of(replay, "KRW-BTC")
        .into_iter()
        .partition(|trade| span(GAP.from, GAP.to).contains(&trade["timestamp"].as_i64().unwrap()));
    came.remove(came.len() / 2);
    let provenance = Provenance { run: stamp(NOW), venue: Venue::named_after("local") };
    let sealer = Sealer::new(Arc::new(Disk::open(data_dir).unwrap()), 3, provenance, Arc::default());
    let lines = of_stream(&came);
    for name in write(data_dir, "KRW-BTC_trade", &lines) {
        let last = name.first;
        sealer.step(&Finished { name, origin: None, last, bytes: None, torn: Vec::new() }).unwrap();
    }
    let healed = missed.iter().filter(|trade| trade["timestamp"].as_i64().unwrap() >= millis(HEALED));
    let healed = healed.zip(GAP.id() + 1..).map(|(trade, stamp)| {
        trade.to_string().replacen('{', &format!("{{\"ts_recv\":{stamp},\"gap\":{},", GAP.id()), 1)
    });
    write(data_dir, "KRW-BTC_trade.healed", &healed.collect::<Vec<_>>());
}

fn record(replay: &Replay, data_dir: &Path) {
    record_sealed(replay, data_dir);
    for code in ["KRW-ETH", "KRW-XRP"] {
        write(data_dir, &format!("{code}_trade"), &of_stream(&day_of(replay, code)));
    }
    let gone = json!({"type": "trade", "code": "KRW-GONE", "trade_timestamp": millis(HEALED), "sequential_id": 1,
        "trade_price": 1.0, "trade_volume": 1.0});
    write(data_dir, "KRW-GONE_trade", &[line(stamp(HEALED).as_micros(), &gone)]);
    std::fs::write(data_dir.join("recorder.jsonl"), GAP.line() + "\n").unwrap();
}

/// Audits a date; returns the requests and the certificate's figures.
async fn of_date(proxy: &mut Proxy, config: &Config, arguments: &[&str]) -> [Vec<String>; 2] {
    let arguments = [&["upbit-recorder", "audit"], arguments].concat();
    let Verb::Audit(options) = Cli::try_parse_from(arguments).unwrap().verb else { panic!("it is an audit") };
    let clock = Clock::anchored(stamp(NOW));
    let shutdown = CancellationToken::new();
    let audited = async { audit(config, &options, clock, &shutdown, &mut |_| {}).await };
    let (audited, asked) = proxy.run(Faults::default(), audited).await;
    let certificate: Value = serde_json::from_slice(&std::fs::read(audited.unwrap().certificate).unwrap()).unwrap();
    [asked, found(&certificate)]
}

fn found(certificate: &Value) -> Vec<String> {
    let mut lines = vec![format!("{} to {}", certificate["from"], certificate["until"])];
    for stream in certificate["streams"].as_array().unwrap() {
        let counts = ["trades", "healed", "exact", "differs", "no_data"].map(|key| format!("{key} {}", stream[key]));
        lines.push(format!("{}: {}", stream["stream"], counts.join(", ")));
        let rows = stream["rows"].as_array().unwrap().iter();
        lines.extend(rows.map(|row| format!("  {} {} {}", row["minute"], row["finding"], row["gaps"])));
    }
    let unaudited = certificate["unaudited"].as_array().unwrap().iter();
    lines.extend(unaudited.map(|stream| format!("{} is not audited: {}", stream["stream"], stream["reason"])));
    lines
}

#[test]
fn audit_makes_these_requests() {
    let replay = Replay::start(3);
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().join("data");
    std::fs::create_dir(&data_dir).unwrap();
    record(&replay, &data_dir);
    let mut golden = Golden::default();
    with_paused_clock(async || {
        let mut proxy = Proxy::listen(replay.address).await;
        let config = config(&data_dir, proxy.address());
        let some = wanted(&["KRW-XRP"], candles("1m"), ["2026-11-21T00:00:00Z", "2026-11-21T06:40:00Z"]);
        golden.part("some candles before", backfill(&mut proxy, &config, &some, Faults::default()).await);
        let [asked, found] = of_date(&mut proxy, &config, &["--date", "2026-11-21"]).await;
        golden.part("audit of a day", asked);
        golden.part("found", found);
        let [asked, _] = of_date(&mut proxy, &config, &["--date", "2026-11-21"]).await;
        golden.part("the same again", asked);
        let today = ["--date", "2026-11-22", "--markets", "KRW-*,!KRW-GONE,!KRW-XRP"];
        let [asked, _] = of_date(&mut proxy, &config, &today).await;
        golden.part("of two pairs, the part of today that is over", asked);
    });
    golden.part("complete", checkpoints(&data_dir));
    golden.check("audit.txt");
}
