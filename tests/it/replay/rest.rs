//! Quotations over REST: the same market, newest first, in pages.

use super::{Replay, number, request, text, within_a_minute};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

async fn list(replay: &Replay, target: &str) -> Vec<Value> {
    let (status, _, body) = replay.get(target).await;
    assert_eq!(status, 200, "{target}: {body}");
    serde_json::from_str(&body).unwrap()
}

/// The rows of an answer, each value as it is spelt.
async fn fields(replay: &Replay, target: &str) -> Vec<BTreeMap<String, Box<RawValue>>> {
    let (_, _, body) = replay.get(target).await;
    serde_json::from_str(&body).unwrap()
}

async fn error(replay: &Replay, target: &str) -> (u16, Value) {
    let (status, _, body) = replay.get(target).await;
    (status, serde_json::from_str::<Value>(&body).unwrap()["error"]["name"].clone())
}

#[test]
fn the_pairs_have_names_and_on_request_details() {
    let replay = Replay::start(&["--codes", "855"]);
    within_a_minute(async {
        let markets = list(&replay, "/v1/market/all").await;
        let of = |quote: &str| markets.iter().filter(|market| text(market, "market").starts_with(quote)).count();
        assert_eq!((of("KRW-"), of("BTC-"), of("USDT-")), (289, 328, 238));
        let first = json!({"market":"KRW-BTC","korean_name":"비트코인","english_name":"Bitcoin"});
        assert_eq!(markets[0], first);
        assert_eq!(list(&replay, "/v1/market/all?is_details=true").await[0]["market_event"]["warning"], false);
    });
}

#[test]
fn candles_come_newest_first_and_to_is_exclusive() {
    let replay = Replay::start(&["--codes", "1", "--no-limits"]);
    within_a_minute(async {
        for path in
            ["seconds", "minutes/1", "minutes/3", "minutes/10", "minutes/240", "days", "weeks", "months", "years"]
        {
            let page = list(&replay, &format!("/v1/candles/{path}?market=KRW-BTC&count=10")).await;
            let starts: Vec<&str> = page.iter().map(|candle| text(candle, "candle_date_time_utc")).collect();
            assert!(starts.len() >= 2 && starts.windows(2).all(|pair| pair[0] > pair[1]), "{path}: {starts:?}");
            let to = starts[1].replace(':', "%3A");
            let next = list(&replay, &format!("/v1/candles/{path}?market=KRW-BTC&count=1&to={to}Z")).await;
            assert_eq!(next.first(), page.get(2), "{path}");
        }
    });
}

#[test]
fn a_walk_by_the_oldest_meets_every_candle_and_ends_empty() {
    let replay = Replay::start(&["--codes", "1", "--no-limits"]);
    within_a_minute(async {
        let mut to = String::new();
        let mut seen = BTreeSet::new();
        loop {
            let page = list(&replay, &format!("/v1/candles/days?market=KRW-BTC&count=150{to}")).await;
            let Some(oldest) = page.last() else { break };
            to = format!("&to={}", text(oldest, "candle_date_time_utc"));
            assert!(page.iter().all(|candle| seen.insert(text(candle, "candle_date_time_utc").to_owned())));
        }
        assert!((400..=402).contains(&seen.len()), "{}", seen.len());
    });
}

#[test]
fn a_period_without_a_trade_has_no_candle() {
    let replay = Replay::start(&["--codes", "1", "--rate", "1"]);
    within_a_minute(async {
        let minutes = list(&replay, "/v1/candles/minutes/1?market=KRW-BTC&count=200").await;
        let minute = |candle: &Value| text(candle, "candle_date_time_utc")[14..16].parse::<i32>().unwrap();
        let has_gap = minutes.windows(2).any(|pair| !matches!(minute(&pair[0]) - minute(&pair[1]), 1 | -59));
        assert!(has_gap, "200 minutes without one that is quiet");
        assert_eq!(list(&replay, "/v1/candles/seconds?market=KRW-BTC&to=2020-01-01T00:00:00Z").await, [] as [Value; 0]);
    });
}

