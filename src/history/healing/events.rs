//! Gap events in the recorder's own stream, of this process and of earlier ones.

use super::plan::{Plan, REACH};
use super::recorder::Recorder;
use super::scan::LOOK_BACK;
use super::story::{self, GapEvent};
use crate::clock::Stamp;
use crate::config::Config;
use crate::tape::reader::Tape;
use crate::tape::stream_key::StreamKey;
use crate::upbit::codes::Meaning;
use crate::upbit::subscription::Subscription;
use std::collections::BTreeSet;

/// Reads the recorder's events incrementally.
pub(super) struct EventReader {
    tape: Tape,
    samples: Samples,
    /// Gaps that are done.
    done: BTreeSet<u64>,
    /// Start stamps of the processes, this one last.
    starts: Vec<Stamp>,
    /// Events up to this stamp have been read.
    read_to: Stamp,
}

impl EventReader {
    /// A reader of the events that are within the exchange's reach at `now`.
    pub(super) fn new(config: &Config, tape: Tape, now: Stamp) -> Self {
        Self {
            tape,
            samples: Samples::of(&config.public.subscribe),
            done: BTreeSet::new(),
            starts: Vec::new(),
            read_to: now.before(REACH),
        }
    }

    /// Start stamps of the processes, this one last.
    pub(super) fn starts(&self) -> &[Stamp] {
        &self.starts
    }

    /// Reads the gaps healed by earlier processes, and the start stamps of processes.
    pub(super) fn read_past(&mut self, recorder: &Recorder) {
        for (stamp, event) in self.events(recorder) {
            match event {
                GapEvent::Healed(gap) => _ = self.done.insert(gap),
                GapEvent::Started => self.starts.push(stamp),
                GapEvent::Gap(_) | GapEvent::WentBack(_) => {}
            }
        }
    }

    /// Reads gaps into the plan while it has room; returns whether all were read.
    pub(super) fn read_gaps(&mut self, plan: &mut Plan, recorder: &Recorder) -> bool {
        let (now, latest) = (recorder.now(), recorder.latest());
        for (stamp, event) in self.events(recorder) {
            // An event ahead of the clock belongs to an older epoch and is read again next time: reading is idempotent.
            if stamp <= latest {
                self.read_to = stamp;
            }
            match event {
                GapEvent::Gap(mut gap) if !self.done.contains(&gap.id) => {
                    gap.streams.retain(|stream| !self.samples.contains(stream));
                    plan.add(&gap, now);
                }
                GapEvent::WentBack(last) => plan.give_up(last.after(LOOK_BACK[0])),
                GapEvent::Gap(_) | GapEvent::Healed(_) | GapEvent::Started => {}
            }
            if !plan.has_room() {
                return false;
            }
        }
        true
    }

    /// Marks a gap as done.
    pub(super) fn note_done(&mut self, gap: u64, now: Stamp) {
        self.done.insert(gap);
        // Older events are not read again.
        self.done = self.done.split_off(&now.before(REACH * 2).as_micros());
    }

    /// The unread events, with their stamps.
    fn events(&self, recorder: &Recorder) -> impl Iterator<Item = (Stamp, GapEvent)> + use<> {
        let read_to = recorder.overlap_begin().map_or(self.read_to, |begin| begin.min(self.read_to));
        let lines = self.tape.lines(&StreamKey::recorder(), read_to.next()..=Stamp::MAX);
        if let Err(error) = &lines {
            tracing::warn!(%error, "the recorder's events cannot be read, and gaps in them are not healed");
        }
        let readable = lines.into_iter().flatten().filter_map(|line| match line {
            Ok(line) => Some(line),
            Err(error) => {
                tracing::warn!(%error, "some of the recorder's events cannot be read, and gaps in them are not healed");
                None
            }
        });
        readable.filter_map(|line| Some((line.stamp(), story::parse(line.text())?)))
    }
}

/// Configuration entries recorded as snapshots only: their streams are incomplete by design.
#[derive(Debug)]
struct Samples(Vec<Sampled>);

#[derive(Debug)]
struct Sampled {
    stream_type: String,
    codes: Meaning,
}

impl Samples {
    fn of(entries: &[Subscription]) -> Self {
        let sampled = entries.iter().filter(|entry| entry.only_snapshot);
        Self(
            sampled
                .map(|entry| Sampled { stream_type: entry.kind.clone(), codes: Meaning::of(&entry.codes) })
                .collect(),
        )
    }

    /// Whether a stream matches one of the entries, by name or by pattern.
    fn contains(&self, stream: &StreamKey) -> bool {
        self.0.iter().any(|sampled| {
            sampled.stream_type == stream.kind() && stream.code().is_some_and(|code| sampled.codes.holds(code))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_known_by_their_patterns_too() {
        let codes = ["KRW-*", "!KRW-DOGE", "BTC-ETH"].map(str::to_owned).into();
        let entry = Subscription { kind: "trade".into(), codes, only_snapshot: true, ..Subscription::default() };
        let samples = Samples::of(&[entry]);
        let sampled = |stem: &str| samples.contains(&StreamKey::from_stem(stem).unwrap());
        assert!(sampled("KRW-BTC_trade") && sampled("BTC-ETH_trade"));
        assert!(!sampled("KRW-DOGE_trade") && !sampled("KRW-BTC_ticker") && !sampled("BTC-XRP_trade"));
    }
}
