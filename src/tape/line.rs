//! A line of a stream: the object as received with its stamp in front, or its bytes as a string. Pure.
//!
//! ```text
//! {"type":"trade",…}  ──object──▶ {"ts_recv":1795317064154123,"type":"trade",…}\n
//! nonsense            ──raw─────▶ {"ts_recv":1795317064154123,"raw":"nonsense"}\n
//! \xff                ──raw─────▶ {"ts_recv":1795317064154123,"raw_base64":"/w=="}\n
//!                                             └─ Line::stamp ──┘ └─ Line::object
//! ```

use crate::clock::{Position, Stamp};
use crate::files::lines::LONGEST_OWN;
use crate::tape::stream_key::StreamKey;
use base64::prelude::{BASE64_STANDARD, Engine};
use std::io::Write;

/// The start of every line; digits and a comma or brace follow.
pub const PREFIX: &str = "{\"ts_recv\":";

/// How much of a message that is no object is taken at a time; a multiple of three, so that base64 is padded at its end
/// alone.
const RAW_BYTES: usize = 48 * 1024;

/// The longest message that can be configured, `max_message_bytes`.
const LONGEST_MESSAGE: usize = 64 << 20;

/// The most bytes around a message: the stamp, and in a healed stream the gap.
const AROUND: usize = 64;

/// A line of a stream, in the order of positions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    position: Position,
    text: Vec<u8>,
}

impl Line {
    /// Reads a line of an epoch, without its line break; `None` where the recorder cannot have written it.
    pub fn parse(epoch: u64, text: &[u8]) -> Option<Self> {
        Some(Self { position: Position { epoch, stamp: stamp(text)? }, text: text.to_owned() })
    }

    /// When it was received, or written.
    pub fn stamp(&self) -> Stamp {
        self.position.stamp
    }

    /// The same with its epoch: the order in which lines were written.
    pub fn position(&self) -> Position {
        self.position
    }

    /// All of it, without the line break: an object with `ts_recv` in front, or the rest of one that a crash tore.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The object as it was received: the line with `{` in place of `{"ts_recv":N,`.
    pub fn object(&self) -> Vec<u8> {
        let comma = self.text.iter().position(|byte| *byte == b',').expect("a line with a stamp has a comma behind it");
        let mut object = vec![b'{'];
        object.extend_from_slice(&self.text[comma + 1..]);
        object
    }
}

/// The longest line that the recorder can write to a stream, without its line break. Objects stand there as they were
/// received; in `misc` any message may be kept as a string, in which a control character takes six bytes.
pub fn longest(stream: &StreamKey) -> usize {
    if *stream == StreamKey::recorder() {
        LONGEST_OWN
    } else if *stream == StreamKey::misc() {
        6 * LONGEST_MESSAGE + AROUND
    } else {
        LONGEST_MESSAGE + AROUND
    }
}

/// Appends the line of an object that has at least one key and no line break.
pub fn object(line: &mut Vec<u8>, stamp: Stamp, object: &[u8]) {
    prefix(line, stamp);
    line.extend_from_slice(&object[1..]);
    line.push(b'\n');
}

/// Appends a portion of the line of bytes that are no such object: those from `from` on, after the start of the line if
/// that is 0. Returns where the next portion begins: at the end of the bytes once the line is whole.
///
/// Control characters take six bytes each, so the line of a long message is several times as long, and is never in memory
/// as a whole.
pub fn raw(line: &mut Vec<u8>, stamp: Stamp, bytes: &[u8], from: usize) -> usize {
    let text = std::str::from_utf8(bytes).ok();
    if from == 0 {
        prefix(line, stamp);
        line.extend_from_slice(if text.is_some() { b"\"raw\":\"" } else { b"\"raw_base64\":\"" });
    }
    let end = bytes.len().min(from + RAW_BYTES);
    let end = match text {
        Some(text) => {
            let end = (from..=end).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(end);
            line.extend_from_slice(escape(&text[from..end]).as_bytes());
            end
        }
        None => {
            line.extend_from_slice(BASE64_STANDARD.encode(&bytes[from..end]).as_bytes());
            end
        }
    };
    if end == bytes.len() {
        line.extend_from_slice(b"\"}\n");
    }
    end
}

