//! The text of an object taken apart: its keys, and the text of each value. Strict, and without a copy. Pure.
//!
//! ```text
//! {"trade_price":1.16539E8,"units":[{"ap":1}, …]}  ──▶  trade_price 1.16539E8, units [{"ap":1}, …]
//! ```
//!
//! serde_json does the same with every value parsed and allocated. Here a value is understood where a column needs it, and
//! what lists and objects hold is checked by whoever takes them apart.

use serde::de::IgnoredAny;
use std::borrow::Cow;

/// A key, and the text of its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field<'a> {
    pub(super) key: Cow<'a, str>,
    pub(super) value: &'a str,
}

/// The fields of an object.
#[derive(Debug)]
pub(super) struct Fields<'a>(Cursor<'a>);

/// The elements of a list.
#[derive(Debug)]
pub(super) struct Elements<'a>(Cursor<'a>);

/// It is no JSON.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

#[derive(Debug)]
struct Cursor<'a> {
    text: &'a str,
    at: usize,
    is_begun: bool,
    is_over: bool,
}

impl<'a> Fields<'a> {
    /// Those of a text that is an object, and nothing else.
    pub(super) fn of(text: &'a str) -> Self {
        Self(Cursor::new(text))
    }

    fn read(&mut self) -> Result<Option<Field<'a>>, Malformed> {
        if !self.0.advance(b'{', b'}')? {
            return Ok(None);
        }
        let quoted = self.0.value()?;
        let key = text_of(quoted).ok_or(Malformed)?;
        self.0.expect(b':')?;
        Ok(Some(Field { key, value: self.0.value()? }))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

impl<'a> Elements<'a> {
    /// Those of a text that is a list, and nothing else.
    pub(super) fn of(text: &'a str) -> Self {
        Self(Cursor::new(text))
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<&'a str, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.0.advance(b'[', b']') {
            Ok(false) => None,
            Ok(true) => Some(self.0.value()),
            Err(malformed) => Some(Err(malformed)),
        }
    }
}

/// The text that a JSON string is; `None`: it is no string.
pub(super) fn text_of(value: &str) -> Option<Cow<'_, str>> {
    let inner = value.strip_prefix('"')?.strip_suffix('"')?;
    match memchr::memchr(b'\\', inner.as_bytes()) {
        None => Some(Cow::Borrowed(inner)),
        Some(_) => serde_json::from_str(value).ok().map(Cow::Owned),
    }
}

/// Whether a value is JSON to its last brace.
pub(super) fn is_whole(value: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(value).is_ok()
}

impl<'a> Cursor<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0, is_begun: false, is_over: false }
    }

    /// To the next part; `false`: there is none, and nothing behind the end.
    fn advance(&mut self, open: u8, close: u8) -> Result<bool, Malformed> {
        if self.is_over {
            return Ok(false);
        }
        if !self.is_begun {
            self.is_begun = true;
            self.expect(open)?;
            if self.peek() != Some(close) {
                return Ok(true);
            }
        } else if self.peek() == Some(b',') {
            self.at += 1;
            return Ok(true);
        }
        self.expect(close)?;
        self.is_over = true;
        if self.peek().is_none() { Ok(false) } else { Err(Malformed) }
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = bytes.get(self.at) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.peek() != Some(byte) {
            self.is_over = true;
            return Err(Malformed);
        }
        self.at += 1;
        Ok(())
    }

    /// The text of the value that comes next.
    fn value(&mut self) -> Result<&'a str, Malformed> {
        let first = self.peek();
        let rest = &self.text[self.at..];
        let length = match first {
            Some(b'"') => string(rest.as_bytes()),
            Some(b'{' | b'[') => nested(rest.as_bytes()),
            Some(b'-' | b'0'..=b'9') => number(rest.as_bytes()),
            _ => ["null", "true", "false"].into_iter().find(|word| rest.starts_with(word)).map(str::len),
        };
        let Some(length) = length else {
            self.is_over = true;
            return Err(Malformed);
        };
        self.at += length;
        Ok(&rest[..length])
    }
}

