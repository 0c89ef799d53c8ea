//! A sum of numbers, and the count of those with more decimals than the exchange prints. Pure.

use bigdecimal::{BigDecimal, Zero};

/// Decimals of every number in an answer of the exchange.
pub(in crate::history::audit) const DECIMALS: i64 = 8;

/// An exact sum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::history::audit) struct Total {
    /// The sum, to the last digit.
    pub(in crate::history::audit) sum: BigDecimal,
    /// Count of addends with more than [`DECIMALS`] decimals. The others are on the exchange's printing grid, where
    /// sums need no rounding.
    pub(in crate::history::audit) off_grid: u64,
}

impl Total {
    /// The sum of one number.
    pub(in crate::history::audit) fn of(number: &BigDecimal) -> Self {
        let mut total = Self::default();
        total.add(number);
        total
    }

    /// Adds a number.
    pub(in crate::history::audit) fn add(&mut self, number: &BigDecimal) {
        self.sum += number;
        self.off_grid += u64::from(!is_on_grid(number));
    }
}

/// Whether eight decimals represent it exactly. Trailing zeros do not count.
fn is_on_grid(number: &BigDecimal) -> bool {
    number.fractional_digit_count() <= DECIMALS || (number - number.with_scale(DECIMALS)).is_zero()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_off_the_grid_of_eight_decimals_are_counted() {
        let mut total = Total::default();
        for number in ["16.7", "0.00000001", "1.00000000000", "4E3", "0.000000001", "192616.039435733"] {
            total.add(&number.parse().unwrap());
        }
        assert_eq!(total, Total { sum: "196633.739435744".parse().unwrap(), off_grid: 2 });
    }
}