#[test]
fn candles_have_the_keys_of_their_period() {
    let replay = Replay::start(&["--codes", "1", "--no-limits"]);
    within_a_minute(async {
        for (path, key) in [
            ("seconds", "candle_acc_trade_price"),
            ("minutes/15", "unit"),
            ("days", "prev_closing_price"),
            ("days", "change_rate"),
            ("weeks", "first_day_of_period"),
        ] {
            let candles = fields(&replay, &format!("/v1/candles/{path}?market=KRW-BTC")).await;
            assert!(candles[0].contains_key(key), "{candles:?}");
            let mut values = candles[0].values();
            assert!(values.any(|value| value.get().ends_with(".00000000")), "numbers are padded: {candles:?}");
        }
        assert_eq!(list(&replay, "/v1/candles/minutes/15?market=KRW-BTC").await[0]["unit"], 15);
        assert_eq!(list(&replay, "/v1/candles/days?market=KRW-BTC&count=1000").await.len(), 200);
    });
}

#[test]
fn every_price_and_sum_has_eight_decimals() {
    let replay = Replay::start(&["--codes", "855", "--rate", "8000", "--no-limits"]);
    within_a_minute(async {
        for market in ["KRW-DOGE", "BTC-ETH", "USDT-XRP"] {
            for path in ["candles/minutes/1", "candles/days", "candles/weeks", "trades/ticks"] {
                let rows = fields(&replay, &format!("/v1/{path}?market={market}&count=20")).await;
                let is_amount = |key: &str| ["price", "volume"].iter().any(|end| key.ends_with(end));
                let own = rows.iter().flatten().filter(|(key, _)| is_amount(key));
                let amounts: Vec<&str> = own.map(|(_, number)| number.get()).collect();
                let has_eight = |number: &&str| number.split_once('.').is_some_and(|(_, decimals)| decimals.len() == 8);
                assert!(amounts.len() > 10 && amounts.iter().all(has_eight), "{path} {market}: {amounts:?}");
                // From a day on, large sums have no more digits than tell one double from another.
                let is_double = |number: &&str| {
                    let shortest = number.parse::<f64>().unwrap().to_string();
                    number.trim_end_matches('0').trim_end_matches('.') == shortest.trim_end_matches(".0")
                };
                assert!(
                    !["candles/days", "candles/weeks"].contains(&path) || amounts.iter().all(is_double),
                    "{amounts:?}"
                );
            }
        }
    });
}

#[test]
fn ticks_are_paged_by_cursor_and_time_for_seven_days() {
    let replay = Replay::start(&["--codes", "1", "--no-limits"]);
    within_a_minute(async {
        let path = "/v1/trades/ticks?market=KRW-BTC&days_ago=2";
        let ids =
            |page: &[Value]| page.iter().map(|trade| trade["sequential_id"].as_u64().unwrap()).collect::<Vec<_>>();
        let whole = list(&replay, &format!("{path}&count=60")).await;
        let first = list(&replay, &format!("{path}&count=20")).await;
        let cursor = ids(&first)[19];
        let second = list(&replay, &format!("{path}&count=40&cursor={cursor}")).await;
        assert_eq!([ids(&first), ids(&second)].concat(), ids(&whole));
        let times: Vec<f64> = whole.iter().map(|trade| number(trade, "timestamp")).collect();
        assert!(times.windows(2).all(|pair| pair[0] >= pair[1]));
        let noon = list(&replay, &format!("{path}&to=120000")).await;
        assert!(text(&noon[0], "trade_time_utc") < "12:00:00");
        assert_eq!(list(&replay, &format!("{path}&count=9999")).await.len(), 500);
        assert_eq!(error(&replay, "/v1/trades/ticks?market=KRW-BTC&days_ago=8").await, (400, json!(400)));
    });
}

