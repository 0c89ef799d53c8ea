//! What the recorder's own events tell of gaps. Pure.

use crate::clock::Stamp;
use crate::tape::stream_key::StreamKey;
use serde::Deserialize;
use std::borrow::Cow;

/// A gap as it is on record.
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

/// An event that matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// A gap is on record.
    Gap(Gap),
    /// The gap with this id was healed, as far as it can be.
    Healed(u64),
    /// A process began.
    Started,
    /// Stamps went back, and this was the last one before: up to it there are two time lines.
    WentBack(Stamp),
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    id: Option<u64>,
    gap: Option<u64>,
    from: Option<u64>,
    to: Option<u64>,
    before: Option<u64>,
    after: Option<u64>,
    #[serde(default, borrow)]
    streams: Vec<Cow<'a, str>>,
}

/// Reads a line of `recorder.jsonl`; `None` where it tells nothing of gaps.
pub fn parse(line: &[u8]) -> Option<Told> {
    // Of the thousands of lines that a rotation brings most need not be understood.
    let of_interest = ["gap", "healed", "clock_step", "started"].map(|name| format!("\"event\":\"{name}\""));
    let is_of_interest = |name: &String| memchr::memmem::find(line, name.as_bytes()).is_some();
    let event: Event<'_> = of_interest.iter().any(is_of_interest).then(|| serde_json::from_slice(line).ok())??;
    match &*event.event {
        "gap" => {
            let [from, to] = [event.from?, event.to?].map(Stamp::from_micros);
            let streams = event.streams.iter().filter_map(|name| StreamKey::from_stem(name)).collect();
            Some(Told::Gap(Gap { id: event.id?, from: from?, to: to?, streams }))
        }
        "healed" => event.gap.map(Told::Healed),
        "started" => Some(Told::Started),
        "clock_step" => event
            .before
            .filter(|before| event.after.is_some_and(|after| after <= *before))
            .map(|before| Told::WentBack(Stamp::from_micros(before).unwrap_or_default())),
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
        assert_eq!(parse(line), Some(Told::Gap(Gap { id: 9, from: stamp(5), to: stamp(8), streams })));
        assert_eq!(parse(br#"{"ts_recv":9,"type":"recorder","event":"healed","gap":9}"#), Some(Told::Healed(9)));
        let step = |after: u64| format!(r#"{{"event":"clock_step","before":7,"after":{after},"epoch":1}}"#);
        assert_eq!(parse(step(5).as_bytes()), Some(Told::WentBack(stamp(7))));
        assert_eq!(parse(step(9).as_bytes()), None);
        assert_eq!(parse(br#"{"ts_recv":9,"type":"recorder","event":"live","cause":"\"event\":\"gap\""}"#), None);
        assert_eq!(parse(b"{\"event\":\"gap\",\"id\":"), None);
    }
}
