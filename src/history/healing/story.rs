//! Gap events of the recorder's own stream. Pure.

use crate::clock::Stamp;
use crate::tape::event::Event;
use crate::tape::gap::GapRecord;
use crate::tape::record::Record;
use crate::tape::stream_key::StreamKey;

/// A gap on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The stamp of its event.
    pub id: u64,
    /// Where it begins.
    pub from: Stamp,
    /// Where it ends.
    pub to: Stamp,
    /// The streams affected.
    pub streams: Vec<StreamKey>,
}

/// An event relevant to healing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GapEvent {
    /// A gap is on record.
    Gap(Gap),
    /// Healing of the gap with this id has ended.
    Healed(u64),
    /// A process began.
    Started,
    /// Stamps went back after this one: up to it, stamps may be of two epochs.
    WentBack(Stamp),
}

/// The types of the events read here.
const OF_INTEREST: [&str; 4] = ["gap", "healed", "clock_step", "started"];

/// Parses a line of `recorder.jsonl`; `None` for other events.
pub fn parse(line: &[u8]) -> Option<GapEvent> {
    match Record::parse_if(&OF_INTEREST, line)?.event? {
        Event::Gap(GapRecord { id, from, to, streams, .. }) => {
            let streams = streams.iter().filter_map(|name| StreamKey::from_stem(name)).collect();
            Some(GapEvent::Gap(Gap { id, from, to, streams }))
        }
        Event::Healed { gap, .. } => Some(GapEvent::Healed(gap)),
        Event::Started { .. } => Some(GapEvent::Started),
        Event::ClockStep { before, after, .. } => (after <= before).then_some(GapEvent::WentBack(before)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_healings_and_steps_back_are_read() {
        let line = br#"{"ts_recv":9,"type":"recorder","event":"gap","id":9,"connection":"public","from":5,"to":8,"kind":"disconnected","cause":"x","streams":["KRW-BTC_trade","../x"]}"#;
        let stamp = |micros| Stamp::from_micros(micros).unwrap();
        let streams = vec![StreamKey::from_stem("KRW-BTC_trade").unwrap()];
        assert_eq!(parse(line), Some(GapEvent::Gap(Gap { id: 9, from: stamp(5), to: stamp(8), streams })));
        assert_eq!(parse(br#"{"ts_recv":9,"type":"recorder","event":"healed","gap":9}"#), Some(GapEvent::Healed(9)));
        let step = |after: u64| format!(r#"{{"ts_recv":9,"event":"clock_step","before":7,"after":{after},"epoch":1}}"#);
        assert_eq!(parse(step(5).as_bytes()), Some(GapEvent::WentBack(stamp(7))));
        assert_eq!(parse(step(9).as_bytes()), None);
        assert_eq!(parse(br#"{"ts_recv":9,"type":"recorder","event":"live","cause":"\"event\":\"gap\""}"#), None);
        assert_eq!(parse(b"{\"event\":\"gap\",\"id\":"), None);
    }
}
