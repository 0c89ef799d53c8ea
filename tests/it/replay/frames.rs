//! Frames: their formats, their keys, their numbers.

use super::{Replay, number, request, text, within_a_minute};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use tokio_tungstenite::tungstenite::Message;

const EVERYTHING: &str = r#"{"type":"trade","codes":["KRW-BTC","KRW-ETH"]},{"type":"ticker","codes":["KRW-BTC"]},
    {"type":"orderbook","codes":["KRW-BTC"]},{"type":"candle.1s","codes":["KRW-BTC"]}"#;

async fn everything(replay: &Replay, format: &str, count: usize) -> Vec<Value> {
    let mut client = replay.connect().await;
    client.ask(&request(&format!(r#"{EVERYTHING},{{"format":"{format}"}}"#))).await;
    client.frames(count).await
}

fn has_keys(frame: &Value, keys: &str) {
    let missing: Vec<&str> = keys.split_whitespace().filter(|key| frame.get(key).is_none()).collect();
    assert!(missing.is_empty(), "{missing:?} of {frame}");
}

#[test]
fn frames_are_binary_unless_text_is_asked_for() {
    within_a_minute(async {
        for (arguments, is_text) in [(&[][..], false), (&["--text"], true)] {
            let replay = Replay::start(arguments);
            let mut client = replay.connect().await;
            client.ask(&request(EVERYTHING)).await;
            assert_eq!(matches!(client.next().await, Some(Message::Text(_))), is_text);
        }
    });
}

#[test]
fn list_formats_pack_objects_and_simple_ones_shorten_keys() {
    within_a_minute(async {
        let replay = Replay::start(&["--codes", "3", "--rate", "300", "--list-batch", "4"]);
        for (format, key, is_list) in [
            ("DEFAULT", "type", false),
            ("SIMPLE", "ty", false),
            ("JSON_LIST", "type", true),
            ("SIMPLE_LIST", "ty", true),
        ] {
            for frame in everything(&replay, format, 40).await {
                assert_eq!(frame.is_array(), is_list, "{format}");
                let objects = frame.as_array().cloned().unwrap_or_else(|| vec![frame]);
                assert!((1..=4).contains(&objects.len()));
                assert!(objects.iter().all(|object| object[key].is_string()), "{format}");
            }
        }
    });
}

#[test]
fn snapshots_may_be_bare_in_a_list_format() {
    within_a_minute(async {
        let replay = Replay::start(&["--codes", "3", "--rate", "300", "--bare-snapshots"]);
        let frames = everything(&replay, "JSON_LIST", 40).await;
        assert!(frames[..5].iter().all(|frame| frame["stream_type"] == "SNAPSHOT"));
        assert!(frames[5..].iter().all(|frame| frame[0]["stream_type"] == "REALTIME"));
    });
}

#[test]
fn every_type_has_its_keys_long_and_short() {
    let replay = Replay::start(&["--codes", "3", "--rate", "300"]);
    let long = [
        (
            "ticker",
            "trade_price acc_trade_volume_24h acc_trade_price_24h trade_date trade_time trade_timestamp timestamp
            opening_price high_price low_price prev_closing_price change change_price signed_change_price change_rate",
        ),
        (
            "trade",
            "trade_price trade_volume ask_bid trade_date trade_time trade_timestamp timestamp sequential_id
            best_ask_price best_ask_size best_bid_price best_bid_size prev_closing_price change change_price",
        ),
        ("orderbook", "total_ask_size total_bid_size orderbook_units timestamp level"),
        (
            "candle.1s",
            "candle_date_time_utc candle_date_time_kst opening_price high_price low_price trade_price
            candle_acc_trade_volume candle_acc_trade_price timestamp",
        ),
    ];
    let short = [
        ("ticker", "tp atv24h atp24h tdt ttm ttms tms op hp lp pcp c cp scp cr"),
        ("trade", "tp tv ab td ttm ttms tms sid bap bas bbp bbs pcp c cp"),
        ("orderbook", "tas tbs obu tms lv"),
        ("candle.1s", "cdttmu cdttmk op hp lp tp catv catp tms"),
    ];
    within_a_minute(async {
        for (format, kind_key, stream_key, keys) in
            [("DEFAULT", "type", "stream_type", long), ("SIMPLE", "ty", "st", short)]
        {
            for frame in everything(&replay, format, 200).await {
                let (_, keys) = keys.iter().find(|(kind, _)| frame[kind_key] == *kind).unwrap();
                has_keys(&frame, keys);
                assert!(matches!(text(&frame, stream_key), "SNAPSHOT" | "REALTIME"));
            }
        }
    });
}

#[test]
fn dates_are_written_differently_in_trades_and_tickers() {
    let replay = Replay::start(&["--codes", "3", "--rate", "300"]);
    let shape = |text: &str| text.replace(|letter: char| letter.is_ascii_digit(), "0");
    within_a_minute(async {
        for frame in everything(&replay, "DEFAULT", 100).await {
            let (date, time) = match text(&frame, "type") {
                "trade" => ("0000-00-00", "00:00:00"),
                "ticker" => ("00000000", "000000"),
                _ => continue,
            };
            assert_eq!(
                (shape(text(&frame, "trade_date")), shape(text(&frame, "trade_time"))),
                (date.into(), time.into())
            );
        }
    });
}

#[test]
fn a_book_is_whole_sorted_and_on_a_100_ms_grid() {
    let replay = Replay::start(&["--codes", "1", "--rate", "300"]);
    within_a_minute(async {
        let mut client = replay.connect().await;
        client.ask(&request(r#"{"type":"orderbook","codes":["KRW-BTC"]}"#)).await;
        let mut last = 0.0;
        for book in client.frames(30).await {
            let units = book["orderbook_units"].as_array().unwrap();
            assert_eq!(units.len(), 30);
            let sum = |key: &str| units.iter().map(|unit| number(unit, key)).sum::<f64>();
            assert!((sum("ask_size") - number(&book, "total_ask_size")).abs() < 1e-6);
            assert!((sum("bid_size") - number(&book, "total_bid_size")).abs() < 1e-6);
            assert!(number(&units[0], "bid_price") < number(&units[0], "ask_price"));
            for pair in units.windows(2) {
                assert!(number(&pair[0], "ask_price") < number(&pair[1], "ask_price"));
                assert!(number(&pair[0], "bid_price") > number(&pair[1], "bid_price"));
            }
            let timestamp = number(&book, "timestamp");
            assert!(timestamp >= last && timestamp % 100.0 == 0.0, "the time of the last change");
            last = timestamp;
        }
    });
}

#[test]
fn thin_sides_are_padded_with_zeros() {
    let replay = Replay::start(&["--codes", "855", "--rate", "100"]);
    within_a_minute(async {
        let mut client = replay.connect().await;
        client.ask(&request(r#"{"type":"orderbook","codes":["BTC-SHIB"]}"#)).await;
        let book = client.json().await;
        let units = book["orderbook_units"].as_array().unwrap();
        assert_eq!(units.len(), 30);
        let last = units.last().unwrap();
        assert_eq!((number(last, "bid_price"), number(last, "bid_size")), (0.0, 0.0));
    });
}

#[test]
fn numbers_are_not_one_spelling() {
    let replay = Replay::start(&["--codes", "855", "--rate", "3000"]);
    within_a_minute(async {
        let expected = BTreeSet::from(["1.2E3", "1.2E-3", "1E-3", "1", "1.0", "0.00000000 padded", "0.1"]);
        let mut seen = BTreeSet::new();
        // How often one comes is chance: a value of one digit may be missing among a hundred frames.
        for format in ["DEFAULT", "SIMPLE"].into_iter().cycle() {
            let mut client = replay.connect().await;
            let codes = r#"["KRW-BTC","KRW-XRP","BTC-XRP","BTC-DOGE","BTC-SHIB","BTC-ADA","BTC-TRX","BTC-ETH"]"#;
            let entries =
                ["trade", "ticker", "orderbook"].map(|kind| format!(r#"{{"type":"{kind}","codes":{codes}}}"#));
            client.ask(&request(&format!(r#"{},{{"format":"{format}"}}"#, entries.join(",")))).await;
            for _ in 0..60 {
                let frame = String::from_utf8(client.binary().await).unwrap();
                seen.extend(leaves(&frame).iter().filter_map(|leaf| spelling(leaf)));
            }
            if seen == expected {
                break;
            }
        }
    });
}

/// Everything in a value that is neither an object nor a list, as it is spelt.
fn leaves(value: &str) -> Vec<&str> {
    if let Ok(object) = serde_json::from_str::<BTreeMap<&str, &RawValue>>(value) {
        return object.into_values().flat_map(|value| leaves(value.get())).collect();
    }
    match serde_json::from_str::<Vec<&RawValue>>(value) {
        Ok(list) => list.into_iter().flat_map(|value| leaves(value.get())).collect(),
        Err(_) => vec![value],
    }
}

/// How a number is spelt, as the spelling of an example; `None` where it is no number.
fn spelling(value: &str) -> Option<&'static str> {
    let value = value.strip_prefix('-').unwrap_or(value);
    if !value.starts_with(|letter: char| letter.is_ascii_digit()) {
        return None;
    }
    let (mantissa, exponent) = value.split_once('E').map_or((value, None), |(left, right)| (left, Some(right)));
    let fraction = mantissa.split_once('.').map(|(_, fraction)| fraction);
    Some(match (exponent, fraction) {
        (Some(exponent), Some(_)) if exponent.starts_with('-') => "1.2E-3",
        (Some(exponent), None) if exponent.starts_with('-') => "1E-3",
        (Some(_), _) => "1.2E3",
        (None, None) => "1",
        (None, Some("0")) => "1.0",
        (None, Some(fraction)) if fraction.len() >= 8 && fraction.ends_with('0') => "0.00000000 padded",
        (None, Some(_)) => "0.1",
    })
}

#[test]
fn a_snapshot_trade_is_the_last_one_and_repeats() {
    let replay = Replay::start(&["--codes", "1", "--rate", "1"]);
    within_a_minute(async {
        let trade = |frame: Value| frame["sequential_id"].as_u64().unwrap();
        let mut seen = BTreeMap::new();
        for _ in 0..3 {
            let mut client = replay.connect().await;
            client.ask(&request(r#"{"type":"trade","codes":["KRW-BTC"]}"#)).await;
            let snapshot = client.json().await;
            assert_eq!(snapshot["stream_type"], "SNAPSHOT");
            *seen.entry(trade(snapshot)).or_insert(0) += 1;
        }
        assert!(seen.len() <= 2, "three connects within a moment see one trade, or two: {seen:?}");
    });
}

#[test]
fn a_sequential_id_is_unique_above_2_53_and_not_ordered() {
    let replay = Replay::start(&["--codes", "1", "--rate", "2000"]);
    within_a_minute(async {
        let mut client = replay.connect().await;
        client.ask(&request(r#"{"type":"trade","codes":["KRW-BTC"],"is_only_realtime":true}"#)).await;
        let ids: Vec<u64> =
            client.frames(1_000).await.iter().map(|frame| frame["sequential_id"].as_u64().unwrap()).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 1_000);
        assert!(ids.iter().all(|id| *id > 1 << 53));
        assert!(ids.windows(2).any(|pair| pair[0] > pair[1]));
    });
}

#[test]
fn a_candle_is_the_sum_of_its_trades_and_sent_with_each() {
    let replay = Replay::start(&["--codes", "1", "--rate", "300"]);
    within_a_minute(async {
        let mut client = replay.connect().await;
        let entries = r#"{"type":"trade","codes":["KRW-BTC"],"is_only_realtime":true},
            {"type":"candle.1m","codes":["KRW-BTC"]},{"type":"candle.1s","codes":["KRW-BTC"],"is_only_realtime":true}"#;
        client.ask(&request(entries)).await;
        let units = |frame: &Value, key: &str| (number(frame, key) * 1e8).round() as i64;
        let (mut volumes, mut minutes, mut compared) = (BTreeMap::<String, i64>::new(), 0, 0);
        while compared < 4 {
            let frame = client.json().await;
            match text(&frame, "type") {
                "trade" => {
                    let second = format!("{}T{}", text(&frame, "trade_date"), text(&frame, "trade_time"));
                    *volumes.entry(second).or_default() += units(&frame, "trade_volume");
                }
                "candle.1m" => minutes += 1,
                _ => {
                    // The first second was joined in its middle.
                    let sum = volumes.remove(text(&frame, "candle_date_time_utc"));
                    if compared > 0 {
                        assert_eq!(sum, Some(units(&frame, "candle_acc_trade_volume")));
                    }
                    compared += 1;
                }
            }
        }
        assert!(minutes >= 4, "the candle of the minute came {minutes} times");
    });
}

#[test]
fn no_candle_comes_without_a_trade() {
    let replay = Replay::start(&["--codes", "1", "--rate", "0.001"]);
    within_a_minute(async {
        let mut client = replay.connect().await;
        client.ask(&request(r#"{"type":"candle.1s","codes":["KRW-BTC"],"is_only_realtime":true}"#)).await;
        super::pause(std::time::Duration::from_secs(2)).await;
        client.stays_silent().await;
    });
}
