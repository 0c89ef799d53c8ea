//! The exchange's number formats.
//!
//! ```text
//!  Plain       116606000          0.0009955
//!  Point       127.0              0.0009955
//!  Padded      100473000.00000000 0.00077720
//!  Double      1.16539E8          5.0E-4       as Java prints a double
//!  Decimal     127                6E-8         as Java prints a BigDecimal without trailing zeros
//! ```
//!
//! Every number is an integer count of 10^-scale, so formatting never rounds. Rounding before
//! formatting is here, too: to eight decimals, or to a double's precision.

/// A way to print a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// No trailing zeros, no exponent.
    Plain,
    /// As plain, but always with a decimal point.
    Point,
    /// All decimals of the scale.
    Padded,
    /// At least one decimal; an exponent from 10^7 on and below 10^-3.
    Double,
    /// No trailing zeros; an exponent below 10^-6.
    Decimal,
}

/// Appends `units` × 10^-`scale`.
pub(crate) fn spell(out: &mut String, units: u128, scale: usize, spelling: Spelling) {
    let mut buffer = [b'0'; 40];
    let digits = digits_of(units, &mut buffer);
    if spelling == Spelling::Padded {
        return plain(out, digits, scale);
    }
    let kept = digits.trim_end_matches('0');
    let (digits, zeros) = if kept.is_empty() { ("0", scale) } else { (kept, digits.len() - kept.len()) };
    // The value is `digits` × 10^-`scale`, where the scale may now be negative.
    let scale = scale as isize - zeros as isize;
    let magnitude = digits.len() as isize - scale - 1;
    let is_zero = digits == "0";
    match spelling {
        Spelling::Double if !is_zero && !(-3..7).contains(&magnitude) => exponent(out, digits, magnitude, true),
        Spelling::Decimal if !is_zero && magnitude < -6 => exponent(out, digits, magnitude, false),
        _ => {
            grown(out, digits, scale);
            if scale <= 0 && matches!(spelling, Spelling::Point | Spelling::Double) {
                out.push_str(".0");
            }
        }
    }
}

/// Units of 10^-16 as the nearest of 10^-8: sums of price times volume are exact, and REST has eight decimals.
pub(crate) fn eight_decimals(units: u128) -> u128 {
    const RATIO: u128 = 100_000_000;
    (units + RATIO / 2) / RATIO
}

/// A number of units of 10^-8 as it comes back from a double: unchanged with up to 15 digits, with 16 or 17 of them above.
pub(crate) fn kept_by_a_double(units: u128) -> u128 {
    let mut text = String::new();
    spell(&mut text, units, 8, Spelling::Padded);
    let double: f64 = text.parse().expect("digits and a point are a number");
    // The shortest digits that name the double are no more than those that were read, so that eight decimals hold them.
    let shortest = double.to_string();
    let (whole, decimals) = shortest.split_once('.').unwrap_or((&shortest, ""));
    format!("{whole}{decimals:0<8}").parse().expect("digits are an integer")
}

/// Appends an integer.
pub(crate) fn integer(out: &mut String, value: u64) {
    let mut buffer = [b'0'; 40];
    out.push_str(digits_of(u128::from(value), &mut buffer));
}

