//! How a record looks on disk: the object as received with its stamp in front, or its bytes as a string. Pure.
//!
//! ```text
//! {"type":"trade",…}  ──object──▶ {"ts_recv":1795317064154123,"type":"trade",…}\n
//! nonsense            ──raw─────▶ {"ts_recv":1795317064154123,"raw":"nonsense"}\n
//! \xff                ──raw─────▶ {"ts_recv":1795317064154123,"raw_base64":"/w=="}\n
//! ```

use crate::clock::Stamp;
use base64::prelude::{BASE64_STANDARD, Engine};
use std::io::Write;

/// The start of every line; digits and a comma or brace follow.
pub const PREFIX: &str = "{\"ts_recv\":";

/// Appends the line of an object that has at least one key and no line break.
pub fn object(line: &mut Vec<u8>, stamp: Stamp, object: &[u8]) {
    prefix(line, stamp);
    line.extend_from_slice(&object[1..]);
    line.push(b'\n');
}

/// Appends the line of bytes that are no such object.
pub fn raw(line: &mut Vec<u8>, stamp: Stamp, bytes: &[u8]) {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => serde_json::json!({ "raw": text }),
        Err(_) => serde_json::json!({ "raw_base64": BASE64_STANDARD.encode(bytes) }),
    };
    object(line, stamp, text.to_string().as_bytes());
}

/// The stamp of a line; `None` where the recorder cannot have written it.
pub fn stamp(line: &[u8]) -> Option<Stamp> {
    let rest = line.strip_prefix(PREFIX.as_bytes())?;
    let end = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    let micros = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
    (rest[end] == b',').then(|| Stamp::from_micros(micros))?
}

fn prefix(line: &mut Vec<u8>, stamp: Stamp) {
    write!(line, "{PREFIX}{stamp},").expect("writing to memory cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>, Stamp)) -> String {
        let mut line = Vec::new();
        write(&mut line, Stamp::from_micros(1_795_317_064_154_123).unwrap());
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn the_object_comes_back_when_the_prefix_is_replaced() {
        let received = br#"{ "type":"trade","tp":1.16539E8}"#;
        let line = written(|line, stamp| object(line, stamp, received));
        assert_eq!(line, "{\"ts_recv\":1795317064154123, \"type\":\"trade\",\"tp\":1.16539E8}\n");
        let back = line.trim_end_matches('\n').replacen("{\"ts_recv\":1795317064154123,", "{", 1);
        assert_eq!(back.as_bytes(), received);
        assert_eq!(stamp(line.as_bytes()).unwrap().as_micros(), 1_795_317_064_154_123);
    }

    #[test]
    fn what_is_no_object_becomes_a_string() {
        let line = written(|line, stamp| raw(line, stamp, b"a\"\n"));
        assert_eq!(line, "{\"ts_recv\":1795317064154123,\"raw\":\"a\\\"\\n\"}\n");
        let line = written(|line, stamp| raw(line, stamp, b"\xff"));
        assert_eq!(line, "{\"ts_recv\":1795317064154123,\"raw_base64\":\"/w==\"}\n");
    }

    #[test]
    fn foreign_lines_have_no_stamp() {
        for line in ["", "{}", "{\"ts_recv\":}", "{\"ts_recv\":1", "{\"ts_recv\":1}", "{\"ts_recv\":9007199254740992,"]
        {
            assert_eq!(stamp(line.as_bytes()), None, "{line}");
        }
    }
}
