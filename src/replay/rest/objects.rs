//! The objects of REST answers: long keys, eight decimals, another order than on the stream.
//!
//! Source: docs.upbit.com, the pages of the quotation API, and answers captured from the live service.

use crate::replay::market::{
    Book, BookView, Candle, DAY_MILLIS, Instrument, Period, Quote, Rolling, SLOT_MILLIS, Trade, previous_close, tick,
};
use crate::replay::wire::frames::{book_units, prices};
use crate::replay::wire::{Object, Signed, Spelling, Time, eight_decimals, kept_by_a_double, spell};

/// The REST format of prices and volumes.
const PADDED: Spelling = Spelling::Padded;

/// A candle that began at `start`; those of minutes have their number as `unit`.
pub(super) fn candle(instrument: &Instrument, period: Period, start: u64, candle: &Candle) -> String {
    let mut out = String::with_capacity(640);
    let mut object = Object::open(&mut out, false);
    // Candles below a day have exact sums; from a day on, large sums are rounded to a double's precision.
    let is_short = matches!(period, Period::Seconds(seconds) if seconds < 86_400);
    let sum = |units: u128| if is_short { units } else { kept_by_a_double(units) };
    object
        .name(("market", ""), &instrument.listing.code)
        .formatted(("candle_date_time_utc", ""), format_args!("{}", Time::utc(start)))
        .formatted(("candle_date_time_kst", ""), format_args!("{}", Time::kst(start)));
    prices(&mut object, candle, PADDED)
        .integer(("timestamp", ""), candle.last.millis)
        .decimal(("candle_acc_trade_price", ""), sum(eight_decimals(candle.volumes.value)), 8, PADDED)
        .decimal(("candle_acc_trade_volume", ""), sum(candle.volumes.volume()), 8, PADDED);
    match period {
        Period::DAY => {
            let previous = previous_close(instrument, start);
            signed_change(&mut object, candle.last.price, previous);
        }
        Period::Seconds(seconds) if seconds >= 60 => {
            object.integer(("unit", ""), seconds / 60);
        }
        Period::Seconds(_) => {}
        Period::Week | Period::Month | Period::Year => {
            object.formatted(("first_day_of_period", ""), format_args!("{}", Time::utc(start).date()));
        }
    }
    object.close();
    out
}

/// A trade.
pub(super) fn tick_object(instrument: &Instrument, trade: &Trade) -> String {
    let mut out = String::with_capacity(400);
    let time = Time::utc(trade.millis);
    let previous = previous_close(instrument, trade.millis - trade.millis % DAY_MILLIS);
    let difference = u128::from(trade.price.abs_diff(previous));
    let mut object = Object::open(&mut out, false);
    object
        .name(("market", ""), &instrument.listing.code)
        .formatted(("trade_date_utc", ""), format_args!("{}", time.date()))
        .formatted(("trade_time_utc", ""), format_args!("{}", time.time()))
        .integer(("timestamp", ""), trade.millis)
        .number(("trade_price", ""), trade.price, PADDED)
        .number(("trade_volume", ""), trade.volume, PADDED)
        .number(("prev_closing_price", ""), previous, PADDED)
        .signed(("change_price", ""), Signed { negative: trade.price < previous, units: difference, scale: 8 }, PADDED);
    object.name(("ask_bid", ""), trade.side.as_str()).integer(("sequential_id", ""), trade.id);
    object.close();
    out
}

/// A grouped book in the state of a slot.
pub(super) fn orderbook(instrument: &Instrument, book: &Book, slot: u64, view: BookView) -> String {
    let mut out = String::with_capacity(4_000);
    let (asks, bids) = book.totals();
    let mut object = Object::open(&mut out, false);
    object
        .name(("market", ""), &instrument.listing.code)
        .integer(("timestamp", ""), slot * SLOT_MILLIS)
        .decimal(("total_ask_size", ""), asks, 8, PADDED)
        .decimal(("total_bid_size", ""), bids, 8, PADDED);
    book_units(&mut object, book, view.depth, Spelling::Double, |_| PADDED).number(
        ("level", ""),
        view.level,
        Spelling::Plain,
    );
    object.close();
    out
}

/// The groupings that a pair's book supports.
pub(super) fn orderbook_instrument(instrument: &Instrument, price: u64) -> String {
    let mut out = String::with_capacity(200);
    let quote = instrument.listing.quote;
    let tick = tick(quote, price);
    let mut object = Object::open(&mut out, false);
    object.name(("market", ""), &instrument.listing.code).name(("quote_currency", ""), quote.as_str());
    let decimal = |out: &mut String, units: u64| {
        out.push('"');
        spell(out, u128::from(units), 8, Spelling::Plain);
        out.push('"');
    };
    object.raw(("tick_size", ""), |out| decimal(out, tick)).raw(("supported_levels", ""), |out| {
        out.push_str("[\"0\"");
        // Only books in won can be grouped.
        for power in (1..=5).filter(|_| quote == Quote::Krw) {
            out.push(',');
            decimal(out, tick * 10u64.pow(power));
        }
        out.push(']');
    });
    object.close();
    out
}

