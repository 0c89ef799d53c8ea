//! The data frames: one object each, keys and number formats as on the wire.
//!
//! Source: docs.upbit.com, the pages "Ticker", "Trade", "Orderbook" and "Candle" of the WebSocket reference, and frames
//! captured from the live service. The format of a number depends on the pair or on the number itself.

use super::candle_unit::CandleUnit;
use super::number::Spelling;
use super::object::{Object, Signed};
use super::request::Subscription;
use super::time::Time;
use crate::replay::market::{Book, BookView, Candle, Instrument, LAG_MILLIS, Level, Rolling, SLOT_MILLIS, Trade};
use std::cmp::Ordering;

/// SNAPSHOT or REALTIME.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamType {
    /// The state at the time of the request.
    Snapshot,
    /// A change after that.
    Realtime,
}

impl StreamType {
    fn as_str(self) -> &'static str {
        match self {
            Self::Snapshot => "SNAPSHOT",
            Self::Realtime => "REALTIME",
        }
    }
}

/// The fields common to every frame: its pair, and its format.
#[derive(Clone, Copy)]
pub(crate) struct Head<'a> {
    /// The pair.
    pub(crate) instrument: &'a Instrument,
    /// Short keys.
    pub(crate) short: bool,
    /// Snapshot or not.
    pub(crate) stream: StreamType,
}

