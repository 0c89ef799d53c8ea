//! Exponential backoff: the wait doubles with each failure in a row, up to a ceiling. Pure.
//!
//! ```text
//! failures in a row   1      2    3    4    …   7
//! ceiling             500ms  1s   2s   4s   …   30s      first = 500ms, longest = 30s
//! ```
//!
//! The caller counts the failures, and so defines success.

use rand::{Rng, RngExt};
use std::time::Duration;

/// The doublings after which any configured wait has reached its ceiling (2^20 × 1 ms is 17 minutes).
const MOST_DOUBLINGS: u32 = 20;

/// The waits of one kind of retry.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The ceiling after the first failure.
    pub first: Duration,
    /// The greatest ceiling.
    pub longest: Duration,
}

impl Backoff {
    /// The longest wait after so many failures in a row; 0 counts as 1.
    pub fn ceiling(self, failures: u32) -> Duration {
        self.first.saturating_mul(1 << failures.saturating_sub(1).min(MOST_DOUBLINGS)).min(self.longest)
    }

    /// The wait after so many failures in a row, with jitter.
    pub fn wait(self, failures: u32, rng: &mut impl Rng) -> Duration {
        jittered(self.ceiling(failures), rng)
    }
}

/// A duration drawn from the upper half of `ceiling`: clients fall out of step, and no draw near zero makes a tight loop.
pub fn jittered(ceiling: Duration, rng: &mut impl Rng) -> Duration {
    ceiling.mul_f64(rng.random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    proptest! {
        #[test]
        fn a_wait_lies_in_the_upper_half_of_a_doubling_ceiling(
            seed: u64,
            first in 1..5_000_u64,
            factor in 1..1_000_u32,
            failures in 1..100_u32,
        ) {
            let first = Duration::from_millis(first);
            let backoff = Backoff { first, longest: first * factor };
            let mut rng = StdRng::seed_from_u64(seed);
            let mut ceiling = first;
            for failure in 1..=failures {
                let wait = backoff.wait(failure, &mut rng);
                prop_assert!(wait >= ceiling / 2 && wait <= ceiling, "{wait:?} of {ceiling:?}");
                ceiling = (ceiling * 2).min(backoff.longest);
            }
        }
    }

    #[test]
    fn waits_differ_between_seeds_and_repeat_with_one() {
        let backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(30) };
        let wait = |seed| backoff.wait(1, &mut StdRng::seed_from_u64(seed));
        assert_ne!(wait(1), wait(2));
        assert_eq!(wait(1), wait(1));
    }
}
