//! Periods of candles that the exchange does not stream, or under another name. Pure.

use crate::upbit::types::PUBLIC_TYPES;

/// The hint for a period of candles that is not streamed, or under another name.
pub(super) fn hint(kind: &str) -> Option<String> {
    let rest = kind
        .get(.."candle".len())
        .filter(|begin| begin.eq_ignore_ascii_case("candle"))
        .map(|begin| &kind[begin.len()..])?;
    let period = rest.trim_start_matches(['s', 'S']).trim_start_matches(|char: char| !char.is_ascii_alphanumeric());
    let unit = period.trim_start_matches(|char: char| char.is_ascii_digit());
    let count: u32 = period[..period.len() - unit.len()].parse().unwrap_or(1);
    let history = "is no stream of the exchange: candles of days, weeks, months and years are fetched by \
                   `upbit-recorder backfill --unit`, 1day, 1week, 1month or 1year";
    match unit.to_ascii_lowercase().trim_end_matches('s') {
        "m" if unit == "M" => Some(format!("{history}; minutes are written with a small m, such as candle.1m")),
        "d" | "day" | "w" | "week" | "mo" | "mon" | "month" | "y" | "year" => Some(history.to_owned()),
        "h" | "hour" => {
            let minutes = format!("candle.{}m", count.saturating_mul(60));
            PUBLIC_TYPES
                .contains(&minutes.as_str())
                .then(|| format!("is no type of the exchange; did you mean `{minutes}`?"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candles_that_are_not_streamed_are_pointed_to_where_they_are() {
        for kind in ["candle.1d", "candle.1w", "candle.day", "candles.days", "candle.1month", "candle.1y", "Candle.1D"]
        {
            let problem = hint(kind).unwrap();
            assert!(problem.contains("backfill --unit") && !problem.contains("did you mean"), "{problem}");
        }
        assert!(hint("candle.1M").unwrap().contains("such as candle.1m"));
        assert!(hint("candle.1h").unwrap().contains("did you mean `candle.60m`?"));
        assert!(hint("candle.4hours").unwrap().contains("did you mean `candle.240m`?"));
        for kind in ["candle.2h", "candles.1m", "candle.", "캔들", "trade", ""] {
            assert_eq!(hint(kind), None, "{kind}");
        }
    }
}
