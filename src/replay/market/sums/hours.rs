//! Sums of whole hours, computed on demand and cached.
//!
//! A day of a busy pair has millions of trades. Summing them for every client that connects would stop the server for
//! seconds, so the hours of about a day are cached; they follow from the seed and never change.

use super::candle::Candle;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// An hour, in milliseconds.
pub(crate) const HOUR_MILLIS: u64 = 3_600_000;

/// Hours kept per pair: the last 24, today's, and some for a client that lags; 7 KB of memory.
const MAX_HOURS: usize = 48;

/// One pair's hours; `None` where nothing was traded.
#[derive(Debug, Default)]
pub(crate) struct Hours(Mutex<BTreeMap<u64, Option<Candle>>>);

impl Hours {
    /// The sum of the hour with this number, counted from the epoch; `sum` computes it on a cache miss.
    pub(crate) fn get(&self, hour: u64, sum: impl FnOnce() -> Option<Candle>) -> Option<Candle> {
        let mut hours = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = hours.get(&hour) {
            return *known;
        }
        let candle = sum();
        hours.insert(hour, candle);
        if hours.len() > MAX_HOURS {
            hours.pop_first();
        }
        candle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_summed_once_and_the_oldest_is_forgotten() {
        let hours = Hours::default();
        assert_eq!(hours.get(7, || None), None);
        assert_eq!(hours.get(7, || panic!("asked twice")), None);
        (100..200).for_each(|hour| assert_eq!(hours.get(hour, || None), None));
        assert_eq!(hours.0.lock().unwrap().len(), MAX_HOURS);
    }
}