impl<'a> Head<'a> {
    fn open(&self, out: &'a mut String, kind: &str) -> Object<'a> {
        let mut object = Object::open(out, self.short);
        object.name(("type", "ty"), kind).name(("code", "cd"), &self.instrument.listing.code);
        object
    }

    /// Pairs differ in whether their prices carry zeros.
    fn price_spelling(&self) -> Spelling {
        match (self.short, self.instrument.listing.code.len() % 2) {
            (true, _) => Spelling::Decimal,
            (false, 0) => Spelling::Point,
            (false, _) => Spelling::Padded,
        }
    }

    fn close(&self, mut object: Object<'_>) {
        object.name(("stream_type", "st"), self.stream.as_str());
        object.close();
    }
}

/// A trade; `previous_close` is the last price before midnight UTC.
pub(crate) fn trade(head: Head<'_>, trade: &Trade, previous_close: u64) -> String {
    let mut out = String::with_capacity(640);
    let time = Time::utc(trade.millis);
    let spelling = head.price_spelling();
    let mut object = head.open(&mut out, "trade");
    object
        .integer(("timestamp", "tms"), sent_at(trade))
        .formatted(("trade_date", "td"), format_args!("{}", time.date()))
        .formatted(("trade_time", "ttm"), format_args!("{}", time.time()))
        .integer(("trade_timestamp", "ttms"), trade.millis)
        .number(("trade_price", "tp"), trade.price, spelling)
        .number(("trade_volume", "tv"), trade.volume, size_spelling(trade.volume))
        .name(("ask_bid", "ab"), trade.side.as_str());
    change(&mut object, trade.price, previous_close, spelling);
    let (ask, bid) = head.instrument.best(trade.millis / SLOT_MILLIS);
    object
        .integer(("sequential_id", "sid"), trade.id)
        .number(("best_ask_price", "bap"), ask.price, Spelling::Plain)
        .number(("best_ask_size", "bas"), ask.size, Spelling::Double)
        .number(("best_bid_price", "bbp"), bid.price, Spelling::Plain)
        .number(("best_bid_size", "bbs"), bid.size, Spelling::Double);
    head.close(object);
    out
}

/// A ticker after its last trade.
pub(crate) fn ticker(head: Head<'_>, rolling: &Rolling, last: &Trade) -> String {
    let mut out = String::with_capacity(1_200);
    let spelling = head.price_spelling();
    let today = rolling.today_or_quiet(last);
    let mut object = head.open(&mut out, "ticker");
    prices(&mut object, &today, spelling);
    change(&mut object, last.price, rolling.previous_close, spelling);
    signed_change(&mut object, last.price, rolling.previous_close, spelling);
    volumes(&mut object, rolling, last);
    let time = Time::utc(last.millis);
    let (low, high) = head.instrument.bounds();
    let year = format_args!("{}", time.date()).to_string();
    object
        .formatted(("trade_date", "tdt"), format_args!("{}", time.compact_date()))
        .formatted(("trade_time", "ttm"), format_args!("{}", time.compact_time()))
        .integer(("trade_timestamp", "ttms"), last.millis)
        .number(("highest_52_week_price", "h52wp"), high, Spelling::Padded)
        .name(("highest_52_week_date", "h52wdt"), &year)
        .number(("lowest_52_week_price", "l52wp"), low, Spelling::Padded)
        .name(("lowest_52_week_date", "l52wdt"), &year)
        .name(("market_state", "ms"), "ACTIVE")
        .raw(("is_trading_suspended", "its"), |out| out.push_str("false"))
        .raw(("delisting_date", "dd"), |out| out.push_str("null"))
        .name(("market_warning", "mw"), "NONE")
        .integer(("timestamp", "tms"), sent_at(last));
    head.close(object);
    out
}

/// A grouped book in the state of a slot.
pub(crate) fn orderbook(head: Head<'_>, book: &Book, slot: u64, view: BookView) -> String {
    let mut out = String::with_capacity(200 + view.depth * 110);
    let (asks, bids) = book.totals();
    let mut object = head.open(&mut out, "orderbook");
    object
        .integer(("timestamp", "tms"), slot * SLOT_MILLIS)
        .decimal(("total_ask_size", "tas"), asks, 8, Spelling::Double)
        .decimal(("total_bid_size", "tbs"), bids, 8, Spelling::Double);
    let prices = if head.short { Spelling::Plain } else { Spelling::Double };
    book_units(&mut object, book, view.depth, prices, book_size_spelling);
    object.name(("stream_type", "st"), head.stream.as_str()).number(("level", "lv"), view.level, Spelling::Plain);
    object.close();
    out
}

/// A candle that began at `start`.
pub(crate) fn candle(head: Head<'_>, unit: CandleUnit, start: u64, candle: &Candle) -> String {
    let mut out = String::with_capacity(480);
    let spelling = head.price_spelling();
    let mut object = head.open(&mut out, unit.name);
    object
        .formatted(("candle_date_time_utc", "cdttmu"), format_args!("{}", Time::utc(start)))
        .formatted(("candle_date_time_kst", "cdttmk"), format_args!("{}", Time::kst(start)));
    prices(&mut object, candle, spelling)
        .decimal(("candle_acc_trade_volume", "catv"), candle.volumes.volume(), 8, Spelling::Padded)
        .decimal(("candle_acc_trade_price", "catp"), candle.volumes.value, 16, Spelling::Padded)
        .integer(("timestamp", "tms"), sent_at(&candle.last));
    head.close(object);
    out
}

/// The answer to LIST_SUBSCRIPTIONS: an object for each subscribed type, with the codes that exist, without suffixes.
pub(crate) fn subscription_list(
    ticket: &str,
    subscriptions: &[Subscription],
    is_known: impl Fn(&str) -> bool,
    short: bool,
) -> String {
    let mut out = String::new();
    let mut object = Object::open(&mut out, short);
    object.name(("method", "mthd"), "LIST_SUBSCRIPTIONS").raw(("result", "rslt"), |out| {
        out.push('[');
        for (index, subscription) in subscriptions.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            let mut part = Object::open(out, short);
            part.name(("type", "ty"), &subscription.kind);
            if !subscription.codes.is_empty() {
                let codes =
                    subscription.codes.iter().map(|code| code.split_once('.').map_or(code.as_str(), |(code, _)| code));
                let codes: Vec<&str> = codes.filter(|code| is_known(code)).collect();
                part.raw(("codes", "cds"), |out| out.push_str(&json(&codes)));
            }
            if subscription.kind == "orderbook" {
                let level = (subscription.level.unwrap_or(0.0) * 1e8).round() as u64;
                part.number(("level", "lv"), level, Spelling::Plain);
            }
            part.close();
        }
        out.push(']');
    });
    object.raw(("ticket", "tckt"), |out| out.push_str(&json(ticket)));
    object.close();
    out
}

fn json(value: impl serde::Serialize) -> String {
    serde_json::to_string(&value).expect("strings always serialise")
}

