//! The exchange's time formats.

use jiff::civil::DateTime;
use jiff::tz::Offset;
use std::fmt;

/// Korea is nine hours ahead of UTC all year.
const KST: Offset = jiff::tz::offset(9);

/// A time of a frame, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time(DateTime);

impl Time {
    /// In UTC.
    pub(crate) fn utc(millis: u64) -> Self {
        Self::at(millis, Offset::UTC)
    }

    /// In Korea.
    pub(crate) fn kst(millis: u64) -> Self {
        Self::at(millis, KST)
    }

    fn at(millis: u64, offset: Offset) -> Self {
        let millis = i64::try_from(millis).unwrap_or(i64::MAX);
        let timestamp = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
        Self(offset.to_datetime(timestamp))
    }

    /// `2026-03-11`.
    pub(crate) fn date(self) -> impl fmt::Display {
        Joined([self.0.year().into(), self.0.month().into(), self.0.day().into()], "-")
    }

    /// `14:40:59`.
    pub(crate) fn time(self) -> impl fmt::Display {
        Joined([self.0.hour().into(), self.0.minute().into(), self.0.second().into()], ":")
    }

    /// `20260311`.
    pub(crate) fn compact_date(self) -> impl fmt::Display {
        Joined([self.0.year().into(), self.0.month().into(), self.0.day().into()], "")
    }

    /// `144059`.
    pub(crate) fn compact_time(self) -> impl fmt::Display {
        Joined([self.0.hour().into(), self.0.minute().into(), self.0.second().into()], "")
    }
}

/// `2026-03-11T14:40:59`.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}T{}", self.date(), self.time())
    }
}

/// Three numbers of at least two digits.
struct Joined([i32; 3], &'static str);

impl fmt::Display for Joined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([a, b, c], between) = self;
        write!(f, "{a:02}{between}{b:02}{between}{c:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spellings_of_a_time() {
        let (utc, kst) = (Time::utc(1_773_240_059_095), Time::kst(1_773_240_059_095));
        assert_eq!(utc.to_string(), "2026-03-11T14:40:59");
        assert_eq!(kst.to_string(), "2026-03-11T23:40:59");
        assert_eq!(format!("{} {}", utc.compact_date(), utc.compact_time()), "20260311 144059");
        assert_eq!(format!("{} {}", utc.date(), utc.time()), "2026-03-11 14:40:59");
    }
}
