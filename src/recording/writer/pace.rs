//! When lines in memory are written. A write costs the same for one line as for ten, so that lines of many files wait for
//! others of the same file; lines of few have nothing to gain. Pure.
//!
//! ```text
//! at most WRITES a second   each line is written as soon as it is there
//! more                      lines wait for BURST, and every file gets all of its own in one write
//! ```

use crate::clock::Instant;
use std::time::Duration;

/// The longest that lines wait for others. A `kill -9` takes them, which may be what was read in the last 50 ms; the rest
/// of that is for the way here and the writes.
const BURST: Duration = Duration::from_millis(20);

/// Writes a second at which no line waits: five times the usual load of the whole exchange.
const WRITES: f64 = 5_000.0;

/// Writes that are saved up while there are fewer: every stream of the exchange may bring a line at the same moment, as
/// the candles of a second do.
const SAVED: f64 = 3_000.0;

/// Lines of one file that fill a write: more of them cost as much per byte.
const FULL_WRITE: usize = 64 * 1024;

/// Lines that are written without waiting, of whatever number of files, at least and at most: two reads of the socket,
/// and a burst of 20 ms at 400 MB/s, which is all that memory is used for.
const FULL: (usize, usize) = (256 * 1024, 8 * 1024 * 1024);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Writes that may follow at once, at the instant of `counted`.
    saved: f64,
    counted: Option<Instant>,
    /// Since when lines wait.
    waiting: Option<Instant>,
}

impl Pace {
    /// Whether lines of `files` files, `bytes` together, are not worth keeping any longer.
    pub(super) fn is_full(files: usize, bytes: usize) -> bool {
        bytes >= (files * FULL_WRITE).clamp(FULL.0, FULL.1)
    }

    /// The instant at which lines of `files` files should be written, which may be now.
    pub(super) fn due(&mut self, now: Instant, files: usize) -> Instant {
        let elapsed = self.counted.map_or(BURST, |counted| now.saturating_duration_since(counted));
        self.saved = elapsed.as_secs_f64().mul_add(WRITES, self.saved).min(SAVED);
        self.counted = Some(now);
        let since = *self.waiting.get_or_insert(now);
        if files as f64 <= self.saved { now } else { since + BURST }
    }

    /// Lines of `files` files were written.
    pub(super) fn written(&mut self, files: usize) {
        self.saved = (self.saved - files as f64).max(0.0);
        self.waiting = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Stamp};

    /// Writes, lines and the longest wait, with `rate` lines a second, each of another file, for ten seconds.
    fn written(rate: u32) -> (usize, Duration) {
        let start = Clock::anchored(Stamp::default()).now();
        let (mut pace, mut waiting, mut writes, mut longest) = (Pace::default(), Vec::new(), 0, Duration::ZERO);
        for millis in 0..10_000 {
            let now = start + Duration::from_millis(millis);
            waiting.extend((0..rate / 1_000).map(|_| now));
            let files = waiting.len().min(855);
            if files > 0 && pace.due(now, files) <= now {
                longest = waiting
                    .drain(..)
                    .map(|since: Instant| now.saturating_duration_since(since))
                    .max()
                    .max(Some(longest))
                    .unwrap();
                pace.written(files);
                writes += files;
            }
        }
        (writes, longest)
    }

    #[test]
    fn few_lines_are_written_at_once_and_many_together() {
        assert_eq!(written(5_000), (50_000, Duration::ZERO));
        let (writes, longest) = written(100_000);
        assert!(writes < 500 * 855 + 3_100 && longest == BURST, "{writes} {longest:?}");
    }

    #[test]
    fn candles_of_one_moment_do_not_wait() {
        let now = Clock::anchored(Stamp::default()).now();
        let mut pace = Pace::default();
        pace.due(now, 0);
        let later = now + Duration::from_secs(1);
        assert_eq!(pace.due(later, 2_565), later);
        pace.written(2_565);
        assert_eq!(pace.due(later, 2_565), later + BURST);
    }

    #[test]
    fn a_full_write_does_not_wait() {
        let files_and_bytes = [(1, 262_143), (1, 262_144), (100, 6_553_599), (100, 6_553_600), (2_565, 8_388_608)];
        assert_eq!(files_and_bytes.map(|(files, bytes)| Pace::is_full(files, bytes)), [false, true, false, true, true]);
    }
}
