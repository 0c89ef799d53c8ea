//! The one number of a ticker that is read: the volume traded so far.

/// `acc_trade_volume` (`atv`) of a ticker object, only good for comparing; `None` where there is none.
///
/// Found as text: the object was understood as JSON before, and a second parse would double the cost of every ticker.
/// The text in quotes could also be a value or belong to a nested object; no ticker has such, and a wrong number would
/// at worst cause one superfluous LIST_SUBSCRIPTIONS.
pub fn acc_trade_volume(object: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(object).ok()?;
    value_of(text, r#""acc_trade_volume""#).or_else(|| value_of(text, r#""atv""#))
}

fn value_of(text: &str, key: &str) -> Option<f64> {
    let behind = &text[text.find(key)? + key.len()..];
    let value = behind.trim_start().strip_prefix(':')?.trim_start();
    let end = value.find(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E')).unwrap_or(value.len());
    value[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_volume_is_found_in_every_spelling() {
        let of = |object: &str| acc_trade_volume(object.as_bytes());
        let ticker = r#"{"type":"ticker","acc_trade_volume_24h":9.5,"acc_trade_volume":1386929.37231066771348207123}"#;
        assert_eq!(of(ticker), Some(1_386_929.372_310_667_7));
        assert_eq!(of(r#"{"ty":"ticker","atv24h":2,"atv" : 1.16539E8,"x":1}"#), Some(116_539_000.0));
        assert_eq!(of(r#"{"atv":null}"#), None);
        assert_eq!(of(r#"{"type":"ticker"}"#), None);
    }
}
