//! How a span is cut into pieces: a kill loses little and few pages are wasted. Pure. Times are milliseconds.

use crate::history::span::Span;
use crate::rest::quotation;
use crate::upbit::series::{DAY, Series, day_of};

/// Periods of one answer. A piece spans as many, or a multiple: a kill loses the fetched, uncommitted pieces, and
/// one-page pieces need no more requests than longer ones.
const CANDLES_PER_PAGE: i64 = quotation::CANDLES_PER_PAGE as i64;

/// The most pages of candles in a piece of a quiet market, counted as if it traded in every period: a page spans many
/// hours there, and a piece of two such pages wastes little of the last one.
const MOST_CANDLE_PAGES: i64 = 10;

/// The length of the first piece of trades, before the reach of a page is known, and the shortest length, which holds
/// some pages of the busiest pair.
const FIRST_TRADES: i64 = 10 * MINUTE;
const FEWEST_TRADES: i64 = MINUTE;

/// Target pages of a piece of trades: half of the last page is wasted, and a kill loses this many times the number of
/// concurrent pieces.
const TRADE_PAGES: i64 = 4;

const MINUTE: i64 = 60_000;

/// The length of a piece, from the length `last` of the one before and the reach `per_page` of a page; the first piece
/// has neither.
pub(super) fn length(series: Series, last: Option<i64>, per_page: Option<i64>) -> i64 {
    let (shortest, wished, longest) = match series {
        Series::Trades => {
            (FEWEST_TRADES, per_page.map_or(FIRST_TRADES, |reach| reach.saturating_mul(TRADE_PAGES)), DAY)
        }
        Series::Candles(unit) => {
            // Calendar units: all of history has fewer months than a page holds.
            let Some(length) = unit.length() else { return i64::MAX };
            let page = length * CANDLES_PER_PAGE;
            let sparse = per_page.filter(|reach| *reach >= 2 * page);
            (page, sparse.map_or(page, |reach| reach.saturating_mul(2)), page * MOST_CANDLE_PAGES)
        }
    };
    // Growth is bounded: one quiet piece does not prove a quiet market.
    let grown = last.map_or(i64::MAX, |last| last.saturating_mul(2));
    let length = wished.min(grown).clamp(shortest, longest);
    length - length % shortest
}

/// The most pages that a piece can take; for trades, the target.
pub(super) fn most_pages(series: Series, span: Span) -> i64 {
    match series {
        Series::Candles(unit) => {
            let page = unit.length().map(|length| length * CANDLES_PER_PAGE);
            page.map_or(1, |page| (span.length() + page - 1) / page)
        }
        Series::Trades => TRADE_PAGES,
    }
}

/// The end of a piece of about `length` from `from`.
pub(super) fn end(series: Series, from: i64, length: i64) -> i64 {
    let end = from.saturating_add(length);
    match series {
        Series::Candles(_) => end,
        // Trades are requested by day and by whole seconds.
        Series::Trades => (end - end.rem_euclid(MINUTE)).min(day_of(from) + DAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_candles_are_whole_pages_and_grow() {
        let series = Series::Candles("1m".parse().unwrap());
        let page = 200 * MINUTE;
        assert_eq!(length(series, None, None), page);
        assert_eq!(length(series, Some(page), Some(page + 90 * MINUTE)), page);
        assert_eq!(length(series, Some(page), Some(3 * page)), 2 * page);
        assert_eq!(length(series, Some(8 * page), Some(5 * page / 2)), 5 * page);
        assert_eq!(length(series, Some(8 * page), Some(90 * page)), 10 * page);
        assert_eq!(length(series, Some(10 * page), Some(page)), page);
        assert_eq!(end(series, 7, page), 7 + page);
        assert_eq!([0, 1, page, page + 1].map(|to| most_pages(series, Span { from: 0, to })), [0, 1, 1, 2]);
    }

    #[test]
    fn pieces_of_trades_have_some_pages_and_end_with_the_day() {
        let series = Series::Trades;
        assert_eq!(length(series, None, None), 10 * MINUTE);
        assert_eq!(length(series, Some(10 * MINUTE), Some(43_000)), 2 * MINUTE);
        assert_eq!(length(series, Some(2 * MINUTE), Some(1_000)), MINUTE);
        assert_eq!(length(series, Some(9 * DAY), Some(DAY)), DAY);
        assert_eq!(end(series, DAY + 7, 10 * MINUTE), DAY + 10 * MINUTE);
        assert_eq!(end(series, 2 * DAY - 90_500, 10 * MINUTE), 2 * DAY);
    }
}
