//! Healing: gaps of several streams in both formats, two in a row, a long one that an earlier process healed in part, one
//! of a market that is quiet since, and one that begins before the exchange's reach.
//!
//! The whole recorder runs, without a connection, in real time: the healer makes one request at a time, so the order is
//! deterministic by itself.

use super::proxy::{Proxy, Replay};
use super::tape::{Format, Gap, candle, candles, line, received, span, trade, trades, write};
use super::{Golden, NOW, config, millis, stamp, stored};
use crate::record::clock::Recorder;
use crate::support::eventually;
use serde_json::{Value, json};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::mpsc::sync_channel;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;
use upbit_recorder::clock::{Boot, Clock, Stamp};
use upbit_recorder::tape::state::State;
use upbit_recorder::tape::stream_key::StreamKey;

const DAY: i64 = 86_400_000;

const LONG: Gap<'_> = Gap {
    from: "2026-11-22T00:30:00Z",
    to: "2026-11-22T08:30:00Z",
    streams: &["KRW-BTC_trade", "KRW-BTC_candle.1m", "KRW-ETH_trade"],
};

const FIRST: Gap<'_> = Gap {
    from: "2026-11-22T10:20:00Z",
    to: "2026-11-22T10:23:00Z",
    streams: &["KRW-BTC_trade", "KRW-ETH_trade", "KRW-ETH_candle.1m", "KRW-SOL_trade", "KRW-BTC_orderbook"],
};

/// Less than ten minutes after the first, so both are healed by one walk.
const SECOND: Gap<'_> = Gap {
    from: "2026-11-22T10:25:00Z",
    to: "2026-11-22T10:27:00Z",
    streams: &["KRW-BTC_trade", "KRW-ETH_candle.1m", "KRW-BTC_orderbook"],
};

const QUIET: Gap<'_> = Gap { from: "2026-11-22T11:00:00Z", to: "2026-11-22T11:20:00Z", streams: &["KRW-XRP_trade"] };

/// It begins eight days ago, beyond the reach of trades.
const OLD: Gap<'_> = Gap { from: "2026-11-14T06:00:00Z", to: "2026-11-15T15:00:00Z", streams: &["KRW-DOGE_trade"] };

const GAPS: [&Gap<'_>; 5] = [&OLD, &LONG, &FIRST, &SECOND, &QUIET];

/// Whether a record of this time is outside the stream's gaps.
fn is_received(stream: &str, time: i64) -> bool {
    let missed = |gap: &&&Gap<'_>| gap.streams.contains(&stream) && span(gap.from, gap.to).contains(&time);
    !GAPS.iter().any(|gap| missed(&gap))
}

/// Writes a stream of trades, less its gaps.
fn record_trades(replay: &Replay, data_dir: &Path, (code, format): (&str, Format), within: Range<i64>) {
    let stream = format!("{code}_trade");
    let days_ago = millis(NOW) / DAY - within.start / DAY;
    let mut found = trades(replay, code, days_ago, within);
    found.retain(|trade| is_received(&stream, trade["timestamp"].as_i64().unwrap()));
    let (lines, key) = (found.iter().map(|found| trade(format, found, "REALTIME")), key_of(format, "trade"));
    write(data_dir, &stream, &received(lines, key));
}

fn record_candles(replay: &Replay, data_dir: &Path, (code, format): (&str, Format), within: Range<i64>) {
    let stream = format!("{code}_candle.1m");
    let mut found = candles(replay, code, within);
    found.retain(|candle| is_received(&stream, candle["timestamp"].as_i64().unwrap()));
    write(data_dir, &stream, &received(found.iter().map(|found| candle(format, found)), key_of(format, "candle")));
}

fn key_of(format: Format, kind: &str) -> &'static str {
    match (format, kind) {
        (Format::Default, "trade") => "trade_timestamp",
        (Format::Default, _) => "timestamp",
        (Format::Simple, "trade") => "ttms",
        (Format::Simple, _) => "tms",
    }
}

/// Writes a stream that missed no trade: its first record after the gap is a snapshot of the last one before.
fn record_unaffected(replay: &Replay, data_dir: &Path) {
    let before = trades(replay, "KRW-SOL", 0, span("2026-11-22T09:30:00Z", FIRST.from));
    let mut lines = received(before.iter().map(|found| trade(Format::Default, found, "REALTIME")), "trade_timestamp");
    let snapshot = trade(Format::Default, before.last().unwrap(), "SNAPSHOT");
    lines.push(line(stamp(FIRST.to).as_micros() + 90_000, &snapshot));
    write(data_dir, "KRW-SOL_trade", &lines);
}

