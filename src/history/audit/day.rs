//! The audited day, and the part of it that is over. Pure.

use crate::tape::day::{DAY, midnight};
use jiff::Timestamp;
use jiff::civil::Date;

/// A minute in milliseconds.
pub(super) const MINUTE: i64 = 60_000;

/// The exchange's candle, or the disk, may lack the trades of the last seconds.
const SETTLE: i64 = 10_000;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    /// The date, UTC.
    pub date: Date,
    /// The beginning: milliseconds since the epoch.
    pub from: i64,
    /// The end of the last minute that is over, at most the end of the day.
    pub until: i64,
}

impl Day {
    /// The auditable part of a date at `now` (milliseconds since the epoch); `None`: not a minute.
    pub fn settled(date: Date, now: i64) -> Option<Self> {
        let from = midnight(date)?.as_millisecond();
        let settled = (now - SETTLE).div_euclid(MINUTE) * MINUTE;
        let until = settled.min(from + DAY);
        (until > from).then_some(Self { date, from, until })
    }

    /// Whether all of it is over.
    pub fn is_whole(&self) -> bool {
        self.until == self.from + DAY
    }

    /// Number of audited minutes.
    pub fn minutes(&self) -> usize {
        usize::try_from((self.until - self.from) / MINUTE).unwrap_or_default()
    }

    /// The index of the minute that holds a time; `None`: outside the audited part.
    pub fn minute_of(&self, millis: i64) -> Option<usize> {
        let is_inside = (self.from..self.until).contains(&millis);
        is_inside.then(|| usize::try_from((millis - self.from) / MINUTE).ok()).flatten()
    }

    /// The beginning of a minute: milliseconds since the epoch.
    pub fn start_of(&self, minute: usize) -> i64 {
        self.from + i64::try_from(minute).unwrap_or(i64::MAX).saturating_mul(MINUTE)
    }

    /// A time for display.
    pub fn shown(millis: i64) -> String {
        Timestamp::from_millisecond(millis).unwrap_or_default().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_minutes_that_are_over_count() {
        let date: Date = "1970-01-02".parse().unwrap();
        assert_eq!(Day::settled(date, DAY + MINUTE + SETTLE - 1), None);
        let day = Day::settled(date, DAY + 2 * MINUTE + SETTLE).unwrap();
        assert_eq!((day.minutes(), day.is_whole()), (2, false));
        assert_eq!(
            [DAY - 1, DAY, DAY + 2 * MINUTE - 1, DAY + 2 * MINUTE].map(|moment| day.minute_of(moment)),
            [None, Some(0), Some(1), None]
        );
        let day = Day::settled(date, 9 * DAY).unwrap();
        assert_eq!((day.minutes(), day.is_whole()), (1_440, true));
        assert_eq!(Day::shown(day.start_of(1_439)), "1970-01-02T23:59:00Z");
    }
}
