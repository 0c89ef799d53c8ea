//! The bandwidth bound. Pure, but for the lock that the bodies of requests share.

use crate::clock::Instant;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Bytes that are sent at once: a second of the smallest bandwidth.
pub const PIECE: usize = 16 << 10;

/// When the next bytes may be sent.
#[derive(Debug)]
pub struct Pace {
    bytes_per_second: u64,
    free: Mutex<Option<Instant>>,
}

impl Pace {
    /// At most so many bytes in a second, on the long run; at least one.
    pub fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second: bytes_per_second.max(1), free: Mutex::new(None) }
    }

    /// Takes the room for `bytes`, and returns when they may be sent. What was not used before does not add up.
    pub fn take(&self, now: Instant, bytes: usize) -> Instant {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let at = free.map_or(now, |free| free.max(now));
        let nanos = u128::from(bytes as u64) * 1_000_000_000 / u128::from(self.bytes_per_second);
        *free = Some(at + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)));
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Stamp};

    #[test]
    fn bytes_take_their_time_and_idle_time_is_lost() {
        let now = Clock::anchored(Stamp::default()).now();
        let pace = Pace::new(PIECE as u64);
        let second = Duration::from_secs(1);
        assert_eq!(pace.take(now, PIECE), now);
        assert_eq!(pace.take(now, PIECE), now + second);
        assert_eq!(pace.take(now, PIECE / 2), now + 2 * second);
        assert_eq!(pace.take(now + 9 * second, PIECE), now + 9 * second);
        assert_eq!(pace.take(now + 9 * second, 1), now + 10 * second);
    }
}
