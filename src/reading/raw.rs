//! The bytes that were received, from the line that has them. Pure.
//!
//! ```text
//! {"ts_recv":N,"type":"trade",…}                 ──▶ {"type":"trade",…}
//! {"ts_recv":N,"gap":G,"market":"KRW-BTC",…}     ──▶ {"market":"KRW-BTC",…}      of a healed stream
//! {"ts_recv":N,"raw":"a\"b"}                     ──▶ a"b                         of `misc`
//! {"ts_recv":N,"raw_base64":"/w=="}              ──▶ ff                          likewise
//! ```

use crate::tape::line::Line;
use crate::tape::stream_key::StreamKey;
use base64::prelude::{BASE64_STANDARD, Engine};
use serde::Deserialize;
use std::io::{self, Write};

/// A line of `misc` that keeps a message as a string.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    #[serde(rename = "ts_recv")]
    _stamp: u64,
    raw: Option<String>,
    raw_base64: Option<String>,
}

/// Writes what was received as `line` of `stream`, without a line break.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut dyn Write, stream: &StreamKey, line: &Line) -> io::Result<()> {
    if let Some(bytes) = kept(stream, line) {
        return out.write_all(&bytes);
    }
    let mut rest = behind_comma(line.text());
    if stream.is_healed() {
        for key in [&b"\"gap\":"[..], b"\"gap_epoch\":"] {
            if rest.starts_with(key) {
                rest = behind_comma(rest);
            }
        }
    }
    out.write_all(b"{")?;
    out.write_all(rest)
}

/// A message that is no object.
fn kept(stream: &StreamKey, line: &Line) -> Option<Vec<u8>> {
    if *stream != StreamKey::misc() || memchr::memmem::find(line.text(), b",\"raw").is_none() {
        return None;
    }
    let Kept { raw, raw_base64, .. } = serde_json::from_slice(line.text()).ok()?;
    raw.map(String::into_bytes).or_else(|| BASE64_STANDARD.decode(raw_base64?).ok())
}

/// What follows the first key, which is a number.
fn behind_comma(text: &[u8]) -> &[u8] {
    memchr::memchr(b',', text).map_or(&[], |comma| &text[comma + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Position, Stamp};
    use crate::tape::healed::MissedObject;
    use crate::tape::line;
    use proptest::prelude::*;

    fn received(stream: &str, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let line = Line::parse(0, text.strip_suffix(b"\n").unwrap_or(text)).unwrap();
        write(&mut out, &StreamKey::from_stem(stream).unwrap(), &line).unwrap();
        out
    }

    #[test]
    fn what_stands_in_front_of_an_object_goes() {
        let object = r#"{ "market":"KRW-BTC","a":[1,2]}"#;
        let gap = Position { epoch: 1, stamp: Stamp::from_micros(9).unwrap() };
        for epoch in [1, 2] {
            let missed = MissedObject { gap, object: object.to_owned() }.to_json(epoch);
            let mut text = Vec::new();
            line::object(&mut text, Stamp::from_micros(17).unwrap(), missed.as_bytes());
            assert_eq!(received("KRW-BTC_trade.healed", &text), object.as_bytes());
        }
        let own = br#"{"ts_recv":17,"gap":3,"raw":"x"}"#;
        assert_eq!(received("KRW-BTC_trade", own), br#"{"gap":3,"raw":"x"}"#);
        assert_eq!(received("misc", br#"{"ts_recv":17,"status":"UP","raw":"x"}"#), br#"{"status":"UP","raw":"x"}"#);
    }

    proptest! {
        #[test]
        fn a_message_comes_back_whatever_it_is(bytes in prop::collection::vec(any::<u8>(), 0..200), text in ".{0,200}") {
            for bytes in [&bytes[..], text.as_bytes()] {
                let (mut line, mut from, mut is_begun) = (Vec::new(), 0, false);
                while from < bytes.len() || !is_begun {
                    from = line::raw(&mut line, Stamp::from_micros(17).unwrap(), bytes, from);
                    is_begun = true;
                }
                prop_assert_eq!(received("misc", &line), bytes);
            }
        }
    }
}
