//! The quotation endpoints: requests for market data, and their answers.

use super::answer::Answer;
use super::objects;
use super::query::Query;
use crate::replay::faults::Corruption;
use crate::replay::market::{
    BookView, CandleQuery, DAY_MILLIS, DEPTH, Instrument, Market, Period, Quote, Rolling, SLOT_MILLIS, candles_before,
    millis_of, tick, trades_before,
};

/// The most candles and the most trades of one answer.
pub(super) const MAX_CANDLES: usize = 200;
pub(super) const MAX_TICKS: usize = 500;

/// Candles of seconds reach back three months.
const SECONDS_REACH: u64 = 90 * DAY_MILLIS;

/// An answer, or the refusal that is the answer.
pub(super) type Outcome = Result<Answer, Answer>;

/// The name under which requests to a path (behind `/v1/`) are counted; `None` for an unknown path.
pub(super) fn group(path: &str) -> Option<&'static str> {
    match path {
        "market/all" => Some("market"),
        "trades/ticks" => Some("crix-trades"),
        "ticker" | "ticker/all" => Some("ticker"),
        "orderbook" | "orderbook/instruments" => Some("orderbook"),
        candles if candles.starts_with("candles/") => Some("candles"),
        _ => None,
    }
}

/// Answers a request to a path (behind `/v1/`) at `now`, in milliseconds since the epoch.
pub(super) fn answer(market: &Market, now: u64, path: &str, query: &Query, corruption: Corruption) -> Answer {
    let answer = match path {
        "market/all" => Ok(markets(market, query)),
        "trades/ticks" => ticks(market, now, query, corruption),
        "ticker" => named(market, query).map(|pairs| tickers(now, pairs.into_iter())),
        "ticker/all" => Ok(quoted(market, now, query)),
        "orderbook" => books(market, now, query),
        "orderbook/instruments" => named(market, query).map(|pairs| groupings(now, &pairs)),
        _ => match path.strip_prefix("candles/").and_then(period) {
            Some(period) => candles(market, now, period, query, corruption),
            None => Err(Answer::not_found()),
        },
    };
    answer.unwrap_or_else(|refusal| refusal)
}

fn period(path: &str) -> Option<Period> {
    Some(match path {
        "seconds" => Period::Seconds(1),
        "days" => Period::DAY,
        "weeks" => Period::Week,
        "months" => Period::Month,
        "years" => Period::Year,
        minutes => match minutes.strip_prefix("minutes/")?.parse().ok()? {
            unit @ (1 | 3 | 5 | 10 | 15 | 30 | 60 | 240) => Period::Seconds(unit * 60),
            _ => return None,
        },
    })
}

fn candles(market: &Market, now: u64, period: Period, query: &Query, corruption: Corruption) -> Outcome {
    let instrument = meant(market, query, corruption)?;
    let to = match query.get("to") {
        None => now,
        Some(text) => moment(text).ok_or_else(|| Answer::numbered(400, "Invalid parameter: to"))?.min(now),
    };
    let from = match period {
        Period::Seconds(1) => market.listed().max(now - SECONDS_REACH),
        _ => market.listed(),
    };
    let wanted = CandleQuery { period, from, to, now, count: count(query, MAX_CANDLES)? };
    let candles = candles_before(instrument, &wanted);
    let candles = candles.iter().map(|(start, candle)| objects::candle(instrument, period, *start, candle));
    Ok(past(candles, corruption))
}

fn ticks(market: &Market, now: u64, query: &Query, corruption: Corruption) -> Outcome {
    let instrument = meant(market, query, corruption)?;
    let today = now - now % DAY_MILLIS;
    let day = match query.get("days_ago").or(query.get("daysAgo")).map(str::parse::<u64>) {
        None => today,
        Some(Ok(days @ 1..=7)) => today - days * DAY_MILLIS,
        Some(_) => return Err(Answer::numbered(400, "Invalid parameter: days_ago")),
    };
    let mut to = now.min(day + DAY_MILLIS);
    if let Some(text) = query.get("to") {
        let time = time_of_day(text).ok_or_else(|| Answer::numbered(400, "Invalid parameter: to"))?;
        to = to.min(day + time);
    }
    let cursor = query.get("cursor").map(str::parse::<u64>).transpose();
    let cursor = cursor.map_err(|_| Answer::numbered(400, "Invalid parameter: cursor"))?;
    // Includes the cursor's own millisecond: trades after the cursor may share it.
    to = cursor.map_or(to, |id| to.min(millis_of(id) + 1));
    let trades = trades_before(instrument, day.max(market.listed()), to);
    let mut is_passed = cursor.is_none_or(|id| millis_of(id) + 1 > to);
    let behind_cursor = trades.filter(|trade| {
        let is_behind = is_passed || cursor.is_none_or(|id| trade.millis < millis_of(id));
        is_passed |= cursor == Some(trade.id);
        is_behind
    });
    let trades = behind_cursor.take(count(query, MAX_TICKS)?);
    Ok(past(trades.map(|trade| objects::tick_object(instrument, &trade)), corruption))
}

