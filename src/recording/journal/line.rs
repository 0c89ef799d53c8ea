//! How a record looks on disk: the object as received with its stamp in front, or its bytes as a string. Pure.
//!
//! ```text
//! {"type":"trade",…}  ──object──▶ {"ts_recv":1795317064154123,"type":"trade",…}\n
//! nonsense            ──raw─────▶ {"ts_recv":1795317064154123,"raw":"nonsense"}\n
//! \xff                ──raw─────▶ {"ts_recv":1795317064154123,"raw_base64":"/w=="}\n
//! ```

use crate::clock::Stamp;
use base64::prelude::BASE64_STANDARD;
use base64::write::EncoderWriter;
use std::io::Write;

/// The start of every line; digits and a comma or brace follow.
pub const PREFIX: &str = "{\"ts_recv\":";

/// Appends the line of an object that has at least one key and no line break.
pub fn object(line: &mut Vec<u8>, stamp: Stamp, object: &[u8]) {
    prefix(line, stamp);
    line.extend_from_slice(&object[1..]);
    line.push(b'\n');
}

/// Appends the line of bytes that are no such object. Control characters take six bytes each, so the string is written
/// where it belongs and nowhere before.
pub fn raw(line: &mut Vec<u8>, stamp: Stamp, bytes: &[u8]) {
    const IN_MEMORY: &str = "writing to memory cannot fail";
    prefix(line, stamp);
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            line.extend_from_slice(b"\"raw\":");
            serde_json::to_writer(&mut *line, text).expect(IN_MEMORY);
        }
        Err(_) => {
            line.extend_from_slice(b"\"raw_base64\":\"");
            EncoderWriter::new(&mut *line, &BASE64_STANDARD).write_all(bytes).expect(IN_MEMORY);
            line.push(b'"');
        }
    }
    line.extend_from_slice(b"}\n");
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
