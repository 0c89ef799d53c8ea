//! Gap events in the recorder's own stream, of this process and of earlier ones.

use super::plan::{Plan, REACH};
use super::recorder::Recorder;
use super::story::{self, Gap, GapEvent};
use crate::clock::{Position, Stamp};
use crate::config::Config;
use crate::tape::reader::{Selection, Tape};
use crate::tape::stream_key::StreamKey;
use crate::upbit::codes::Meaning;
use crate::upbit::subscription::Subscription;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// What events tell of the healer's own lines.
#[derive(Default)]
pub(super) struct Past {
    /// Where the processes began, this one last.
    pub(super) starts: Vec<Position>,
    /// What a sync may have lost, by the gap that tells of it.
    doubts: BTreeMap<Position, Range<Position>>,
}

impl Past {
    /// Where lines that were written behind `position` may be in memory alone until they are sealed.
    pub(super) fn doubts_behind(&self, position: Position) -> impl Iterator<Item = Range<Position>> {
        self.doubts.values().filter(move |doubt| doubt.end > position).cloned()
    }

    #[cfg(test)]
    pub(super) fn of_gaps<const N: usize>(gaps: [Gap; N]) -> Self {
        let mut past = Self::default();
        gaps.iter().for_each(|gap| past.note_gap(gap));
        past
    }

    fn note_gap(&mut self, gap: &Gap) {
        if gap.is_cached {
            self.doubts.insert(gap.id, gap.span());
        }
    }
}

/// Reads the recorder's events incrementally.
pub(super) struct EventReader {
    tape: Tape,
    samples: Samples,
    /// Gaps that are done.
    done: BTreeSet<Position>,
    past: Past,
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
            past: Past::default(),
            read_to: Position::default(),
        }
    }

    /// Other entries are subscribed.
    pub(super) fn take_entries(&mut self, entries: &[Subscription]) {
        self.samples = Samples::of(entries);
    }

    /// What was read of the healer's own lines.
    pub(super) fn past(&self) -> &Past {
        &self.past
    }

    /// Reads the gaps healed by earlier processes, where processes began, and what their syncs may have lost.
    pub(super) fn read_past(&mut self, recorder: &Recorder) {
        for (position, event) in self.events(recorder) {
            match event {
                GapEvent::Healed(gap) => _ = self.done.insert(gap),
                GapEvent::Started => self.past.starts.push(position),
                GapEvent::Gap(gap) => self.past.note_gap(&gap),
            }
        }
    }

    /// Reads what syncs may have lost, of the gaps that [`Self::read_gaps`] has not read.
    pub(super) fn read_doubts(&mut self, recorder: &Recorder) {
        for (_, event) in self.events(recorder) {
            if let GapEvent::Gap(gap) = event {
                self.past.note_gap(&gap);
            }
        }
    }

    /// Reads gaps into the plan while it has room; returns whether all were read.
    pub(super) fn read_gaps(&mut self, plan: &mut Plan, recorder: &Recorder) -> bool {
        for (position, event) in self.events(recorder) {
            self.read_to = position;
            if let GapEvent::Gap(mut gap) = event {
                self.past.note_gap(&gap);
                if !self.done.contains(&gap.id) {
                    gap.streams.retain(|stream| !self.samples.contains(stream));
                    plan.add(&gap, recorder.position());
                }
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
        self.past.doubts.retain(|gap, _| gap.stamp >= now.before(REACH * 2));
    }

    /// The next gaps to be read are those from `gap` on.
    pub(super) fn read_again(&mut self, gap: Position) {
        self.read_to = self.read_to.min(Position { stamp: gap.stamp.previous(), ..gap });
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
