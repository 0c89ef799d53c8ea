//! Gaps, scans and answers come in; requests and reports are compared with the expected ones.

use super::*;
use crate::history::healing::record::Record;

const SECOND: u64 = 1_000_000;
const BEGIN: u64 = 1_795_324_324 * SECOND;

fn at(second: u64) -> Position {
    Position { epoch: 0, stamp: Stamp::from_micros(BEGIN + second * SECOND).unwrap() }
}

fn gap(from: u64, to: u64, streams: &[&str]) -> Gap {
    let streams = streams.iter().map(|name| StreamKey::from_stem(name).unwrap()).collect();
    Gap {
        id: at(to).after(Duration::from_micros(1)),
        from: at(from).stamp,
        to: at(to).stamp,
        is_unsure: false,
        is_cached: false,
        streams,
    }
}

fn plan(gaps: &[Gap]) -> Plan {
    let mut plan = Plan::default();
    gaps.iter().for_each(|gap| plan.add(gap, at(0)));
    plan
}

/// A scan result: `before` records in the three seconds before the gap, and one after it at `first`.
fn evidence(task: &Task, before: u64, first: Option<(Position, bool)>) -> Evidence {
    let mut evidence = Evidence::new(task.spans());
    let record = |id: u64, position: Position, is_snapshot| Record {
        position,
        id,
        time: position.stamp.as_millis(),
        is_snapshot,
    };
    for id in 0..before {
        evidence.add(record(id, task.from().before(Duration::from_millis(3_000 * (before - id) / before)), false));
    }
    if let Some((position, is_repeated)) = first {
        evidence.add(record(if is_repeated { before - 1 } else { before }, position, is_repeated));
    }
    evidence
}

fn scan(plan: &mut Plan, now: Position) -> Task {
    match plan.next(now) {
        Next::Scan(task) => task,
        other => panic!("no scan: {other:?}"),
    }
}

fn ask(plan: &mut Plan, now: Position) -> Task {
    match plan.next(now) {
        Next::Ask(task) => task,
        other => panic!("no question: {other:?}"),
    }
}

fn report(plan: &mut Plan, now: Position) -> (Position, HealReport) {
    match plan.next(now) {
        Next::Report(gap, report) => (gap, report),
        other => panic!("no report: {other:?}"),
    }
}

#[test]
fn what_cannot_be_healed_is_reported_at_once_and_costs_nothing() {
    let gap = gap(0, 10, &["KRW-BTC_orderbook", "KRW-ETH_orderbook", "KRW-BTC_ticker", "myOrder"]);
    let mut plan = plan(std::slice::from_ref(&gap));
    let impossible = ["orderbook", "ticker", "myOrder"].map(str::to_owned).into();
    assert_eq!(report(&mut plan, at(10)), (gap.id, HealReport { impossible, ..HealReport::default() }));
    assert_eq!(plan.next(at(10)), Next::Wait(None));
}

#[test]
fn a_settled_stream_that_missed_nothing_is_not_asked_about() {
    let gap = gap(0, 10, &["KRW-BTC_trade"]);
    let mut plan = plan(std::slice::from_ref(&gap));
    assert_eq!(plan.next(at(10)), Next::Wait(Some(at(15).stamp)));
    let task = scan(&mut plan, at(15));
    let shown = evidence(&task, 3, Some((at(10), true)));
    plan.scanned(task, &shown, at(15));
    assert_eq!(report(&mut plan, at(15)), (gap.id, HealReport { unaffected: 1, ..HealReport::default() }));
}

#[test]
fn busy_streams_are_asked_about_first_and_quiet_ones_last() {
    let names = ["A-QUIET_trade", "B-SLOW_trade", "C-BUSY_trade"];
    let mut plan = plan(&[gap(0, 10, &names)]);
    for (before, first) in [(3, None), (3, Some((at(11), false))), (30, Some((at(11), false)))] {
        let task = scan(&mut plan, at(16));
        let shown = evidence(&task, before, first);
        plan.scanned(task, &shown, at(16));
    }
    assert_eq!(ask(&mut plan, at(16)).stream.as_str(), names[2]);
    // The quiet stream may still deliver.
    assert_eq!(ask(&mut plan, at(16)).stream.as_str(), names[1]);
    assert_eq!(plan.next(at(16)), Next::Wait(Some(at(70).stamp)));
    let quiet = scan(&mut plan, at(70));
    let shown = evidence(&quiet, 3, None);
    plan.scanned(quiet, &shown, at(70));
    assert_eq!(ask(&mut plan, at(70)).stream.as_str(), names[0]);
}

#[test]
fn a_first_record_has_to_settle_before_it_is_relied_on() {
    let mut plan = plan(&[gap(0, 10, &["KRW-BTC_trade"])]);
    let task = scan(&mut plan, at(15));
    let shown = evidence(&task, 3, Some((at(14), false)));
    plan.scanned(task, &shown, at(15));
    assert_eq!(plan.next(at(15)), Next::Wait(Some(at(19).stamp)));
}

