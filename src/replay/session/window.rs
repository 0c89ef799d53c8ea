//! Rate limits: counts events in sliding windows.

use crate::clock::Stamp;
use std::collections::VecDeque;
use std::time::Duration;

/// Limits on the count in any window, one limit for each window length.
#[derive(Clone, Debug)]
pub(crate) struct Windows {
    limits: &'static [(Duration, usize)],
    /// The latest, as many as the longest window may hold.
    times: VecDeque<Stamp>,
}

impl Windows {
    /// Nothing done yet. The longest window must come last.
    pub(crate) fn new(limits: &'static [(Duration, usize)]) -> Self {
        Self { limits, times: VecDeque::new() }
    }

    /// Counts one more at `now`; false, and not counted, if it exceeds a limit.
    pub(crate) fn admit(&mut self, now: Stamp) -> bool {
        let (longest, most) = self.limits.last().copied().unwrap_or_default();
        while self.times.front().is_some_and(|time| !is_within(*time, now, longest)) {
            self.times.pop_front();
        }
        let fits = self.limits.iter().all(|(length, most)| self.within(now, *length) < *most);
        if fits && most > 0 {
            self.times.push_back(now);
        }
        fits
    }

    /// How many were counted in the window of this length that ends at `now`.
    pub(crate) fn within(&self, now: Stamp, length: Duration) -> usize {
        self.times.iter().rev().take_while(|time| is_within(**time, now, length)).count()
    }
}

fn is_within(time: Stamp, now: Stamp, length: Duration) -> bool {
    u128::from(now.as_micros().saturating_sub(time.as_micros())) < length.as_micros()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: &[(Duration, usize)] = &[(Duration::from_secs(1), 2), (Duration::from_secs(60), 4)];

    fn at(millis: u64) -> Stamp {
        Stamp::from_micros(millis * 1_000).unwrap()
    }

    #[test]
    fn a_window_slides() {
        let mut windows = Windows::new(LIMITS);
        assert!(windows.admit(at(900)) && windows.admit(at(950)));
        assert!(!windows.admit(at(1_100)), "a new second has begun, but the last 1,000 ms hold two");
        assert!(windows.admit(at(1_900)));
    }

    #[test]
    fn the_longer_window_counts_too() {
        let mut windows = Windows::new(LIMITS);
        assert!([0, 2_000, 4_000, 6_000].into_iter().all(|millis| windows.admit(at(millis))));
        assert!(!windows.admit(at(59_999)));
        assert!(windows.admit(at(60_000)));
        assert_eq!(windows.within(at(60_000), Duration::from_secs(60)), 4);
    }
}