fn books(market: &Market, now: u64, query: &Query) -> Outcome {
    let level = match query.get("level").map(str::parse::<f64>) {
        None => 0,
        Some(Ok(level)) if level >= 0.0 => (level * 1e8).round() as u64,
        Some(_) => return Err(Answer::numbered(400, "Invalid parameter: level")),
    };
    let depth = match query.get("count") {
        None => DEPTH,
        Some(_) => count(query, DEPTH)?,
    };
    let books = named(market, query)?.into_iter().filter_map(|instrument| {
        let slot = instrument.book_slot(now / SLOT_MILLIS);
        let step = tick(instrument.listing.quote, instrument.best(slot).1.price);
        let is_known = level == 0 || (instrument.listing.quote == Quote::Krw && level % (step * 10) == 0);
        let book = instrument.book(slot).grouped(level);
        is_known.then(|| objects::orderbook(instrument, &book, slot, BookView { depth, level }))
    });
    Ok(list(books))
}

fn markets(market: &Market, query: &Query) -> Answer {
    let details = query.get("is_details").or(query.get("isDetails"));
    let has_details = details.is_some_and(|value| value.eq_ignore_ascii_case("true"));
    list(market.instruments().iter().map(|instrument| objects::market(instrument, has_details)))
}

fn quoted(market: &Market, now: u64, query: &Query) -> Answer {
    let wanted = query.get("quote_currencies").or(query.get("quoteCurrencies"));
    let is_wanted = |quote: Quote| wanted.is_none_or(|list| list.split(',').any(|name| name == quote.as_str()));
    tickers(now, market.instruments().iter().filter(|instrument| is_wanted(instrument.listing.quote)))
}

fn tickers<'a>(now: u64, pairs: impl Iterator<Item = &'a Instrument>) -> Answer {
    list(pairs.filter_map(|instrument| {
        let rolling = Rolling::at(instrument, now / SLOT_MILLIS);
        let last = rolling.last?;
        Some(objects::ticker(instrument, &rolling, &last))
    }))
}

fn groupings(now: u64, pairs: &[&Instrument]) -> Answer {
    let price = |instrument: &Instrument| instrument.best(now / SLOT_MILLIS).1.price;
    list(pairs.iter().map(|instrument| objects::orderbook_instrument(instrument, price(instrument))))
}

fn one<'a>(market: &'a Market, query: &Query) -> Result<&'a Instrument, Answer> {
    let code = query.get("market").ok_or_else(|| Answer::numbered(400, "Missing request parameter: market"))?;
    known(market, code)
}

/// The pair that is shown: the requested one, or another one if the fault `other` is planned.
fn meant<'a>(market: &'a Market, query: &Query, corruption: Corruption) -> Result<&'a Instrument, Answer> {
    let asked = one(market, query)?;
    let others = market.instruments().iter().filter(|other| other.listing.code != asked.listing.code);
    Ok(others.into_iter().next().filter(|_| corruption.is_another).unwrap_or(asked))
}

/// A list of history, with the planned corruption applied.
fn past(objects: impl Iterator<Item = String>, corruption: Corruption) -> Answer {
    let mut objects: Vec<String> = objects.filter(|_| !corruption.is_empty).collect();
    if corruption.is_shuffled {
        let count = objects.len();
        (0..count).for_each(|index| objects.swap(index, index * 31 % count));
    }
    list(objects.into_iter())
}

/// The pairs that `markets` lists; one unknown pair fails the request.
fn named<'a>(market: &'a Market, query: &Query) -> Result<Vec<&'a Instrument>, Answer> {
    let codes = query.get("markets").ok_or_else(|| Answer::numbered(400, "Missing request parameter: markets"))?;
    codes.split(',').map(|code| known(market, code.trim())).collect()
}

fn known<'a>(market: &'a Market, code: &str) -> Result<&'a Instrument, Answer> {
    let found = market.find(code).map(|index| market.instrument(index));
    found.ok_or_else(|| Answer::numbered(404, "Code not found"))
}

/// The parameter `count`: 1 by default, at most `most`.
pub(super) fn count(query: &Query, most: usize) -> Result<usize, Answer> {
    match query.get("count").map(str::parse::<usize>) {
        None => Ok(1),
        Some(Ok(count @ 1..)) => Ok(count.min(most)),
        Some(_) => Err(Answer::numbered(400, "Invalid parameter: count")),
    }
}

/// A moment in milliseconds since the epoch: with an offset, or else in UTC; `T` or a space in the middle.
pub(super) fn moment(text: &str) -> Option<u64> {
    let millis = match text.parse::<jiff::Timestamp>() {
        Ok(timestamp) => timestamp.as_millisecond(),
        Err(_) => {
            let civil: jiff::civil::DateTime = text.parse().ok()?;
            jiff::tz::Offset::UTC.to_timestamp(civil).ok()?.as_millisecond()
        }
    };
    u64::try_from(millis).ok()
}

/// `HHmmss` or `HH:mm:ss`, in milliseconds since midnight.
pub(super) fn time_of_day(text: &str) -> Option<u64> {
    let digits = text.replace(':', "");
    if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = |range: std::ops::Range<usize>| digits[range].parse::<u64>().ok();
    let (hours, minutes, seconds) = (number(0..2)?, number(2..4)?, number(4..6)?);
    (hours < 24 && minutes < 60 && seconds < 60).then_some(((hours * 60 + minutes) * 60 + seconds) * 1_000)
}

/// A JSON list of objects.
pub(super) fn list(objects: impl Iterator<Item = String>) -> Answer {
    let objects: Vec<String> = objects.collect();
    Answer::json(200, format!("[{}]", objects.join(",")))
}
