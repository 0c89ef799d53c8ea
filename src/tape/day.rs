//! Days, UTC.

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::Offset;

/// A day in milliseconds.
pub const DAY: i64 = 86_400_000;

/// When a date begins; `None`: out of the range of timestamps.
pub fn midnight(date: Date) -> Option<Timestamp> {
    Offset::UTC.to_timestamp(date.to_datetime(Time::midnight())).ok()
}
