//! What may be shown of text that strangers wrote: one line, without what moves a cursor, turns the direction of writing
//! or cannot be seen, cut where it is long. Pure.
//!
//! ```text
//! "KRW-BTC\u{202e}\n" ──line──▶ KRW-BTC\u{202e}\n        each such character as Rust would write it
//! ```
//!
//! Escaped and not dropped, so that two different texts do not look alike. What stands on disk is never changed.

use std::fmt;

/// Characters of a name: a code, a type, an error's name.
pub const NAME: usize = 80;

/// Characters of a sentence: a reason, a message.
pub const SENTENCE: usize = 200;

/// `text` in one printable line of at most `most` characters, the last of which is `…` where something was cut off.
pub fn line(text: &str, most: usize) -> String {
    let mut shown = String::new();
    let mut length = 0;
    // The byte behind which nothing may stand if there is more to come.
    let mut cut = 0;
    for char in text.chars() {
        let escaped = is_hidden(char).then(|| char.escape_default());
        length += escaped.as_ref().map_or(1, |escaped| escaped.len());
        if length > most {
            shown.truncate(cut);
            shown.push('…');
            return shown;
        }
        match escaped {
            Some(escaped) => shown.extend(escaped),
            None => shown.push(char),
        }
        if length < most {
            cut = shown.len();
        }
    }
    shown
}

/// The same for text of any length, as it is written: for what is long because it lists many things.
pub struct Whole<T>(pub T);

impl<T: fmt::Display> fmt::Display for Whole<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive(is_hidden) {
            let last = part.chars().next_back().filter(|&char| is_hidden(char));
            let plain = &part[..part.len() - last.map_or(0, char::len_utf8)];
            self.0.write_str(plain)?;
            if let Some(char) = last {
                write!(self.0, "{}", char.escape_default())?;
            }
        }
        Ok(())
    }
}

/// Control characters, line and paragraph separators, interlinear annotations, and what Unicode calls
/// `Default_Ignorable_Code_Point`: zero width, directions, tags, variation selectors, fillers.
pub fn is_hidden(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_hidden_is_written_out() {
        for (text, shown) in [
            ("KRW-BTC 비트코인", "KRW-BTC 비트코인"),
            ("a\r\nb\tc", r"a\r\nb\tc"),
            ("\u{1b}[2J\u{9b}2J\u{7f}", r"\u{1b}[2J\u{9b}2J\u{7f}"),
            ("abc\u{202e}cba\u{2066}", r"abc\u{202e}cba\u{2066}"),
            ("a\u{2028}b\u{2029}c\u{85}", r"a\u{2028}b\u{2029}c\u{85}"),
            ("K\u{200b}R\u{feff}W\u{2060}\u{ad}", r"K\u{200b}R\u{feff}W\u{2060}\u{ad}"),
            ("\u{e0041}\u{fe0f}\u{3164}", r"\u{e0041}\u{fe0f}\u{3164}"),
        ] {
            assert_eq!(line(text, SENTENCE), shown);
            assert_eq!(Whole(text).to_string(), shown);
        }
    }

    #[test]
    fn what_is_long_is_cut_and_says_so() {
        assert_eq!(line("12345", 5), "12345");
        assert_eq!(line("123456", 5), "1234…");
        assert_eq!(line("가나다라마바", 5), "가나다라…");
        // No half of an escape is left.
        assert_eq!(line("123\n567", 5), "123…");
        assert_eq!(line("", 5), "");
        assert_eq!(line("ab", 1), "…");
    }

    proptest! {
        #[test]
        fn any_text_becomes_one_bounded_printable_line(text in "\\PC{0,20}[\\x00-\\x1f\u{200b}-\u{202e}]{0,9}.{0,40}", most in 1_usize..60) {
            let shown = line(&text, most);
            prop_assert!(shown.chars().count() <= most && !shown.contains(is_hidden), "{:?}", shown);
            prop_assert!(!Whole(&text).to_string().contains(is_hidden));
        }
    }
}
