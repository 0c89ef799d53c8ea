//! Which pairs are meant by codes and patterns. Pure.
//!
//! ```text
//! ["KRW-*", "!KRW-DOGE", "BTC-ETH"]  +  the pairs that there are  ──▶  KRW-BTC KRW-ETH … BTC-ETH
//! ```
//!
//! `*` stands for any characters, `?` for one, and what a pattern behind `!` matches is left out, wherever it stands in
//! the list. A plain code means itself, whether the exchange lists it or not.

use std::collections::BTreeSet;

/// Whether `code` is a pattern and needs the list of pairs to be understood.
pub fn is_pattern(code: &str) -> bool {
    code.starts_with('!') || code.contains(['*', '?'])
}

/// The codes meant by `wanted`, each once: those that patterns match in the order of `listed`, where the pattern stands.
pub fn select(wanted: &[String], listed: &[String]) -> Vec<String> {
    let excluded = |code: &str| wanted.iter().filter_map(|text| text.strip_prefix('!')).any(|text| matches(text, code));
    let included = wanted.iter().filter(|text| !text.starts_with('!'));
    let found = included.flat_map(|text| -> Vec<&String> {
        if is_pattern(text) { listed.iter().filter(|code| matches(text, code)).collect() } else { vec![text] }
    });
    let mut seen = BTreeSet::new();
    found.filter(|code| !excluded(code) && seen.insert(code.as_str())).cloned().collect()
}

/// The codes of `wanted` that are not listed; patterns are none.
pub fn unlisted<'a>(wanted: impl Iterator<Item = &'a String>, listed: &[String]) -> BTreeSet<&'a str> {
    let listed: BTreeSet<&str> = listed.iter().map(String::as_str).collect();
    wanted.map(String::as_str).filter(|code| !is_pattern(code) && !listed.contains(code)).collect()
}

/// Whether a pattern matches all of `text`. Goes back to the last `*` only, which is enough.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where the last `*` is, and where what follows it was last tried.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[t] => (p, t) = (p + 1, t + 1),
            _ => {
                let Some((at, tried)) = star else { return false };
                star = Some((at, tried + 1));
                (p, t) = (at + 1, tried + 1);
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(codes: &[&str]) -> Vec<String> {
        codes.iter().map(|&code| code.to_owned()).collect()
    }

    #[test]
    fn patterns_add_exclusions_take_away_and_codes_stand_for_themselves() {
        let listed = texts(&["KRW-BTC", "BTC-ETH", "KRW-DOGE", "KRW-ETH", "USDT-BTC"]);
        let select = |wanted: &[&str]| select(&texts(wanted), &listed).join(" ");
        assert_eq!(select(&["KRW-*", "!KRW-DOGE", "BTC-ETH"]), "KRW-BTC KRW-ETH BTC-ETH");
        assert_eq!(select(&["!KRW-D*", "KRW-ETH", "KRW-*"]), "KRW-ETH KRW-BTC");
        assert_eq!(select(&["*-BTC"]), "KRW-BTC USDT-BTC");
        assert_eq!(select(&["KRW-?TH", "KRW-NEW"]), "KRW-ETH KRW-NEW");
        assert_eq!(select(&["XYZ-*"]), "");
    }

    #[test]
    fn codes_that_are_not_listed_are_found() {
        let wanted = texts(&["KRW-BTC", "KRW-NOPE", "KRW-*"]);
        assert_eq!(unlisted(wanted.iter(), &texts(&["KRW-BTC"])), BTreeSet::from(["KRW-NOPE"]));
    }

    proptest! {
        #[test]
        fn a_pattern_matches_what_it_was_made_from(text in "[A-Z-]{0,12}", cuts in prop::collection::vec((0..13usize, any::<bool>()), 0..4)) {
            let mut pattern: Vec<char> = text.chars().collect();
            for (at, whole) in cuts {
                let at = at.min(pattern.len());
                if whole {
                    pattern.splice(at.., ['*']);
                } else if at < pattern.len() && pattern[at] != '*' {
                    pattern[at] = '?';
                }
            }
            let pattern: String = pattern.into_iter().collect();
            prop_assert!(matches(&pattern, &text), "{pattern} {text}");
            prop_assert_eq!(matches(&text, &format!("{text}X")), false);
        }
    }
}
