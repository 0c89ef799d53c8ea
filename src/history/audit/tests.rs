//! However the exchange rounds the figures of a minute, a complete minute is exact, and a trade above `blind_below` is
//! detected when it is missing, duplicated or invented.

use super::figures::candle::Candle;
use super::figures::sum::Sum;
use super::figures::trade::Trade;
use super::finding::{Comparison, compare};
use crate::tape::certificate::Finding;
use crate::tape::decimal::shown;
use bigdecimal::{BigDecimal, RoundingMode, Zero};
use proptest::collection::vec;
use proptest::prelude::*;

/// Price and volume in units of the eighth decimal.
#[derive(Clone, Copy, Debug)]
struct Traded {
    price: u64,
    volume: u64,
}

/// The roundings an exchange may apply to a sum before it prints it.
#[derive(Clone, Copy, Debug)]
enum Arithmetic {
    /// Exact decimals, rounded to eight once, at the end.
    Once(RoundingMode),
    /// Exact decimals, rounded to eight trade by trade.
    EachTrade(RoundingMode),
    /// Doubles, printed with all their digits.
    Doubles,
    /// Doubles, printed with eight decimals.
    DoublesOnce,
    /// Doubles that are rounded to eight decimals after each trade.
    DoublesEachTrade,
}

const ALL: [Arithmetic; 7] = [
    Arithmetic::Once(RoundingMode::HalfUp),
    Arithmetic::Once(RoundingMode::Down),
    Arithmetic::EachTrade(RoundingMode::HalfUp),
    Arithmetic::EachTrade(RoundingMode::Down),
    Arithmetic::Doubles,
    Arithmetic::DoublesOnce,
    Arithmetic::DoublesEachTrade,
];

fn units(count: u64) -> BigDecimal {
    BigDecimal::new(count.into(), 8)
}

fn float(number: &BigDecimal) -> f64 {
    number.to_string().parse().unwrap()
}

/// Sums up products (or, with a second factor of one, numbers) as the exchange might, and prints the sum.
fn printed(products: impl Iterator<Item = (BigDecimal, BigDecimal)>, arithmetic: Arithmetic) -> BigDecimal {
    let eight = |number: f64| format!("{number:.8}");
    let double = |fold: &dyn Fn(f64, f64) -> f64, products: &mut dyn Iterator<Item = (BigDecimal, BigDecimal)>| {
        products.fold(0.0, |sum, (left, right)| fold(sum, float(&left) * float(&right)))
    };
    let mut products = products;
    let text = match arithmetic {
        Arithmetic::Once(mode) => {
            let sum: BigDecimal = products.map(|(left, right)| left * right).sum();
            return sum.with_scale_round(8, mode);
        }
        Arithmetic::EachTrade(mode) => {
            return products.map(|(left, right)| (left * right).with_scale_round(8, mode)).sum();
        }
        Arithmetic::Doubles => format!("{}", double(&|sum, next| sum + next, &mut products)),
        Arithmetic::DoublesOnce => eight(double(&|sum, next| sum + next, &mut products)),
        Arithmetic::DoublesEachTrade => {
            let rounded = |number: f64| eight(number).parse::<f64>().unwrap();
            eight(double(&|sum, next| rounded(sum + rounded(next)), &mut products))
        }
    };
    text.parse().unwrap()
}

fn candle(trades: &[Traded], arithmetic: Arithmetic) -> Candle {
    let price = |trade: &Traded| units(trade.price);
    let products = trades.iter().map(|trade| (units(trade.price), units(trade.volume)));
    let volumes = trades.iter().map(|trade| (BigDecimal::from(1), units(trade.volume)));
    Candle {
        start: 0,
        volume: printed(volumes, arithmetic),
        value: printed(products, arithmetic),
        open: price(&trades[0]),
        high: trades.iter().map(price).max().unwrap(),
        low: trades.iter().map(price).min().unwrap(),
        close: price(trades.last().unwrap()),
    }
}

