//! The session at explicit instants.

use super::*;

const START: u64 = 1_795_317_064_000_000;

fn at(micros: u64) -> Stamp {
    Stamp::from_micros(START + micros).unwrap()
}

fn on_the_market(codes: usize, rate: f64) -> Session {
    with_habits(codes, rate, Habits::default())
}

fn with_habits(codes: usize, rate: f64, habits: Habits) -> Session {
    let market = Market::new(codes, rate, 1, START / 1_000);
    Session::new(Source::Market(Arc::new(market)), Endpoint::Public, Arc::new(habits), at(0))
}

fn private() -> Session {
    let market = Market::new(3, 100.0, 1, START / 1_000);
    Session::new(Source::Market(Arc::new(market)), Endpoint::Private, Arc::new(Habits::default()), at(0))
}

/// Everything that comes out between two moments, with the time it comes.
fn outputs(session: &mut Session, from: u64, until: u64) -> Vec<(u64, Output)> {
    let mut outputs = Vec::new();
    let mut now = at(from);
    loop {
        while let Some(output) = session.poll_output(now) {
            outputs.push((now.as_micros() - START, output));
        }
        match session.poll_deadline(now) {
            Some(deadline) if deadline <= at(until) => now = deadline.max(now.next()),
            _ => return outputs,
        }
    }
}

fn frames(session: &mut Session, until: u64) -> Vec<serde_json::Value> {
    let frames = outputs(session, 0, until).into_iter().map(|(_, output)| match output {
        Output::Frame(frame) => serde_json::from_slice(&frame).unwrap(),
        other => panic!("{other:?}"),
    });
    frames.collect()
}

fn plan(session: &mut Session, plans: &[&str]) {
    let mut faults = Faults::default();
    plans.iter().for_each(|plan| faults.plan(at(0), plan.parse().unwrap()));
    session.handle_faults(Arc::new(faults));
}

const ALL: &str = r#"[{"ticket":"t"},{"type":"trade","codes":["KRW-BTC","KRW-ETH"]},
    {"type":"orderbook","codes":["KRW-BTC.5","KRW-ETH"]},{"type":"ticker","codes":["KRW-BTC"]},
    {"type":"candle.1s","codes":["KRW-BTC"]},{"type":"trade","codes":["krw-btc","KRW-NOPE"]}]"#;

#[test]
fn nothing_is_sent_before_a_request() {
    let mut session = on_the_market(3, 100.0);
    assert_eq!(session.poll_output(at(5_000_000)), None);
    assert_eq!(session.poll_deadline(at(0)), Some(at(60_000_000)), "nothing but the idle limit is due");
}

#[test]
fn snapshots_come_first_and_unknown_codes_stay_silent() {
    let mut session = on_the_market(3, 300.0);
    session.handle_message(at(0), ALL.as_bytes());
    let frames = frames(&mut session, 3_000_000);
    let snapshots = frames.iter().take_while(|frame| frame["stream_type"] == "SNAPSHOT").count();
    assert_eq!(snapshots, 6);
    assert!(frames.len() > 100, "{}", frames.len());
    assert!(frames[snapshots..].iter().all(|frame| frame["stream_type"] == "REALTIME"));
    assert!(frames.iter().all(|frame| frame["code"] == "KRW-BTC" || frame["code"] == "KRW-ETH"));
    let depths = frames.iter().filter(|frame| frame["type"] == "orderbook");
    assert!(depths.clone().all(|book| {
        let depth = if book["code"] == "KRW-BTC" { 5 } else { 30 };
        book["orderbook_units"].as_array().unwrap().len() == depth
    }));
}

#[test]
fn a_candle_is_the_sum_of_the_trades_sent() {
    let mut session = on_the_market(1, 500.0);
    let both = r#"[{"ticket":"t"},{"type":"trade","codes":["KRW-BTC"],"is_only_realtime":true},
        {"type":"candle.1s","codes":["KRW-BTC"],"is_only_realtime":true}]"#;
    session.handle_message(at(0), both.as_bytes());
    let frames = frames(&mut session, 4_500_000);
    let second = "2026-11-22T03:11:06";
    let volume = |frame: &serde_json::Value, key: &str| (frame[key].as_f64().unwrap() * 1e8).round() as u64;
    let trades = frames.iter().filter(|frame| {
        frame["type"] == "trade"
            && format!("{}T{}", frame["trade_date"].as_str().unwrap(), frame["trade_time"].as_str().unwrap()) == second
    });
    let sum: u64 = trades.map(|frame| volume(frame, "trade_volume")).sum();
    let candle = frames.iter().rfind(|frame| frame["candle_date_time_utc"] == second);
    assert!(sum > 0);
    assert_eq!(candle.map(|candle| volume(candle, "candle_acc_trade_volume")), Some(sum));
}

