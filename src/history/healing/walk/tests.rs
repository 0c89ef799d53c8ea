//! An exchange as a list of trades, a stream that misses some of them, and processes that are killed between lines.

use super::*;
use crate::clock::Stamp;
use crate::history::healing::record::Record;
use crate::rest::quotation::TRADES_PER_PAGE;
use proptest::prelude::*;
use std::collections::BTreeSet;

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
        Record { stamp: stamp(self.received()), id: self.id, time: self.time, is_snapshot: false }
    }
}

fn stamp(millis: i64) -> Stamp {
    Stamp::from_micros(u64::try_from(millis).unwrap() * 1_000).unwrap()
}

/// The exchange's side: newest first, in pages that may be shorter than what was asked for.
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

/// One process: looks at the tape, walks, and is killed after `lines` lines. Returns whether it was done.
fn live(
    exchange: &Exchange,
    tape: (&[Record], [i64; 2]),
    (written, begun): (&mut Vec<Fetched>, &mut Vec<usize>),
    (now, lines): (&mut i64, usize),
) -> bool {
    let (records, gap) = tape;
    let mut complete = Complete::of_pages(exchange.page);
    for (index, fetched) in written.iter().enumerate() {
        begun.iter().filter(|begun| **begun == index).for_each(|_| complete.next_process());
        complete.add(fetched.time);
    }
    begun.push(written.len());
    let resume = complete.until();
    let mut evidence = Evidence::new([(stamp(gap[0]), stamp(gap[1]))]);
    for fetched in written.iter().filter(|fetched| resume.is_none_or(|resume| fetched.time <= resume)) {
        evidence.add_fetched(*fetched);
    }
    let _ = records.iter().all(|record| evidence.add(*record));
    let mut walk = Walk::new("KRW-BTC", &evidence, (resume, *now));
    let limit = written.len() + lines;
    loop {
        let request = walk.request(*now).unwrap();
        *now += 400;
        let page = exchange.answer(&request, *now);
        let mut missing = Vec::new();
        let step = walk.handle(page, *now, (&mut evidence, &mut missing));
        for missing in missing {
            if written.len() == limit {
                return false;
            }
            written.push(Fetched::parse(Series::Trades, missing.object.get().as_bytes()).unwrap());
        }
        match step {
            Step::More | Step::Again => {}
            Step::Done => return true,
            // Around midnight: later it is asked again.
            Step::Astray => *now += 20_000,
            Step::Gone | Step::Doubted => panic!("{step:?} at {walk:?}"),
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
        let trade = |(index, gap): (usize, i64)| {
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
        // Of a stream that begins with the gap only what happened in it is missed.
        let expected = missed.iter().filter(|trade| has_before || trade.time >= gap[0]);
        let expected: BTreeSet<u64> = expected.map(|trade| trade.id).collect();
        let exchange = Exchange { trades, page };
        let (mut now, mut written, mut begun) = (end.max(MIDNIGHT - 3_000), Vec::new(), Vec::new());
        let mut is_done = |lines| live(&exchange, (&records, gap), (&mut written, &mut begun), (&mut now, lines));
        if kills.into_iter().all(|lines| !is_done(lines)) {
            prop_assert!(is_done(usize::MAX / 2));
        }
        let ids: BTreeSet<u64> = written.iter().map(|fetched| fetched.id).collect();
        prop_assert_eq!(ids.len(), written.len(), "something was written twice");
        prop_assert_eq!(ids, expected);
    }
}

/// Of a gap from noon on the day before `MIDNIGHT` to noon on the day after.
fn evidence(first_after: Option<i64>) -> Evidence {
    let mut evidence = Evidence::new([(stamp(MIDNIGHT - DAY / 2), stamp(MIDNIGHT + DAY / 2))]);
    for time in [MIDNIGHT - DAY / 2 - 500].into_iter().chain(first_after) {
        let id = u64::try_from(time).unwrap();
        assert!(evidence.add(Trade { id, time, latency: 500 }.record()));
    }
    evidence
}

fn page(times: &[i64]) -> Page {
    times.iter().map(|time| object(&Trade { id: u64::try_from(*time).unwrap(), time: *time, latency: 0 })).collect()
}

/// What was asked for, and what comes of an answer to it.
fn ask(walk: &mut Walk, times: &[i64], now: i64, with: (&mut Evidence, &mut Vec<Missing>)) -> (String, Step) {
    let asked = walk.request(now).unwrap().query.plain();
    (asked, walk.handle(page(times), now, with))
}

#[test]
fn requests_name_day_and_second_and_go_on_by_the_cursor() {
    let noon = MIDNIGHT + DAY / 2;
    let (mut evidence, mut missing) = (evidence(Some(noon + 1_000)), Vec::new());
    let mut walk = Walk::new("KRW-BTC", &evidence, (None, noon + DAY));
    let mut ask = |times: &[i64]| ask(&mut walk, times, noon + DAY, (&mut evidence, &mut missing));
    let (asked, step) = ask(&[noon, noon - 7, noon + 1_000]);
    assert_eq!((asked.as_str(), step), ("market=KRW-BTC&count=500&days_ago=1&to=120004", Step::More));
    let (asked, step) = ask(&[]);
    let expected = format!("market=KRW-BTC&count=500&days_ago=1&to=120004&cursor={}", noon - 7);
    assert_eq!((asked, step), (expected, Step::Again));
    let (asked, step) = ask(&[noon - 7]);
    let expected = format!("market=KRW-BTC&count=499&days_ago=1&to=120004&cursor={}", noon - 7);
    assert_eq!((asked, step), (expected, Step::More));
    let before = MIDNIGHT - DAY / 2 - 500;
    let (asked, step) = ask(&[before]);
    assert_eq!((asked.as_str(), step), ("market=KRW-BTC&count=500&days_ago=2", Step::More));
    assert_eq!([ask(&[]).1, ask(&[]).1], [Step::Again, Step::Done]);
    assert_eq!(missing.iter().map(|missing| missing.time - noon).collect::<Vec<_>>(), [-7, 0]);
}

#[test]
fn an_end_before_what_the_tape_has_is_doubted() {
    let noon = MIDNIGHT + DAY / 2;
    let (mut evidence, mut missing) = (evidence(Some(noon)), Vec::new());
    let mut doubted = |days: &[&[i64]]| {
        let mut walk = Walk::new("KRW-BTC", &evidence, (None, noon + DAY));
        let steps = days.iter().map(|times| ask(&mut walk, times, noon + DAY, (&mut evidence, &mut missing)).1);
        steps.last().unwrap()
    };
    assert_eq!(doubted(&[&[]]), Step::Doubted, "the first trade after the gap was on that day");
    assert_eq!(doubted(&[&[noon], &[], &[], &[]]), Step::Doubted, "the last trade before the gap was on that day");
    assert_eq!(doubted(&[&[noon], &[], &[], &[MIDNIGHT - 5], &[]]), Step::Doubted, "and was not reached");
}

#[test]
fn what_the_exchange_keeps_no_longer_is_gone() {
    let now = MIDNIGHT + 7 * DAY + 60_000;
    let noon = MIDNIGHT + DAY / 2;
    let (mut evidence, mut missing) = (evidence(Some(noon)), Vec::new());
    let mut walk = Walk::new("KRW-BTC", &evidence, (None, now));
    let (asked, step) = ask(&mut walk, &[noon], now, (&mut evidence, &mut missing));
    assert!(asked.contains("days_ago=7") && step == Step::More);
    let mut end = || ask(&mut walk, &[], now, (&mut evidence, &mut missing)).1;
    assert_eq!([end(), end()], [Step::Again, Step::Gone]);
    assert!(Walk::new("KRW-BTC", &evidence, (None, now + DAY)).request(now + DAY).is_none());
}

#[test]
fn an_answer_about_another_day_is_noticed() {
    let noon = MIDNIGHT + DAY / 2;
    let mut evidence = evidence(Some(noon));
    let mut walk = Walk::new("KRW-BTC", &evidence, (None, noon));
    let mut ask = |times: &[i64], now| ask(&mut walk, times, now, (&mut evidence, &mut Vec::new()));
    assert_eq!(ask(&[noon + DAY], noon).1, Step::Astray);
    assert_eq!(ask(&[noon - DAY + 9], noon).1, Step::Astray);
    for times in [&[][..], &[MIDNIGHT - 1], &[MIDNIGHT + DAY]] {
        assert_eq!(ask(times, MIDNIGHT + 5).1, Step::Astray, "{times:?}: the exchange's day may not be ours");
    }
    assert_eq!(ask(&[noon - 1], noon).1, Step::More);
    walk.request(noon).unwrap();
    let mut handle = |page, now| walk.handle(page, now, (&mut super::tests::evidence(None), &mut Vec::new()));
    assert_eq!(handle(page(&[noon - 2]), noon + DAY), Step::More, "midnight passed");
    assert!(walk.request(noon + DAY).unwrap().query.plain().contains("days_ago=1"));
    let nonsense = vec![RawValue::from_string("{\"x\":1}".into()).unwrap()];
    let mut handle = |page, now| walk.handle(page, now, (&mut super::tests::evidence(None), &mut Vec::new()));
    assert_eq!(handle(nonsense, noon + DAY), Step::Astray);
}

#[test]
fn a_torn_last_page_is_looked_at_again() {
    let mut complete = Complete::of_pages(TRADES_PER_PAGE);
    for time in 0..=TRADES_PER_PAGE as i64 {
        assert_eq!(complete.until(), None);
        complete.add(10_000 - time);
    }
    assert_eq!(complete.until(), Some(10_000 + DISORDER));
    // What the next process writes says nothing about the page that the last one had begun.
    complete.next_process();
    (0..TRADES_PER_PAGE as i64).for_each(|time| complete.add(time));
    assert_eq!(complete.until(), Some(10_000 + DISORDER));
}
