//! A simulated exchange: a list of objects, whose answers can be wrong.

use super::*;
use crate::upbit::series::moment;
use proptest::prelude::*;
use serde_json::value::RawValue;

const MINUTE: i64 = 60_000;
const TODAY: i64 = 100 * DAY;
const HOUR: i64 = 60 * MINUTE;
const NOON: i64 = TODAY + 12 * HOUR;

fn candle(minute: i64) -> String {
    let time = moment(minute * MINUTE).strftime("%Y-%m-%dT%H:%M:%S");
    format!("{{\"candle_date_time_utc\":\"{time}\"}}")
}

fn page(objects: impl IntoIterator<Item = String>) -> Page {
    objects.into_iter().map(|object| RawValue::from_string(object).unwrap()).collect()
}

fn walk(from: i64, to: i64) -> PageWalk {
    let series = Series::Candles("1m".parse().unwrap());
    let span = Span { from: from * MINUTE, to: to * MINUTE };
    PageWalk::new("KRW-BTC".into(), series, span, Slack::default(), NOON)
}

/// The request's query, and the step after its answer.
fn ask(walk: &mut PageWalk, minutes: &[i64]) -> (String, Step) {
    let asked = walk.request(NOON).query.plain();
    (asked, walk.handle(page(minutes.iter().map(|minute| candle(*minute))), NOON))
}

fn minutes(walk: &mut PageWalk, step: Step) -> Vec<i64> {
    assert_eq!(step, Step::Done);
    walk.take_items().iter().map(|item| item.time / MINUTE).collect()
}

/// A full page of minutes before `to`.
fn full(to: i64) -> Vec<i64> {
    (1..=200).map(|back| to - back).collect()
}

#[test]
fn a_piece_is_walked_backwards_and_handed_on_oldest_first() {
    let mut walk = walk(1_700, 2_000);
    let (asked, step) = ask(&mut walk, &full(2_000));
    assert_eq!(asked, "market=KRW-BTC&to=1970-01-02T09:20:00Z&count=200");
    assert!(matches!(step, Step::More));
    let (asked, step) = ask(&mut walk, &full(1_800));
    assert_eq!(asked, "market=KRW-BTC&to=1970-01-02T06:00:00Z&count=200");
    assert_eq!(minutes(&mut walk, step), (1_700..2_000).collect::<Vec<_>>());
    assert_eq!(walk.per_page(), Some(200 * MINUTE));
}

#[test]
fn an_empty_page_is_confirmed_by_another_question() {
    let mut walk = walk(10, 300);
    assert!(matches!(ask(&mut walk, &full(300)).1, Step::More));
    let Step::Ends(claim) = ask(&mut walk, &[]).1 else { panic!("no end") };
    assert_eq!(claim, Claim { since: 10 * MINUTE, to: 100 * MINUTE, objects: 0, before: 100 * MINUTE });
    assert!(matches!(walk.judge(claim, Judgement::Plausible), Step::Again(_)));
    let (asked, step) = ask(&mut walk, &[100]);
    assert_eq!(asked, "market=KRW-BTC&to=1970-01-01T01:41:00Z&count=199", "it overlaps with what has come");
    let Step::Ends(claim) = step else { panic!("no end") };
    let step = walk.judge(claim, Judgement::Plausible);
    assert_eq!(minutes(&mut walk, step), (100..300).collect::<Vec<_>>());
    assert_eq!(walk.per_page(), Some(200 * MINUTE));
}

#[test]
fn what_a_confirming_answer_brings_is_gone_on_with() {
    let mut walk = walk(10, 300);
    ask(&mut walk, &full(300));
    let Step::Ends(claim) = ask(&mut walk, &[]).1 else { panic!("no end") };
    walk.judge(claim, Judgement::Plausible);
    // The newest of them is known.
    let again: Vec<i64> = (0..=100).rev().collect();
    let Step::Ends(short) = ask(&mut walk, &again).1 else { panic!("a short page says that history begins there") };
    assert_eq!((short.objects, short.before), (100, 0));
    let step = walk.judge(short, Judgement::Plausible);
    assert_eq!(minutes(&mut walk, step), (10..300).collect::<Vec<_>>());
}

