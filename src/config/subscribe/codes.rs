//! Whether a text can be a code or a pattern. Pure.

use crate::upbit::codes::is_code;

/// Why a text is no code; checked here because the exchange answers with silence.
pub(super) fn problem(code: &str) -> Option<String> {
    let meant = code.strip_prefix('!').unwrap_or(code);
    if meant.contains(['*', '?']) {
        return pattern_problem(meant);
    }
    if meant != code {
        return problem(meant);
    }
    if let Some((code, count)) = code.rsplit_once('.').filter(|(_, count)| count.parse::<u8>().is_ok()) {
        return Some(format!("has the count in it: write codes = [\"{code}\"] and count = {count}"));
    }
    let upper = code.to_ascii_uppercase();
    if !is_code(&upper) {
        return Some("is no market code: write currency and asset, such as KRW-BTC".into());
    }
    (upper != code).then(|| format!("is not upper case, and the exchange answers that with silence: write `{upper}`"))
}

/// Why a pattern can match no code.
fn pattern_problem(pattern: &str) -> Option<String> {
    let upper = pattern.to_ascii_uppercase();
    if upper != pattern {
        return Some(format!("is not upper case and matches no code: write `{upper}`"));
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"*?-".contains(&byte);
    (pattern.len() > 65 || !pattern.bytes().all(fits))
        .then(|| "is no pattern: write currency and asset with * for any characters, such as KRW-*".into())
}

#[cfg(test)]
mod tests {
    #[test]
    fn codes_that_would_be_met_with_silence_are_refused() {
        for (code, problem) in [
            ("krw-btc", "write `KRW-BTC`"),
            ("krw-*", "write `KRW-*`"),
            ("KRW-[AB]*", "is no pattern"),
            ("KRW-BTC.15", "count = 15"),
            ("BTC", "is no market code"),
            ("KRW-", "is no market code"),
            ("KRW-BTC-X", "is no market code"),
            ("", "is no market code"),
            ("KRW-../../x", "is no market code"),
        ] {
            let text = super::problem(code).unwrap();
            assert!(text.contains(problem), "{code}: {text}");
        }
    }
}
