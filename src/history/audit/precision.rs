//! How far the exchange's figure may lie from the exact sum, and what could hide in between. Pure.
//!
//! ```text
//!            below                above
//!   ├──────────────────────┼────────────────┤    residue = printed - exact sum of the tape
//!   cut off at the eighth  0  rounded there      and on both sides what doubles lose
//! ```
//!
//! Answers have eight decimals, while a price times a volume may have sixteen. Whether the exchange rounds once or trade
//! by trade, and whether it rounds or cuts off, is not documented: the bounds hold for all four. They hold as well for
//! sums that are kept in doubles, which large values look like. A number that has eight decimals at most is left as it
//! is by any of these, so only the others are given room: a volume is exact wherever a double keeps its digits.

use super::figures::total::{DECIMALS, Total};
use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, RoundingMode, Signed, Zero};

/// How far a printed figure may lie from the exact sum. Both are distances, zero or more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bound {
    /// How much less it may say.
    below: BigDecimal,
    /// How much more it may say.
    above: BigDecimal,
}

/// One figure of a minute: the sum of its trades, how many they are, and what the exchange printed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figure<'a> {
    /// What the trades sum up to.
    pub(super) total: &'a Total,
    /// How many they are.
    pub(super) trades: u64,
    /// What the exchange says.
    pub(super) printed: &'a BigDecimal,
    /// Whether all of its numbers, also those that the tape may lack, have eight decimals at most.
    pub(super) is_on_grid: bool,
}

impl Figure<'_> {
    /// What the exchange says more than the trades sum up to.
    pub(super) fn residue(&self) -> BigDecimal {
        self.printed - &self.total.sum
    }

    /// Whether the exchange can have printed this for these trades.
    pub(super) fn is_same(&self) -> bool {
        let residue = self.residue();
        residue.is_zero() || self.bound(0).admits(&residue)
    }

    /// The most that one trade may have which is missing on the tape, or is there once too often, and leaves what is
    /// printed within the bound.
    pub(super) fn hidden(&self) -> BigDecimal {
        let residue = self.residue();
        let Bound { below, above } = self.bound(1);
        (&residue + below).max(above - residue)
    }

    /// The bound where the exchange had so many trades more than the tape.
    fn bound(&self, more: u64) -> Bound {
        let off_grid = if self.is_on_grid { 0 } else { self.total.off_grid + more };
        Bound::new(off_grid, self.trades + more, (&self.total.sum).max(self.printed))
    }
}

impl Bound {
    /// The bound of a sum of `trades` numbers, `off_grid` of which have more than eight decimals, where neither the sum
    /// nor what was printed is larger than `largest`.
    ///
    /// * Rounded, each number that is off the grid errs by half a unit of the eighth decimal, cut off by a whole one, and
    ///   only downwards. Rounded or cut off once, their sum errs by no more than that.
    /// * In doubles, each addition errs by 2^-53 of the sum, and by as much again where its result is rounded and put into
    ///   a double anew; four more such pairs are for price, volume and product, on the tape and at the exchange, and for
    ///   the text of the sum. What is printed of a double with eight decimals errs by half a unit once more.
    fn new(off_grid: u64, trades: u64, largest: &BigDecimal) -> Self {
        let half_units = |count: u64| BigDecimal::new(BigInt::from(count) * 5, DECIMALS + 1);
        let doubles = largest.abs() * BigDecimal::from(trades + 4) * two_to_minus_52();
        Self { below: half_units((2 * off_grid).max(1)) + &doubles, above: half_units(off_grid.max(1)) + doubles }
    }

    fn admits(&self, residue: &BigDecimal) -> bool {
        -&self.below <= *residue && *residue <= self.above
    }
}

/// The most of the asset that one trade may have which is missing on the tape, or is there once too often, and which
/// neither volume nor value tells. `low` is the lowest price of the minute.
pub(super) fn blind_below(volume: &Figure<'_>, value: &Figure<'_>, low: &BigDecimal) -> BigDecimal {
    let on_grid = |number: BigDecimal| match volume.is_on_grid {
        true => number.with_scale_round(DECIMALS, RoundingMode::Floor),
        false => number,
    };
    let by_volume = on_grid(volume.hidden());
    if by_volume.is_zero() || !low.is_positive() {
        return by_volume;
    }
    // A trade below the lowest price, or above the highest, is found by that price.
    by_volume.min(on_grid(value.hidden() / low))
}

/// 2^-52, and a little more.
fn two_to_minus_52() -> BigDecimal {
    BigDecimal::new(BigInt::from(22_204_460_492_503_132_u64), 32)
}