#[test]
fn the_same_seed_gives_the_same_frames() {
    let run = || {
        let mut session = on_the_market(3, 200.0);
        session.handle_message(at(0), ALL.as_bytes());
        frames(&mut session, 2_000_000)
    };
    assert_eq!(run(), run());
}

#[test]
fn a_new_request_replaces_the_old_one() {
    let mut session = on_the_market(3, 300.0);
    session.handle_message(at(0), ALL.as_bytes());
    session.handle_message(at(0), br#"[{"ticket":"t"},{"type":"ticker","codes":["KRW-XRP"]},{"format":"SIMPLE"}]"#);
    let frames = frames(&mut session, 2_000_000);
    assert!(frames.len() > 5);
    assert!(frames.iter().all(|frame| frame["ty"] == "ticker" && frame["cd"] == "KRW-XRP"));
}

#[test]
fn an_error_is_told_and_the_connection_closed_150_ms_later() {
    let mut session = on_the_market(3, 300.0);
    session.handle_message(at(0), b"[]");
    assert!(matches!(session.poll_output(at(0)), Some(Output::Frame(frame)) if frame.starts_with(b"{\"error\"")));
    assert_eq!(session.poll_output(at(149_999)), None);
    assert_eq!(session.poll_deadline(at(0)), Some(at(150_000)));
    assert_eq!(session.poll_output(at(150_000)), Some(Output::Close(1_000)));
    assert_eq!(session.poll_deadline(at(0)), None);
}

const ONE: &str = r#"[{"ticket":"t"},{"type":"ticker","codes":["KRW-BTC"]},{"type":"orderbook","codes":["KRW-BTC.5"]}"#;

#[test]
fn a_quiet_connection_is_dropped_without_a_close_frame() {
    let mut session = on_the_market(3, 100.0);
    session.handle_ping(at(10_000_000));
    assert_eq!(outputs(&mut session, 0, 200_000_000), [(70_000_000, Output::Drop)]);
}

#[test]
fn pings_need_not_count_as_traffic() {
    let mut session = with_habits(3, 100.0, Habits { ping_counts: false, ..Habits::default() });
    session.handle_ping(at(10_000_000));
    assert_eq!(outputs(&mut session, 0, 200_000_000), [(60_000_000, Output::Drop)]);
}

#[test]
fn the_text_ping_switches_the_status_on_for_life() {
    let mut session = on_the_market(3, 100.0);
    session.handle_message(at(3_000_000), b"PING");
    session.handle_message(at(4_000_000), b"PING");
    let outputs = outputs(&mut session, 4_000_000, 35_000_000);
    let status = Output::Frame(r#"{"status":"UP"}"#.into());
    let expected: Vec<(u64, Output)> = [10_000_000, 20_000_000, 30_000_000].map(|at| (at, status.clone())).into();
    assert_eq!(outputs, expected);
}

#[test]
fn the_sixth_message_of_a_second_is_one_too_many() {
    let mut session = on_the_market(3, 100.0);
    (0..5).for_each(|n| session.handle_message(at(n * 100_000), b"PING"));
    assert!(!matches!(session.state, State::Ending { .. }));
    session.handle_message(at(999_999), b"PING");
    let outputs = outputs(&mut session, 999_999, 2_000_000);
    assert!(matches!(&outputs[0].1, Output::Frame(frame) if frame.starts_with(br#"{"error":"#)), "{outputs:?}");
    assert_eq!(outputs[1], (1_149_999, Output::Close(1_000)));
}

#[test]
fn the_hundred_and_first_message_of_a_minute_is_one_too_many() {
    let mut session = on_the_market(3, 100.0);
    (0..100).for_each(|n| session.handle_message(at(n * 500_000), b"PING"));
    assert!(!matches!(session.state, State::Ending { .. }));
    session.handle_message(at(59_900_000), b"PING");
    assert!(matches!(session.state, State::Ending { .. }));
}

#[test]
fn lists_hold_as_many_objects_as_are_due() {
    let mut session = with_habits(3, 300.0, Habits { list_batch: 3, ..Habits::default() });
    session.handle_message(at(0), format!(r#"{ONE},{{"format":"JSON_LIST"}}]"#).as_bytes());
    let frames = frames(&mut session, 2_000_000);
    let lengths: Vec<usize> = frames.iter().map(|frame| frame.as_array().unwrap().len()).collect();
    assert_eq!(lengths[0], 2, "the two snapshots, and nothing realtime among them");
    assert!(lengths.contains(&1) && lengths.iter().all(|length| (1..=3).contains(length)), "{lengths:?}");
}

#[test]
fn snapshots_may_be_bare_in_the_list_formats() {
    let mut session = with_habits(3, 300.0, Habits { bare_snapshots: true, ..Habits::default() });
    session.handle_message(at(0), format!(r#"{ONE},{{"format":"SIMPLE_LIST"}}]"#).as_bytes());
    let frames = frames(&mut session, 2_000_000);
    assert!(frames[0]["st"] == "SNAPSHOT" && frames[1]["st"] == "SNAPSHOT");
    assert!(frames[2..].iter().all(|frame| frame[0]["st"] == "REALTIME"));
}

#[test]
fn list_subscriptions_answers_and_switches_the_format() {
    let mut session = on_the_market(3, 300.0);
    let request = format!(r#"{ONE},{{"type":"trade","codes":["KRW-BTC","KRW-NOPE"]}},{{"format":"SIMPLE"}}]"#);
    session.handle_message(at(0), request.as_bytes());
    assert!(frames(&mut session, 0).iter().all(|frame| frame["ty"].is_string()));
    session.handle_message(at(1), br#"[{"ticket":"u"},{"method":"LIST_SUBSCRIPTIONS"}]"#);
    let frames = frames(&mut session, 2_000_000);
    let expected = r#"{"method":"LIST_SUBSCRIPTIONS","result":[{"type":"ticker","codes":["KRW-BTC"]},
        {"type":"orderbook","codes":["KRW-BTC"],"level":0},{"type":"trade","codes":["KRW-BTC"]}],"ticket":"u"}"#;
    assert_eq!(frames[0], serde_json::from_str::<serde_json::Value>(expected).unwrap());
    assert!(frames.len() > 10 && frames[1..].iter().all(|frame| frame["type"].is_string()));
    session.handle_message(at(2_000_001), br#"[{"ticket":"u"},{"method":"LIST_SUBSCRIPTIONS"},{"format":"SIMPLE"}]"#);
    let Some(Output::Frame(answer)) = session.poll_output(at(2_000_001)) else { panic!() };
    let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
    assert!(answer["rslt"][0]["cds"][0] == "KRW-BTC" && answer["tckt"] == "u", "{answer}");
}

#[test]
fn levels_group_prices_and_what_is_not_supported_stays_silent() {
    let ask = |part: &str| {
        let mut session = on_the_market(300, 3_000.0);
        session.handle_message(at(0), format!(r#"[{{"ticket":"t"}},{part}]"#).as_bytes());
        frames(&mut session, 1_000_000)
    };
    let grouped = ask(r#"{"type":"orderbook","codes":["KRW-BTC"],"level":10000}"#);
    assert!(!grouped.is_empty());
    for book in &grouped {
        assert_eq!(book["level"], 10_000);
        let price = book["orderbook_units"][0]["ask_price"].as_f64().unwrap();
        assert_eq!(price % 10_000.0, 0.0);
    }
    assert_eq!(ask(r#"{"type":"orderbook","codes":["KRW-BTC"],"level":7}"#).len(), 0);
    assert_eq!(ask(r#"{"type":"orderbook","codes":["BTC-ETH"],"level":0}"#).len(), 0);
    assert!(!ask(r#"{"type":"orderbook","codes":["BTC-ETH"]}"#).is_empty());
}

#[test]
fn the_account_tells_its_orders_and_assets_in_realtime_only() {
    let mut session = private();
    session.handle_message(at(0), br#"[{"ticket":"t"},{"type":"myOrder"},{"type":"myAsset"},{"type":"announcement"}]"#);
    let all = frames(&mut session, 120_000_000);
    let of = |kind: &str| all.iter().filter(|frame| frame["type"] == kind).count();
    assert_eq!((of("myAsset"), of("announcement")), (60, 2));
    assert!(of("myOrder") >= 179, "{}", of("myOrder"));
    assert!(all.iter().all(|frame| frame["stream_type"] == "REALTIME"));
    assert!(all.iter().all(|frame| (frame["type"] == "myOrder") == frame["code"].is_string()));
    let mut session = private();
    session.handle_message(at(0), br#"[{"ticket":"t"},{"type":"myOrder","codes":["KRW-ETH"]},{"format":"SIMPLE"}]"#);
    let some = frames(&mut session, 60_000_000);
    assert!(!some.is_empty() && some.iter().all(|frame| frame["ty"] == "myOrder" && frame["cd"] == "KRW-ETH"));
}

#[test]
fn a_silenced_stream_is_silent_and_the_others_go_on() {
    let mut session = on_the_market(3, 300.0);
    plan(&mut session, &["hold=KRW-BTC"]);
    session.handle_message(at(0), ALL.as_bytes());
    let frames = frames(&mut session, 2_000_000);
    let count = |kind: &str, code: &str| frames.iter().filter(|f| f["type"] == kind && f["code"] == code).count();
    assert_eq!(count("trade", "KRW-BTC"), 0);
    assert!(count("trade", "KRW-ETH") > 5 && count("ticker", "KRW-BTC") > 5);
}

#[test]
fn faults_end_the_connection_in_every_way() {
    for (text, output) in
        [("drop@1s", Output::Drop), ("close=1012@1s", Output::Close(1_012)), ("half@1s", Output::Half)]
    {
        let mut session = on_the_market(3, 300.0);
        plan(&mut session, &[text]);
        assert_eq!(outputs(&mut session, 0, 5_000_000), [(1_000_000, output)]);
    }
}

#[test]
fn a_stuck_exchange_sends_nothing_until_it_is_free_again() {
    let mut session = on_the_market(3, 300.0);
    plan(&mut session, &["hang=live@1s+2s"]);
    session.handle_message(at(0), ALL.as_bytes());
    let times: Vec<u64> = outputs(&mut session, 0, 4_000_000).into_iter().map(|(time, _)| time).collect();
    assert!(!times.iter().any(|time| (1_000_000..3_000_000).contains(time)));
    assert!(times.iter().any(|time| *time < 1_000_000) && times.iter().any(|time| *time >= 3_000_000));
}

#[test]
fn a_flood_adds_its_rate_and_garbage_its_frames() {
    let mut session = on_the_market(3, 1.0);
    plan(&mut session, &["flood=5000@1s+1s"]);
    let flooded = outputs(&mut session, 0, 3_000_000).len();
    assert!((4_900..=5_100).contains(&flooded), "{flooded}");
    let mut session = on_the_market(3, 1.0);
    plan(&mut session, &["garbage@1s", "huge=1000000@2s"]);
    let outputs = outputs(&mut session, 0, 3_000_000);
    assert_eq!(outputs.len(), 10);
    assert!(matches!(&outputs[9].1, Output::Frame(frame) if frame.len() > 1_000_000));
}

#[test]
fn recorded_frames_go_once_to_the_public_stream_at_their_rate() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "{\"frame\":\"a\"}\n\n{\"frame\":\"b\",\"x\":1}\n{\"frame\":\"c\"}\n").unwrap();
    let frames = Recorded::read(&[file.path()]).unwrap();
    let source = Source::Recorded { frames, rate: Some(2.0) };
    let open = |endpoint| Session::new(source.clone(), endpoint, Arc::new(Habits::default()), at(0));
    let mut session = open(Endpoint::Public);
    session.handle_message(at(0), ALL.as_bytes());
    session.handle_message(at(100_000), br#"[{"ticket":"t"},{"type":"trade","codes":["ANY-CODE"]}]"#);
    let frame = |text: &'static str| Output::Frame(text.into());
    let expected = [(0, frame("a")), (500_000, frame("b")), (1_000_000, frame("c"))];
    assert_eq!(outputs(&mut session, 0, 20_000_000), expected);
    session.handle_message(at(20_000_000), br#"[{"ticket":"t"},{"method":"LIST_SUBSCRIPTIONS"}]"#);
    let Some(Output::Frame(answer)) = session.poll_output(at(20_000_000)) else { panic!() };
    assert!(answer.windows(8).any(|bytes| bytes == b"ANY-CODE"), "{answer:?}");
    let mut private = open(Endpoint::Private);
    private.handle_message(at(0), br#"[{"ticket":"t"},{"type":"myAsset"}]"#);
    assert_eq!(outputs(&mut private, 0, 20_000_000), []);
}
