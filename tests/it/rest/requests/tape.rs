//! Tapes of the sample market: stream lines made of the exchange's REST objects.

use super::millis;
use super::proxy::Replay;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;
use upbit_recorder::clock::Stamp;
use upbit_recorder::tape::segment_name::SegmentName;
use upbit_recorder::tape::stream_key::StreamKey;
use upbit_recorder::upbit::feed::Feed;

/// The spelling of stream objects: long keys, or short ones.
#[derive(Clone, Copy)]
pub(super) enum Format {
    Default,
    Simple,
}

/// A span of time, in milliseconds since the epoch.
pub(super) fn span(from: &str, to: &str) -> Range<i64> {
    millis(from)..millis(to)
}

/// The trades of a code within a day of UTC that is `days_ago`, oldest first.
pub(super) fn trades(replay: &Replay, code: &str, days_ago: i64, within: Range<i64>) -> Vec<Value> {
    let day = if days_ago > 0 { format!("&days_ago={days_ago}") } else { String::new() };
    let mut found: Vec<Value> = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = replay.list(&format!("trades/ticks?market={code}&count=500{day}{cursor}"));
        let Some(last) = page.last() else { break };
        cursor = format!("&cursor={}", last["sequential_id"]);
        found.extend(page);
    }
    found.reverse();
    found.retain(|trade| within.contains(&trade["timestamp"].as_i64().unwrap()));
    found
}

/// The candles of a minute whose last trade is within a span, oldest first.
pub(super) fn candles(replay: &Replay, code: &str, within: Range<i64>) -> Vec<Value> {
    let mut found: Vec<Value> = Vec::new();
    let mut to = jiff::Timestamp::from_millisecond(within.end + 60_000).unwrap().to_string();
    while found.last().is_none_or(|oldest: &Value| oldest["timestamp"].as_i64().unwrap() >= within.start) {
        found.extend(replay.list(&format!("candles/minutes/1?market={code}&to={to}&count=200")));
        to = found.last().unwrap()["candle_date_time_utc"].as_str().unwrap().to_owned();
    }
    found.reverse();
    found.retain(|candle| within.contains(&candle["timestamp"].as_i64().unwrap()));
    found
}

/// A trade of the REST interface as a stream object.
pub(super) fn trade(format: Format, trade: &Value, stream_type: &str) -> Value {
    let [price, volume, id, time] =
        ["trade_price", "trade_volume", "sequential_id", "timestamp"].map(|key| &trade[key]);
    match format {
        Format::Default => json!({"type": "trade", "code": trade["market"], "timestamp": time, "trade_price": price,
            "trade_volume": volume, "trade_timestamp": time, "sequential_id": id, "stream_type": stream_type}),
        Format::Simple => json!({"ty": "trade", "cd": trade["market"], "tms": time, "tp": price, "tv": volume,
            "ttms": time, "sid": id, "st": stream_type}),
    }
}

/// A candle of a minute as a stream object.
pub(super) fn candle(format: Format, candle: &Value) -> Value {
    let keys = ["candle_date_time_utc", "candle_acc_trade_volume", "timestamp"];
    let [begin, volume, time] = keys.map(|key| &candle[key]);
    match format {
        Format::Default => json!({"type": "candle.1m", "code": candle["market"], "candle_date_time_utc": begin,
            "timestamp": time, "candle_acc_trade_volume": volume, "stream_type": "REALTIME"}),
        Format::Simple => json!({"ty": "candle.1m", "cd": candle["market"], "cdttmu": begin, "tms": time,
            "catv": volume, "st": "REALTIME"}),
    }
}

/// A line of the tape: an object behind its stamp, µs.
pub(super) fn line(stamp: u64, object: &Value) -> String {
    object.to_string().replacen('{', &format!("{{\"ts_recv\":{stamp},"), 1)
}

/// Lines of a stream, received 30 ms after the objects' times, which `key` holds.
pub(super) fn received(objects: impl IntoIterator<Item = Value>, key: &str) -> Vec<String> {
    let line = |(index, object): (usize, Value)| {
        let received = object[key].as_u64().unwrap() * 1_000 + 30_000 + index as u64 % 1_000;
        line(received, &object)
    };
    objects.into_iter().enumerate().map(line).collect()
}

/// Writes lines of a stream as unsealed segments, one per date: no segment spans two.
pub(super) fn write(data_dir: &Path, stream: &str, lines: &[String]) -> Vec<SegmentName> {
    let stamp = |line: &String| crate::support::json::stamp_of(line);
    let mut dates: BTreeMap<u64, Vec<&String>> = BTreeMap::new();
    for line in lines {
        dates.entry(stamp(line) / 86_400_000_000).or_default().push(line);
    }
    let write = |lines: Vec<&String>| {
        let first = Stamp::from_micros(stamp(lines[0])).unwrap();
        let name = SegmentName { feed: Feed::Public, stream: StreamKey::from_stem(stream).unwrap(), epoch: 0, first };
        fs::create_dir_all(data_dir.join(name.directory())).unwrap();
        let text: String = lines.into_iter().map(|line| format!("{line}\n")).collect();
        fs::write(data_dir.join(name.plain()), text).unwrap();
        name
    };
    dates.into_values().map(write).collect()
}

/// A gap on record.
pub(super) struct Gap<'a> {
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    pub(super) streams: &'a [&'a str],
}

impl Gap<'_> {
    /// Its id, the stamp of its event.
    pub(super) fn id(&self) -> u64 {
        u64::try_from(millis(self.to)).unwrap() * 1_000 + 1
    }

    /// Its event.
    pub(super) fn line(&self) -> String {
        let [from, to] = [self.from, self.to].map(|end| millis(end) * 1_000);
        let event = json!({"type": "recorder", "event": "gap", "id": self.id(), "connection": "public", "from": from,
            "to": to, "kind": "disconnected", "cause": "a cut", "streams": self.streams});
        line(self.id(), &event)
    }
}
