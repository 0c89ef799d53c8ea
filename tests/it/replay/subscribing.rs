//! Subscribing: what a request may look like, and what follows from it.

use super::{Replay, request, text, within_a_minute};
use serde_json::json;
use std::time::Duration;

#[test]
fn the_format_may_stand_anywhere_or_be_left_out() {
    let replay = Replay::start(&[]);
    within_a_minute(async {
        for (entries, key) in [
            (r#"{"type":"trade","codes":["KRW-BTC"]}"#, "type"),
            (r#"{"type":"trade","codes":["KRW-BTC"]},{"format":"SIMPLE"}"#, "ty"),
            (r#"{"format":"SIMPLE"},{"type":"trade","codes":["KRW-BTC"],"unknown":[1]}"#, "ty"),
        ] {
            let mut client = replay.connect().await;
            client.ask(&request(entries)).await;
            assert_eq!(text(&client.json().await, key), "trade", "{entries}");
        }
    });
}

#[test]
fn every_public_type_is_served() {
    let replay = Replay::start(&["--codes", "1", "--rate", "100"]);
    within_a_minute(async {
        let units = ["1s", "1m", "3m", "5m", "10m", "15m", "30m", "60m", "240m"];
        let types = units.map(|unit| format!("candle.{unit}")).into_iter();
        let types: Vec<String> = types.chain(["ticker", "trade", "orderbook"].map(str::to_owned)).collect();
        let mut client = replay.connect().await;
        let entries: Vec<String> =
            types.iter().map(|kind| format!(r#"{{"type":"{kind}","codes":["KRW-BTC"]}}"#)).collect();
        client.ask(&request(&entries.join(","))).await;
        for kind in &types {
            let frame = client.json().await;
            assert_eq!((text(&frame, "type"), text(&frame, "stream_type")), (kind.as_str(), "SNAPSHOT"));
        }
        for kind in &types {
            client.find(|frame| frame["type"] == *kind && frame["stream_type"] == "REALTIME").await;
        }
    });
}

#[test]
fn snapshots_only_realtime_only_and_their_camel_case() {
    let replay = Replay::start(&["--codes", "1", "--rate", "100"]);
    within_a_minute(async {
        for flag in ["is_only_realtime", "isOnlyRealtime"] {
            let mut client = replay.connect().await;
            client.ask(&request(&format!(r#"{{"type":"ticker","codes":["KRW-BTC"],"{flag}":true}}"#))).await;
            assert_eq!(client.json().await["stream_type"], "REALTIME", "{flag}");
        }
        for flag in ["is_only_snapshot", "isOnlySnapshot"] {
            let mut client = replay.connect().await;
            client.ask(&request(&format!(r#"{{"type":"ticker","codes":["KRW-BTC"],"{flag}":true}}"#))).await;
            assert_eq!(client.json().await["stream_type"], "SNAPSHOT", "{flag}");
            client.stays_silent().await;
        }
    });
}

#[test]
fn a_new_request_replaces_the_earlier_one_unacknowledged() {
    let replay = Replay::start(&["--codes", "3", "--rate", "300"]);
    within_a_minute(async {
        let mut client = replay.connect().await;
        client.ask(&request(r#"{"type":"trade","codes":["KRW-BTC"]}"#)).await;
        assert_eq!(client.json().await["code"], "KRW-BTC", "the first frame is data");
        client.ask(&request(r#"{"type":"ticker","codes":["KRW-ETH"]}"#)).await;
        client.find(|frame| frame["stream_type"] == "SNAPSHOT").await;
        for frame in client.frames(50).await {
            assert!(frame["type"] == "ticker" && frame["code"] == "KRW-ETH", "{frame}");
        }
    });
}

#[test]
fn unknown_and_lower_case_codes_give_silence() {
    let replay = Replay::start(&[]);
    within_a_minute(async {
        let mut client = replay.connect().await;
        client.ask(&request(r#"{"type":"trade","codes":["krw-btc","KRW-NOPE","", "../../etc"]}"#)).await;
        client.stays_silent().await;
    });
}

#[test]
fn levels_that_a_pair_does_not_support_give_silence() {
    let replay = Replay::start(&["--codes", "855", "--rate", "5000"]);
    within_a_minute(async {
        for book in [r#""codes":["KRW-BTC"],"level":3"#, r#""codes":["BTC-ETH"],"level":0"#] {
            let mut client = replay.connect().await;
            client.ask(&request(&format!(r#"{{"type":"orderbook",{book}}}"#))).await;
            client.stays_silent().await;
        }
        let mut client = replay.connect().await;
        client.ask(&request(r#"{"type":"orderbook","codes":["KRW-BTC"],"level":100000}"#)).await;
        let book = client.json().await;
        assert_eq!(book["level"], 100_000);
        assert_eq!(book["orderbook_units"][0]["bid_price"].as_f64().unwrap() % 100_000.0, 0.0);
    });
}

#[test]
fn a_count_is_1_5_15_or_30_and_never_part_of_the_code() {
    let replay = Replay::start(&[]);
    within_a_minute(async {
        let mut client = replay.connect().await;
        let counts = [("", 30), (".1", 1), (".5", 5), (".15", 15), (".30", 30), (".7", 30), (".x", 30)];
        let codes: Vec<String> = counts.iter().map(|(suffix, _)| format!("KRW-BTC{suffix}")).collect();
        let entry = json!({"type": "orderbook", "codes": codes, "is_only_snapshot": true}).to_string();
        client.ask(&request(&entry)).await;
        for (suffix, count) in counts {
            let book = client.json().await;
            assert_eq!(book["code"], "KRW-BTC");
            assert_eq!(book["orderbook_units"].as_array().unwrap().len(), count, "{suffix}");
        }
    });
}

#[test]
fn a_message_without_a_format_switches_back_to_default() {
    let replay = Replay::start(&["--codes", "3", "--rate", "100"]);
    within_a_minute(async {
        let mut client = replay.connect().await;
        let entries =
            r#"{"type":"ticker","codes":["KRW-BTC"]},{"type":"orderbook","codes":["KRW-BTC.5"]},{"format":"SIMPLE"}"#;
        client.ask(&request(entries)).await;
        client.find(|frame| frame["st"] == "REALTIME").await;
        client.ask(&request(r#"{"method":"LIST_SUBSCRIPTIONS"},{"format":"SIMPLE"}"#)).await;
        let answer = client.find(|frame| frame["mthd"] == "LIST_SUBSCRIPTIONS").await;
        let expected = json!([{"ty":"ticker","cds":["KRW-BTC"]},{"ty":"orderbook","cds":["KRW-BTC"],"lv":0}]);
        assert_eq!((&answer["rslt"], &answer["tckt"]), (&expected, &json!("t")));
        assert!(client.json().await["ty"].is_string(), "the format was repeated");
        client.ask(&request(r#"{"method":"LIST_SUBSCRIPTIONS"}"#)).await;
        let answer = client.find(|frame| frame["method"] == "LIST_SUBSCRIPTIONS").await;
        let expected =
            json!([{"type":"ticker","codes":["KRW-BTC"]},{"type":"orderbook","codes":["KRW-BTC"],"level":0}]);
        assert_eq!(answer["result"], expected);
        assert!(client.json().await["type"].is_string(), "a missing format means DEFAULT for the streams too");
    });
}

#[test]
fn a_refused_request_has_the_exchanges_name_for_it() {
    let replay = Replay::start(&["--no-limits"]);
    within_a_minute(async {
        for (text, name) in [
            ("hello", "WRONG_FORMAT"),
            (r#"[{"type":"trade","codes":["KRW-BTC"]}]"#, "NO_TICKET"),
            (r#"[{"ticket":"t"}]"#, "NO_TYPE"),
            (r#"[{"ticket":"t"},{"type":"trade"}]"#, "NO_CODES"),
            (r#"[{"ticket":"t"},{"type":"nope","codes":["KRW-BTC"]}]"#, "INVALID_PARAM"),
            (r#"[{"ticket":"t"},{"type":"myAsset"}]"#, "INVALID_AUTH"),
            (r#"[{"ticket":"t"},{"type":"trade","codes":["KRW-BTC"]},{"format":"NOPE"}]"#, "WRONG_FORMAT"),
        ] {
            let mut client = replay.connect().await;
            client.ask(text).await;
            assert_eq!(client.refusal().await, (name.to_owned(), Some(1_000)), "{text}");
        }
    });
}

#[test]
fn a_request_for_the_whole_exchange_is_answered_at_once() {
    let replay = Replay::start(&["--codes", "855", "--rate", "800"]);
    within_a_minute(async {
        let (_, _, body) = replay.get("/v1/market/all").await;
        let markets: Vec<serde_json::Value> = serde_json::from_str(&body).unwrap();
        let codes: Vec<&str> = markets.iter().map(|market| market["market"].as_str().unwrap()).collect();
        assert_eq!(codes.len(), 855);
        let mut client = replay.connect().await;
        let begin = super::now();
        client.ask(&request(&json!({"type": "orderbook", "codes": codes}).to_string())).await;
        for code in codes {
            assert_eq!(text(&client.json().await, "code"), code);
        }
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    });
}
