//! An exchange as a list of trades, a stream that misses some of them, and processes that are killed between lines.

use super::*;
use crate::clock::{Position, Stamp};
use crate::history::claim::PAUSES;
use crate::history::healing::evidence::SETTLE;
use crate::history::healing::record::{Fetched, Record};
use crate::history::healing::resume::ResumePoint;
use crate::rest::answer::Mismatch;
use crate::upbit::series::{DAY, day_of, moment};
use proptest::prelude::*;
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use std::time::Duration;

/// The beginning of a day.
const MIDNIGHT: i64 = 20_779 * DAY;

/// A trade: when it happened, and how much later the stream brought it.
#[derive(Clone, Copy, Debug)]
struct Trade {
    id: u64,
    time: i64,
    latency: i64,
}

impl Trade {
    fn received(self) -> i64 {
        self.time + self.latency
    }

    fn record(self) -> Record {
        Record { position: at(self.received()), id: self.id, time: self.time, is_snapshot: false }
    }
}

fn at(millis: i64) -> Position {
    Position { epoch: 0, stamp: Stamp::from_micros(u64::try_from(millis).unwrap() * 1_000).unwrap() }
}

/// The exchange's side: newest first, in pages that may be shorter than requested.
struct Exchange {
    trades: Vec<Trade>,
    page: usize,
}

impl Exchange {
    fn answer(&self, request: &Request, now: i64) -> Page {
        let query = request.query.plain();
        let get = |name: &str| {
            query
                .split('&')
                .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value))
        };
        let number = |text: &str| text.parse::<i64>().unwrap();
        let day = day_of(now) - get("days_ago").map_or(0, number) * DAY;
        let to = get("to").map_or(i64::MAX, |to| {
            let part = |range: std::ops::Range<usize>| number(&to[range]);
            day + ((part(0..2) * 60 + part(2..4)) * 60 + part(4..6)) * 1_000
        });
        let of_day = self.trades.iter().filter(|trade| (day..day + DAY).contains(&trade.time) && trade.time <= now);
        let mut found: Vec<&Trade> = of_day.filter(|trade| trade.time < to).collect();
        if let Some(cursor) = get("cursor") {
            let cursor: u64 = cursor.parse().unwrap();
            let position = found.iter().position(|trade| trade.id == cursor).map_or(found.len(), |at| at + 1);
            found.drain(..position);
        }
        found.into_iter().take(self.page).map(object).collect()
    }
}

fn object(trade: &Trade) -> Box<RawValue> {
    RawValue::from_string(format!("{{\"timestamp\":{},\"sequential_id\":{}}}", trade.time, trade.id)).unwrap()
}

/// A stream, its gap, and the processes that heal it one after another.
struct Healing {
    exchange: Exchange,
    records: Vec<Record>,
    gap: [i64; 2],
    now: i64,
    written: Vec<Fetched>,
    /// The number of objects written when each process began.
    begun: Vec<usize>,
}

impl Healing {
    /// One process: scans the tape, walks, and is killed after `lines` lines. Returns whether it finished.
    fn live(&mut self, lines: usize) -> bool {
        let mut point = ResumePoint::of_pages(self.exchange.page);
        for (index, fetched) in self.written.iter().enumerate() {
            self.begun.iter().filter(|begun| **begun == index).for_each(|_| point.next_process());
            point.add(fetched.time);
        }
        self.begun.push(self.written.len());
        let resume = point.until();
        let mut evidence = Evidence::new([at(self.gap[0])..at(self.gap[1])]);
        for fetched in self.written.iter().filter(|fetched| resume.is_none_or(|resume| fetched.time <= resume)) {
            evidence.add_fetched(*fetched);
        }
        let _ = self.records.iter().all(|record| evidence.add(*record));
        let mut search = Search::new("KRW-BTC", Series::Trades, evidence, resume, at(self.now));
        let limit = self.written.len() + lines;
        loop {
            let request = search.request(self.now).unwrap();
            self.now += 400;
            let page = self.exchange.answer(&request, self.now);
            let step = search.handle(page, self.now);
            for missing in search.take_missing() {
                if self.written.len() == limit {
                    return false;
                }
                self.written.push(Fetched::parse(Series::Trades, 0, missing.object.get().as_bytes()).unwrap());
            }
            match step {
                Step::More | Step::Again(_) => {}
                Step::Done => return true,
                // Around midnight the request is put off.
                Step::OtherDay | Step::Strange(_) => self.now += 20_000,
                _ => panic!("{step:?} at {search:?}"),
            }
        }
    }
}

