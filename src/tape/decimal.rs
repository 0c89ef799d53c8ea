//! Decimals of a certificate: text, since most readers take JSON numbers for floats. Pure.

use bigdecimal::BigDecimal;
use serde::{Deserialize, Deserializer, Serializer};

/// As it is shown: all digits, no trailing zeros, no power of ten.
pub fn shown(number: &BigDecimal) -> String {
    number.normalized().to_plain_string()
}

/// Writes a number as text.
pub(super) fn serialize<S: Serializer>(number: &BigDecimal, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&shown(number))
}

/// Reads it back.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BigDecimal, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}
