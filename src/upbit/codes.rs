//! Codes and patterns resolved to pairs. Pure.
//!
//! ```text
//! ["KRW-*", "!KRW-DOGE", "BTC-ETH"]  +  the pairs that there are  ──▶  KRW-BTC KRW-ETH … BTC-ETH
//! ```
//!
//! `*` matches any characters, `?` one, and a pattern behind `!` excludes its matches, wherever it stands in the list.
//! A plain code is selected whether the exchange lists it or not.

use std::collections::BTreeSet;

/// The longest currency or asset of a code: three times the longest that the exchange lists.
const LONGEST_PART: usize = 32;

/// Whether `text` is a market code that can be subscribed: `KRW-BTC`. The exchange answers anything else with silence.
pub fn is_code(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    let is_part = |part: &str| (1..=LONGEST_PART).contains(&part.len()) && part.bytes().all(fits);
    text.split_once('-').is_some_and(|(currency, asset)| is_part(currency) && is_part(asset))
}

/// Whether `code` is a pattern and needs the list of pairs to be understood.
pub fn is_pattern(code: &str) -> bool {
    code.starts_with('!') || code.contains(['*', '?'])
}

/// The codes that `wanted` selects, each once; the matches of a pattern are in the order of `listed`.
pub fn select(wanted: &[String], listed: &[String]) -> Vec<String> {
    let excluded = Set::excluded(wanted);
    let included = wanted.iter().filter(|text| !text.starts_with('!'));
    let found = included.flat_map(|text| -> Vec<&String> {
        if is_pattern(text) { listed.iter().filter(|code| matches(text, code)).collect() } else { vec![text] }
    });
    let mut seen = BTreeSet::new();
    found.filter(|code| seen.insert(code.as_str()) && !excluded.holds(code)).cloned().collect()
}

/// Codes and patterns, compiled to be matched with many codes: plain codes are in a set.
#[derive(Debug)]
pub struct Meaning {
    included: Set,
    excluded: Set,
}

impl Meaning {
    /// Compiles `wanted`.
    pub fn of(wanted: &[String]) -> Self {
        let included = wanted.iter().filter(|text| !text.starts_with('!'));
        Self { included: Set::of(included.map(String::as_str)), excluded: Set::excluded(wanted) }
    }

    /// Whether `code` is selected, where it is listed.
    pub fn holds(&self, code: &str) -> bool {
        self.included.holds(code) && !self.excluded.holds(code)
    }
}

/// Codes, and patterns for others.
#[derive(Debug)]
struct Set {
    codes: BTreeSet<String>,
    patterns: BTreeSet<String>,
}

impl Set {
    fn of<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let (patterns, codes) = texts.map(str::to_owned).partition(|text| is_pattern(text));
        Self { codes, patterns }
    }

    fn excluded(wanted: &[String]) -> Self {
        Self::of(wanted.iter().filter_map(|text| text.strip_prefix('!')))
    }

    fn holds(&self, code: &str) -> bool {
        self.codes.contains(code) || self.patterns.iter().any(|pattern| matches(pattern, code))
    }
}

/// The codes of `wanted` that are not listed; patterns are none.
pub fn unlisted<'a>(wanted: impl Iterator<Item = &'a String>, listed: &[String]) -> BTreeSet<&'a str> {
    let listed: BTreeSet<&str> = listed.iter().map(String::as_str).collect();
    wanted.map(String::as_str).filter(|code| !is_pattern(code) && !listed.contains(code)).collect()
}

/// Whether a pattern matches all of `text`. Goes back to the last `*` only, which is enough.
fn matches(pattern: &str, text: &str) -> bool {
    let [pattern, text] = [pattern, text].map(str::as_bytes);
    let [mut p, mut t] = [0; 2];
    // The offset of the last `*`, and the offset in the text where the rest of the pattern was last tried.
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
    fn patterns_add_exclusions_remove_and_codes_are_themselves() {
        let listed = texts(&["KRW-BTC", "BTC-ETH", "KRW-DOGE", "KRW-ETH", "USDT-BTC"]);
        let select = |wanted: &[&str]| select(&texts(wanted), &listed).join(" ");
        assert_eq!(select(&["KRW-*", "!KRW-DOGE", "BTC-ETH"]), "KRW-BTC KRW-ETH BTC-ETH");
        assert_eq!(select(&["!KRW-D*", "KRW-ETH", "KRW-*"]), "KRW-ETH KRW-BTC");
        assert_eq!(select(&["*-BTC"]), "KRW-BTC USDT-BTC");
        assert_eq!(select(&["KRW-?TH", "KRW-NEW"]), "KRW-ETH KRW-NEW");
        assert_eq!(select(&["XYZ-*"]), "");
    }

    #[test]
    fn a_code_is_meant_where_it_would_be_selected() {
        let listed = texts(&["KRW-BTC", "BTC-ETH", "KRW-DOGE", "USDT-BTC"]);
        for wanted in [texts(&["KRW-*", "!KRW-DOGE", "BTC-ETH"]), texts(&["*-BTC", "!USDT-*"]), texts(&["!KRW-*"])] {
            let selected = select(&wanted, &listed);
            for code in &listed {
                assert_eq!(Meaning::of(&wanted).holds(code), selected.contains(code), "{wanted:?} {code}");
            }
        }
    }

    #[test]
    fn codes_are_two_parts_of_capitals_and_digits() {
        for code in ["KRW-BTC", "USDT-1INCH", "BTC-0X"] {
            assert!(is_code(code), "{code}");
        }
        let long = "X".repeat(33);
        for text in
            ["", "KRW-", "-BTC", "KRW", "KRW-wBTC", "KRW-A_B", "../x", "KRW-BTC-X", "KRW-BTC ", "KRW-가", "KRW-*"]
        {
            assert!(!is_code(text), "{text}");
        }
        assert!(!is_code(&format!("KRW-{long}")) && is_code(&format!("KRW-{}", &long[1..])));
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