prop_compose! {
    /// Trades of three days around a midnight, many of them close together, with identifiers in no order.
    fn trades()(
        gaps in prop::collection::vec(prop_oneof![5 => 0..3i64, 3 => 0..900i64, 1 => 0..40_000_000i64], 1..150),
        latencies in prop::collection::vec(0..900i64, 150),
        salt: u64,
    ) -> Vec<Trade> {
        let mut time = MIDNIGHT - 2 * DAY;
        let trade = |(index, gap)| {
            time += gap;
            let id = (index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ salt;
            Trade { id, time, latency: latencies[index] }
        };
        let mut trades: Vec<Trade> = gaps.into_iter().enumerate().map(trade).collect();
        trades.retain(|trade| trade.time < MIDNIGHT + DAY);
        trades.reverse();
        trades
    }
}

proptest! {
    #[test]
    fn every_missed_trade_is_written_once_and_none_that_came(
        trades in trades(),
        page in 1..9usize,
        ends in [0.0..1.0f64, 0.0..1.0],
        kills in prop::collection::vec(0..20usize, 0..6),
        quiet: bool,
    ) {
        let begin = trades.last().unwrap().time - 1_000;
        let end = trades[0].received() + 1_000;
        let at = |part: f64| begin + ((end - begin) as f64 * part) as i64;
        let gap = [at(ends[0].min(ends[1])), if quiet { end } else { at(ends[0].max(ends[1])) }];
        let (missed, mut came): (Vec<Trade>, Vec<Trade>) = trades.iter().partition(|trade| {
            gap[0] < trade.received() && trade.received() < gap[1]
        });
        came.sort_by_key(|trade| trade.received());
        let records: Vec<Record> = came.iter().map(|trade| trade.record()).collect();
        let has_before = came.iter().any(|trade| trade.received() <= gap[0]);
        // A stream that begins with the gap misses only trades from within it, or since its first one, where that is older.
        let floor = came.first().map_or(gap[0], |first| first.time.min(gap[0]));
        let expected = missed.iter().filter(|trade| has_before || trade.time >= floor);
        let expected: BTreeSet<u64> = expected.map(|trade| trade.id).collect();
        let exchange = Exchange { trades, page };
        let (now, written, begun) = (end.max(MIDNIGHT - 3_000), Vec::new(), Vec::new());
        let mut healing = Healing { exchange, records, gap, now, written, begun };
        if kills.into_iter().all(|lines| !healing.live(lines)) {
            prop_assert!(healing.live(usize::MAX / 2));
        }
        let written = healing.written;
        let ids: BTreeSet<u64> = written.iter().map(|fetched| fetched.id).collect();
        prop_assert_eq!(ids.len(), written.len(), "something was written twice");
        prop_assert_eq!(ids, expected);
    }
}

/// Of a gap from noon on the day before `MIDNIGHT` to noon on the day after.
fn evidence(first_after: Option<i64>) -> Evidence {
    let mut evidence = Evidence::new([at(MIDNIGHT - DAY / 2)..at(MIDNIGHT + DAY / 2)]);
    for time in [MIDNIGHT - DAY / 2 - 500].into_iter().chain(first_after) {
        let id = u64::try_from(time).unwrap();
        assert!(evidence.add(Trade { id, time, latency: 500 }.record()));
    }
    evidence
}

fn page(times: &[i64]) -> Page {
    times.iter().map(|time| object(&Trade { id: u64::try_from(*time).unwrap(), time: *time, latency: 0 })).collect()
}

/// A search of trades, begun at `now`.
fn search(first_after: Option<i64>, now: i64) -> Search {
    Search::new("KRW-BTC", Series::Trades, evidence(first_after), None, at(now))
}

/// The request, and the step that follows an answer to it.
fn ask(search: &mut Search, page: Page, now: i64) -> (String, Step) {
    let asked = search.request(now).unwrap().query.plain();
    (asked, search.handle(page, now))
}

const AGAIN: Step = Step::Again(PAUSES[0]);
const NOON: i64 = MIDNIGHT + DAY / 2;

#[test]
fn requests_name_day_and_second_and_go_on_by_the_cursor() {
    let mut search = search(Some(NOON + 1_000), NOON + DAY);
    let mut ask = |times: &[i64]| ask(&mut search, page(times), NOON + DAY);
    let (asked, step) = ask(&[NOON, NOON - 7, NOON + 1_000]);
    assert_eq!((asked.as_str(), step), ("market=KRW-BTC&count=500&days_ago=1&to=120004", Step::More));
    let (asked, step) = ask(&[]);
    let expected = format!("market=KRW-BTC&count=500&days_ago=1&to=120004&cursor={}", NOON - 7);
    assert_eq!((asked, step), (expected, AGAIN));
    let (asked, step) = ask(&[NOON - 7]);
    let expected = format!("market=KRW-BTC&count=499&days_ago=1&to=120004&cursor={}", NOON - 7);
    assert_eq!((asked, step), (expected, Step::More));
    let before = MIDNIGHT - DAY / 2 - 500;
    let (asked, step) = ask(&[before]);
    assert_eq!((asked.as_str(), step), ("market=KRW-BTC&count=500&days_ago=2", Step::More));
    assert_eq!([ask(&[]).1, ask(&[]).1], [AGAIN, Step::Done]);
    assert_eq!(search.take_missing().iter().map(|missing| missing.time - NOON).collect::<Vec<_>>(), [-7, 0]);
}

#[test]
fn an_end_before_what_the_tape_has_is_doubted() {
    let doubted = |days: &[&[i64]]| {
        let mut search = search(Some(NOON), NOON + DAY);
        let step = days.iter().map(|times| ask(&mut search, page(times), NOON + DAY).1).last().unwrap();
        matches!(step, Step::Ends(_))
    };
    assert!(doubted(&[&[]]), "the first trade after the gap was on that day");
    assert!(doubted(&[&[NOON], &[], &[], &[]]), "the last trade before the gap was on that day");
    assert!(doubted(&[&[NOON], &[], &[], &[MIDNIGHT - 5], &[]]), "and was not reached");
}

#[test]
fn a_page_is_compared_with_a_tape_that_has_settled() {
    let first = at(NOON + 1_000).after(Duration::from_millis(500));
    let needs_scan = |now| {
        let search = Search::new("KRW-BTC", Series::Trades, evidence(Some(NOON + 1_000)), None, now);
        search.needs_scan(&page(&[NOON + 1_500]))
    };
    assert!(needs_scan(first) && !needs_scan(first.after(SETTLE)));
}

#[test]
fn what_the_exchange_keeps_no_longer_is_gone() {
    let now = MIDNIGHT + 7 * DAY + 60_000;
    let mut search = search(Some(NOON), now);
    let (asked, step) = ask(&mut search, page(&[NOON]), now);
    assert!(asked.contains("days_ago=7") && step == Step::More);
    let mut end = || ask(&mut search, page(&[]), now).1;
    assert_eq!([end(), end()], [AGAIN, Step::Gone]);
    assert_eq!(super::tests::search(Some(NOON), now + DAY).request(now + DAY).unwrap_err(), End::Partial);
}

#[test]
fn an_answer_about_another_day_is_noticed() {
    let mut search = search(Some(NOON), NOON);
    let mut ask = |times: &[i64], now| ask(&mut search, page(times), now).1;
    assert_eq!(ask(&[NOON + DAY], NOON), Step::Strange(Mismatch::Time));
    assert_eq!(ask(&[NOON - DAY + 9], NOON), Step::Strange(Mismatch::Time));
    for times in [&[][..], &[MIDNIGHT - 1], &[MIDNIGHT + DAY]] {
        assert_eq!(ask(times, MIDNIGHT + 5), Step::OtherDay, "{times:?}: the exchange's day may not be ours");
    }
    assert_eq!(ask(&[NOON - 1], NOON), Step::More);
    search.request(NOON).unwrap();
    assert_eq!(search.handle(page(&[NOON - 2]), NOON + DAY), Step::More, "midnight passed");
    assert!(search.request(NOON + DAY).unwrap().query.plain().contains("days_ago=1"));
    let nonsense = vec![RawValue::from_string("{\"x\":1}".into()).unwrap()];
    assert!(matches!(search.handle(nonsense, NOON + DAY), Step::Strange(Mismatch::Object(_))));
}

const MINUTE: i64 = 60_000;

/// A candle stream's record.
fn record(minute: i64, millis: i64) -> Record {
    let time = minute * MINUTE + millis;
    Record { position: at(time), id: time.unsigned_abs() * 31, time, is_snapshot: false }
}

/// The tape around a gap between two minutes.
fn around(gap: [i64; 2], records: &[Record]) -> Evidence {
    let mut evidence = Evidence::new([record(gap[0], 0).position..record(gap[1], 0).position]);
    records.iter().for_each(|record| assert!(evidence.add(*record)));
    evidence
}

fn search_candles(unit: &str, evidence: Evidence) -> Search {
    Search::new("KRW-BTC", Series::Candles(unit.parse().unwrap()), evidence, None, at(25 * MINUTE + 1))
}

fn candles(minutes: impl IntoIterator<Item = i64>) -> Page {
    let object = |minute: i64| {
        let time = moment(minute * MINUTE).strftime("%FT%T");
        RawValue::from_string(format!("{{\"candle_date_time_utc\":\"{time}\"}}")).unwrap()
    };
    minutes.into_iter().map(object).collect()
}

fn missing_minutes(search: &mut Search) -> Vec<i64> {
    search.take_missing().iter().map(|missing| missing.time / MINUTE).collect()
}

/// A whole page of minutes, the newest first, without one and with one more behind them.
fn full(newest: i64, lacking: Option<i64>) -> Page {
    let minutes = (1..=200 + i64::from(lacking.is_some())).map(|back| newest + 1 - back);
    candles(minutes.filter(|minute| Some(*minute) != lacking))
}

#[test]
fn the_periods_between_the_records_around_a_gap_are_fetched() {
    let evidence = around([1_011, 1_300], &[record(1_010, 500), record(1_300, 500)]);
    let mut search = search_candles("1m", evidence);
    let (asked, step) = ask(&mut search, full(1_299, Some(1_290)), 0);
    assert!(asked.contains("to=1970-01-01T21:40:00Z") && step == Step::More);
    assert_eq!(missing_minutes(&mut search), (1_099..1_300).filter(|minute| *minute != 1_290).collect::<Vec<_>>());
    let shuffled: Page = full(1_098, None).into_iter().rev().collect();
    let (asked, step) = ask(&mut search, shuffled, 0);
    assert!(asked.contains("to=1970-01-01T18:19:00Z") && step == Step::Done, "{asked}");
    assert_eq!(missing_minutes(&mut search), (1_010..1_099).collect::<Vec<_>>());
}

#[test]
fn nothing_is_asked_for_within_one_period_and_nothing_twice() {
    let within = around([11, 20], &[record(10, 500), record(20, 1)]);
    assert_eq!(search_candles("60m", within).request(0).unwrap_err(), End::Complete);
    let mut evidence = around([11, 20], &[record(10, 500)]);
    evidence.add_fetched(Fetched { id: 12 * 60_000, time: 12 * MINUTE, gap: at(1) });
    let mut search = search_candles("1m", evidence);
    let (asked, step) = ask(&mut search, candles([13, 12, 10]), 0);
    assert!(asked.contains("to=1970-01-01T00:25:00Z"));
    assert_eq!((step, missing_minutes(&mut search)), (Step::Done, vec![10, 13]));
}

#[test]
fn an_empty_page_is_confirmed_unless_the_tape_has_something() {
    for minutes in [&[][..], &[19, 15]] {
        let mut search = search_candles("1m", around([11, 20], &[record(10, 500), record(20, 500)]));
        let (_, step) = ask(&mut search, candles(minutes.iter().copied()), 0);
        assert!(matches!(step, Step::Ends(_)), "{minutes:?}");
        assert!(search.take_missing().is_empty());
    }
    let mut search = search_candles("1m", around([11, 20], &[record(20, 500)]));
    assert_eq!(ask(&mut search, candles([]), 0).1, AGAIN);
    let (asked, step) = ask(&mut search, candles([20]), 0);
    assert!(asked.ends_with("to=1970-01-01T00:21:00Z&count=199"), "{asked}");
    assert_eq!((step, search.take_missing().len()), (Step::Done, 0));
}

#[test]
fn candles_that_were_not_asked_for_are_noticed() {
    let mut search = search_candles("1m", around([11, 20], &[record(10, 500), record(20, 500)]));
    assert_eq!(ask(&mut search, candles([20]), 0).1, Step::Strange(Mismatch::Time));
}

#[test]
fn what_comes_while_a_quiet_stream_settles_is_not_missing() {
    let mut search = search(None, NOON + DAY);
    search.request(NOON + DAY).unwrap();
    let late = page(&[NOON + 9, NOON - 9]);
    assert!(search.needs_scan(&late));
    search.settle(evidence(Some(NOON + 9)));
    assert!(!search.needs_scan(&late));
}