/// Writes the healed trades of an earlier process that was killed within its second page; returns its start. Lines within
/// a page's length of the end prove no page whole, so the walk resumes at the first page's oldest trade.
fn heal_in_part(replay: &Replay, data_dir: &Path) -> u64 {
    let missed = trades(replay, "KRW-BTC", 0, span(LONG.from, LONG.to));
    let (older, newest) = missed.split_at(missed.len() - 450);
    let begun = &older[..120];
    let began = stamp("2026-11-22T08:31:00Z").as_micros();
    let healed = |(trade, index): (&Value, u64)| {
        let gap = format!("{{\"ts_recv\":{},\"gap\":{},", began + index, LONG.id());
        trade.to_string().replacen('{', &gap, 1)
    };
    let lines: Vec<String> = newest.iter().chain(begun).zip(1..).map(healed).collect();
    write(data_dir, "KRW-BTC_trade.healed", &lines);
    began
}

/// Writes the tape of this history.
fn record(replay: &Replay, data_dir: &Path) {
    let morning = || span("2026-11-22T00:00:00Z", "2026-11-22T10:40:00Z");
    record_trades(replay, data_dir, ("KRW-BTC", Format::Default), morning());
    record_trades(replay, data_dir, ("KRW-ETH", Format::Simple), morning());
    record_candles(replay, data_dir, ("KRW-BTC", Format::Default), morning());
    record_candles(replay, data_dir, ("KRW-ETH", Format::Simple), morning());
    record_trades(replay, data_dir, ("KRW-XRP", Format::Default), span("2026-11-22T09:00:00Z", QUIET.from));
    record_trades(replay, data_dir, ("KRW-DOGE", Format::Default), span(OLD.to, "2026-11-15T15:30:00Z"));
    record_unaffected(replay, data_dir);
    let began = heal_in_part(replay, data_dir);
    let started = |stamp: u64| {
        line(
            stamp,
            &json!({"type": "recorder", "event": "started", "version": "0", "pid": 1, "connections": ["public"], "epoch": 0}),
        )
    };
    let mut events = GAPS.map(Gap::line).to_vec();
    events.extend([started(stamp(OLD.from).as_micros()), started(began)]);
    events.sort_by_key(|event| crate::support::json::stamp_of(event));
    write(data_dir, "recorder", &events);
    let state = State::new("127.0.0.1", stamp(OLD.from));
    std::fs::write(data_dir.join(".state"), state.to_slot(1)).unwrap();
}

/// The `healed` events, by gap, while the recorder writes on.
fn healed(data_dir: &Path) -> Vec<Value> {
    let tape = crate::support::Tape { path: data_dir.to_owned() }.reader();
    let lines = tape.lines(&StreamKey::recorder(), Stamp::default()..=Stamp::MAX).unwrap();
    let events = lines.filter_map(|line| serde_json::from_slice::<Value>(line.unwrap().text()).ok());
    let mut healed: Vec<Value> = events.filter(|event| event["event"] == "healed").collect();
    healed.sort_by_key(|event| event["gap"].as_u64());
    healed
}

#[test]
fn healing_makes_these_requests() {
    let replay = Replay::start(855);
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().join("data");
    std::fs::create_dir(&data_dir).unwrap();
    record(&replay, &data_dir);
    let (bound, address) = sync_channel(1);
    let shutdown = CancellationToken::new();
    let upstream = replay.address;
    let token = shutdown.clone();
    let proxy = std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let proxy = Proxy::listen(upstream).await;
            bound.send(proxy.address()).unwrap();
            proxy.serve(token).await
        })
    });
    let config = config(&data_dir, address.recv().unwrap());
    let ahead = stamp(NOW).as_micros().cast_signed() - Clock::start().stamp().as_micros().cast_signed();
    let recorder = Recorder::start_with(config, &Arc::new(AtomicI64::new(ahead)), Boot::new(|| Duration::ZERO));
    eventually("every gap is healed", || healed(&data_dir).len() == GAPS.len());
    recorder.stop();
    shutdown.cancel();
    let mut golden = Golden::default();
    golden.part("requests", proxy.join().unwrap());
    let told = healed(&data_dir).into_iter().map(|mut event| {
        event.as_object_mut().unwrap().retain(|key, _| key != "ts_recv" && key != "type" && key != "event");
        let gap = GAPS.iter().find(|gap| event["gap"] == gap.id()).unwrap();
        event["gap"] = format!("{} to {}", gap.from, gap.to).into();
        event.to_string()
    });
    golden.part("healed", told);
    golden.part("stored", stored(data_dir, |stream| stream.ends_with(".healed")));
    golden.check("healing.txt");
}
