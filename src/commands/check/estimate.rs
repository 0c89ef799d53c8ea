//! How much disk a day of a request takes, roughly. Pure.
//!
//! The figures behind it were measured on the live service in September 2026: 855 pairs of `orderbook` in DEFAULT made
//! 790 frames a second of 2.7 kB each, so 0.9 a second for the average pair; a busy pair is sent on a grid of
//! 100 ms, so at most 10 a second. Rates of trades and tickers are unpublished: they are assumed equal to the
//! book's, since trades and orders move both.

use crate::upbit::subscription::{Format, Request, Subscription};

/// Frames a second of the average pair, and of a busy one.
const FRAMES_PER_SECOND: [f64; 2] = [0.92, 10.0];

/// A candle is sent at most once a second.
const CANDLES_PER_SECOND: [f64; 2] = [0.92, 1.0];

/// Bytes of the frames in DEFAULT, and the pairs of a whole book.
const BOOK_BYTES: f64 = 2700.0;
const BOOK_HEAD_BYTES: f64 = 200.0;
const BOOK_PAIRS: f64 = 30.0;
const TICKER_BYTES: f64 = 680.0;
const CANDLE_BYTES: f64 = 370.0;
const TRADE_BYTES: f64 = 325.0;

/// Short keys are about a third of a frame.
const SIMPLE_SHARE: f64 = 0.67;

/// `"ts_recv":1795317064154123,` and the line's end.
const STAMP_BYTES: f64 = 28.0;

const SECONDS_PER_DAY: f64 = 86_400.0;

/// The compressed share of the received bytes: the longer streams of a real capture shrank to between a thirteenth
/// and a twenty-fourth at level 3, short ones less.
pub(super) const SEALED_SHARE: f64 = 0.1;

/// Bytes a day, before compression.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub(super) struct PerDay {
    /// If every pair is an average one.
    pub(super) low: f64,
    /// If every pair is a busy one.
    pub(super) high: f64,
}

/// Bytes a day of one connection's request. Account events and snapshots are negligible.
pub(super) fn per_day(request: &Request) -> PerDay {
    let sum = |index: usize| {
        let bytes = |subscription| bytes_per_second(subscription, request.format, index);
        request.subscriptions.iter().map(bytes).sum::<f64>() * SECONDS_PER_DAY
    };
    PerDay { low: sum(0), high: sum(1) }
}

fn bytes_per_second(subscription: &Subscription, format: Format, index: usize) -> f64 {
    let (frame, rate) = match subscription.kind.as_str() {
        _ if subscription.only_snapshot => return 0.0,
        "orderbook" => (book_bytes(subscription.count), FRAMES_PER_SECOND),
        "ticker" => (TICKER_BYTES, FRAMES_PER_SECOND),
        "trade" => (TRADE_BYTES, FRAMES_PER_SECOND),
        kind if kind.starts_with("candle.") => (CANDLE_BYTES, CANDLES_PER_SECOND),
        _ => return 0.0,
    };
    let share = if matches!(format, Format::Simple | Format::SimpleList) { SIMPLE_SHARE } else { 1.0 };
    (frame * share + STAMP_BYTES) * rate[index] * subscription.codes.len() as f64
}

fn book_bytes(count: Option<u8>) -> f64 {
    let pairs = count.map_or(BOOK_PAIRS, f64::from);
    BOOK_HEAD_BYTES + (BOOK_BYTES - BOOK_HEAD_BYTES) * pairs / BOOK_PAIRS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn books(codes: usize) -> Request {
        let codes = (0..codes).map(|number| format!("KRW-A{number}")).collect();
        let subscriptions = vec![Subscription { kind: "orderbook".into(), codes, ..Subscription::default() }];
        Request { subscriptions, format: Format::Default }
    }

    #[test]
    fn the_whole_exchange_comes_out_as_it_was_measured() {
        let measured = 2.2e6 * SECONDS_PER_DAY;
        let estimated = per_day(&books(855)).low;
        assert!((estimated / measured - 1.0).abs() < 0.05, "{estimated} {measured}");
    }

    #[test]
    fn smaller_frames_take_less() {
        let mut request = books(1);
        let whole = per_day(&request).high;
        request.format = Format::Simple;
        assert!(per_day(&request).high < whole);
        request.subscriptions[0].count = Some(5);
        assert!(per_day(&request).high < whole / 3.0);
        request.subscriptions[0].only_snapshot = true;
        assert_eq!(per_day(&request), PerDay::default());
    }
}
