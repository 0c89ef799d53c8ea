//! The quotation endpoints over a recording: what was received, healed or fetched by then, with its own numbers.
//!
//! ```text
//!  trades of the stream, healed ones ─▶ by time and sequential_id, each once ─▶ newest first
//!  candles of the stream, healed, in rest/ ─▶ of each period the last; where none were recorded, out of trades
//! ```

use super::answer::Answer;
use super::query::Query;
use super::quotation::{MAX_CANDLES, MAX_TICKS, Outcome, count, list, moment, time_of_day};
use crate::clock::{Position, Stamp};
use crate::replay::market::DAY_MILLIS;
use crate::replay::reel::{Reel, Span};
use crate::replay::wire::Time;
use crate::replay::wire::request::Endpoint;
use crate::replay::wire::spelt::Spelt;
use crate::upbit::names::long_of;
use bigdecimal::BigDecimal;
use std::collections::BTreeMap;

/// The first span that is looked into for trades, in milliseconds: what a busy pair needs for an answer.
const FIRST_SPAN: u64 = 600_000;

/// Each span is so many times as long as the one before, where that was not enough.
const WIDER: u64 = 8;

/// How far back trades are summed up to candles, in milliseconds: those of two days of the busiest pair are a million, and
/// some hundred megabytes.
const MOST_SUMMED: u64 = 2 * DAY_MILLIS;

/// Answers a request to a path (behind `/v1/`).
pub(super) fn answer(reel: &Reel, now: Stamp, path: &str, query: &Query) -> Answer {
    let known = reel.known(now);
    let past = RecordedPast { reel, known };
    let answer = match path {
        "market/all" => Ok(list(texts(reel.recording.markets()))),
        "trades/ticks" => past.ticks(query),
        "ticker" | "ticker/all" => past.latest(query, "ticker", path == "ticker/all"),
        "orderbook" => past.latest(query, "orderbook", false),
        _ => match path.strip_prefix("candles/").and_then(unit) {
            Some(unit) => past.candles(query, &unit),
            None => Err(Answer::not_found()),
        },
    };
    answer.unwrap_or_else(|refusal| refusal)
}

/// What is known of the past.
struct RecordedPast<'a> {
    reel: &'a Reel,
    known: Position,
}

/// A unit of candles: its name on the stream, and its length in milliseconds, where it has one.
struct Unit {
    name: String,
    millis: Option<u64>,
}

fn unit(path: &str) -> Option<Unit> {
    let unit = |name: &str, millis| Some(Unit { name: name.to_owned(), millis });
    match path {
        "seconds" => unit("1s", Some(1_000)),
        "days" => unit("1day", None),
        "weeks" => unit("1week", None),
        "months" => unit("1month", None),
        "years" => unit("1year", None),
        minutes => match minutes.strip_prefix("minutes/")?.parse().ok()? {
            minutes @ (1 | 3 | 5 | 10 | 15 | 30 | 60 | 240) => unit(&format!("{minutes}m"), Some(minutes * 60_000)),
            _ => None,
        },
    }
}

/// A trade's time, and its id: which trade it is.
type TradeKey = (u64, u64);

