//! The state that each kind of event adds.

use super::*;
use crate::tape::stream_key::StreamKey;
use crate::upbit::feed::PerFeed;

const SUBSCRIBED: &str = r#"{"ts_recv":10,"type":"recorder","event":"subscribed","reason":"connected","connection":"public","request":"[{\"ticket\":\"a\"},{\"type\":\"orderbook\",\"codes\":[\"KRW-BTC.5\"]},{\"format\":\"SIMPLE\"}]"}"#;
const STOPPED: &str =
    r#"{"ts_recv":30,"type":"recorder","event":"stopped","reason":"signal","requests":{"public":"[]"}}"#;

fn history(events: &[&str]) -> History {
    let mut history = History::default();
    history.read(events.join("\n").as_bytes(), None).unwrap();
    history
}

fn stamp(micros: u64) -> Option<Stamp> {
    Stamp::from_micros(micros)
}

fn public(micros: u64) -> PerFeed<Option<Stamp>> {
    PerFeed { public: stamp(micros), private: None }
}

#[test]
fn the_last_life_is_read_from_its_events() {
    let again = SUBSCRIBED.replace(":10,", ":21,").replace("\\\"a\\\"", "\\\"b\\\"");
    let history = history(&[
        r#"{"ts_recv":9,"event":"started","version":"0","pid":1,"connections":["public"]}"#,
        SUBSCRIBED,
        r#"{"ts_recv":20,"event":"gap","id":1,"cause":"x","streams":[],"connection":"public","from":12,"to":19,"kind":"disconnected"}"#,
        r#"{"ts_recv":21,"event":"stale","connection":"public","streams":["a","b"],"since":12}"#,
        r#"{"ts_recv":22,"event":"gap","id":1,"cause":"x","connection":"public","from":12,"to":22,"kind":"suspected","streams":["a"]}"#,
        &again,
        "torn",
    ]);
    assert_eq!(history.end, End::Died);
    assert_eq!((history.gaps_until, history.wanted_since), (public(19), public(9)));
    assert_eq!(history.suspected[Feed::Public], BTreeMap::from([("b".to_owned(), stamp(12).unwrap())]));
    let at = |micros| history.origins_at(Feed::Public, stamp(micros).unwrap());
    let books = StreamKey::from_stem("KRW-BTC_orderbook").unwrap();
    let origin = at(15).unwrap().get(&books).cloned().unwrap();
    assert_eq!(origin.subscription.get(), r#"{"type":"orderbook","codes":["KRW-BTC.5"]}"#);
    assert!(at(9).is_none());
    assert_eq!(history.requests[Feed::Public].len(), 1, "the same request with another ticket is the same request");
}

#[test]
fn what_is_suspected_begins_with_its_own_last_data() {
    let stale =
        r#"{"ts_recv":21,"event":"stale","connection":"public","streams":["a","b"],"since":12,"last_data":[15,12]}"#;
    let suspected = |events: &[&str]| history(events).suspected[Feed::Public].clone();
    let both = [("a", 15), ("b", 12)].map(|(stream, since)| (stream.to_owned(), stamp(since).unwrap()));
    assert_eq!(suspected(&[stale]), BTreeMap::from(both.clone()));
    // A suspicion that begins where the connection's gap does leaves no gap of its own.
    let paused = r#"{"ts_recv":31,"event":"gap","id":1,"cause":"x","streams":[],"connection":"public","from":22,"to":30,"kind":"paused"}"#;
    let lost = r#"{"ts_recv":41,"event":"gap","id":1,"cause":"x","streams":[],"connection":"public","from":15,"to":40,"kind":"disconnected"}"#;
    assert_eq!(suspected(&[stale, paused]), BTreeMap::from(both));
    assert_eq!(suspected(&[stale, paused, lost]), BTreeMap::new());
}

#[test]
fn what_was_asked_for_is_known() {
    let orders = r#"{"ts_recv":11,"event":"subscribed","reason":"connected","connection":"private","request":"[{\"ticket\":\"a\"},{\"type\":\"myOrder\"}]"}"#;
    let history = history(&[SUBSCRIBED, orders]);
    let has = |feed, stream| history.asked(feed).unwrap().has(&StreamKey::from_stem(stream).unwrap());
    assert!(has(Feed::Public, "KRW-BTC_orderbook") && has(Feed::Private, "KRW-BTC_myOrder"));
    assert!(!has(Feed::Public, "KRW-BTC_ticker") && !has(Feed::Public, "misc") && !has(Feed::Private, "myAsset"));
    assert!(super::History::default().asked(Feed::Public).is_none());
}

#[test]
fn a_gap_that_no_event_closes_is_known_by_the_loss() {
    let started = r#"{"ts_recv":9,"event":"started","version":"0","pid":1,"connections":["public"]}"#;
    let live = r#"{"ts_recv":11,"event":"live","attempt":1,"connection":"public"}"#;
    let lost =
        r#"{"ts_recv":20,"event":"lost","stage":"live","cause":"x","attempt":1,"connection":"public","last":17}"#;
    let again =
        r#"{"ts_recv":25,"event":"lost","stage":"live","cause":"x","attempt":1,"connection":"public","last":17}"#;
    let gap = r#"{"ts_recv":31,"event":"gap","id":1,"cause":"x","streams":[],"connection":"public","from":17,"to":30,"kind":"disconnected"}"#;
    let step = r#"{"ts_recv":90,"event":"clock_step","before":32,"after":90,"epoch":0}"#;
    let since = |events: &[&str]| history(events).lost_since[Feed::Public];
    assert_eq!(since(&[started, live, lost, again]), stamp(17));
    assert_eq!(since(&[started, live, lost, live, gap]), None);
    assert_eq!(since(&[started, live, lost, gap, step]), stamp(90), "the step ended it, and it goes on");
    assert_eq!(since(&[started, live, step]), None);
    assert_eq!(since(&[started, live, lost, started]), None, "the start says itself what is missing");
    let again = r#"{"ts_recv":40,"event":"started","version":"0","pid":1,"connections":["public"],"missing_since":{"public":35}}"#;
    let refused =
        r#"{"ts_recv":41,"event":"lost","stage":"live","cause":"x","attempt":1,"connection":"public","last":null}"#;
    let closed = r#"{"ts_recv":51,"event":"gap","id":1,"cause":"x","streams":[],"connection":"public","from":35,"to":50,"kind":"killed"}"#;
    let lives = [started, live, lost, live, gap, again, refused, live, closed];
    assert_eq!(since(&lives), None, "it was in the gap that was open since the start");
}

#[test]
fn an_orderly_stop_is_known_by_its_event_and_ends_no_gap() {
    let history = history(&[STOPPED]);
    assert_eq!((history.end, history.gaps_until), (End::Stopped(stamp(30).unwrap()), PerFeed::default()));
}

#[test]
fn an_orderly_stop_makes_no_failed_sync_sure() {
    let failed = r#"{"ts_recv":29,"event":"sync_failed","cause":"x","durable":25}"#;
    assert_eq!(history(&[failed, STOPPED]).end, End::SyncFailed(stamp(25)));
    let started = r#"{"ts_recv":31,"event":"started","version":"0","pid":1,"connections":[],"epoch":2}"#;
    assert_eq!(history(&[failed, STOPPED, started]).end, End::Died);
}

#[test]
fn a_process_dead_in_a_step_has_left_the_earlier_epoch() {
    let step = r#"{"ts_recv":50,"event":"clock_step","before":100,"after":50,"epoch":1}"#;
    let history =
        history(&[r#"{"ts_recv":90,"event":"clock","offset":0,"ahead":0}"#, step, r#"{"ts_recv":51,"event":"rota"#]);
    let is_before = |ends: [u64; 2]| history.is_before_step(ends.map(|micros| stamp(micros).unwrap()), None);
    assert!(is_before([60, 99]) && is_before([45, 49]) && !is_before([60, 101]));
}

#[test]
fn a_start_telling_of_an_earlier_epoch_ends_no_own_gap() {
    let stepped =
        r#"{"ts_recv":50,"event":"clock_step","before":100,"after":50,"epoch":1,"missing_since":{"public":80}}"#;
    let begun = r#"{"ts_recv":51,"event":"started","version":"0","pid":1,"connections":["public"],"epoch":1,"missing_since":{"public":51}}"#;
    let history = history(&[
        stepped,
        begun,
        r#"{"ts_recv":52,"event":"gap","id":1,"cause":"x","streams":[],"connection":"public","from":80,"to":100,"kind":"killed"}"#,
    ]);
    assert_eq!((history.gaps_until[Feed::Public], history.missing_since[Feed::Public]), (None, stamp(51)));
    assert_eq!(history.untold, []);
    // It may have begun at any stamp.
    let began_lower = r#"{"ts_recv":52,"event":"gap","id":1,"cause":"x","streams":[],"connection":"public","from":20,"to":100,"kind":"killed"}"#;
    assert_eq!(self::history(&[begun, began_lower]).missing_since[Feed::Public], stamp(51));
    let untold = Untold { feed: Feed::Public, from: stamp(80).unwrap(), to: stamp(100).unwrap() };
    assert_eq!(self::history(&[stepped, begun]).untold, [untold], "it died before it could");
}

#[test]
fn a_step_forward_leaves_the_time_line_as_it_is() {
    let back = r#"{"ts_recv":50,"event":"clock_step","before":100,"after":50,"epoch":1}"#;
    let forward = r#"{"ts_recv":70,"event":"clock_step","before":60,"after":70,"epoch":1}"#;
    let rotated = r#"{"ts_recv":71,"event":"rotated","reason":"clock","segments":["a"]}"#;
    let history = history(&[back, forward, rotated]);
    assert_eq!((history.epoch_start, history.ended_in("a")), (stamp(50), Some(1)));
    assert!(history.is_before_step([30, 99].map(|micros| stamp(micros).unwrap()), None));
}

#[test]
fn older_epochs_mean_nothing_where_no_step_is_told() {
    let gap = r#"{"ts_recv":95,"event":"gap","id":1,"cause":"x","streams":[],"connection":"public","from":80,"to":94,"kind":"paused"}"#;
    let later = r#"{"ts_recv":60,"event":"clock","offset":0,"ahead":0}"#;
    for (epoch, gaps_until) in [(Some(1), None), (Some(0), stamp(94)), (None, stamp(94))] {
        let mut history = history(&[gap]);
        history.read(later.as_bytes(), epoch).unwrap();
        assert_eq!((history.epoch, history.gaps_until[Feed::Public]), (epoch.unwrap_or(0), gaps_until));
    }
    let started = r#"{"ts_recv":60,"event":"started","version":"0","pid":1,"connections":["public"],"epoch":1}"#;
    let history = history(&[gap, started]);
    assert_eq!(
        (history.epoch, history.gaps_until[Feed::Public], history.wanted_since[Feed::Public]),
        (1, None, stamp(60))
    );
}

#[test]
fn what_is_far_ahead_of_a_time_line_is_of_the_one_before() {
    const HOUR: u64 = 3_600_000_000;
    let history = history(&[
        &format!(r#"{{"ts_recv":50,"event":"clock_step","before":{},"after":50,"epoch":1}}"#, 3 * HOUR),
        r#"{"ts_recv":51,"event":"rotated","reason":"clock","segments":[]}"#,
    ]);
    let last = stamp(HOUR).unwrap();
    assert!(history.is_before_step([last; 2], stamp(HOUR / 2)));
    assert!(!history.is_before_step([last; 2], stamp(HOUR - 1)), "the new one may have come as far");
}

#[test]
fn a_step_begins_a_time_line() {
    let history = history(&[
        r#"{"ts_recv":90,"event":"rotated","reason":"size","segments":["a"]}"#,
        r#"{"ts_recv":95,"event":"gap","id":1,"cause":"x","streams":[],"connection":"public","from":80,"to":94,"kind":"paused"}"#,
        r#"{"ts_recv":50,"event":"clock_step","before":100,"after":50,"epoch":1}"#,
        r#"{"ts_recv":51,"event":"rotated","reason":"clock","segments":["b"]}"#,
        r#"{"ts_recv":52,"event":"rotated","reason":"size","segments":["c"]}"#,
        r#"{"ts_recv":53,"event":"rotated","reason":"recovered","segments":["e"],"epoch":0}"#,
    ]);
    assert_eq!((history.epoch, history.epoch_start, history.gaps_until[Feed::Public]), (1, stamp(50), None));
    let is_before = |ends: [u64; 2]| history.is_before_step(ends.map(|micros| stamp(micros).unwrap()), None);
    assert!(!is_before([60, 99]), "it is on record what ended with it");
    assert!(is_before([49, 99]), "the new time line begins with the step");
    assert_eq!(
        ["a", "b", "c", "d", "e"].map(|name| history.ended_in(name)),
        [Some(0), Some(0), Some(1), None, Some(0)]
    );
}

#[test]
fn a_gap_of_one_stream_closes_none_of_the_connection() {
    let request = r#"[{\"ticket\":\"a\"},{\"type\":\"trade\",\"codes\":[\"A-B\",\"C-D\"]}]"#;
    let subscribed = format!(
        r#"{{"ts_recv":10,"event":"subscribed","reason":"connected","connection":"public","request":"{request}"}}"#
    );
    let lost =
        r#"{"ts_recv":20,"event":"lost","stage":"live","cause":"x","attempt":1,"connection":"public","last":17}"#;
    let gap = |streams: &str| {
        format!(
            r#"{{"ts_recv":31,"event":"gap","id":1,"cause":"x","connection":"public","from":12,"to":25,"kind":"unsure","streams":{streams}}}"#
        )
    };
    let since = |streams: &str| {
        let history = history(&[&subscribed, lost, &gap(streams)]);
        (history.lost_since[Feed::Public], history.gaps_until[Feed::Public])
    };
    assert_eq!(since(r#"["A-B_trade"]"#), (stamp(17), None));
    assert_eq!(since(r#"["misc"]"#), (stamp(17), None));
    assert_eq!(since(r#"["A-B_trade","C-D_trade"]"#), (None, stamp(25)));
}
