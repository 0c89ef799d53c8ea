//! One line of the tape. Pure.
//!
//! ```text
//! {"ts_recv":1795317064154123,"type":"trade","code":"KRW-BTC",…}
//!            └─ stamp ──────┘ └─ rest ─────────────────────────┘
//! ```

use crate::clock::Stamp;
use crate::tape::line;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    stamp: Stamp,
    text: Vec<u8>,
}

impl Line {
    /// Reads a line, without its line break; `None` where the recorder cannot have written it.
    pub fn parse(text: &[u8]) -> Option<Self> {
        Some(Self { stamp: line::stamp(text)?, text: text.to_owned() })
    }

    /// When it was received, or written.
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// All of it, without the line break: an object with `ts_recv` in front, or what a crash left of one.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_received_object_comes_back() {
        let line = Line::parse(br#"{"ts_recv":17, "type":"trade","tp":1.16539E8}"#).unwrap();
        assert_eq!(line.stamp().as_micros(), 17);
        assert_eq!(line.object(), br#"{ "type":"trade","tp":1.16539E8}"#);
        assert_eq!(Line::parse(b"{\"type\":\"trade\"}"), None);
    }
}
