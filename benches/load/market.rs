//! The exchange's real load in small: trades, books and tickers of many pairs, of which few make most.

use super::frames::Frames;
use super::texts::{Book, Random};
use std::fmt::Write;
use std::time::Duration;

/// The types in the order of the streams: stream `n` is the type `n % 3` of the pair `n / 3`.
const TYPES: usize = 3;

/// Of ten frames: one trade, six books, three tickers.
const MIX: [usize; 10] = [0, 1, 1, 1, 1, 1, 1, 2, 2, 2];

/// The time before the first frame that is paced, in which a client comes to rest after the frames of all streams.
const REST: Duration = Duration::from_secs(2);

/// A frame of each of `streams`, then `count` at `rate` a second.
pub(crate) fn make(frames: &mut Frames, streams: usize, rate: usize, count: usize) {
    let (mut random, mut text) = (Random(3), String::new());
    let mut books: Vec<Book> = (0..streams.div_ceil(TYPES)).map(|code| Book::new(code, &mut random)).collect();
    let mut frame = |stream: usize, number: usize, random: &mut Random, text: &mut String| {
        text.clear();
        let (code, time) = (stream / TYPES, 1_790_134_742_106 + number as u64);
        match stream % TYPES {
            0 => trade(text, random, code, time),
            1 => books[code].write(text, random, time),
            _ => ticker(text, random, code, time),
        }
        text.push_str(r#","sent":1000000000000000}"#);
    };
    for stream in 0..streams {
        frame(stream, stream, &mut random, &mut text);
        frames.push(&text);
    }
    let mut due = REST;
    for number in 0..count {
        let kind = MIX[random.below(10) as usize];
        let pairs = (streams - kind).div_ceil(TYPES);
        // The busiest of n pairs has a share of about 1 / ln n, as if the k-th had one of 1 / k.
        let code = ((pairs as f64).powf(share(&mut random)) - 1.0) as usize;
        frame(code * TYPES + kind, streams + number, &mut random, &mut text);
        due += Duration::from_secs(1).div_f64(rate as f64).mul_f64(-(1.0 - share(&mut random)).ln());
        frames.push_due(&text, due);
    }
}

/// From 0 to 1.
fn share(random: &mut Random) -> f64 {
    random.below(1 << 53) as f64 / (1_u64 << 53) as f64
}

/// DEFAULT, about 430 bytes, up to its last key.
fn trade(text: &mut String, random: &mut Random, code: usize, time: u64) {
    let (price, volume, traded) = (100_000 + random.below(20_000), random.volume(), time - 26);
    write!(
        text,
        r#"{{"type":"trade","code":"KRW-C{code}","timestamp":{time},"trade_date":"2026-09-23","trade_time":"02:19:02","#
    )
    .unwrap();
    write!(
        text,
        r#""trade_timestamp":{traded},"trade_price":{price}000.0,"trade_volume":{volume:.8},"ask_bid":"ASK","#
    )
    .unwrap();
    write!(text, r#""prev_closing_price":109165000.00000000,"change":"RISE","change_price":682000.00000000,"#).unwrap();
    write!(text, r#""sequential_id":{traded}0000,"best_ask_price":{price}000,"best_ask_size":{:.8},"#, random.volume())
        .unwrap();
    write!(text, r#""best_bid_price":{price}000,"best_bid_size":{:.8},"stream_type":"REALTIME""#, random.volume())
        .unwrap();
}

/// DEFAULT, about 1.1 KB, up to its last key.
fn ticker(text: &mut String, random: &mut Random, code: usize, time: u64) {
    // A volume that grows seconds away from any trade would make the stream of trades suspect: it stays.
    let (price, volume, total) = (100_000 + random.below(20_000), random.volume(), 1_000.0 + code as f64);
    write!(
        text,
        r#"{{"type":"ticker","code":"KRW-C{code}","opening_price":31883000.00000000,"high_price":32310000.00000000,"#
    )
    .unwrap();
    write!(text, r#""low_price":31855000.00000000,"trade_price":{price}000.0,"prev_closing_price":31883000.00000000,"#)
        .unwrap();
    write!(text, r#""acc_trade_price":{:.8},"change":"RISE","change_price":404000.00000000,"#, total * 1e7).unwrap();
    write!(
        text,
        r#""signed_change_price":404000.00000000,"change_rate":0.0126713295,"signed_change_rate":0.0126713295,"#
    )
    .unwrap();
    write!(
        text,
        r#""ask_bid":"ASK","trade_volume":{volume:.8},"acc_trade_volume":{total:.8},"trade_date":"20260923","#
    )
    .unwrap();
    write!(
        text,
        r#""trade_time":"021902","trade_timestamp":{time},"acc_ask_volume":{:.8},"acc_bid_volume":{:.8},"#,
        total / 2.1,
        total / 1.9
    )
    .unwrap();
    write!(text, r#""highest_52_week_price":57678000.00000000,"highest_52_week_date":"2026-03-28","lowest_52_week_price":20700000.00000000,"#).unwrap();
    write!(text, r#""lowest_52_week_date":"2025-12-30","market_state":"ACTIVE","is_trading_suspended":false,"delisting_date":null,"#).unwrap();
    write!(
        text,
        r#""market_warning":"NONE","timestamp":{time},"acc_trade_price_24h":{:.8},"acc_trade_volume_24h":{:.8},"#,
        total * 3e7,
        total * 3.0
    )
    .unwrap();
    write!(text, r#""stream_type":"REALTIME""#).unwrap();
}
