//! Random numbers by index: the same seed, place and index always give the same number.
//!
//! The sample market keeps no history in memory. Every trade of every second, past and future, is computed from where
//! it stands, so its random numbers need random access, which a sequential generator lacks.

/// The seed of a market, and of any part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seed(u64);

impl Seed {
    /// The seed that the user chose.
    pub(crate) fn new(seed: u64) -> Self {
        Self(mix(seed ^ 0x5851_f42d_4c95_7f2d))
    }

    /// The seed of the part `index` of this one.
    pub(crate) fn part(self, index: u64) -> Self {
        Self(mix(self.0 ^ mix(index.wrapping_add(0x9e37_79b9_7f4a_7c15))))
    }

    /// The number at `index`, all 64 bits random.
    pub(crate) fn number(self, index: u64) -> u64 {
        self.part(index).0
    }

    /// The number at `index` below `bound`; the bias is below `bound` / 2^64.
    pub(crate) fn below(self, index: u64, bound: u64) -> u64 {
        let wide = u128::from(self.number(index)) * u128::from(bound);
        u64::try_from(wide >> 64).expect("the upper half of a product of two 64-bit numbers")
    }

    /// The number at `index`, at least 0 and below 1.
    pub(crate) fn unit(self, index: u64) -> f64 {
        // The upper 53 bits, which a double holds exactly.
        (self.number(index) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators").
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_place_gives_the_same_number() {
        assert_eq!(Seed::new(7).part(3).number(9), Seed::new(7).part(3).number(9));
        assert_ne!(Seed::new(7).number(9), Seed::new(8).number(9));
        assert_ne!(Seed::new(7).part(1).number(2), Seed::new(7).part(2).number(1));
    }

    #[test]
    fn numbers_are_spread_evenly() {
        let seed = Seed::new(1);
        let mean = (0..10_000).map(|index| seed.unit(index)).sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
        assert!((0..1_000).all(|index| seed.below(index, 7) < 7));
        assert!((0..7).all(|wanted| (0..100).any(|index| seed.below(index, 7) == wanted)));
    }
}
