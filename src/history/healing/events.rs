//! Gap events in the recorder's own stream, of this process and of earlier ones.

use super::plan::{Plan, REACH};
use super::recorder::Recorder;
use super::story::{self, GapEvent};
use crate::clock::{Position, Stamp};
use crate::config::Config;
use crate::tape::reader::{Selection, Tape};
use crate::tape::stream_key::StreamKey;
use crate::upbit::codes::Meaning;
use crate::upbit::subscription::Subscription;
use std::collections::BTreeSet;

/// Reads the recorder's events incrementally.
pub(super) struct EventReader {
    tape: Tape,
    samples: Samples,
    /// Gaps that are done.
    done: BTreeSet<Position>,
    /// Where the processes began, this one last.
    starts: Vec<Position>,
    /// Events up to here have been read.
    read_to: Position,
}

impl EventReader {
    /// A reader of the events that are within the exchange's reach.
    pub(super) fn new(config: &Config, tape: Tape) -> Self {
        Self {
            tape,
            samples: Samples::of(&config.public.subscribe),
            done: BTreeSet::new(),
            starts: Vec::new(),
            read_to: Position::default(),
        }
    }

    /// Other entries are subscribed.
    pub(super) fn take_entries(&mut self, entries: &[Subscription]) {
        self.samples = Samples::of(entries);
    }

    /// Where the processes began, this one last.
    pub(super) fn starts(&self) -> &[Position] {
        &self.starts
    }

    /// Reads the gaps healed by earlier processes, and where processes began.
    pub(super) fn read_past(&mut self, recorder: &Recorder) {
        for (position, event) in self.events(recorder) {
            match event {
                GapEvent::Healed(gap) => _ = self.done.insert(gap),
                GapEvent::Started => self.starts.push(position),
                GapEvent::Gap(_) => {}
            }
        }
    }

    /// Reads gaps into the plan while it has room; returns whether all were read.
    pub(super) fn read_gaps(&mut self, plan: &mut Plan, recorder: &Recorder) -> bool {
        for (position, event) in self.events(recorder) {
            self.read_to = position;
            if let GapEvent::Gap(mut gap) = event
                && !self.done.contains(&gap.id)
            {
                gap.streams.retain(|stream| !self.samples.contains(stream));
                plan.add(&gap, recorder.position());
            }
            if !plan.has_room() {
                return false;
            }
        }
        true
    }

    /// Marks a gap as done.
    pub(super) fn note_done(&mut self, gap: Position, now: Stamp) {
        self.done.insert(gap);
        // Older events are not read again.
        self.done.retain(|gap| gap.stamp >= now.before(REACH * 2));
    }

    /// The unread events, with their positions.
    fn events(&self, recorder: &Recorder) -> impl Iterator<Item = (Position, GapEvent)> + use<> {
        let (now, read_to) = (recorder.position(), self.read_to);
        // In a new epoch stamps may be older than those that were read.
        let reach = now.stamp.before(REACH);
        let floor = if now.epoch == read_to.epoch { reach.max(read_to.stamp) } else { reach };
        let unread = Selection::from(Position { stamp: read_to.stamp.next(), ..read_to }..).not_before(floor);
        let lines = self.tape.lines(&StreamKey::recorder(), unread);
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
        readable.filter_map(|line| Some((line.position(), story::parse(&line)?)))
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