#[test]
fn gaps_close_together_are_asked_about_once() {
    let gaps = [gap(0, 10, &["KRW-BTC_trade"]), gap(20, 30, &["KRW-BTC_trade"]), gap(900, 910, &["KRW-BTC_trade"])];
    let mut plan = plan(&gaps);
    let mut task = scan(&mut plan, at(35));
    assert_eq!((task.from(), task.to()), (at(0), at(30)));
    let millis = |second: u64| i64::try_from((BEGIN / SECOND + second) * 1_000).unwrap();
    assert_eq!([5, 25, 15].map(|second| task.gap_of(millis(second))), [gaps[0].id, gaps[1].id, gaps[0].id]);
    task.requests = 2;
    plan.done(&task, End::Complete, &Written::from([(gaps[1].id, 7)]));
    let first = HealReport { requests: 2, unaffected: 1, ..HealReport::default() };
    assert_eq!(report(&mut plan, at(35)), (gaps[0].id, first));
    let complete = [("KRW-BTC_trade".to_owned(), 7)].into();
    assert_eq!(report(&mut plan, at(35)), (gaps[1].id, HealReport { complete, ..HealReport::default() }));
    assert_eq!(scan(&mut plan, at(915)).from(), at(900));
}

#[test]
fn what_is_being_asked_about_is_not_joined() {
    let mut plan = plan(&[gap(0, 10, &["KRW-BTC_trade"])]);
    let task = scan(&mut plan, at(15));
    plan.add(&gap(14, 16, &["KRW-BTC_trade"]), at(16));
    let shown = evidence(&task, 3, Some((at(10), false)));
    plan.scanned(task, &shown, at(16));
    assert_eq!(ask(&mut plan, at(17)).to(), at(10));
    assert_eq!(scan(&mut plan, at(21)).from(), at(14));
}

#[test]
fn the_tape_is_read_while_the_exchange_cannot_be_asked() {
    let mut plan = plan(&[gap(0, 10, &["KRW-BTC_trade", "KRW-ETH_trade"])]);
    for _ in 0..2 {
        let task = scan(&mut plan, at(15));
        let shown = evidence(&task, 3, Some((at(10), false)));
        plan.scanned(task, &shown, at(15));
    }
    let task = ask(&mut plan, at(15));
    plan.hold(at(75).stamp);
    plan.put_back(task, at(15).stamp);
    assert_eq!(plan.next(at(16)), Next::Wait(Some(at(75).stamp)));
    plan.add(&gap(20, 30, &["KRW-XRP_trade"]), at(30));
    assert_eq!(scan(&mut plan, at(35)).stream.as_str(), "KRW-XRP_trade");
    assert_eq!(scan(&mut plan, at(75)).stream.as_str(), "KRW-BTC_trade");
    assert_eq!(ask(&mut plan, at(75)).stream.as_str(), "KRW-ETH_trade");
}

#[test]
fn a_tape_that_cannot_be_read_ends_in_a_partial_gap() {
    let mut plan = plan(&[gap(0, 10, &["KRW-BTC_trade"])]);
    for now in [15, 315, 615] {
        let task = scan(&mut plan, at(now));
        plan.scan_failed(task, at(now).stamp);
    }
    let partial = [("KRW-BTC_trade".to_owned(), 0)].into();
    assert_eq!(report(&mut plan, at(615)).1, HealReport { partial, ..HealReport::default() });
}

#[test]
fn behind_a_step_requests_wait_for_what_has_to_settle() {
    let mut plan = plan(&[gap(3_600, 3_610, &["KRW-BTC_trade"])]);
    let now = Position { epoch: 1, ..at(16) };
    plan.hold(now.stamp.after(SETTLE));
    let task = scan(&mut plan, now);
    let shown = evidence(&task, 3, None);
    plan.scanned(task, &shown, now);
    assert_eq!(plan.next(now), Next::Wait(Some(now.stamp.after(SETTLE))));
    ask(&mut plan, Position { epoch: 1, ..at(21) });
}

#[test]
fn in_a_new_epoch_nothing_of_the_one_before_is_waited_for() {
    let mut plan = plan(&[gap(3_600, 3_610, &["KRW-BTC_trade", "KRW-ETH_trade"])]);
    let first = scan(&mut plan, at(3_615));
    plan.hold(at(7_200).stamp);
    plan.put_back(first, at(3_615).stamp);
    // The clock is set back by an hour.
    let now = Position { epoch: 1, ..at(16) };
    for _ in 0..2 {
        let task = scan(&mut plan, now);
        let shown = evidence(&task, 3, Some((Position { epoch: 1, ..at(15) }, false)));
        plan.scanned(task, &shown, now);
    }
    assert_eq!(plan.next(now), Next::Wait(Some(at(20).stamp)), "the new epoch is waited for");
    let [older, newer] = [0, 1].map(|epoch| {
        let gap = gap(20, 30, &["KRW-XRP_trade"]);
        Gap { id: Position { epoch, ..gap.id }, ..gap }
    });
    plan.add(&older, now);
    plan.add(&newer, now);
    assert_eq!(scan(&mut plan, now).gaps.len(), 1, "gaps of two epochs are not joined");
    let later = Position { epoch: 1, ..at(35) };
    let due = [(); 3].map(|()| scan(&mut plan, later).stream.to_string());
    assert_eq!(due, ["KRW-BTC_trade", "KRW-ETH_trade", "KRW-XRP_trade"]);
}