impl RecordedPast<'_> {
    fn ticks(&self, query: &Query) -> Outcome {
        let market = self.market(query)?;
        let count = count(query, MAX_TICKS)?;
        let cursor = query.get("cursor").map(str::parse::<u64>).transpose();
        let cursor = cursor.map_err(|_| Answer::numbered(400, "Invalid parameter: cursor"))?;
        let newest = self.newest(market);
        let today = newest - newest % DAY_MILLIS;
        let day = match query.get("days_ago").or(query.get("daysAgo")).map(str::parse::<u64>) {
            None => today,
            Some(Ok(days @ 1..=7)) => today.saturating_sub(days * DAY_MILLIS),
            Some(_) => return Err(Answer::numbered(400, "Invalid parameter: days_ago")),
        };
        let mut until = day + DAY_MILLIS;
        if let Some(text) = query.get("to") {
            until = day + time_of_day(text).ok_or_else(|| Answer::numbered(400, "Invalid parameter: to"))?;
        }
        let mut trades = BTreeMap::new();
        for from in spans(until.min(newest + 1), day) {
            trades = self.trades(market, Span { from, until });
            let cursor = cursor.and_then(|id| trades.keys().find(|(_, other)| *other == id).copied());
            if let Some(cursor) = cursor {
                trades.split_off(&cursor);
            }
            if trades.len() >= count {
                break;
            }
        }
        Ok(list(trades.into_values().rev().take(count)))
    }

    fn candles(&self, query: &Query, unit: &Unit) -> Outcome {
        let market = self.market(query)?;
        let count = count(query, MAX_CANDLES)?;
        let newest = self.newest(market);
        let until = match query.get("to") {
            None => newest + 1,
            Some(text) => moment(text).ok_or_else(|| Answer::numbered(400, "Invalid parameter: to"))?,
        };
        let until = until.min(newest + 1);
        let mut found = BTreeMap::new();
        // What was fetched of the time before is read with each span.
        for from in spans(until, self.begin().min(until)) {
            found = self.recorded_candles(market, unit, Span { from, until });
            if found.len() >= count {
                break;
            }
        }
        if let Some(millis) = unit.millis.filter(|_| found.is_empty()) {
            let length = ((count as u64 + 1) * millis).min(MOST_SUMMED);
            let from = until.saturating_sub(length).max(self.begin()).min(until) / millis * millis;
            found = candles_of(market, millis, &self.trades(market, Span { from, until }));
        }
        Ok(list(found.into_values().rev().take(count)))
    }

    /// Where the recording begins, in milliseconds since the epoch.
    fn begin(&self) -> u64 {
        self.reel.recording.begin().stamp.as_micros() / 1_000
    }

    /// Candles that were received or fetched, by their beginning as it is written.
    fn recorded_candles(&self, market: &str, unit: &Unit, span: Span) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let end = Time::utc(span.until).to_string();
        for object in self.reel.recording.past(&format!("{market}_candle.{}", unit.name), span, self.known) {
            let Some(spelt) = Spelt::parse(&object) else { continue };
            let Some(begin) = spelt.get("candle_date_time_utc").filter(|begin| **begin < *end) else { continue };
            let minutes = unit.millis.filter(|millis| *millis >= 60_000).map(|millis| millis / 60_000);
            let unit = minutes.map(|minutes| format!(",\"unit\":{minutes}")).unwrap_or_default();
            found.insert(begin.to_owned(), as_rest(&spelt, &object, &unit));
        }
        found
    }

    /// Trades of a span, each once.
    fn trades(&self, market: &str, span: Span) -> BTreeMap<TradeKey, String> {
        let mut found = BTreeMap::new();
        for object in self.reel.recording.past(&format!("{market}_trade"), span, self.known) {
            let Some(spelt) = Spelt::parse(&object) else { continue };
            let at = spelt.get("trade_timestamp").or(spelt.get("timestamp")).and_then(|text| text.parse().ok());
            let id = spelt.get("sequential_id").and_then(|text| text.parse().ok());
            if let Some((at, id)) = at.zip(id).filter(|(at, _)| (span.from..span.until).contains(at)) {
                found.entry((at, id)).or_insert_with(|| tick(&spelt, &object, at));
            }
        }
        found
    }

    /// The last objects of some pairs, or of all.
    fn latest(&self, query: &Query, kind: &str, is_all: bool) -> Outcome {
        let streams = self.reel.streams(Endpoint::Public);
        let asked = match query.get("markets") {
            Some(codes) => codes.split(',').map(|code| format!("{}_{kind}", code.trim())).collect(),
            None if is_all => streams.iter().filter(|stream| stream.ends_with(&format!("_{kind}"))).cloned().collect(),
            None => return Err(Answer::numbered(400, "Missing request parameter: markets")),
        };
        let asked: Vec<String> = asked;
        if let Some(_unknown) = asked.iter().find(|stream| !streams.contains(*stream)) {
            return Err(Answer::numbered(404, "Code not found"));
        }
        let last = |stream: &String| self.reel.last(Endpoint::Public, stream, self.known);
        let shown =
            asked.iter().filter_map(last).filter_map(|object| Some(as_rest(&Spelt::parse(&object)?, &object, "")));
        Ok(list(shown))
    }

    fn market<'q>(&self, query: &'q Query) -> Result<&'q str, Answer> {
        let code = query.get("market").ok_or_else(|| Answer::numbered(400, "Missing request parameter: market"))?;
        let streams = self.reel.streams(Endpoint::Public);
        let is_known = streams.iter().any(|stream| stream.split_once('_').is_some_and(|(of, _)| of == code));
        if is_known { Ok(code) } else { Err(Answer::numbered(404, "Code not found")) }
    }

    /// When a pair was last heard of, in milliseconds since the epoch.
    fn newest(&self, market: &str) -> u64 {
        let streams = self.reel.streams(Endpoint::Public);
        let own = streams.iter().filter(|stream| stream.split_once('_').is_some_and(|(of, _)| of == market));
        let last = |stream: &String| {
            let object = self.reel.last(Endpoint::Public, stream, self.known)?;
            Spelt::parse(&object)?.get("timestamp")?.parse().ok()
        };
        own.filter_map(last).max().unwrap_or_default()
    }
}