#[test]
fn what_is_contradicted_is_asked_again_and_never_whole() {
    let mut walk = walk(10, 300);
    ask(&mut walk, &full(300));
    let mut pauses = Vec::new();
    let (claim, span) = loop {
        let Step::Ends(claim) = ask(&mut walk, &[]).1 else { panic!("no end") };
        match walk.judge(claim, Judgement::Contradicted) {
            Step::Again(pause) => pauses.push(pause),
            Step::Doubted { claim, whole } => break (claim, whole),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(pauses, PAUSES);
    assert_eq!((claim.to, claim.objects), (100 * MINUTE, 0));
    assert_eq!((span, walk.take_items().len()), (Span { from: 100 * MINUTE, to: 300 * MINUTE }, 200));
}

#[test]
fn what_is_believed_at_last_ends_a_piece() {
    let mut walk = walk(10, 300);
    ask(&mut walk, &full(300));
    let Step::Ends(claim) = ask(&mut walk, &[]).1 else { panic!("no end") };
    let step = walk.judge(claim, Judgement::Believed);
    assert_eq!(minutes(&mut walk, step).len(), 200);
}

#[test]
fn a_short_page_before_known_history_is_asked_again() {
    let mut walk = walk(10, 300);
    let Step::Ends(claim) = ask(&mut walk, &[299, 250]).1 else { panic!("no end") };
    assert_eq!(claim, Claim { since: 10 * MINUTE, to: 300 * MINUTE, objects: 2, before: 250 * MINUTE });
    assert!(matches!(walk.judge(claim, Judgement::Contradicted), Step::Again(_)));
    assert!(matches!(ask(&mut walk, &full(300)).1, Step::More), "nothing of the short page is relied on");
}

#[test]
fn a_short_page_that_was_wrong_is_asked_for_once_more() {
    let mut walk = walk(10, 300);
    let Step::Ends(claim) = ask(&mut walk, &[299, 200]).1 else { panic!("no end") };
    assert!(matches!(walk.judge(claim, Judgement::Plausible), Step::Again(_)));
    // The short page claimed nothing before minute 200, and may have holes after it as well.
    let (asked, step) = ask(&mut walk, &[200, 199]);
    assert!(asked.contains("to=1970-01-01T03:21:00Z") && matches!(step, Step::More), "{asked} {step:?}");
    let (asked, step) = ask(&mut walk, &[299, 298, 200, 199, 5]);
    assert!(asked.contains("to=1970-01-01T05:00:00Z"), "{asked}");
    assert_eq!(minutes(&mut walk, step), [199, 200, 298, 299]);
}

#[test]
fn an_answer_to_another_question_is_noticed() {
    assert!(matches!(ask(&mut walk(10, 20), &[25, 19]).1, Step::Strange(Mismatch::Time)));
    let mut walk = walk(10, 20);
    walk.request(NOON);
    assert!(matches!(walk.handle(page(["{\"x\":1}".into()]), NOON), Step::Strange(Mismatch::Object(_))));
}

fn trade(time: i64, id: u64) -> String {
    format!("{{\"timestamp\":{time},\"sequential_id\":{id}}}")
}

fn trades(times: &[i64]) -> Page {
    page(times.iter().map(|time| trade(*time, time.unsigned_abs())))
}

/// The last hour but one of the day `days` ago.
fn hour_of(days: i64) -> PageWalk {
    let from = TODAY - days * DAY + 22 * HOUR;
    let slack = Slack { older: DISORDER, newer: 0 };
    PageWalk::new("KRW-BTC".into(), Series::Trades, Span { from, to: from + HOUR }, slack, NOON)
}

#[test]
fn trades_are_asked_for_by_day_and_midnight_is_noticed() {
    let mut walk = hour_of(1);
    let from = walk.span().from;
    assert_eq!(walk.request(NOON).query.plain(), "market=KRW-BTC&count=500&days_ago=1&to=230000");
    assert!(matches!(walk.handle(trades(&[from + 5]), NOON + DAY), Step::More));
    assert_eq!(walk.request(NOON + DAY).query.plain(), "market=KRW-BTC&count=500&days_ago=2&to=230000");
    assert!(matches!(walk.handle(trades(&[from + 5]), NOON + DAY), Step::More));
    assert!(walk.request(NOON + DAY).query.plain().ends_with(&format!("&cursor={}", from + 5)));
    assert_eq!(walk.handle(trades(&[from - DISORDER - 1]), NOON + DAY), Step::Done);
    assert_eq!((walk.take_items().len(), walk.per_page()), (1, Some((HOUR + DISORDER + 1) / 2)));
}

#[test]
fn an_end_of_trades_is_confirmed_or_contradicted() {
    let mut walk = hour_of(1);
    let from = walk.span().from;
    walk.request(NOON);
    assert!(matches!(walk.handle(trades(&[from + 9]), NOON), Step::More));
    walk.request(NOON);
    let Step::Ends(claim) = walk.handle(trades(&[]), NOON) else { panic!("no end") };
    assert_eq!((claim.to, claim.before), (from + 9, from + 9));
    assert!(matches!(walk.judge(claim, Judgement::Plausible), Step::Again(_)));
    assert!(walk.request(NOON).query.plain().contains("count=499"));
    let Step::Ends(claim) = walk.handle(trades(&[from + 9]), NOON) else { panic!("no end") };
    let mut contradicted = hour_of(1);
    contradicted.request(NOON);
    for _ in 0..3 {
        contradicted.handle(trades(&[]), NOON);
        assert!(matches!(contradicted.judge(claim, Judgement::Contradicted), Step::Again(_)));
        contradicted.request(NOON);
    }
    let step = contradicted.judge(claim, Judgement::Contradicted);
    assert!(matches!(&step, Step::Doubted { whole, .. } if whole.length() == 0), "{step:?}");
    assert!(contradicted.take_items().is_empty());
    assert_eq!(walk.judge(claim, Judgement::Plausible), Step::Done);
    assert_eq!(walk.take_items().len(), 1);
}

#[test]
fn what_is_forgotten_at_midnight_is_gone_and_no_error() {
    let mut walk = hour_of(7);
    let before = TODAY + DAY - MINUTE;
    assert!(walk.request(before).query.plain().contains("days_ago=7"));
    assert!(matches!(walk.handle(trades(&[walk.span().from + 5]), before), Step::More));
    walk.request(before);
    assert!(matches!(walk.handle(trades(&[]), TODAY + DAY + 1), Step::Gone));
}

#[test]
fn around_midnight_only_a_page_that_shows_its_day_counts() {
    for now in [TODAY + 1, TODAY + DAY - 1] {
        let mut walk = hour_of(1);
        let from = walk.span().from;
        // The exchange's clock showed the day before, or after.
        for other in [vec![], vec![from + DAY], vec![from - DAY]] {
            walk.request(now);
            assert_eq!(walk.handle(trades(&other), now), Step::OtherDay, "{other:?}");
        }
        assert!(!walk.request(now).query.plain().contains("cursor"));
        let page = trades(&[from + 5, from - DISORDER - 5]);
        assert_eq!(walk.handle(page, now), Step::Done);
        assert_eq!(walk.take_items().len(), 1);
    }
    let mut walk = hour_of(1);
    walk.request(NOON);
    assert!(matches!(walk.handle(trades(&[walk.span().from + DAY]), NOON), Step::Strange(Mismatch::Time)));
}

/// The exchange's objects, newest first, and how it pages them.
#[derive(Clone, Debug)]
struct Exchange {
    trades: Vec<(i64, u64)>,
    shuffles: Vec<usize>,
}

impl Exchange {
    /// A page, in any order.
    fn answer(&mut self, request: &Request) -> Page {
        let query = request.query.plain();
        let get = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let count: usize = get("count").unwrap().parse().unwrap();
        // Small pages, so that there are many.
        let count = 12 + count - TRADES_PER_PAGE;
        let begin = get("cursor").map_or(0, |cursor| {
            let cursor: u64 = cursor.parse().unwrap();
            self.trades.iter().position(|(_, id)| *id == cursor).unwrap() + 1
        });
        let mut found: Vec<(i64, u64)> = self.trades.iter().skip(begin).take(count).copied().collect();
        let shuffle = self.shuffles.pop().unwrap_or(0);
        for index in 0..found.len() {
            let with = (index * 31 + shuffle * 7) % found.len();
            found.swap(index, with);
        }
        page(found.into_iter().map(|(time, id)| trade(time, id)))
    }
}

proptest! {
    #[test]
    fn every_trade_comes_once_in_any_order_of_pages(
        pauses in prop::collection::vec(prop_oneof![5 => Just(0), 3 => 0..900i64, 1 => 0..90_000i64], 0..200),
        shuffles in prop::collection::vec(0..50usize, 0..40),
        salt: u64,
    ) {
        let mut walk = hour_of(1);
        let span = walk.span();
        let mut time = span.to - 1;
        let trade = |(index, pause): (usize, i64)| {
            time -= pause;
            (time, (index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ salt)
        };
        let trades: Vec<(i64, u64)> = pauses.into_iter().enumerate().map(trade).collect();
        let mut exchange = Exchange { trades: trades.clone(), shuffles };
        let mut requests = 0;
        let items = loop {
            let request = walk.request(NOON);
            let mut step = walk.handle(exchange.answer(&request), NOON);
            if let Step::Ends(claim) = step {
                step = walk.judge(claim, Judgement::Plausible);
            }
            requests += 1;
            prop_assert!(requests < 400, "it goes on for ever");
            match step {
                Step::More | Step::Again(_) => {}
                Step::Done => break walk.take_items(),
                other => panic!("{other:?}"),
            }
        };
        prop_assert!(items.windows(2).all(|pair| pair[0].time <= pair[1].time));
        let mut got: Vec<(i64, u64)> = items.iter().map(|item| (item.time, item.id)).collect();
        let mut expected: Vec<(i64, u64)> = trades.into_iter().filter(|(time, _)| *time >= span.from).collect();
        got.sort();
        expected.sort();
        prop_assert_eq!(got, expected);
    }

    #[test]
    fn every_candle_comes_once_in_any_order_of_pages(
        there in prop::collection::vec(prop::bool::weighted(0.7), 400..900),
        from in 0..300i64,
        shuffle in 1..50usize,
    ) {
        let to = i64::try_from(there.len()).unwrap();
        let all: Vec<i64> = (0..to).filter(|minute| there[usize::try_from(*minute).unwrap()]).collect();
        let mut walk = walk(from, to);
        let items = loop {
            let query = walk.request(NOON).query.plain();
            let get = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)).unwrap();
            let before = get("to=").parse::<jiff::Timestamp>().unwrap().as_millisecond() / MINUTE;
            let older = all.iter().rev().filter(|minute| **minute < before);
            let mut found: Vec<i64> = older.take(get("count=").parse().unwrap()).copied().collect();
            for index in 0..found.len() {
                let with = (index * 31 + shuffle * 7) % found.len();
                found.swap(index, with);
            }
            let mut step = walk.handle(page(found.into_iter().map(candle)), NOON);
            if let Step::Ends(claim) = step {
                step = walk.judge(claim, Judgement::Plausible);
            }
            match step {
                Step::More | Step::Again(_) => {}
                Step::Done => break walk.take_items(),
                other => panic!("{other:?}"),
            }
        };
        let got: Vec<i64> = items.iter().map(|item| item.time / MINUTE).collect();
        let expected: Vec<i64> = all.into_iter().filter(|minute| *minute >= from).collect();
        prop_assert_eq!(got, expected);
    }
}

#[test]
fn days_of_trades_are_walked_back_to_the_span_s_start() {
    let span = Span { from: TODAY - DAY - HOUR, to: TODAY + HOUR };
    let mut walk = PageWalk::new("KRW-BTC".into(), Series::Trades, span, Slack { older: 0, newer: 1_999 }, NOON);
    let mut ask = |times: &[i64], judges: bool| {
        let asked = walk.request(NOON).query.plain();
        let step = walk.handle(trades(times), NOON);
        match step {
            Step::Ends(claim) if judges => (asked, walk.judge(claim, Judgement::Plausible)),
            step => (asked, step),
        }
    };
    assert_eq!(ask(&[TODAY + 7], true), ("market=KRW-BTC&count=500&to=010001".into(), Step::More));
    assert_eq!(ask(&[], true).1, Step::Again(PAUSES[0]));
    assert_eq!(ask(&[], true).1, Step::More);
    assert_eq!(ask(&[TODAY - 7], true), ("market=KRW-BTC&count=500&days_ago=1".into(), Step::More));
    let Step::Ends(claim) = ask(&[], false).1 else { panic!("no end") };
    assert_eq!((claim.since, claim.before), (TODAY - DAY, TODAY - 7));
    let (asked, step) = ask(&[TODAY - DAY - HOUR - 1], true);
    assert!(asked.ends_with("days_ago=1&cursor=8639999993") && step == Step::Done, "{asked} {step:?}");
    assert_eq!(walk.take_items().iter().map(|item| item.time - TODAY).collect::<Vec<_>>(), [-7, 7]);
}

#[test]
fn what_was_taken_is_no_news_where_it_comes_again() {
    let mut walk = hour_of(1);
    let from = walk.span().from;
    let quiet: Vec<i64> = (1..=30).map(|back| from + HOUR - back * 110_000).collect();
    walk.request(NOON);
    assert_eq!(walk.handle(trades(&quiet), NOON), Step::More);
    assert_eq!(walk.take_items().len(), 30);
    for step in [Step::Again(PAUSES[0]), Step::Done] {
        walk.request(NOON);
        let Step::Ends(claim) = walk.handle(trades(&quiet[10..]), NOON) else { panic!("no end") };
        assert_eq!(walk.judge(claim, Judgement::Plausible), step);
    }
}

#[test]
fn a_claim_that_is_ignored_does_not_end_the_walk() {
    let mut walk = walk(10, 300);
    let Step::Ends(claim) = ask(&mut walk, &[299, 250]).1 else { panic!("no end") };
    assert_eq!(walk.judge(claim, Judgement::Ignored), Step::More);
    assert_eq!(walk.take_items().len(), 2);
    let (asked, _) = ask(&mut walk, &full(250));
    assert!(asked.ends_with("to=1970-01-01T04:10:00Z&count=200"), "{asked}");
}