/// A pair's ticker after its last trade, at `now` milliseconds since the epoch.
pub(super) fn ticker(instrument: &Instrument, rolling: &Rolling, last: &Trade) -> String {
    let mut out = String::with_capacity(1_200);
    let today = rolling.today_or_quiet(last);
    let (utc, kst) = (Time::utc(last.millis), Time::kst(last.millis));
    let mut object = Object::open(&mut out, false);
    object
        .name(("market", ""), &instrument.listing.code)
        .formatted(("trade_date", ""), format_args!("{}", utc.compact_date()))
        .formatted(("trade_time", ""), format_args!("{}", utc.compact_time()))
        .formatted(("trade_date_kst", ""), format_args!("{}", kst.compact_date()))
        .formatted(("trade_time_kst", ""), format_args!("{}", kst.compact_time()))
        .integer(("trade_timestamp", ""), last.millis);
    prices(&mut object, &today, PADDED);
    ticker_change(&mut object, last.price, rolling.previous_close);
    let today = rolling.today.map(|today| today.volumes).unwrap_or_default();
    object
        .number(("trade_volume", ""), last.volume, PADDED)
        .decimal(("acc_trade_price", ""), kept_by_a_double(eight_decimals(today.value)), 8, PADDED)
        .decimal(("acc_trade_price_24h", ""), kept_by_a_double(eight_decimals(rolling.last_24h.value)), 8, PADDED)
        .decimal(("acc_trade_volume", ""), kept_by_a_double(today.volume()), 8, PADDED)
        .decimal(("acc_trade_volume_24h", ""), kept_by_a_double(rolling.last_24h.volume()), 8, PADDED);
    let (low, high) = instrument.bounds();
    object
        .number(("highest_52_week_price", ""), high, PADDED)
        .formatted(("highest_52_week_date", ""), format_args!("{}", utc.date()))
        .number(("lowest_52_week_price", ""), low, PADDED)
        .formatted(("lowest_52_week_date", ""), format_args!("{}", utc.date()))
        .integer(("timestamp", ""), last.millis);
    object.close();
    out
}

/// A pair and its names; with details also its warnings, all off.
pub(super) fn market(instrument: &Instrument, has_details: bool) -> String {
    let mut out = String::with_capacity(200);
    let mut object = Object::open(&mut out, false);
    object
        .name(("market", ""), &instrument.listing.code)
        .name(("korean_name", ""), instrument.listing.korean_name)
        .name(("english_name", ""), instrument.listing.english_name);
    if has_details {
        object.raw(("market_event", ""), |out| {
            out.push_str(concat!(
                r#"{"warning":false,"caution":{"PRICE_FLUCTUATIONS":false,"TRADING_VOLUME_SOARING":false,"#,
                r#""DEPOSIT_AMOUNT_SOARING":false,"GLOBAL_PRICE_DIFFERENCES":false,"CONCENTRATION_OF_SMALL_ACCOUNTS":false}}"#
            ));
        });
    }
    object.close();
    out
}

fn signed_change(object: &mut Object<'_>, price: u64, previous: u64) {
    let negative = price < previous;
    let difference = u128::from(price.abs_diff(previous));
    object.number(("prev_closing_price", ""), previous, PADDED);
    object.signed(("change_price", ""), Signed { negative, units: difference, scale: 8 }, PADDED);
    object.signed(("change_rate", ""), Signed { negative, units: rate(difference, previous), scale: 10 }, PADDED);
}

fn ticker_change(object: &mut Object<'_>, price: u64, previous: u64) {
    let negative = price < previous;
    let difference = u128::from(price.abs_diff(previous));
    let name = match (negative, difference) {
        (_, 0) => "EVEN",
        (true, _) => "FALL",
        (false, _) => "RISE",
    };
    object
        .number(("prev_closing_price", ""), previous, PADDED)
        .name(("change", ""), name)
        .decimal(("change_price", ""), difference, 8, PADDED)
        .decimal(("change_rate", ""), rate(difference, previous), 10, PADDED);
    object.signed(("signed_change_price", ""), Signed { negative, units: difference, scale: 8 }, PADDED);
    object.signed(
        ("signed_change_rate", ""),
        Signed { negative, units: rate(difference, previous), scale: 10 },
        PADDED,
    );
}

/// In units of 10^-10.
fn rate(difference: u128, previous: u64) -> u128 {
    difference * 10_000_000_000 / u128::from(previous.max(1))
}
