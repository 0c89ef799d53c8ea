//! Gap events of the recorder's own stream. Pure.

use crate::clock::{Position, Stamp};
use crate::tape::event::Event;
use crate::tape::gap::{GapKind, GapRecord};
use crate::tape::line::Line;
use crate::tape::record::Record;
use crate::tape::stream_key::StreamKey;
use std::ops::Range;

/// A gap on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The epoch of all its stamps, and its id.
    pub id: Position,
    /// Where it begins.
    pub from: Stamp,
    /// Where it ends.
    pub to: Stamp,
    /// Lines within it may be lost although later ones are there.
    pub is_unsure: bool,
    /// Lines within it may be in memory alone until they are sealed: a sync of them failed, or may have.
    pub is_cached: bool,
    /// The streams affected.
    pub streams: Vec<StreamKey>,
}

impl Gap {
    /// From where to where.
    pub fn span(&self) -> Range<Position> {
        let [start, end] = [self.from, self.to].map(|stamp| Position { stamp, ..self.id });
        start..end
    }
}

/// An event relevant to healing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GapEvent {
    /// A gap is on record.
    Gap(Gap),
    /// Healing of the gap with this id has ended.
    Healed(Position),
    /// A process began.
    Started,
}

/// The types of the events read here.
const OF_INTEREST: [&str; 3] = ["gap", "healed", "started"];

/// Parses a line of `recorder.jsonl`; `None` for other events.
pub fn parse(line: &Line) -> Option<GapEvent> {
    let named = |id, epoch: Option<u64>| {
        Some(Position { epoch: epoch.unwrap_or(line.position().epoch), stamp: Stamp::from_micros(id)? })
    };
    match Record::parse_if(&OF_INTEREST, line.text())?.event? {
        Event::Gap(GapRecord { id, epoch, from, to, kind, streams, .. }) => {
            let streams = streams.iter().filter_map(|name| StreamKey::from_stem(name)).collect();
            let is_unsure = kind == GapKind::Unsure.into();
            // A process may have died of the disk that refused the sync, and could not say so.
            let is_cached = is_unsure || kind == GapKind::Killed.into();
            Some(GapEvent::Gap(Gap { id: named(id, epoch)?, from, to, is_unsure, is_cached, streams }))
        }
        Event::Healed { gap, gap_epoch, .. } => Some(GapEvent::Healed(named(gap, gap_epoch)?)),
        Event::Started { .. } => Some(GapEvent::Started),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<GapEvent> {
        super::parse(&Line::parse(2, text.as_bytes()).unwrap())
    }

    #[test]
    fn gaps_and_healings_are_read_with_their_epochs() {
        let stamp = |micros| Stamp::from_micros(micros).unwrap();
        let streams = vec![StreamKey::from_stem("KRW-BTC_trade").unwrap()];
        for (key, epoch, kind) in [("", 2, "killed"), ("epoch\":1,\"", 1, "unsure")] {
            let id = Position { epoch, stamp: stamp(9) };
            let line = format!(
                r#"{{"ts_recv":9,"type":"recorder","event":"gap","id":9,"connection":"public","{key}from":5,"to":8,"kind":"{kind}","cause":"x","streams":["KRW-BTC_trade","../x"]}}"#
            );
            let gap = Gap {
                id,
                from: stamp(5),
                to: stamp(8),
                is_unsure: kind == "unsure",
                is_cached: true,
                streams: streams.clone(),
            };
            assert_eq!(parse(&line), Some(GapEvent::Gap(gap)));
            let key = key.replace("epoch", "gap_epoch");
            let healed = format!(r#"{{"ts_recv":9,"type":"recorder","event":"healed","{key}gap":9}}"#);
            assert_eq!(parse(&healed), Some(GapEvent::Healed(id)));
        }
        assert_eq!(parse(r#"{"ts_recv":9,"type":"recorder","event":"live","cause":"\"event\":\"gap\""}"#), None);
        assert_eq!(parse(r#"{"ts_recv":9,"event":"gap","id":"#), None);
    }
}