/// The decimal digits of a number, right-aligned in the buffer; at least one.
fn digits_of(mut value: u128, buffer: &mut [u8; 40]) -> &str {
    let mut at = buffer.len();
    // Most numbers fit 64 bits, where division is several times faster.
    while value > u128::from(u64::MAX) {
        at -= 1;
        buffer[at] = b'0' + (value % 10) as u8;
        value /= 10;
    }
    let mut value = value as u64;
    loop {
        at -= 1;
        buffer[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    std::str::from_utf8(&buffer[at..]).expect("only digits were written")
}

/// `digits` with the decimal point `scale` places from the right, filled up with zeros.
fn plain(out: &mut String, digits: &str, scale: usize) {
    if scale == 0 {
        return out.push_str(digits);
    }
    match digits.len().checked_sub(scale) {
        None | Some(0) => {
            out.push_str("0.");
            (digits.len()..scale).for_each(|_| out.push('0'));
            out.push_str(digits);
        }
        Some(whole) => {
            out.push_str(&digits[..whole]);
            out.push('.');
            out.push_str(&digits[whole..]);
        }
    }
}

/// As [`plain`], for a scale that may be negative.
fn grown(out: &mut String, digits: &str, scale: isize) {
    match usize::try_from(scale) {
        Ok(scale) => plain(out, digits, scale),
        Err(_) if digits == "0" => out.push('0'),
        Err(_) => {
            out.push_str(digits);
            (scale..0).for_each(|_| out.push('0'));
        }
    }
}

/// Scientific notation: one digit, the fraction, and the power of ten.
fn exponent(out: &mut String, digits: &str, magnitude: isize, point: bool) {
    out.push_str(&digits[..1]);
    if digits.len() > 1 || point {
        out.push('.');
        out.push_str(if digits.len() > 1 { &digits[1..] } else { "0" });
    }
    out.push('E');
    if magnitude < 0 {
        out.push('-');
    }
    integer(out, magnitude.unsigned_abs() as u64);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelt(units: u128, scale: usize, spelling: Spelling) -> String {
        let mut out = String::new();
        spell(&mut out, units, scale, spelling);
        out
    }

    #[test]
    fn the_spellings_seen_on_the_wire() {
        let btc = 11_653_900_000_000_000;
        assert_eq!(spelt(btc, 8, Spelling::Double), "1.16539E8");
        assert_eq!(spelt(btc, 8, Spelling::Plain), "116539000");
        assert_eq!(spelt(btc, 8, Spelling::Point), "116539000.0");
        assert_eq!(spelt(btc, 8, Spelling::Padded), "116539000.00000000");
        assert_eq!(spelt(50_000, 8, Spelling::Double), "5.0E-4");
        assert_eq!(spelt(79_276, 8, Spelling::Double), "7.9276E-4");
        assert_eq!(spelt(77_720, 8, Spelling::Padded), "0.00077720");
        assert_eq!(spelt(6, 8, Spelling::Decimal), "6E-8");
        assert_eq!(spelt(113, 8, Spelling::Decimal), "0.00000113");
        assert_eq!(spelt(2_054_761, 8, Spelling::Double), "0.02054761");
        assert_eq!(spelt(8_607_435_307_100_000_000_000, 16, Spelling::Padded), "860743.5307100000000000");
    }

    #[test]
    fn sums_are_rounded_once_to_eight_decimals() {
        // A minute of 2021: 16.70 times 11533.89457699.
        assert_eq!(eight_decimals(1_670_000_000 * 1_153_389_457_699), 19_261_603_943_573);
        for (units, rounded) in [(49_999_999, 0), (50_000_000, 1), (100_000_000, 1), (149_999_999, 1)] {
            assert_eq!(eight_decimals(units), rounded, "{units}");
        }
    }

    #[test]
    fn a_double_keeps_fifteen_digits_and_rounds_the_rest() {
        // The last are 1,234,567,890,123.12345678 and days that were printed with fewer decimals by the exchange.
        for (units, kept) in [
            (0, "0.00000000"),
            (4_445_416_796_670_993, "44454167.96670993"),
            (999_999_999_999_999, "9999999.99999999"),
            (123_456_789_012_312_345_678, "1234567890123.12350000"),
            (16_336_798_516_301_437_000, "163367985163.01437000"),
            (9_890_365_932_647_980_000, "98903659326.47980000"),
        ] {
            assert_eq!(spelt(kept_by_a_double(units), 8, Spelling::Padded), kept);
        }
    }

    #[test]
    fn zero_and_whole_numbers() {
        for (spelling, zero, ten) in [
            (Spelling::Plain, "0", "10"),
            (Spelling::Point, "0.0", "10.0"),
            (Spelling::Padded, "0.00", "10.00"),
            (Spelling::Double, "0.0", "10.0"),
            (Spelling::Decimal, "0", "10"),
        ] {
            assert_eq!(spelt(0, 2, spelling), zero);
            assert_eq!(spelt(1_000, 2, spelling), ten);
        }
    }

    #[test]
    fn every_spelling_has_the_same_value() {
        for units in [1, 12, 999_999, 100_000_000, 123_456_789, 10_000_000_000_000_000, 98_765_432_109_876_543] {
            for spelling in [Spelling::Plain, Spelling::Point, Spelling::Padded, Spelling::Double, Spelling::Decimal] {
                let text = spelt(units, 8, spelling);
                let value: f64 = text.parse().unwrap();
                let expected = units as f64 / 1e8;
                assert!((value - expected).abs() <= expected * 1e-15, "{text} for {units}");
            }
        }
    }
}
