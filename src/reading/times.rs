//! Times of a command line. Pure.
//!
//! ```text
//! 2026-11-22T05:12:04Z  2026-11-22T14:12:04.113204+09:00     RFC 3339
//! 2026-11-22T05:12:04   2026-11-22 05:12                     UTC, as all that is printed
//! 2026-11-22  today  yesterday                               a midnight, UTC
//! now  -2h  -30m                                             now, and so long ago
//! 1795324324113204                                           a stamp, as ts_recv and gaps have it
//! ```

use crate::clock::Stamp;
use crate::quantity::parse_duration;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use std::str::FromStr;
use std::time::Duration;

/// The length of a day.
const DAY: Duration = Duration::from_secs(86_400);

/// Fewer digits are no stamp of this century: they are a number that somebody meant otherwise, such as seconds.
const STAMP_DIGITS: usize = 16;

/// A time, as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// A moment.
    At(Stamp),
    /// So long ago.
    Ago(Duration),
    /// The midnight before so long ago, UTC.
    MidnightBefore(Duration),
}

/// Text that is no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no time: write one as in RFC 3339 (2026-11-22T05:12:04+09:00; UTC without an offset), a date (its midnight, UTC), `today`, `yesterday`, `now`, how long ago (-2h, -30m, -1d), or a stamp (1795324324113204)"
)]
pub struct TimeError(String);

impl Time {
    /// The stamp that is meant at `now`.
    pub fn stamp(self, now: Stamp) -> Stamp {
        match self {
            Self::At(stamp) => stamp,
            Self::Ago(length) => now.before(length),
            Self::MidnightBefore(length) => now.before(length).period_start(DAY),
        }
    }
}

impl FromStr for Time {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let wrong = || TimeError(text.to_owned());
        match text {
            "now" => return Ok(Self::Ago(Duration::ZERO)),
            "today" => return Ok(Self::MidnightBefore(Duration::ZERO)),
            "yesterday" => return Ok(Self::MidnightBefore(DAY)),
            _ => {}
        }
        if let Some(length) = text.strip_prefix('-') {
            return parse_duration(length).map(Self::Ago).map_err(|_| wrong());
        }
        if text.len() == STAMP_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().ok().and_then(Stamp::from_micros).map(Self::At).ok_or_else(wrong);
        }
        // A name of a zone would be passed over, and the time taken for UTC.
        let is_plain = !text.contains('[');
        let civil = || Offset::UTC.to_timestamp(text.parse::<DateTime>().ok().filter(|_| is_plain)?).ok();
        let time = text.parse::<Timestamp>().ok().or_else(civil);
        let micros = time.and_then(|time| u64::try_from(time.as_microsecond()).ok());
        micros.and_then(Stamp::from_micros).map(Self::At).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_documented() {
        // 2026-11-22T05:12:04.113204Z.
        let now = Stamp::from_micros(1_795_324_324_113_204).unwrap();
        let midnight = 1_795_305_600_000_000;
        for (text, micros) in [
            ("2026-11-22T05:12:04.113204Z", 1_795_324_324_113_204),
            ("2026-11-22T14:12:04.113204+09:00", 1_795_324_324_113_204),
            ("2026-11-22T05:12:04Z", 1_795_324_324_000_000),
            ("2026-11-22T05:12:04", 1_795_324_324_000_000),
            ("2026-11-22 05:12", 1_795_324_320_000_000),
            ("2026-11-22T14:12:04+09:00[Asia/Seoul]", 1_795_324_324_000_000),
            ("2026-11-22", midnight),
            ("today", midnight),
            ("yesterday", midnight - 86_400_000_000),
            ("now", 1_795_324_324_113_204),
            ("-2h", 1_795_317_124_113_204),
            ("-1d", 1_795_237_924_113_204),
            ("1795324324113204", 1_795_324_324_113_204),
        ] {
            assert_eq!(text.parse::<Time>().unwrap().stamp(now).as_micros(), micros, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_the_ways_out() {
        let strange = ["2026-11-22T05:12:04+99:00", "2026-11-22T05:12:04[Asia/Seoul]", "2026-11-22T05:61"];
        for text in ["", "-", "2h", "-2", "-2y", "tomorrow", "05:12:04", "2026-13-01", "1795324324", "1960-01-01"]
            .iter()
            .chain(&strange)
        {
            let error = text.parse::<Time>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{text}` is no time: ")) && error.contains("-2h"), "{error}");
        }
    }
}
