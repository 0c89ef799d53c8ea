//! The day that is audited, and how much of it is over. Pure.

use crate::tape::day::{DAY, midnight};
use jiff::Timestamp;
use jiff::civil::Date;

/// A minute in milliseconds.
pub(super) const MINUTE: i64 = 60_000;

/// The trades of the last seconds may not all be in the exchange's candle, nor on disk.
const SETTLE: i64 = 10_000;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    /// The date, UTC.
    pub date: Date,
    /// When it begins: milliseconds since the epoch.
    pub from: i64,
    /// The end of the last minute that is over, at most that of the day.
    pub until: i64,
}

impl Day {
    /// What can be audited of a date at `now` (milliseconds since the epoch); `None`: not a minute.
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

    /// How many minutes are audited.
    pub fn minutes(&self) -> usize {
        usize::try_from((self.until - self.from) / MINUTE).unwrap_or_default()
    }

    /// The number of the minute that a moment lies in; `None`: in none of them.
    pub fn minute_of(&self, millis: i64) -> Option<usize> {
        let is_inside = (self.from..self.until).contains(&millis);
        is_inside.then(|| usize::try_from((millis - self.from) / MINUTE).ok()).flatten()
    }

    /// When a minute begins: milliseconds since the epoch.
    pub fn start_of(&self, minute: usize) -> i64 {
        self.from + i64::try_from(minute).unwrap_or(i64::MAX).saturating_mul(MINUTE)
    }

    /// A moment as it is shown.
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