/// The time a frame about this trade carries: between the trade and the sending.
fn sent_at(trade: &Trade) -> u64 {
    trade.millis + LAG_MILLIS / 3 + trade.id % (LAG_MILLIS / 2)
}

fn change(object: &mut Object<'_>, price: u64, previous_close: u64, spelling: Spelling) {
    let name = match price.cmp(&previous_close) {
        Ordering::Greater => "RISE",
        Ordering::Equal => "EVEN",
        Ordering::Less => "FALL",
    };
    object.number(("prev_closing_price", "pcp"), previous_close, Spelling::Padded).name(("change", "c"), name).number(
        ("change_price", "cp"),
        price.abs_diff(previous_close),
        spelling,
    );
}

fn signed_change(object: &mut Object<'_>, price: u64, previous_close: u64, spelling: Spelling) {
    let negative = price < previous_close;
    let difference = u128::from(price.abs_diff(previous_close));
    let rate = difference * 10_000_000_000 / u128::from(previous_close.max(1));
    object.signed(("signed_change_price", "scp"), Signed { negative, units: difference, scale: 8 }, spelling);
    object.decimal(("change_rate", "cr"), rate, 10, Spelling::Plain);
    object.signed(("signed_change_rate", "scr"), Signed { negative, units: rate, scale: 10 }, Spelling::Plain);
}

fn volumes(object: &mut Object<'_>, rolling: &Rolling, last: &Trade) {
    let today = rolling.today.map(|today| today.volumes).unwrap_or_default();
    object
        .name(("ask_bid", "ab"), last.side.as_str())
        .number(("trade_volume", "tv"), last.volume, size_spelling(last.volume))
        .decimal(("acc_trade_volume", "atv"), today.volume(), 8, Spelling::Plain)
        .decimal(("acc_trade_volume_24h", "atv24h"), rolling.last_24h.volume(), 8, Spelling::Plain)
        .decimal(("acc_trade_price", "atp"), today.value, 16, Spelling::Plain)
        .decimal(("acc_trade_price_24h", "atp24h"), rolling.last_24h.value, 16, Spelling::Plain)
        .decimal(("acc_ask_volume", "aav"), today.ask, 8, Spelling::Plain)
        .decimal(("acc_bid_volume", "abv"), today.bid, 8, Spelling::Plain);
}

/// The four prices of a candle.
pub(crate) fn prices<'a, 'b>(object: &'a mut Object<'b>, candle: &Candle, spelling: Spelling) -> &'a mut Object<'b> {
    object
        .number(("opening_price", "op"), candle.open, spelling)
        .number(("high_price", "hp"), candle.high, spelling)
        .number(("low_price", "lp"), candle.low, spelling)
        .number(("trade_price", "tp"), candle.last.price, spelling)
}

/// The levels of a book, the best first, at most `depth` of them.
pub(crate) fn book_units<'a, 'b>(
    object: &'a mut Object<'b>,
    book: &Book,
    depth: usize,
    prices: Spelling,
    sizes: impl Fn(&Level) -> Spelling,
) -> &'a mut Object<'b> {
    let short = object.short;
    object.raw(("orderbook_units", "obu"), |out| {
        out.push('[');
        for (rank, (ask, bid)) in book.asks.iter().zip(&book.bids).take(depth).enumerate() {
            if rank > 0 {
                out.push(',');
            }
            let mut unit = Object::open(out, short);
            unit.number(("ask_price", "ap"), ask.price, prices)
                .number(("bid_price", "bp"), bid.price, prices)
                .number(("ask_size", "as"), ask.size, sizes(ask))
                .number(("bid_size", "bs"), bid.size, sizes(bid));
            unit.close();
        }
        out.push(']');
    })
}

/// Below a thousandth both `5.0E-4` and `0.00077720` are seen.
fn book_size_spelling(level: &Level) -> Spelling {
    if level.size.is_multiple_of(3) { Spelling::Padded } else { Spelling::Double }
}

fn size_spelling(size: u64) -> Spelling {
    if size.is_multiple_of(2) { Spelling::Padded } else { Spelling::Decimal }
}
