//! Untrusted text made safe to show: one line, bounded, without characters that move a cursor, change the direction of
//! writing or are invisible. Pure; no other file defines which characters are hidden.
//!
//! ```text
//! received or read ──line──▶ cause, name, reason ──▶ event, status        cut by the caller, which knows the length
//!                                     └──▶ log, standard output, standard error: Writer, a second barrier
//! ```
//!
//! Such characters are escaped, `\u202e`, and not dropped: two texts that differ do not look alike. The escapes are
//! those of TOML and JSON, so that text printed in either format can be parsed. Data on disk is never changed.

use std::fmt::Write as _;
use std::io;

/// Characters of a name: a code, a type, an error's name.
pub const NAME: usize = 80;

/// Characters of a cause or a reason: some sentences.
pub const SENTENCE: usize = 400;

/// `text` in one printable line of at most `most` characters, the last of which is `…` where something was cut off.
pub fn line(text: &str, most: usize) -> String {
    let mut shown = String::new();
    let mut length = 0;
    // Where to cut if the text turns out too long.
    let mut cut = 0;
    for char in text.chars() {
        let before = shown.len();
        push(&mut shown, char, Escapes::Toml);
        length += shown[before..].chars().count();
        if length > most {
            shown.truncate(cut);
            shown.push('…');
            return shown;
        }
        if length < most {
            cut = shown.len();
        }
    }
    shown
}

/// The same without a bound, for lists of many things.
pub fn whole(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    text.chars().for_each(|char| push(&mut shown, char, Escapes::Toml));
    shown
}

/// How characters beyond U+FFFF are escaped; all others are the same in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escapes {
    /// `\U000e0041`.
    Toml,
    /// `\udb40\udc41`.
    Json,
}

fn push(shown: &mut String, char: char, escapes: Escapes) {
    // Writing to a string cannot fail.
    let _ = match char {
        '\n' => shown.write_str("\\n"),
        '\r' => shown.write_str("\\r"),
        '\t' => shown.write_str("\\t"),
        char if !is_hidden(char) => shown.write_char(char),
        char if char <= '\u{ffff}' => write!(shown, "\\u{:04x}", u32::from(char)),
        char if escapes == Escapes::Toml => write!(shown, "\\U{:08x}", u32::from(char)),
        char => {
            let mut units = [0; 2];
            char.encode_utf16(&mut units).iter().try_for_each(|unit| write!(shown, "\\u{unit:04x}"))
        }
    };
}

/// Escapes everything but line feeds, which are the program's own. One write must not end within a character, which is
/// true of formatted text.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    escapes: Escapes,
    /// The log's colour sequences pass.
    has_colours: bool,
    /// One write is one line: a line feed before its end is escaped.
    is_line: bool,
}

impl<W: io::Write> Writer<W> {
    /// Writes into `out` for people.
    pub fn new(out: W) -> Self {
        Self { out, escapes: Escapes::Toml, has_colours: false, is_line: false }
    }

    /// Escapes as JSON wants it.
    pub fn json(self) -> Self {
        Self { escapes: Escapes::Json, ..self }
    }

    /// Takes one line at a time.
    pub fn by_line(self) -> Self {
        Self { is_line: true, ..self }
    }

    /// Lets the sequences through that the log is coloured with.
    pub fn coloured(self, has_colours: bool) -> Self {
        Self { has_colours, ..self }
    }
}

impl<W: io::Write> io::Write for Writer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (text, end) = match bytes.strip_suffix(b"\n") {
            Some(text) if self.is_line => (text, &b"\n"[..]),
            _ => (bytes, &b""[..]),
        };
        let text = String::from_utf8_lossy(text);
        let mut shown = String::with_capacity(bytes.len());
        for (at, char) in text.char_indices() {
            let is_ours = match char {
                '\n' => !self.is_line,
                '\u{1b}' => self.has_colours && is_colour(&text[at..]),
                char => !is_hidden(char),
            };
            if is_ours { shown.push(char) } else { push(&mut shown, char, self.escapes) }
        }
        self.out.write_all(&[shown.as_bytes(), end].concat())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Whether a text begins with one of the sequences that the log is coloured with. The log's own library lets others