#[test]
fn a_gap_is_taken_in_hand_once_and_not_when_it_is_too_old() {
    let fresh = gap(0, 10, &["KRW-BTC_trade"]);
    let mut plan = plan(&[fresh.clone(), fresh]);
    plan.add(&gap(20, 30, &["KRW-ETH_trade"]), at(31).after(REACH));
    assert_eq!(scan(&mut plan, at(15)).gaps.len(), 1);
    assert_eq!(plan.next(at(40)), Next::Wait(None));
}

#[test]
fn gaps_in_hand_are_bounded() {
    let mut plan = Plan::default();
    let mut count = 0;
    while plan.has_room() {
        plan.add(&gap(count * 20, count * 20 + 10, &["KRW-BTC_trade"]), at(0));
        count += 1;
    }
    assert_eq!(count, MOST_GAPS as u64);
    let lengths: Vec<Duration> =
        plan.tasks.values().map(|(_, task)| task.to().stamp.since(task.from().stamp)).collect();
    assert!(lengths.len() > 1 && lengths.iter().all(|length| *length <= LONGEST));
}

#[test]
fn a_doubted_answer_is_asked_again_and_stays_partial() {
    let gap = gap(0, 10, &["KRW-BTC_trade"]);
    let mut plan = plan(std::slice::from_ref(&gap));
    let mut now = at(15);
    let mut asked = Vec::new();
    loop {
        let task = scan(&mut plan, now);
        let shown = evidence(&task, 3, Some((at(10), false)));
        plan.scanned(task, &shown, now);
        let task = ask(&mut plan, now);
        asked.push(now);
        if !plan.doubt(task, &Written::from([(gap.id, 7)]), now.stamp) {
            break;
        }
        let Next::Wait(Some(until)) = plan.next(now) else { panic!("it is asked at once") };
        now.stamp = until;
    }
    assert!(asked.len() >= 3 && now.stamp.since(asked[0].stamp) >= Duration::from_secs(600), "{asked:?}");
    let partial = BTreeMap::from([("KRW-BTC_trade".to_owned(), 7)]);
    assert_eq!(report(&mut plan, now), (gap.id, HealReport { partial, ..HealReport::default() }));
}

#[test]
fn a_stream_without_an_answer_lets_others_go_first() {
    let mut plan = plan(&[gap(0, 10, &["A-BUSY_trade", "B-SLOW_trade"])]);
    for before in [30, 3] {
        let task = scan(&mut plan, at(16));
        let shown = evidence(&task, before, Some((at(11), false)));
        plan.scanned(task, &shown, at(16));
    }
    let busy = ask(&mut plan, at(16));
    plan.put_aside(busy, at(16).stamp);
    assert_eq!(ask(&mut plan, at(16)).stream.as_str(), "B-SLOW_trade");
    let Next::Wait(Some(first)) = plan.next(at(16)) else { panic!("it is asked at once") };
    let later = Position { epoch: 0, stamp: first };
    let busy = scan(&mut plan, later);
    plan.put_aside(busy, first);
    let Next::Wait(Some(second)) = plan.next(later) else { panic!("it is asked at once") };
    assert_eq!((first.since(at(16).stamp), second.since(first)), (UNANSWERED.first, UNANSWERED.first * 2));
}

#[test]
fn lines_that_are_not_sealed_are_waited_for_while_it_helps() {
    let mut plan = plan(&[gap(0, 10, &["KRW-BTC_trade"])]);
    let mut now = at(20);
    let mut waits = Vec::new();
    for _ in 0..3 {
        let task = scan(&mut plan, now);
        plan.wait_for_seal(task, now.stamp);
        let Next::Wait(Some(until)) = plan.next(now) else { panic!("it is scanned at once") };
        waits.push(until.since(now.stamp));
        now.stamp = until;
    }
    assert_eq!(waits, [UNSEALED.first, UNSEALED.first * 2, UNSEALED.first * 4]);
    let task = scan(&mut plan, now);
    now.stamp = at(11).stamp.after(REACH);
    plan.wait_for_seal(task, now.stamp);
    let partial = BTreeMap::from([("KRW-BTC_trade".to_owned(), 0)]);
    assert_eq!(report(&mut plan, now).1, HealReport { partial, ..HealReport::default() });
}
