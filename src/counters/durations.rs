//! A histogram of durations.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The upper bounds of the buckets; one more has no bound. From a sync of flash memory to a disk that stands still.
pub const BOUNDS: [Duration; 11] = [
    Duration::from_millis(1),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(60),
];

/// How many durations there were of which length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Durations {
    /// Durations up to each bound and beyond the one before; the last ones have no bound.
    pub buckets: [u64; BOUNDS.len() + 1],
    /// All of them together, µs.
    pub micros: u64,
}

impl Durations {
    /// Adds one.
    pub fn note(&mut self, length: Duration) {
        let bucket = BOUNDS.iter().position(|bound| length <= *bound).unwrap_or(BOUNDS.len());
        self.buckets[bucket] += 1;
        self.micros = self.micros.saturating_add(u64::try_from(length.as_micros()).unwrap_or(u64::MAX));
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

/// Durations that one thread notes and others read.
#[derive(Clone, Debug, Default)]
pub struct SharedDurations(Arc<Mutex<Durations>>);

impl SharedDurations {
    /// Adds one.
    pub fn note(&self, length: Duration) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).note(length);
    }

    /// The durations so far.
    pub fn read(&self) -> Durations {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_up_to_its_bound() {
        let shared = SharedDurations::default();
        for millis in [0, 1, 2, 60_000, 60_001] {
            shared.note(Duration::from_millis(millis));
        }
        let durations = shared.read();
        assert_eq!((durations.buckets[0], durations.buckets[1], durations.count()), (2, 1, 5));
        assert_eq!(durations.buckets[BOUNDS.len() - 1..], [1, 1]);
        assert_eq!(durations.micros, 120_004_000);
    }
}
