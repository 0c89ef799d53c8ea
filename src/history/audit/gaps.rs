//! The gaps on record that touch a day.

use super::day::{Day, MINUTE};
use crate::clock::Stamp;
use crate::tape::event::Event;
use crate::tape::gap::GapRecord;
use crate::tape::reader::{Tape, TapeError};
use crate::tape::record::Record;
use crate::tape::stream_key::StreamKey;
use std::collections::BTreeSet;

/// A trade is received after it happened, by unsynchronized clocks: it may be missing because of a gap that began this
/// much after its minute ended, or ended this much before it began.
const SLACK: i64 = 5_000;

/// Most gaps kept: one in nine seconds of a day. More would only show that the day is full of gaps.
const MOST_GAPS: usize = 10_000;

/// See the module.
#[derive(Debug, Default)]
pub struct Gaps {
    gaps: Vec<Gap>,
}

#[derive(Debug)]
struct Gap {
    id: u64,
    /// Milliseconds since the epoch.
    from: i64,
    to: i64,
    /// Indices into the list of audited streams.
    streams: BTreeSet<u16>,
}

impl Gaps {
    /// Reads the gaps of the audited streams, from the recorder's own events. A gap is on record once it has closed,
    /// which may be long after the day. Unreadable events are skipped: gaps explain a finding and never decide it.
    ///
    /// # Errors
    /// The archive cannot be listed.
    pub fn read(tape: &Tape, day: &Day, streams: &[StreamKey]) -> Result<Self, TapeError> {
        let (mut gaps, mut told) = (Vec::new(), BTreeSet::new());
        let begin = stamp((day.from - SLACK).saturating_mul(1_000));
        for line in tape.lines(&StreamKey::recorder(), begin..=Stamp::MAX)? {
            let Ok(line) = line else { continue };
            let event = Record::parse_if(&["gap"], line.text()).and_then(|record| record.event);
            let Some(Event::Gap(GapRecord { id, epoch, from, to, streams: affected, .. })) = event else { continue };
            let [from, to] = [from, to].map(Stamp::as_millis);
            let touches = from < day.until + SLACK && to > day.from - SLACK;
            // One that was told again by a later start is the same.
            if !touches || gaps.len() == MOST_GAPS || !told.insert((epoch.unwrap_or(line.position().epoch), id)) {
                continue;
            }
            let affected: BTreeSet<&str> = affected.iter().map(String::as_str).collect();
            let places = streams.iter().zip(0..).filter(|(stream, _)| affected.contains(stream.as_str()));
            gaps.push(Gap { id, from, to, streams: places.map(|(_, place)| place).collect() });
        }
        Ok(Self { gaps })
    }

    /// The ids of the gaps of a stream, by its index, that touch the minute beginning at `start`.
    pub(super) fn touching(&self, place: u16, start: i64) -> Vec<u64> {
        let touches = |gap: &&Gap| gap.from < start + MINUTE + SLACK && gap.to > start - SLACK;
        let of_stream = self.gaps.iter().filter(|gap| gap.streams.contains(&place));
        of_stream.filter(touches).map(|gap| gap.id).collect()
    }

    /// The latest time at which trades of the day may arrive as the first line after a gap: milliseconds since the
    /// epoch.
    pub(super) fn last_end(&self, place: u16) -> Option<i64> {
        self.gaps.iter().filter(|gap| gap.streams.contains(&place)).map(|gap| gap.to).max()
    }
}

/// The stamp of this many microseconds since the epoch, or the nearest one.
pub(super) fn stamp(micros: i64) -> Stamp {
    u64::try_from(micros).map_or(Stamp::default(), |micros| Stamp::from_micros(micros).unwrap_or(Stamp::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::disk::Disk;

    #[test]
    fn a_gap_is_named_where_it_touches() {
        let directory = tempfile::tempdir().unwrap();
        let gap = |id: u64, from: i64, to: i64, stream: &str| {
            let [from, to] = [from * 1_000, to * 1_000];
            format!(
                "{{\"ts_recv\":{id},\"event\":\"gap\",\"id\":{id},\"connection\":\"public\",\"from\":{from},\"to\":{to},\"kind\":\"killed\",\"cause\":\"x\",\"streams\":[\"{stream}\"]}}\n"
            )
        };
        let begin = 1_795_305_600_000;
        let events = [
            gap(1_795_400_000_000_001, begin + MINUTE, begin + 2 * MINUTE - 1, "A_trade"),
            gap(1_795_400_000_000_002, begin + 5 * MINUTE + SLACK - 1, begin + 6 * MINUTE, "B_trade"),
            gap(1_795_400_000_000_003, begin - 9 * MINUTE, begin - MINUTE, "A_trade"),
            "{\"ts_recv\":1795400000000004,\"event\":\"live\"}\n".to_owned(),
            gap(1_795_400_000_000_001, begin + MINUTE, begin + 2 * MINUTE - 1, "A_trade"),
        ];
        std::fs::write(directory.path().join("recorder.jsonl"), events.concat()).unwrap();
        let streams = ["A_trade", "B_trade"].map(|stream| StreamKey::from_stem(stream).unwrap());
        let day = Day::settled("2026-11-22".parse().unwrap(), begin * 2).unwrap();
        let gaps = Gaps::read(&Tape::new(Disk::readable(directory.path()).unwrap(), directory.path()), &day, &streams)
            .unwrap();
        let touched = |place| -> Vec<i64> {
            (0..9).filter(|minute| !gaps.touching(place, begin + minute * MINUTE).is_empty()).collect()
        };
        assert_eq!(touched(0), [0, 1, 2]);
        assert_eq!(gaps.touching(0, begin + MINUTE), [1_795_400_000_000_001], "told twice");
        assert_eq!(touched(1), [4, 5, 6]);
        assert_eq!(gaps.last_end(1), Some(begin + 6 * MINUTE));
    }
}
