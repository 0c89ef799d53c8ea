//! Reading the recorder's own events back.

use super::event::Event;
use super::line;
use crate::clock::Stamp;
use crate::files::Files;
use crate::files::lines::{LONGEST_OWN, Lines};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::path::Path;

/// A line of `recorder.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When it was written.
    pub stamp: Stamp,
    /// The event; `None`: one that this version does not know.
    pub event: Option<Event>,
}

/// The fields of any event, in every version.
#[derive(Deserialize)]
struct AnyEvent {
    #[serde(rename = "event")]
    _event: IgnoredAny,
}

impl Record {
    /// Reads a line; `None` where it is no event, such as one that a crash tore.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let stamp = line::stamp(line)?;
        let event = serde_json::from_slice(line).ok();
        if event.is_none() {
            serde_json::from_slice::<AnyEvent>(line).ok()?;
        }
        Some(Self { stamp, event })
    }

    /// Reads a line if its event is one of `names`. Of the thousands of lines that a rotation brings most need not be
    /// understood.
    pub fn parse_if(names: &[&str], line: &[u8]) -> Option<Self> {
        names.contains(&name(line)?).then(|| Self::parse(line))?
    }
}

/// The epoch that the first line of a file of events names, `started` or `clock_step`; `None`: another event, or none that
/// can be read.
pub fn first_epoch(files: &dyn Files, path: &Path) -> Option<u64> {
    let mut lines = Lines::new(files.read(path).ok()?, LONGEST_OWN);
    match Record::parse(lines.next_line().ok()??)?.event? {
        Event::Started { epoch, .. } => epoch,
        Event::ClockStep { epoch, .. } => Some(epoch),
        _ => None,
    }
}

/// The name of the event in a line. Its key stands in front of every text that may hold another.
fn name(line: &[u8]) -> Option<&str> {
    const KEY: &[u8] = b"\"event\":\"";
    let rest = &line[memchr::memmem::find(line, KEY)? + KEY.len()..];
    std::str::from_utf8(&rest[..memchr::memchr(b'"', rest)?]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::gap::GapRecord;
    use crate::tape::words::{RotationReason, Stage, Word};
    use crate::upbit::feed::Feed;

    const GAP: &str = r#"{"ts_recv":9,"type":"recorder","event":"gap","id":9,"connection":"public","epoch":1,"from":5,"to":8,"kind":"disconnected","cause":"x","streams":["KRW-BTC_trade"]}"#;

    fn stamp(micros: u64) -> Stamp {
        Stamp::from_micros(micros).unwrap()
    }

    fn event(line: &str) -> Option<Event> {
        Record::parse(line.as_bytes()).unwrap().event
    }

    #[test]
    fn what_was_written_is_read() {
        let Some(Event::Gap(gap)) = event(GAP) else { panic!("no gap") };
        assert_eq!((gap.id, gap.connection, gap.from, gap.to), (9, Feed::Public, stamp(5), stamp(8)));
        assert_eq!(format!("{{\"ts_recv\":9,{}", &Event::Gap(gap).to_json()[1..]), GAP);
        let stopped = r#"{"ts_recv":9,"type":"recorder","event":"stopped","reason":"--for","requests":{"private":"[1]","public":"[]"}}"#;
        assert_eq!(format!("{{\"ts_recv\":9,{}", &event(stopped).unwrap().to_json()[1..]), stopped);
    }

    #[test]
    fn an_unknown_word_leaves_the_line_readable() {
        let gap = event(&GAP.replace("disconnected", "eclipsed"));
        assert!(matches!(gap, Some(Event::Gap(GapRecord { kind: Word::Other(kind), .. })) if kind == "eclipsed"));
        let lost =
            r#"{"ts_recv":9,"event":"lost","connection":"public","stage":"quic","cause":"x","attempt":1,"last":7}"#;
        assert!(matches!(event(lost), Some(Event::Lost { last, .. }) if last == Some(stamp(7))));
        let known = event(&lost.replace("quic", "tls"));
        assert!(matches!(known, Some(Event::Lost { stage: Word::Known(Stage::Tls), .. })));
        let rotated = r#"{"ts_recv":9,"event":"rotated","reason":"size","segments":["a"],"because":[1]}"#;
        let reason = RotationReason::Size.into();
        assert_eq!(event(rotated), Some(Event::Rotated { reason, segments: vec!["a".into()] }));
    }

    #[test]
    fn an_unknown_feed_is_left_out_of_lists() {
        let line =
            r#"{"ts_recv":9,"event":"started","version":"1","pid":1,"connections":["third","public"],"epoch":0}"#;
        let Some(Event::Started { connections, .. }) = event(line) else { panic!("no start") };
        assert_eq!(connections, [Feed::Public]);
    }

    #[test]
    fn keys_that_older_versions_did_not_write_may_be_missing() {
        let started = event(r#"{"ts_recv":9,"event":"started","version":"0","pid":1,"connections":["public"]}"#);
        assert!(matches!(started, Some(Event::Started { epoch: None, .. })));
        let stale = event(r#"{"ts_recv":9,"event":"stale","connection":"public","streams":["a"],"since":7}"#);
        assert!(matches!(stale, Some(Event::Stale { last_data, .. }) if last_data.is_empty()));
        let paused = event(r#"{"ts_recv":9,"event":"paused","connection":"public","from":7,"to":8}"#);
        assert!(matches!(paused, Some(Event::Paused { cause: None, .. })));
        let gap = event(&GAP.replace("\"epoch\":1,", ""));
        assert!(matches!(gap, Some(Event::Gap(GapRecord { epoch: None, .. }))));
    }

    #[test]
    fn an_unknown_event_counts_and_a_torn_line_does_not() {
        let unknown = Record::parse(br#"{"ts_recv":9,"type":"recorder","event":"eclipse","of":"the moon"}"#);
        assert_eq!(unknown, Some(Record { stamp: stamp(9), event: None }));
        assert_eq!(Record::parse(&GAP.as_bytes()[..99]), None);
        assert_eq!(Record::parse(br#"{"ts_recv":9,"raw":"x"}"#), None);
    }

    #[test]
    fn a_line_is_chosen_by_the_name_of_its_event_alone() {
        assert!(Record::parse_if(&["healed", "gap"], GAP.as_bytes()).is_some());
        assert_eq!(Record::parse_if(&["healed"], GAP.as_bytes()), None);
        let told = br#"{"ts_recv":9,"type":"recorder","event":"disk_full","cause":"\"event\":\"gap\""}"#;
        assert_eq!(Record::parse_if(&["gap"], told), None);
    }
}
