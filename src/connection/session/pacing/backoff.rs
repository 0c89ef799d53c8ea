//! How long to wait before the next attempt: longer after each failure, never in step with other clients.
//!
//! ```text
//! failures   0      1    2    3    …   6
//! at most    500ms  1s   2s   4s   …   30s      each wait is drawn from the upper half of this
//! ```
//!
//! The upper half and not the whole range: a draw near zero would be a tight loop. Who resets it decides what counts as
//! success; here it is the first data of a session, for a connect alone proves nothing.

use rand::{Rng, RngExt};
use std::time::Duration;

/// The doublings after which any configured pause has reached its ceiling (2^20 × 1 ms is 17 minutes).
const MOST_DOUBLINGS: u32 = 20;

/// Exponential backoff with jitter.
#[derive(Debug)]
pub(in crate::connection::session) struct Backoff {
    min: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    /// Pauses that start at `min` and grow to `max`.
    pub(in crate::connection::session) fn new(min: Duration, max: Duration) -> Self {
        Self { min, max, failures: 0 }
    }

    /// The pause after one more failure.
    pub(in crate::connection::session) fn next_pause(&mut self, rng: &mut impl Rng) -> Duration {
        let ceiling = self.min.saturating_mul(1 << self.failures.min(MOST_DOUBLINGS)).min(self.max);
        self.failures = self.failures.saturating_add(1);
        jittered(ceiling, rng)
    }

    /// Forgets the failures.
    pub(in crate::connection::session) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// A duration drawn from the upper half of `ceiling`.
pub(in crate::connection::session) fn jittered(ceiling: Duration, rng: &mut impl Rng) -> Duration {
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
        fn every_pause_lies_in_the_upper_half_of_its_ceiling(
            seed: u64,
            min in 1..5_000_u64,
            factor in 1..1_000_u32,
            failures in 1..100_usize,
        ) {
            let min = Duration::from_millis(min);
            let max = min * factor;
            let mut rng = StdRng::seed_from_u64(seed);
            let mut backoff = Backoff::new(min, max);
            let mut ceiling = min;
            for _ in 0..failures {
                let pause = backoff.next_pause(&mut rng);
                prop_assert!(pause >= ceiling / 2 && pause <= ceiling, "{pause:?} of {ceiling:?}");
                ceiling = (ceiling * 2).min(max);
            }
        }
    }

    #[test]
    fn a_reset_starts_over() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
        for _ in 0..10 {
            backoff.next_pause(&mut rng);
        }
        assert!(backoff.next_pause(&mut rng) >= Duration::from_secs(15));
        backoff.reset();
        assert!(backoff.next_pause(&mut rng) <= Duration::from_millis(500));
    }

    #[test]
    fn waits_differ_between_clients() {
        let pause = |seed| {
            Backoff::new(Duration::from_secs(1), Duration::from_secs(30)).next_pause(&mut StdRng::seed_from_u64(seed))
        };
        assert_ne!(pause(1), pause(2));
        assert_eq!(pause(1), pause(1));
    }
}