#[test]
fn the_change_of_a_tick_is_signed() {
    let replay = Replay::start(&["--codes", "50", "--no-limits"]);
    within_a_minute(async {
        let markets = list(&replay, "/v1/market/all").await;
        let mut signs = BTreeSet::new();
        for market in &markets {
            let target = format!("/v1/trades/ticks?market={}&days_ago=1", text(market, "market"));
            let trade = &list(&replay, &target).await[0];
            let change = number(trade, "trade_price") - number(trade, "prev_closing_price");
            assert!((number(trade, "change_price") - change).abs() < 1e-6, "{trade}");
            signs.insert(change < 0.0);
        }
        assert_eq!(signs.len(), 2, "fifty pairs rise and fall");
    });
}

#[test]
fn one_unknown_code_fails_the_call_with_an_integer_name() {
    let replay = Replay::start(&["--codes", "3", "--no-limits"]);
    within_a_minute(async {
        assert_eq!(list(&replay, "/v1/orderbook?markets=KRW-BTC,KRW-ETH").await.len(), 2);
        assert_eq!(error(&replay, "/v1/orderbook?markets=KRW-BTC,KRW-NOPE").await, (404, json!(404)));
        assert_eq!(error(&replay, "/v1/candles/days?market=krw-btc").await, (404, json!(404)));
        assert_eq!(error(&replay, "/v1/candles/minutes/1").await, (400, json!(400)));
        assert_eq!(error(&replay, "/v1/candles/minutes/2?market=KRW-BTC").await, (404, json!("not_found")));
        assert_eq!(error(&replay, "/v1/nope").await, (404, json!("not_found")));
    });
}

#[test]
fn stream_and_rest_show_one_market() {
    let replay = Replay::start(&["--codes", "1", "--rate", "60"]);
    within_a_minute(async {
        let mut client = replay.connect().await;
        client.ask(&request(r#"{"type":"trade","codes":["KRW-BTC"],"is_only_realtime":true}"#)).await;
        let streamed = client.frames(40).await;
        let ticks = list(&replay, "/v1/trades/ticks?market=KRW-BTC&count=500").await;
        for trade in &streamed {
            let id = &trade["sequential_id"];
            let tick = ticks.iter().find(|tick| &tick["sequential_id"] == id).expect("every trade streamed is a tick");
            assert_eq!(number(tick, "trade_price"), number(trade, "trade_price"));
            assert_eq!(number(tick, "trade_volume"), number(trade, "trade_volume"));
            assert_eq!(number(tick, "timestamp"), number(trade, "trade_timestamp"));
        }
        let minute = &text(&streamed[0], "trade_time")[..5];
        let candles = list(&replay, "/v1/candles/minutes/1?market=KRW-BTC&count=3").await;
        let is_there = candles.iter().any(|candle| &text(candle, "candle_date_time_utc")[11..16] == minute);
        assert!(is_there, "{minute} in {candles:?}");
    });
}

#[test]
fn tickers_are_served_for_pairs_and_for_a_whole_quote_currency() {
    let replay = Replay::start(&["--codes", "5", "--no-limits"]);
    within_a_minute(async {
        let tickers = list(&replay, "/v1/ticker?markets=KRW-BTC,KRW-ETH").await;
        assert_eq!(tickers.len(), 2);
        for ticker in &tickers {
            assert!(number(ticker, "low_price") <= number(ticker, "trade_price"));
            assert!(number(ticker, "acc_trade_volume") <= number(ticker, "acc_trade_volume_24h") + 1e-9);
        }
        assert_eq!(list(&replay, "/v1/ticker/all?quote_currencies=KRW").await.len(), 5);
        let levels = &list(&replay, "/v1/orderbook/instruments?markets=KRW-BTC").await[0]["supported_levels"];
        assert_eq!(levels, &json!(["0", "10000", "100000", "1000000", "10000000", "100000000"]));
    });
}
