//! The finding of a comparison. Pure.

use super::figures::candle::Candle;
use super::figures::sum::{Edge, Sum};
use super::figures::total::Total;
use super::precision::{Figure, blind_below};
use crate::tape::certificate::{Difference, Finding, Residue};
use crate::tape::decimal;
use bigdecimal::{BigDecimal, Zero};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The finding of a comparison.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Comparison {
    /// The relation of the tape to the exchange.
    pub(super) finding: Finding,
    /// The fields that differ.
    pub(super) differences: BTreeMap<Cow<'static, str>, Difference>,
    /// The residue of the sums of an exact minute; zero for the others.
    pub(super) residue: Residue,
    /// The undetectable amount of an exact minute, in the asset; zero for the others, which hide nothing.
    pub(super) blind_below: BigDecimal,
}

/// Compares a minute's sum with its candle.
pub(super) fn compare(sum: Option<&Sum>, candle: Option<&Candle>) -> Comparison {
    // A minute without trades equals a candle of volume zero; but it has no price.
    let (nothing, zero) = (Total::default(), BigDecimal::zero());
    let trades = sum.map_or(0, |sum| sum.trades);
    let volume = Figure {
        total: sum.map_or(&nothing, |sum| &sum.volume),
        printed: candle.map_or(&zero, |candle| &candle.volume),
        trades,
        is_on_grid: sum.is_none_or(|sum| sum.volume.off_grid == 0),
    };
    let value = Figure {
        total: sum.map_or(&nothing, |sum| &sum.value),
        printed: candle.map_or(&zero, |candle| &candle.value),
        trades,
        is_on_grid: false,
    };
    let mut differences = BTreeMap::new();
    for (name, figure) in [("volume", &volume), ("value", &value)] {
        let both = Both { tape: Some(&figure.total.sum), exchange: Some(figure.printed) };
        note(&mut differences, name, &both, figure.is_same());
    }
    compare_prices(&mut differences, sum, candle);
    let finding = match (differences.is_empty(), sum) {
        (true, _) => Finding::Exact,
        (false, None) => Finding::NoData,
        (false, Some(_)) => Finding::Differs,
    };
    let (mut residue, mut hidden) = (Residue::default(), BigDecimal::zero());
    if let (Finding::Exact, Some(candle)) = (finding, candle) {
        residue = Residue { volume: volume.residue().abs(), value: value.residue().abs() };
        hidden = blind_below(&volume, &value, &candle.low);
    }
    Comparison { finding, differences, residue, blind_below: hidden }
}

/// A number on the tape, and at the exchange.
struct Both<'a> {
    tape: Option<&'a BigDecimal>,
    exchange: Option<&'a BigDecimal>,
}

/// Prices are equal to the last digit: they are never added up.
fn compare_prices(found: &mut BTreeMap<Cow<'static, str>, Difference>, sum: Option<&Sum>, candle: Option<&Candle>) {
    let high = Both { tape: sum.map(|sum| &sum.high), exchange: candle.map(|candle| &candle.high) };
    let low = Both { tape: sum.map(|sum| &sum.low), exchange: candle.map(|candle| &candle.low) };
    for (name, both) in [("high", high), ("low", low)] {
        note(found, name, &both, both.tape == both.exchange);
    }
    let open = (sum.map(|sum| &sum.open), candle.map(|candle| &candle.open));
    let close = (sum.map(|sum| &sum.close), candle.map(|candle| &candle.close));
    for (name, (edge, exchange)) in [("open", open), ("close", close)] {
        let is_same = match (edge, exchange) {
            (Some(edge), Some(price)) => edge.may_be(price),
            (edge, price) => edge.is_none() && price.is_none(),
        };
        note(found, name, &Both { tape: edge.map(|edge: &Edge| &edge.shown), exchange }, is_same);
    }
}

fn note(found: &mut BTreeMap<Cow<'static, str>, Difference>, name: &'static str, both: &Both<'_>, is_same: bool) {
    if !is_same {
        let difference = both.tape.zip(both.exchange).map(|(tape, exchange)| decimal::shown(&(tape - exchange)));
        let [tape, exchange] = [both.tape, both.exchange].map(|number| number.map(decimal::shown));
        found.insert(name.into(), Difference { tape, exchange, difference });
    }
}

#[cfg(test)]
mod tests {
    use super::super::figures::trade::Trade;
    use super::*;

    fn number(text: &str) -> BigDecimal {
        text.parse().unwrap()
    }

    fn sum(trades: &[(i64, &str, &str)]) -> Option<Sum> {
        let mut sum: Option<Sum> = None;
        for (millis, price, volume) in trades {
            let trade = Trade { id: 0, millis: *millis, price: number(price), volume: number(volume) };
            match &mut sum {
                Some(sum) => sum.add(trade),
                None => sum = Some(Sum::of(trade)),
            }
        }
        sum
    }

    fn candle([open, high, low, close]: [&str; 4], volume: &str, value: &str) -> Option<Candle> {
        let [open, high, low, close, volume, value] = [open, high, low, close, volume, value].map(number);
        Some(Candle { start: 0, volume, value, open, high, low, close })
    }

    fn compared(sum: &Option<Sum>, candle: &Option<Candle>) -> (Finding, Vec<(String, Option<String>)>) {
        let Comparison { finding, differences, .. } = compare(sum.as_ref(), candle.as_ref());
        let by = differences.into_iter().map(|(name, difference)| (name.into_owned(), difference.difference)).collect();
        (finding, by)
    }

    #[test]
    fn what_is_equal_is_exact_whatever_its_spelling() {
        let trades = sum(&[(5, "1.16539E8", "0.00000001"), (9, "116540000.0", "0.3"), (7, "116538000", "6E-8")]);
        let exact = |value| candle(["116539000", "116540000", "116538000", "116540000"], "0.30000007", value);
        for value in ["34962008.15767000", "34962008.15767", "3.496200815767E7"] {
            assert_eq!(compared(&trades, &exact(value)), (Finding::Exact, vec![]), "{value}");
        }
        let (finding, by) = compared(&trades, &exact("34962008.15766"));
        assert_eq!((finding, by), (Finding::Differs, vec![("value".into(), Some("0.00001".to_owned()))]));
        assert_eq!(compared(&None, &None), (Finding::Exact, vec![]));
    }

    #[test]
    fn any_trade_of_a_millisecond_may_be_first_or_last() {
        // Out of time order, with two first and two last trades.
        let trades = sum(&[(7, "30", "1"), (3, "10", "1"), (7, "31", "1"), (3, "11", "1"), (5, "20", "1")]);
        for (open, close) in [("10", "30"), ("11", "31"), ("10", "31")] {
            assert_eq!(compared(&trades, &candle([open, "31", "10", close], "5", "102")).0, Finding::Exact);
        }
        let (finding, by) = compared(&trades, &candle(["20", "31", "10", "20"], "5", "102"));
        let expected = vec![("close".into(), Some("11".to_owned())), ("open".into(), Some("-10".to_owned()))];
        assert_eq!((finding, by), (Finding::Differs, expected));
    }

    #[test]
    fn nothing_on_one_side_is_told_by_how_much_it_is_missing() {
        let (finding, by) = compared(&None, &candle(["1", "1", "1", "1"], "2", "2"));
        assert_eq!(finding, Finding::NoData);
        assert_eq!(by[4..], [("value".into(), Some("-2".to_owned())), ("volume".into(), Some("-2".to_owned()))]);
        assert_eq!(by[0], ("close".into(), None));
        assert_eq!(compared(&sum(&[(1, "1", "1")]), &None).0, Finding::Differs);
    }
}
