//! Decides when a segment ends. Pure: stamps alone decide, so that a segment never spans two periods, independent of
//! clock reads and of late lines.

use crate::clock::Stamp;
use std::time::Duration;

/// The bounds of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The length of a period; periods begin at UTC boundaries.
    pub interval: Duration,
    /// A segment of this many bytes is full.
    pub bytes: u64,
}

impl Rotation {
    /// Whether a segment that began at `first` has to end before a line stamped `stamp`.
    pub fn is_over(&self, first: Stamp, stamp: Stamp) -> bool {
        first.period_start(self.interval) != stamp.period_start(self.interval)
    }

    /// Whether a segment of `bytes` has to end.
    pub fn is_full(&self, bytes: u64) -> bool {
        bytes >= self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY: u64 = 86_400_000_000;

    proptest! {
        #[test]
        fn no_segment_spans_two_dates(first in 0..=Stamp::MAX.as_micros(), later in 0..2 * DAY, hours in prop::sample::select(vec![1u64, 6, 24])) {
            let rotation = Rotation { interval: Duration::from_secs(hours * 3600), bytes: 1 };
            let last = (first + later).min(Stamp::MAX.as_micros());
            let stamp = |micros| Stamp::from_micros(micros).unwrap();
            if !rotation.is_over(stamp(first), stamp(last)) {
                prop_assert_eq!(first / DAY, last / DAY);
            }
        }
    }

    #[test]
    fn a_segment_ends_when_it_is_full() {
        let rotation = Rotation { interval: Duration::from_secs(60), bytes: 10 };
        assert!(!rotation.is_full(9) && rotation.is_full(10));
    }
}
