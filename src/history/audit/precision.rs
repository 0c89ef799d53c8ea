//! Error bounds between the exchange's figure and the exact sum, and the amount that is undetectable within them. Pure.
//!
//! ```text
//!            below                above
//!   ├──────────────────────┼────────────────┤    residue = printed - exact sum of the tape
//!   cut off at the eighth  0  rounded there      and on both sides the error of doubles
//! ```
//!
//! Answers have eight decimals, while a price times a volume may have sixteen. Whether the exchange rounds once or
//! trade by trade, and whether it rounds or truncates, is not documented: the bounds hold for all four. They also hold
//! for sums kept in doubles, as large values appear to be. A number with at most eight decimals is unchanged by any of
//! these, so only the others have a tolerance: a volume is exact wherever a double keeps its digits.

use super::figures::total::{DECIMALS, Total};
use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, RoundingMode, Signed, Zero};

/// Bounds of the printed figure around the exact sum. Both are distances, zero or more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bound {
    /// Largest distance below.
    below: BigDecimal,
    /// Largest distance above.
    above: BigDecimal,
}

/// One figure of a minute: the sum of its trades, their number, and the exchange's figure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figure<'a> {
    /// The sum of the trades.
    pub(super) total: &'a Total,
    /// Number of trades.
    pub(super) trades: u64,
    /// The exchange's figure.
    pub(super) printed: &'a BigDecimal,
    /// Whether all of its numbers, including those that the tape may lack, have at most eight decimals.
    pub(super) is_on_grid: bool,
}

impl Figure<'_> {
    /// The exchange's figure minus the sum of the trades.
    pub(super) fn residue(&self) -> BigDecimal {
        self.printed - &self.total.sum
    }

    /// Whether the exchange may have printed this figure for these trades.
    pub(super) fn is_same(&self) -> bool {
        let residue = self.residue();
        residue.is_zero() || self.bound(0).admits(&residue)
    }

    /// The largest trade that, missing or duplicated on the tape, leaves the printed figure within the bounds.
    pub(super) fn hidden(&self) -> BigDecimal {
        let residue = self.residue();
        let Bound { below, above } = self.bound(1);
        (&residue + below).max(above - residue)
    }

    /// The bounds where the exchange had this many trades more than the tape.
    fn bound(&self, more: u64) -> Bound {
        let off_grid = if self.is_on_grid { 0 } else { self.total.off_grid + more };
        Bound::new(off_grid, self.trades + more, (&self.total.sum).max(self.printed))
    }
}

impl Bound {
    /// The bounds of a sum of `trades` numbers, `off_grid` of which have more than eight decimals, where neither the
    /// sum nor the printed figure is larger than `largest`.
    ///
    /// * Rounding errs by half a unit of the eighth decimal for each number off the grid, truncation by a whole one,
    ///   and only downwards. Rounded or truncated once, their sum errs by no more than that.
    /// * In doubles, each addition errs by 2^-53 of the sum, and by as much again where its result is rounded and
    ///   converted to a double anew; four more such pairs cover price, volume and product, on the tape and at the
    ///   exchange, and the text of the sum. A double printed with eight decimals errs by half a unit once more.
    fn new(off_grid: u64, trades: u64, largest: &BigDecimal) -> Self {
        let half_units = |count: u64| BigDecimal::new(BigInt::from(count) * 5, DECIMALS + 1);
        let doubles = largest.abs() * BigDecimal::from(trades + 4) * two_to_minus_52();
        Self { below: half_units((2 * off_grid).max(1)) + &doubles, above: half_units(off_grid.max(1)) + doubles }
    }

    fn admits(&self, residue: &BigDecimal) -> bool {
        -&self.below <= *residue && *residue <= self.above
    }
}

/// The largest volume of one trade that, missing or duplicated on the tape, neither volume nor value detects. `low` is
/// the lowest price of the minute.
pub(super) fn blind_below(volume: &Figure<'_>, value: &Figure<'_>, low: &BigDecimal) -> BigDecimal {
    let on_grid = |number: BigDecimal| match volume.is_on_grid {
        true => number.with_scale_round(DECIMALS, RoundingMode::Floor),
        false => number,
    };
    let by_volume = on_grid(volume.hidden());
    if by_volume.is_zero() || !low.is_positive() {
        return by_volume;
    }
    // A trade below the lowest price, or above the highest, is detected by its price.
    by_volume.min(on_grid(value.hidden() / low))
}

/// Slightly more than 2^-52.
fn two_to_minus_52() -> BigDecimal {
    BigDecimal::new(BigInt::from(22_204_460_492_503_132_u64), 32)
}