/// The length of a string, its quotes included.
fn string(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match *text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            0..0x20 => return None,
            _ => at += 1,
        }
    }
}

/// The length of a list or an object, by its brackets.
fn nested(text: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (0, 0_usize);
    loop {
        // Most bytes are of numbers and names.
        at += text[at..].iter().position(|byte| IS_MARK[usize::from(*byte)])?;
        match text[at] {
            b'"' => at += string(&text[at..])? - 1,
            b'{' | b'[' => depth += 1,
            _ => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
        }
        at += 1;
    }
}

/// The bytes that brackets are found by: they themselves, and quotes.
const IS_MARK: [bool; 256] = {
    let mut is_mark = [false; 256];
    is_mark[b'"' as usize] = true;
    is_mark[b'{' as usize] = true;
    is_mark[b'}' as usize] = true;
    is_mark[b'[' as usize] = true;
    is_mark[b']' as usize] = true;
    is_mark
};

/// The length of a number.
fn number(text: &[u8]) -> Option<usize> {
    let digits = |at: usize| text[at..].iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len() - at);
    let mut at = usize::from(text[0] == b'-');
    let whole = digits(at);
    if whole == 0 || (whole > 1 && text[at] == b'0') {
        return None;
    }
    at += whole;
    if text.get(at) == Some(&b'.') {
        let decimals = digits(at + 1);
        if decimals == 0 {
            return None;
        }
        at += 1 + decimals;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        at += 1 + usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        let power = if at < text.len() { digits(at) } else { 0 };
        if power == 0 {
            return None;
        }
        at += power;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn fields(text: &str) -> Option<Vec<(String, String)>> {
        let fields = Fields::of(text).map(|field| field.map(|field| (field.key.into_owned(), field.value.to_owned())));
        fields.collect::<Result<_, _>>().ok()
    }

    /// Whether it is an object whose values are whole.
    fn is_object(text: &str) -> bool {
        fields(text).is_some_and(|fields| fields.iter().all(|(_, value)| is_whole(value)))
    }

    #[test]
    fn keys_and_values_are_found_as_they_stand() {
        let text = r#" {"a" : 1.16539E8 ,"b\"":"x\u0041,}", "c":[{"d":"]"},[]],"e":null,"f":-0.0} "#;
        let wanted =
            [("a", "1.16539E8"), ("b\"", r#""x\u0041,}""#), ("c", r#"[{"d":"]"},[]]"#), ("e", "null"), ("f", "-0.0")];
        assert_eq!(fields(text).unwrap(), wanted.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert_eq!(fields("{}"), Some(Vec::new()));
        let list: Vec<_> = Elements::of(r#"[{"a":1}, 2 ,"x"]"#).collect();
        assert_eq!(list, [Ok(r#"{"a":1}"#), Ok("2"), Ok("\"x\"")]);
        assert_eq!(text_of(r#""x\u0041""#).as_deref(), Some("xA"));
    }

    #[test]
    fn what_a_crash_cut_is_no_object() {
        let whole = r#"{"a":1.5e3,"b":"x","c":[{"d":1}],"e":true}"#;
        for end in 0..whole.len() {
            assert!(!is_object(&whole[..end]), "{}", &whole[..end]);
        }
        for text in [
            "{\"a\":01}",
            "{\"a\":1,}",
            "{\"a\" 1}",
            "{\"a\":1}x",
            "{\"a\":[}]}",
            "{\"a\":\"\u{1}\"}",
            "{,}",
            "[1]",
            "{\"a\":1e}",
        ] {
            assert!(!is_object(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn it_takes_what_serde_takes(text in "[{}\\[\\]\",:0-9eE.+\\-anulltrue \\\\]{0,24}") {
            let text = format!("{{\"a\":{text}}}");
            let is_one = serde_json::from_str::<Value>(&text).is_ok_and(|value| value.is_object());
            // A number that no float holds is one all the same.
            let is_out_of_range = serde_json::from_str::<Value>(&text).is_err_and(|error| error.to_string().contains("out of range"));
            prop_assert!(is_object(&text) == is_one || is_out_of_range, "{}", text);
        }
    }
}