/// A text as it stands inside the quotes of a JSON string.
fn escape(text: &str) -> String {
    let mut quoted = serde_json::to_string(text).expect("a text has a JSON form");
    quoted.pop();
    quoted.remove(0);
    quoted
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
    fn a_line_gives_the_received_object_back() {
        let line = Line::parse(0, br#"{"ts_recv":17, "type":"trade","tp":1.16539E8}"#).unwrap();
        assert_eq!(line.stamp().as_micros(), 17);
        assert_eq!(line.object(), br#"{ "type":"trade","tp":1.16539E8}"#);
        assert_eq!(Line::parse(0, b"{\"type\":\"trade\"}"), None);
    }

    #[test]
    fn what_is_no_object_becomes_a_string() {
        let line = written(|line, stamp| assert_eq!(raw(line, stamp, b"a\"\n", 0), 3));
        assert_eq!(line, "{\"ts_recv\":1795317064154123,\"raw\":\"a\\\"\\n\"}\n");
        let line = written(|line, stamp| assert_eq!(raw(line, stamp, b"\xff", 0), 1));
        assert_eq!(line, "{\"ts_recv\":1795317064154123,\"raw_base64\":\"/w==\"}\n");
        let line = written(|line, stamp| assert_eq!(raw(line, stamp, b"", 0), 0));
        assert_eq!(line, "{\"ts_recv\":1795317064154123,\"raw\":\"\"}\n");
    }

    #[test]
    fn a_long_string_in_portions_is_the_whole_one() {
        let texts =
            ["\u{1}", "\"\\", "원", "a", "😀x"].map(|text| text.repeat(2 * RAW_BYTES / text.len() + 1).into_bytes());
        for bytes in texts.into_iter().chain([vec![0xff; 2 * RAW_BYTES], vec![0xff; 2 * RAW_BYTES + 1]]) {
            let (mut portions, mut longest) = (0, 0);
            let line = written(|line, stamp| {
                let mut from = 0;
                while from < bytes.len() {
                    let before = line.len();
                    from = raw(line, stamp, &bytes, from);
                    portions += 1;
                    longest = longest.max(line.len() - before);
                }
            });
            let value: serde_json::Value = serde_json::from_str(&line).unwrap();
            let back = match &value["raw"] {
                serde_json::Value::String(text) => text.clone().into_bytes(),
                _ => BASE64_STANDARD.decode(value["raw_base64"].as_str().unwrap()).unwrap(),
            };
            assert!(back == bytes && portions >= 2 && longest < 7 * RAW_BYTES, "{portions} portions, {longest} bytes");
        }
    }

    #[test]
    fn no_line_is_longer_than_the_longest_message_makes_it() {
        use crate::config::{Sources, load};
        let with = |bytes: usize| {
            let assignments = vec![
                format!("public.max_message_bytes={bytes}"),
                "public.subscribe=[{type=\"trade\",codes=[\"KRW-BTC\"]}]".to_owned(),
                "storage.buffer_bytes=1GiB".to_owned(),
            ];
            load(&Sources { assignments, ..Sources::default() })
        };
        assert!(with(LONGEST_MESSAGE).is_ok() && with(LONGEST_MESSAGE + 1).is_err());
        let line = written(|line, stamp| assert_eq!(raw(line, stamp, &[1; 100], 0), 100));
        assert!(line.len() - 600 < AROUND && line.len() > 600, "{line}");
        let healed = written(|line, stamp| object(line, stamp, format!("{{\"gap\":{}}}", Stamp::MAX).as_bytes()));
        assert!(healed.len() < AROUND, "{healed}");
    }

    #[test]
    fn foreign_lines_have_no_stamp() {
        for line in ["", "{}", "{\"ts_recv\":}", "{\"ts_recv\":1", "{\"ts_recv\":1}", "{\"ts_recv\":9007199254740992,"]
        {
            assert_eq!(stamp(line.as_bytes()), None, "{line}");
        }
    }
}