/// All trades in one millisecond, so that open and close give the least information.
fn sum(trades: &[Traded]) -> Option<Sum> {
    let trade = |trade: &Traded| Trade { id: 0, millis: 1, price: units(trade.price), volume: units(trade.volume) };
    let (first, others) = trades.split_first()?;
    let mut sum = Sum::of(trade(first));
    others.iter().for_each(|other| sum.add(trade(other)));
    Some(sum)
}

fn compared(tape: &[Traded], candle: &Candle) -> Comparison {
    compare(sum(tape).as_ref(), Some(candle))
}

/// A minute of a KRW, BTC or USDT market: few prices beside each other, volumes over up to seventeen powers of ten.
fn minute() -> impl Strategy<Value = Vec<Traded>> {
    let won = (1_u64..200_000_000).prop_map(|won| (won * 100_000_000, 100_000_000));
    let tenths = (1_u64..9_999).prop_map(|tenths| (tenths * 10_000_000, 10_000_000));
    let satoshis = (1_u64..5_000_000).prop_map(|satoshis| (satoshis, 1));
    let dollars = (1_u64..10_000_000_000_000).prop_map(|units| (units, 1));
    let price = prop_oneof![won, tenths, satoshis, dollars];
    let sized = (1_u32..18).prop_flat_map(|power| 1..10_u64.pow(power));
    (price, 1_usize..6, 0_u32..10).prop_flat_map(move |((price, tick), ticks, power)| {
        let most = 10_u64.pow(power + 8);
        let volume = prop_oneof![3 => 1..most, 1 => sized.clone().prop_map(move |volume| volume.min(most))];
        let trade =
            (0..ticks as u64, volume).prop_map(move |(above, volume)| Traded { price: price + above * tick, volume });
        vec(trade, 1..120)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_whole_is_exact_however_it_was_rounded(trades in minute()) {
        for arithmetic in ALL {
            let candle = candle(&trades, arithmetic);
            let found = compared(&trades, &candle);
            prop_assert_eq!(found.finding, Finding::Exact, "{:?} {:?}", arithmetic, found.differences);
        }
    }

    #[test]
    fn a_trade_larger_than_blind_below_is_found(trades in minute(), at in any::<prop::sample::Index>(), of in 0_usize..7) {
        let candle = candle(&trades, ALL[of]);
        let chosen = at.index(trades.len());
        let (missing, volume) = (trades[chosen], units(trades[chosen].volume));
        let without: Vec<Traded> = [&trades[..chosen], &trades[chosen + 1..]].concat();
        let doubled: Vec<Traded> = [&trades[..], &[missing]].concat();
        let invented = Traded { price: trades[0].price, ..missing };
        let invented: Vec<Traded> = [&trades[..], &[invented]].concat();
        let whole = compared(&trades, &candle);
        for tape in [without, doubled, invented] {
            let found = compared(&tape, &candle);
            // The finding for the tape as it is, and the one for the complete tape.
            for blind_below in [&found.blind_below, &whole.blind_below] {
                prop_assert!(found.finding != Finding::Exact || volume <= *blind_below, "{} {}", volume, blind_below);
            }
        }
    }
}

#[test]
fn a_minute_of_billions_hides_next_to_nothing() {
    let figures = |trades: &[Traded]| {
        let candle = candle(trades, Arithmetic::Once(RoundingMode::HalfUp));
        let found = compared(trades, &candle);
        assert_eq!(found.finding, Finding::Exact);
        (shown(&found.blind_below), shown(&found.residue.volume), shown(&found.residue.value))
    };
    let trades = |price, volume| vec![Traded { price, volume }; 200];
    let nothing = |residue: &str| ("0".to_owned(), "0".to_owned(), residue.to_owned());
    assert_eq!(figures(&trades(11_653_900_000_000_000, 12_345_678)), nothing("0"));
    // The values are 0.00003037036788 and 42733.36859054585722.
    assert_eq!(figures(&trades(123, 12_345_678)), nothing("0.00000000036788"));
    assert_eq!(figures(&trades(2_136_666_292_861, 1_000_001)), nothing("0.00000000414278"));
    // Twenty billion coins at 0.00123: so large a sum, added up in doubles, is off by 205 times 2^-52 of it at most.
    let (blind_below, ..) = figures(&trades(123_000, 10_000_000_000_000_001));
    assert_eq!(blind_below, "0.00091038");
}

#[test]
fn the_eighth_decimal_counts_where_a_double_keeps_it() {
    // The product is 192616.039435733.
    let trades = [Traded { price: 1_670_000_000, volume: 1_153_389_457_699 }];
    let found = |value: &str| {
        let mut candle = candle(&trades, Arithmetic::Once(RoundingMode::HalfUp));
        candle.value = value.parse().unwrap();
        let found = compared(&trades, &candle);
        let difference = found.differences.get("value").and_then(|found| found.difference.clone());
        (shown(&found.residue.value), difference)
    };
    assert_eq!(found("192616.03943573"), ("0.000000003".to_owned(), None));
    assert_eq!(found("192616.03943574"), ("0".to_owned(), Some("-0.000000007".to_owned())));
    assert_eq!(found("192616.03943572"), ("0".to_owned(), Some("0.000000013".to_owned())));
    // Without decimals there is nothing to round, and a volume has no more than eight.
    let trades = [Traded { price: 24_700_000_000, volume: 17_997_638 }];
    for (volume, value) in [("0.17997638", "44.45416585"), ("0.17997637", "44.45416586"), ("0.17997639", "44.45416586")]
    {
        let whole = candle(&trades, Arithmetic::Once(RoundingMode::HalfUp));
        let other = Candle { volume: volume.parse().unwrap(), value: value.parse().unwrap(), ..whole.clone() };
        assert_eq!(compared(&trades, &whole).finding, Finding::Exact);
        assert_eq!(compared(&trades, &other).finding, Finding::Differs, "{volume} {value}");
    }
    assert!(compared(&trades, &candle(&trades, Arithmetic::Doubles)).blind_below.is_zero());
}

#[test]
fn a_residue_counts_towards_what_a_minute_could_hide() {
    // Twenty billion coins at 1: volume and value may both be off by 0.00091.
    let tape = vec![Traded { price: 100_000_000, volume: 10_000_000_000_000_001 }; 200];
    let whole = candle(&tape, Arithmetic::Once(RoundingMode::HalfUp));
    let hidden = |volume: &str, value: &str| {
        let [volume, value] = [volume, value].map(|more| more.parse::<BigDecimal>().unwrap());
        let candle = Candle { volume: &whole.volume + volume, value: &whole.value + value, ..whole.clone() };
        let found = compared(&tape, &candle);
        (found.finding, shown(&found.blind_below), shown(&found.residue.volume), shown(&found.residue.value))
    };
    let exact = |blind_below: &str, volume: &str, value: &str| {
        (Finding::Exact, blind_below.to_owned(), volume.to_owned(), value.to_owned())
    };
    assert_eq!(hidden("0", "0"), exact("0.00091038", "0", "0"));
    // A trade of 0.0015 that is missing, of a sum that was rounded down by 0.0009.
    assert_eq!(hidden("0.0006", "0.0006"), exact("0.00151038", "0.0006", "0.0006"));
    assert_eq!(hidden("-0.0006", "-0.0006"), exact("0.00151038", "0.0006", "0.0006"));
    assert_eq!(hidden("0.0006", "0"), exact("0.00091039", "0.0006", "0"));
    assert_eq!(hidden("0.001", "0"), (Finding::Differs, "0".to_owned(), "0".to_owned(), "0".to_owned()));
}
