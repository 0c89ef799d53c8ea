//! Durations and sizes as text. Pure.
//!
//! ```text
//! parse_duration  30s 500ms 1d    ◀── the configuration, the command line
//! format_duration 30s 500ms 1d    ──▶ messages about them: exact, and read back
//! rounded_duration 3.2 s, 12 min  ──▶ log, status line: one unit, for people
//! ```
//!
//! Sizes alike: `128MiB`, and `1.2 MiB` for people.

use std::time::Duration;

/// Units of duration with their length in milliseconds, the longest first.
const DURATION_UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Units of size with their length in bytes, the longest first.
const SIZE_UNITS: [(&str, u64); 5] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Text that is no duration or size; the message has the units that there are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// No duration.
    #[error("`{0}` is no duration: write a whole number and one of the units ms, s, m, h, d, such as 30s")]
    Duration(String),
    /// No size.
    #[error("`{0}` is no size: write a whole number and one of the units B, KiB, MiB, GiB, TiB, such as 128MiB")]
    Size(String),
    /// A number beyond 2^64 of the smallest unit.
    #[error("`{0}` is too large")]
    TooLarge(String),
}

/// Reads `30s`, `500ms`, `1d`.
pub fn parse_duration(text: &str) -> Result<Duration, QuantityError> {
    let (number, unit) = split_number(text);
    let no_duration = || QuantityError::Duration(text.to_owned());
    let unit = DURATION_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(no_duration)?.1;
    scale(text, number, unit).unwrap_or_else(|| Err(no_duration())).map(Duration::from_millis)
}

/// Reads `128MiB`, `64 KiB`, `1048576`.
pub fn parse_size(text: &str) -> Result<u64, QuantityError> {
    let (number, unit) = split_number(text);
    let no_size = || QuantityError::Size(text.to_owned());
    let known = SIZE_UNITS.iter().find(|(name, _)| *name == unit);
    let unit = if unit.is_empty() { 1 } else { known.ok_or_else(no_size)?.1 };
    scale(text, number, unit).unwrap_or_else(|| Err(no_size()))
}

/// Spells a duration in whole milliseconds so that [`parse_duration`] reads it back.
pub fn format_duration(duration: Duration) -> String {
    format_exact(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX), &DURATION_UNITS)
}

/// Spells a size so that [`parse_size`] reads it back.
pub fn format_size(bytes: u64) -> String {
    format_exact(bytes, &SIZE_UNITS)
}

/// The digits in front and the unit behind them.
fn split_number(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim_start())
}

/// `number` units; `None` where there are no digits, an error where the product does not fit.
fn scale(text: &str, number: &str, unit: u64) -> Option<Result<u64, QuantityError>> {
    if number.is_empty() {
        return None;
    }
    let product = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    Some(product.ok_or_else(|| QuantityError::TooLarge(text.to_owned())))
}

/// In the greatest unit that divides the amount.
fn format_exact(amount: u64, units: &[(&str, u64)]) -> String {
    let (last, greater) = units.split_last().expect("both tables have units");
    let fitting = greater.iter().find(|(_, unit)| amount > 0 && amount.is_multiple_of(*unit));
    let (name, unit) = fitting.unwrap_or(last);
    format!("{}{name}", amount / unit)
}

/// A duration in one unit for people: `3.2 s`, `12 min`, `5 h`, `9 d`.
pub fn rounded_duration(duration: Duration) -> String {
    match duration.as_secs() {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        seconds @ 10..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// A size in one unit for people: `512 B`, `1.2 MiB`.
pub fn rounded_size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "a size for people")]
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration(" 2 h "), Ok(Duration::from_secs(7200)));
        for wrong in ["", "30", "s", "-1s", "1.5s", "30 sec", "1h30m", "30S"] {
            assert_eq!(parse_duration(wrong), Err(QuantityError::Duration(wrong.into())));
        }
        let huge = "99999999999999999999d";
        assert_eq!(parse_duration(huge), Err(QuantityError::TooLarge(huge.into())));
    }

    #[test]
    fn sizes_are_a_number_and_a_unit_or_bytes() {
        assert_eq!(parse_size("128MiB"), Ok(128 << 20));
        assert_eq!(parse_size("1048576"), Ok(1 << 20));
        for wrong in ["", "MiB", "1MB", "1mib", "1.5GiB", "-1"] {
            assert_eq!(parse_size(wrong), Err(QuantityError::Size(wrong.into())));
        }
        assert_eq!(parse_size("99999999TiB"), Err(QuantityError::TooLarge("99999999TiB".into())));
    }

    #[test]
    fn amounts_for_people_have_one_unit() {
        let durations = [0, 9_900, 10_000, 119_999, 120_000, 7_200_000, 172_800_000].map(Duration::from_millis);
        assert_eq!(durations.map(rounded_duration), ["0.0 s", "9.9 s", "10 s", "119 s", "2 min", "2 h", "2 d"]);
        assert_eq!([1023, 1024, 1_258_291, 1 << 60].map(rounded_size), ["1023 B", "1.0 KiB", "1.2 MiB", "1024.0 PiB"]);
    }

    proptest! {
        #[test]
        fn durations_are_read_as_they_are_spelt(millis in 0..u64::MAX) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        #[test]
        fn sizes_are_read_as_they_are_spelt(bytes: u64) {
            prop_assert_eq!(parse_size(&format_size(bytes)), Ok(bytes));
        }

        #[test]
        fn no_text_makes_a_parser_panic(text in "\\PC*", tail in "[0-9]{0,25} ?[a-zA-Z]{0,3}") {
            for text in [&text, &tail] {
                let _ = (parse_duration(text), parse_size(text));
            }
        }
    }
}
