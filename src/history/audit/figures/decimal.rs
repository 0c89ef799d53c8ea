//! Exact decimals in the exchange's notation. Pure.
//!
//! `1.16539E8`, `116539000.0` and `116539000.00000000` are one number; no float is involved in comparing them.

use bigdecimal::{BigDecimal, ToPrimitive};
use serde_json::value::RawValue;
use std::str::FromStr;

/// The longest number: four times the longest seen on the wire.
const LONGEST: usize = 100;

/// The greatest exponent: a larger one would expand a short text to gigabytes.
const GREATEST_POWER: i32 = 100;

/// Parses a JSON number; `None` where it is none, or out of any market's range.
pub(in crate::history::audit) fn parse(number: &RawValue) -> Option<BigDecimal> {
    let text = number.get();
    let begins = text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    let power = text.split(['e', 'E']).nth(1).map_or(Ok(0), i32::from_str).ok()?;
    if !begins || text.len() > LONGEST || power.abs() > GREATEST_POWER {
        return None;
    }
    BigDecimal::from_str(text).ok()
}

/// Parses a JSON integer; `None` where it is no number, or has decimals.
pub(in crate::history::audit) fn integer(number: &RawValue) -> Option<i64> {
    let number = parse(number)?;
    number.is_integer().then(|| number.to_i64()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::decimal::shown;

    fn read(text: &str) -> Option<String> {
        parse(&RawValue::from_string(text.to_owned()).ok()?).as_ref().map(shown)
    }

    #[test]
    fn every_spelling_of_a_number_is_that_number() {
        for text in ["1.16539E8", "116539000", "116539000.0", "116539000.00000000", "1.16539e+8"] {
            assert_eq!(read(text).as_deref(), Some("116539000"), "{text}");
        }
        for (text, number) in [
            ("6E-8", "0.00000006"),
            ("5.0E-4", "0.0005"),
            ("0.00077720", "0.0007772"),
            ("1386929.37231066771348207123", "1386929.37231066771348207123"),
            ("0.0", "0"),
            ("-7.50", "-7.5"),
        ] {
            assert_eq!(read(text).as_deref(), Some(number), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_of_a_market_is_refused() {
        let long = "1".repeat(101);
        for text in ["\"1\"", "null", "true", "[1]", "1E999999999", "1E-101", long.as_str()] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