/// The beginnings of longer and longer spans before `until`, down to `least`.
fn spans(until: u64, least: u64) -> impl Iterator<Item = u64> {
    let lengths = std::iter::successors(Some(FIRST_SPAN), |length| length.checked_mul(WIDER));
    let mut is_over = false;
    lengths.map_while(move |length| {
        if is_over {
            return None;
        }
        let from = until.saturating_sub(length).max(least);
        is_over = from == least;
        Some(from)
    })
}

fn texts(objects: Vec<bytes::Bytes>) -> impl Iterator<Item = String> {
    objects.into_iter().filter_map(|object| String::from_utf8(object.to_vec()).ok())
}

/// An object as REST shows it: `market` in front, long names, its own numbers. One that was fetched over REST stays as it is.
fn as_rest(spelt: &Spelt<'_>, object: &[u8], more: &str) -> String {
    if spelt.get("market").is_some() {
        return String::from_utf8_lossy(object).into_owned();
    }
    let mut out = format!("{{\"market\":\"{}\"", spelt.get("code").unwrap_or_default());
    let kind = spelt.get("type").unwrap_or_default();
    let long = spelt.respelt(false);
    for (name, value) in Spelt::parse(long.as_bytes()).iter().flat_map(|long| long.pairs()) {
        if !["type", "code", "stream_type"].contains(&long_of(kind, name)) {
            out.push_str(&format!(",\"{name}\":{value}"));
        }
    }
    out.push_str(more);
    out.push('}');
    out
}

/// A trade as REST shows it.
fn tick(spelt: &Spelt<'_>, object: &[u8], at: u64) -> String {
    if spelt.get("market").is_some() {
        return String::from_utf8_lossy(object).into_owned();
    }
    let time = Time::utc(at);
    let get = |name| spelt.get(name).unwrap_or("null");
    let sign = if get("change") == "FALL" { "-" } else { "" };
    format!(
        "{{\"market\":\"{}\",\"trade_date_utc\":\"{}\",\"trade_time_utc\":\"{}\",\"timestamp\":{at},\
         \"trade_price\":{},\"trade_volume\":{},\"prev_closing_price\":{},\"change_price\":{sign}{},\
         \"ask_bid\":\"{}\",\"sequential_id\":{}}}",
        get("code"),
        time.date(),
        time.time(),
        get("trade_price"),
        get("trade_volume"),
        get("prev_closing_price"),
        get("change_price"),
        get("ask_bid"),
        get("sequential_id"),
    )
}

/// A candle that is summed up.
struct Sums<'a> {
    open: &'a str,
    high: (BigDecimal, &'a str),
    low: (BigDecimal, &'a str),
    close: &'a str,
    last: u64,
    volume: BigDecimal,
    value: BigDecimal,
}

/// Candles out of trades, in exact decimals.
fn candles_of(market: &str, millis: u64, trades: &BTreeMap<TradeKey, String>) -> BTreeMap<String, String> {
    let mut sums: BTreeMap<u64, Sums<'_>> = BTreeMap::new();
    for ((at, _), trade) in trades {
        let Some(spelt) = Spelt::parse(trade.as_bytes()) else { continue };
        let (Some(price), Some(volume)) = (spelt.get("trade_price"), spelt.get("trade_volume")) else { continue };
        let (Ok(exact), Ok(size)) = (price.parse::<BigDecimal>(), volume.parse::<BigDecimal>()) else { continue };
        let value = &exact * &size;
        let sum = sums.entry(at / millis * millis).or_insert_with(|| Sums {
            open: price,
            high: (exact.clone(), price),
            low: (exact.clone(), price),
            close: price,
            last: *at,
            volume: BigDecimal::default(),
            value: BigDecimal::default(),
        });
        if exact > sum.high.0 {
            sum.high = (exact.clone(), price);
        }
        if exact < sum.low.0 {
            sum.low = (exact, price);
        }
        (sum.close, sum.last) = (price, *at);
        sum.volume += size;
        sum.value += value;
    }
    let unit = if millis >= 60_000 { format!(",\"unit\":{}", millis / 60_000) } else { String::new() };
    let shown = |begin: u64, sum: Sums<'_>| {
        let (utc, kst) = (Time::utc(begin).to_string(), Time::kst(begin));
        let Sums { open, high: (_, high), low: (_, low), close, last, volume, value } = sum;
        let (volume, value) = (volume.normalized().to_plain_string(), value.normalized().to_plain_string());
        let candle = format!(
            "{{\"market\":\"{market}\",\"candle_date_time_utc\":\"{utc}\",\"candle_date_time_kst\":\"{kst}\",\
             \"opening_price\":{open},\"high_price\":{high},\"low_price\":{low},\"trade_price\":{close},\
             \"timestamp\":{last},\"candle_acc_trade_price\":{value},\"candle_acc_trade_volume\":{volume}{unit}}}"
        );
        (utc, candle)
    };
    sums.into_iter().map(|(begin, sum)| shown(begin, sum)).collect()
}