/// through that stand in a field.
fn is_colour(text: &str) -> bool {
    let ours = ["0", "1", "2", "3", "31", "32", "33", "34", "35"];
    let sequence = text.strip_prefix("\u{1b}[").and_then(|text| text.split_once('m'));
    sequence.is_some_and(|(number, _)| ours.contains(&number))
}

/// Control characters, line and paragraph separators, interlinear annotations, and Unicode's
/// `Default_Ignorable_Code_Point`: zero width, directions, tags, variation selectors, fillers.
pub fn is_hidden(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use figment::providers::{Format, Toml};
    use figment::value::Dict;
    use proptest::prelude::*;
    use std::io::Write;

    fn written(text: &str, make: impl FnOnce(Writer<Vec<u8>>) -> Writer<Vec<u8>>) -> String {
        let mut writer = make(Writer::new(Vec::new()));
        writer.write_all(text.as_bytes()).unwrap();
        String::from_utf8(writer.out).unwrap()
    }

    #[test]
    fn what_is_hidden_is_written_out() {
        for (text, shown) in [
            ("KRW-BTC 비트코인", "KRW-BTC 비트코인"),
            ("a\r\nb\tc", r"a\r\nb\tc"),
            ("\u{1b}[2J\u{9b}2J\u{7f}", r"\u001b[2J\u009b2J\u007f"),
            ("abc\u{202e}cba\u{2066}", r"abc\u202ecba\u2066"),
            ("a\u{2028}b\u{2029}c\u{85}", r"a\u2028b\u2029c\u0085"),
            ("K\u{200b}R\u{feff}W\u{2060}\u{ad}", r"K\u200bR\ufeffW\u2060\u00ad"),
            ("\u{e0041}\u{fe0f}\u{3164}", r"\U000e0041\ufe0f\u3164"),
        ] {
            assert_eq!((line(text, SENTENCE), whole(text)), (shown.to_owned(), shown.to_owned()));
            assert_eq!(written(text, |writer| writer), shown.replace(r"\n", "\n"));
        }
    }

    #[test]
    fn what_is_long_is_cut_and_says_so() {
        assert_eq!(line("12345", 5), "12345");
        assert_eq!(line("123456", 5), "1234…");
        assert_eq!(line("가나다라마바", 5), "가나다라…");
        // No half of an escape is left.
        assert_eq!(line("123\n567", 5), "123…");
        assert_eq!((line("", 5), line("ab", 1)), (String::new(), "…".to_owned()));
    }

    #[test]
    fn colours_are_the_writers_own() {
        let coloured = |text| written(text, |writer| writer.coloured(true));
        assert_eq!(coloured("\u{1b}[31mred\u{202e}\u{1b}[0m\n"), "\u{1b}[31mred\\u202e\u{1b}[0m\n");
        assert_eq!(coloured("\u{1b}[2J\u{1b}[8mhidden\u{1b}"), r"\u001b[2J\u001b[8mhidden\u001b");
    }

    #[test]
    fn only_the_program_ends_a_line() {
        let by_line = |text| written(text, Writer::by_line);
        assert_eq!(by_line("cause=a\nERROR forged\r\n"), "cause=a\\nERROR forged\\r\n");
        assert_eq!((by_line("plain\n"), by_line("no end")), ("plain\n".to_owned(), "no end".to_owned()));
    }

    proptest! {
        #[test]
        fn any_text_becomes_one_bounded_printable_line(text in "\\PC{0,20}[\\x00-\\x1f\u{200b}-\u{202e}]{0,9}.{0,40}", most in 1_usize..60) {
            let shown = line(&text, most);
            prop_assert!(shown.chars().count() <= most && !shown.contains(is_hidden), "{:?}", shown);
            prop_assert!(!whole(&text).contains(is_hidden));
        }

        #[test]
        fn json_and_toml_stay_what_they_mean(text: String) {
            let json = serde_json::to_string(&text).unwrap();
            let shown = written(&json, Writer::json);
            prop_assert!(!shown.contains(is_hidden), "{:?}", shown);
            prop_assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text.clone());
            let shown = format!("text = {}", written(&json, |writer| writer));
            let read = Toml::from_str::<Dict>(&shown).unwrap();
            prop_assert_eq!(read["text"].as_str(), Some(&*text));
        }
    }
}
