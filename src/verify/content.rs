//! What every line has to be: JSON, with a stamp in front that is later than the one before. Pure.

use super::story::{MissedLines, Note, Told};
use crate::clock::{Position, Stamp};
use crate::tape::line;
use crate::tape::record::Record;
use crate::tape::stream_key::StreamKey;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;

/// The lines of one file so far.
#[derive(Debug)]
pub(super) struct Content {
    epoch: u64,
    kind: Kind,
    /// Lines that are whole.
    pub(super) lines: u64,
    /// The stamp of the first of them.
    pub(super) first: Option<Stamp>,
    /// The stamp of the last of them.
    pub(super) last: Option<Stamp>,
    /// What its events tell.
    pub(super) notes: Vec<Note>,
    /// The gaps that its lines were missed in.
    pub(super) gaps: BTreeMap<Position, MissedLines>,
}

/// Lines that say more than data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Events,
    Healed,
    Other,
}

/// The gap of a line in a healed stream.
#[derive(Deserialize)]
struct Healed {
    gap: Stamp,
    gap_epoch: Option<u64>,
}

impl Content {
    /// Of a segment of `stream` in an epoch.
    pub(super) fn new(stream: &StreamKey, epoch: u64) -> Self {
        let kind = match stream {
            stream if *stream == StreamKey::recorder() => Kind::Events,
            stream if stream.is_healed() => Kind::Healed,
            _ => Kind::Other,
        };
        Self { epoch, kind, lines: 0, first: None, last: None, notes: Vec::new(), gaps: BTreeMap::new() }
    }

    /// The next line; or what is wrong with it.
    pub(super) fn line(&mut self, offset: u64, line: &[u8]) -> Result<(), String> {
        let text = std::str::from_utf8(line).map_err(|error| format!("a line is no text: {error}"))?;
        serde_json::from_str::<IgnoredAny>(text).map_err(|error| format!("a line is no JSON: {error}"))?;
        let stamp = line::stamp(line).ok_or("a line does not begin with the time at which it was received")?;
        let previous = self.last.replace(stamp);
        self.lines += 1;
        self.first.get_or_insert(stamp);
        if let Some(previous) = previous.filter(|previous| *previous >= stamp) {
            return Err(format!("a line is stamped {stamp}, and the one before it {previous}"));
        }
        self.note(offset, Position { epoch: self.epoch, stamp }, line)
    }

    fn note(&mut self, offset: u64, at: Position, line: &[u8]) -> Result<(), String> {
        match self.kind {
            Kind::Other => {}
            Kind::Events => {
                let record = Record::parse(line).ok_or("a line is no event")?;
                self.notes.extend(record.event.and_then(Told::of).map(|told| Note { at, offset, told }));
            }
            Kind::Healed => {
                let healed: Healed = serde_json::from_slice(line).map_err(|_| "a line does not name its gap")?;
                let gap = Position { epoch: healed.gap_epoch.unwrap_or(self.epoch), stamp: healed.gap };
                self.gaps.entry(gap).or_insert(MissedLines { offset, lines: 0 }).lines += 1;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stream: &str, lines: &[&str]) -> Vec<Option<String>> {
        let mut content = Content::new(&StreamKey::from_stem(stream).unwrap(), 0);
        lines.iter().map(|line| content.line(0, line.as_bytes()).err()).collect()
    }

    #[test]
    fn a_line_is_json_stamped_and_later_than_the_last() {
        let lines = [
            "{\"ts_recv\":5,\"a\":1}",
            "{\"ts_recv\":6,\"a\":1",
            "{\"a\":1,\"ts_recv\":7}",
            "{\"ts_recv\":5,\"a\":1}",
            "{\"ts_recv\":8,\"a\":1}",
        ];
        let found = check("KRW-BTC_trade", &lines);
        let reasons: Vec<_> = found.iter().map(|reason| reason.as_deref().unwrap_or("right")).collect();
        assert!(reasons[1].starts_with("a line is no JSON: EOF"), "{reasons:?}");
        assert_eq!([reasons[0], reasons[4]], ["right"; 2]);
        assert_eq!(reasons[2], "a line does not begin with the time at which it was received");
        assert_eq!(reasons[3], "a line is stamped 5, and the one before it 5");
    }

    #[test]
    fn events_and_healed_lines_have_their_keys() {
        let event = "{\"ts_recv\":5,\"type\":\"recorder\",\"event\":\"disk_ok\"}";
        let other = "{\"ts_recv\":6,\"market\":\"KRW-BTC\"}";
        assert_eq!(check("recorder", &[event, other]), [None, Some("a line is no event".to_owned())]);
        let healed = "{\"ts_recv\":5,\"gap\":4,\"market\":\"KRW-BTC\"}";
        let found = check("KRW-BTC_trade.healed", &[healed, other]);
        assert_eq!(found, [None, Some("a line does not name its gap".to_owned())]);
    }
}
