//! Numbers as the exchange spells them, as integers of a fixed scale: exact, or none. Pure.
//!
//! ```text
//! scale 8:   1.16539E8 ──▶ 11653900000000000     6E-8 ──▶ 6     1386929.37231066771348207123 ──▶ none: it has 20 decimals
//! ```

/// Digits of a column's numbers: all that 128 bits hold for sure.
pub const PRECISION: u32 = 38;

/// The longest spelling that is understood: four times the longest seen. A longer one is kept as text.
const LONGEST: usize = 100;

/// The number that a JSON text is, times ten to the power of `scale`; `None` where it is no number, has more decimals, or
/// more digits than a column.
pub fn parse(text: &[u8], scale: u32) -> Option<i128> {
    short(text, scale).or_else(|| any(text, scale))
}

/// The same of what most numbers are: fewer than 19 digits, at most `scale` of them decimals, and nothing else.
fn short(text: &[u8], scale: u32) -> Option<i128> {
    let (mut digits, mut point) = (0_u64, None);
    if text.len() > 19 || (text.first()? == &b'0' && text.get(1).is_some_and(u8::is_ascii_digit)) {
        return None;
    }
    for (place, byte) in text.iter().enumerate() {
        match byte {
            b'0'..=b'9' => digits = digits * 10 + u64::from(byte - b'0'),
            b'.' if point.is_none() && place > 0 => point = Some(place),
            _ => return None,
        }
    }
    let decimals = match point {
        None => 0,
        Some(place) => u32::try_from(text.len() - place - 1).ok().filter(|decimals| *decimals > 0)?,
    };
    let up = POWERS.get(usize::try_from(scale.checked_sub(decimals)?).ok()?)?;
    Some(i128::from(digits) * i128::from(*up))
}

/// Powers of ten that no product of [`short`] overflows with: 19 digits and 16.
const POWERS: [u64; 17] = {
    let mut powers = [1; 17];
    let mut place = 1;
    while place < powers.len() {
        powers[place] = powers[place - 1] * 10;
        place += 1;
    }
    powers
};

fn any(text: &[u8], scale: u32) -> Option<i128> {
    let Spelling { is_negative, digits, decimals } = Spelling::read(text)?;
    let number = match i64::from(scale) - decimals {
        0 => digits,
        up if up > 0 => digits.checked_mul(power(up)?)?,
        down => {
            let divisor = power(-down)?;
            digits.is_multiple_of(divisor).then(|| digits / divisor)?
        }
    };
    let number = i128::try_from(number).ok().filter(|number| *number < LIMIT)?;
    Some(if is_negative { -number } else { number })
}

/// The first integer that has too many digits.
const LIMIT: i128 = 10_i128.pow(PRECISION);

/// A number: its digits as one integer, and how many of them are decimals, which may be fewer than none.
struct Spelling {
    is_negative: bool,
    digits: u128,
    decimals: i64,
}

impl Spelling {
    fn read(text: &[u8]) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let (is_negative, text) = match text.split_first()? {
            (b'-', rest) => (true, rest),
            _ => (false, text),
        };
        let whole = run(text);
        let is_whole = whole == 1 || (whole > 1 && text[0] != b'0');
        let (mut rest, mut decimals) = (&text[whole..], &text[..0]);
        if let Some((b'.', behind)) = rest.split_first() {
            let count = run(behind);
            (decimals, rest) = (&behind[..count], &behind[count..]);
            if count == 0 {
                return None;
            }
        }
        if !is_whole {
            return None;
        }
        let power = exponent(rest)?;
        // Zeros at the end say nothing, and would not fit where there are many.
        let kept = decimals.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
        let digits = joined(&text[..whole], &decimals[..kept])?;
        let decimals = i64::try_from(kept).ok()? - power;
        Some(Self { is_negative, digits, decimals: if digits == 0 { 0 } else { decimals } })
    }
}

/// How many digits a text begins with.
fn run(text: &[u8]) -> usize {
    text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len())
}

/// What follows the decimals: nothing, or a power of ten.
fn exponent(text: &[u8]) -> Option<i64> {
    let Some((b'e' | b'E', rest)) = text.split_first() else { return text.is_empty().then_some(0) };
    let (sign, digits) = match rest.split_first()? {
        (b'-', digits) => (-1, digits),
        (b'+', digits) => (1, digits),
        _ => (1, rest),
    };
    // No number of a column has a power of five digits; one that is zero stays text.
    let is_power = (1..=4).contains(&digits.len()) && run(digits) == digits.len();
    is_power.then(|| sign * digits.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')))
}

/// Two runs of digits as one integer. Most numbers have fewer than 19, which is cheap to know.
fn joined(whole: &[u8], decimals: &[u8]) -> Option<u128> {
    let digits = || whole.iter().chain(decimals).map(|digit| digit - b'0');
    if whole.len() + decimals.len() < 20 {
        return Some(digits().fold(0_u64, |sum, digit| sum * 10 + u64::from(digit)).into());
    }
    digits().try_fold(0_u128, |sum, digit| sum.checked_mul(10)?.checked_add(digit.into()))
}

fn power(exponent: i64) -> Option<u128> {
    10_u128.checked_pow(u32::try_from(exponent).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bigdecimal::BigDecimal;
    use proptest::prelude::*;
    use std::str::FromStr;

    #[test]
    fn every_spelling_of_a_number_is_that_number() {
        for (text, number) in [
            ("1.16539E8", Some(11_653_900_000_000_000)),
            ("116539000.00000000", Some(11_653_900_000_000_000)),
            ("6E-8", Some(6)),
            ("5.0E-4", Some(50_000)),
            ("0.00077720", Some(77_720)),
            ("-7.50", Some(-750_000_000)),
            ("860743.5307100000000000", Some(86_074_353_071_000)),
            ("0E99", Some(0)),
            ("-0.0", Some(0)),
            ("1386929.37231066771348207123", None),
            ("1E-9", None),
            ("1E31", None),
        ] {
            assert_eq!(parse(text.as_bytes(), 8), number, "{text}");
        }
        let whole = "1386929.37231066771348207123";
        assert_eq!(parse(whole.as_bytes(), 20), Some(138_692_937_231_066_771_348_207_123));
    }

    #[test]
    fn what_is_no_json_number_is_none() {
        for text in ["", "-", "01", ".5", "5.", "1e", "1e+", "+1", "1 ", "\"1\"", "null", "0x1", "1.2.3", "1E12345"] {
            assert_eq!(parse(text.as_bytes(), 8), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn it_is_exact_or_none(
            text in "-?(0|[1-9][0-9]{0,29})(\\.[0-9]{1,29})?([eE][+-]?[0-9]{1,2})?",
            scale in 0..21_u32,
        ) {
            let wanted = BigDecimal::from_str(&text).unwrap();
            match parse(text.as_bytes(), scale) {
                Some(number) => prop_assert_eq!(BigDecimal::new(number.into(), scale.into()), wanted),
                None => {
                    let scaled = wanted.with_scale(scale.into());
                    let limit = BigDecimal::new(LIMIT.into(), scale.into());
                    // A number that cannot be multiplied out has no room either.
                    let is_wide = wanted.digits() > 20;
                    prop_assert!(scaled != wanted || wanted.abs() >= limit || is_wide, "{} fits", text);
                }
            }
        }
    }
}
