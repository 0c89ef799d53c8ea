//! Prices the exchange allows: multiples of a tick that grows with the price.
//!
//! Source: docs.upbit.com, "Order price units" for the KRW, BTC and USDT markets.

use super::listing::Quote;

/// One unit of a price or a volume: both are whole numbers of 10^-8.
pub(crate) const UNIT: u64 = 100_000_000;

/// The tick of a price, both in units of 10^-8.
pub(crate) fn tick(quote: Quote, price: u64) -> u64 {
    let steps: &[(u64, u64)] = match quote {
        Quote::Krw => &[
            (2_000_000 * UNIT, 1_000 * UNIT),
            (1_000_000 * UNIT, 500 * UNIT),
            (500_000 * UNIT, 100 * UNIT),
            (100_000 * UNIT, 50 * UNIT),
            (10_000 * UNIT, 10 * UNIT),
            (100 * UNIT, UNIT),
        ],
        Quote::Btc => return 1,
        Quote::Usdt => &[(10 * UNIT, UNIT / 100)],
    };
    let step = steps.iter().find(|(from, _)| price >= *from).map(|(_, tick)| *tick);
    step.unwrap_or_else(|| thousandth(price))
}

/// The best bid at or below a price: the greatest allowed one, but at least one tick.
pub(crate) fn round_down(quote: Quote, price: f64) -> u64 {
    let units = ((price * UNIT as f64) as u64).max(1);
    let tick = tick(quote, units);
    (units - units % tick).max(tick)
}

/// The next allowed price above.
pub(crate) fn above(quote: Quote, price: u64) -> u64 {
    price + tick(quote, price)
}

/// The next allowed price below; `None` at the bottom.
pub(crate) fn below(quote: Quote, price: u64) -> Option<u64> {
    // At the lower end of a range the tick of the range below counts.
    price.checked_sub(tick(quote, price - 1)).filter(|below| *below > 0)
}

/// For small prices: a tick of about a thousandth of the power of ten that the price reaches.
fn thousandth(price: u64) -> u64 {
    let magnitude = price.max(1).ilog10();
    10u64.pow(magnitude.saturating_sub(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_of_known_prices() {
        assert_eq!(tick(Quote::Krw, 116_539_000 * UNIT), 1_000 * UNIT);
        assert_eq!(tick(Quote::Krw, 3_480 * UNIT), UNIT);
        assert_eq!(tick(Quote::Btc, 113), 1);
        assert_eq!(tick(Quote::Usdt, 3 * UNIT), UNIT / 1_000);
    }

    #[test]
    fn stepping_up_and_down_meets_the_same_prices_across_ranges() {
        for quote in [Quote::Krw, Quote::Btc, Quote::Usdt] {
            for start in [1, 999_990_000_000, 9_990 * UNIT, 99_999 * UNIT, 1_999_500 * UNIT] {
                let mut price = round_down(quote, start as f64 / UNIT as f64);
                for _ in 0..50 {
                    let next = above(quote, price);
                    assert_eq!(below(quote, next), Some(price), "{quote:?} {next}");
                    price = next;
                }
            }
        }
    }

    #[test]
    fn there_is_nothing_below_the_last_tick() {
        assert_eq!(below(Quote::Btc, 1), None);
        assert_eq!(round_down(Quote::Btc, 1e-12), 1);
    }
}
