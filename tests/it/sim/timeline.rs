//! Time as the recorder's stamps tell it: one line after the other, since a clock that is set begins a new one.
//!
//! ```text
//! instants  ───life 0────────────────┬───life 0──────┐      ┌──life 1───────┐   ┌──life 2──
//! lines     0: 05:12:04 … 05:12:31   │ 1: 03:00:00 … └──────┘ 1 goes on     │   │ 2: a start found stamps ahead of it
//!                                    └ the wall clock was set               └───┘
//! ```
//!
//! Stamps order what is on one line; a moment is a line and a stamp on it.

use super::tape::Tape;
use std::collections::BTreeMap;
use upbit_recorder::clock::{self, Clock, Instant};

/// The first process id; each life has the next one, by which its `started` event is known.
pub(crate) const FIRST_PID: u32 = 4711;

/// Stamps are raised where they would repeat, and what happens at one instant has stamps a little apart.
pub(crate) const RAISED: u64 = 2_000;

/// A line and a stamp on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment {
    pub(crate) line: usize,
    pub(crate) stamp: u64,
}

/// A time during which one clock made the stamps. It begins with a life, with a line, or where the machine was suspended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) from: Instant,
    pub(crate) clock: Clock,
    /// The event of the step with which it began survived the end of the life.
    pub(crate) is_on_record: bool,
    /// The line goes on in it.
    pub(crate) is_resumed: bool,
}

/// All lines so far.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    spans: Vec<(usize, Span)>,
    /// The line on which each life began, by its number.
    lives: Vec<usize>,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    begins: u64,
    /// What the clock showed at its end; `None`: it goes on, or a start ended it.
    ends: Option<u64>,
    /// The last stamp that the start found that ended it: of what is behind it, nothing can be known.
    found: Option<u64>,
    /// How often stamps had gone back when it began, as far as that is on record.
    epoch: u64,
    is_on_record: bool,
}

impl Timeline {
    /// A life is over. `ahead`: its start found stamps ahead of its clock, this one as the last; `is_on_record`: there is
    /// something of it on disk.
    pub(crate) fn add_life(&mut self, spans: &[Span], ahead: Option<u64>, is_on_record: bool) {
        for (number, span) in spans.iter().enumerate() {
            if span.is_resumed {
                self.spans.push((self.lines.len() - 1, *span));
                continue;
            }
            let begins = span.clock.stamp_at(span.from).as_micros();
            let is_set = number > 0;
            let is_first = self.lines.is_empty();
            if is_set || ahead.is_some() || is_first {
                let epoch = self.lines.last().map_or(0, |line| line.epoch);
                let before = is_set.then(|| spans[number - 1].clock.stamp_at(span.from).as_micros());
                let went_back = if is_set { before >= Some(begins) } else { ahead.is_some() };
                if let Some(last) = self.lines.last_mut() {
                    (last.ends, last.found) = (before, ahead.filter(|_| !is_set));
                }
                let epoch = epoch + u64::from(went_back && span.is_on_record);
                let is_on_record = !went_back || span.is_on_record;
                self.lines.push(Line { begins, ends: None, found: None, epoch, is_on_record });
            } else if let Some(line) = self.lines.last_mut().filter(|_| is_on_record) {
                // Where the lives before have left nothing, the clock may have been set back since.
                line.begins = line.begins.min(begins);
            }
            if !is_set {
                self.lives.push(self.lines.len() - 1);
            }
            self.spans.push((self.lines.len() - 1, *span));
        }
    }

    /// The moment of an instant, by the clock that ran then, or by the one before.
    pub(crate) fn at(&self, instant: Instant) -> Moment {
        let (line, span) = self.spans.iter().rev().find(|(_, span)| span.from <= instant).unwrap_or(&self.spans[0]);
        Moment { line: *line, stamp: span.clock.stamp_at(instant).as_micros() }
    }

    /// The same, where it is known on which side of a suspension it was.
    pub(crate) fn on(&self, moment: clock::Moment) -> Moment {
        let (line, span) = self.spans.iter().rev().find(|(_, span)| span.from <= moment.at).unwrap_or(&self.spans[0]);
        Moment { line: *line, stamp: span.clock.stamp_of(moment).as_micros() }
    }

    /// The first moment of a stamp that is later than `after` and not on an earlier line than `read`; `None`: there is
    /// none, so stamps went back.
    pub(crate) fn place(&self, stamp: u64, read: Moment, after: Moment) -> Option<Moment> {
        let fits = |line: usize| {
            let Line { begins, ends, .. } = self.lines[line];
            let moment = Moment { line, stamp };
            (begins <= stamp && ends.is_none_or(|ends| stamp <= ends + RAISED) && after < moment).then_some(moment)
        };
        (read.line.max(after.line)..self.lines.len()).find_map(fits)
    }

    /// How often stamps had gone back; `None`: a power cut has left lines and taken the event that would say so.
    pub(crate) fn epoch(&self, moment: Moment) -> Option<u64> {
        let line = &self.lines[moment.line];
        line.is_on_record.then_some(line.epoch)
    }

    /// Whether the gaps cover everything from one moment to another, the ends of the lines between them included.
    pub(crate) fn is_covered(&self, gaps: &[Gap], from: Moment, to: Moment) -> bool {
        (from.line..=to.line).all(|line| {
            let Line { begins, ends, found, .. } = self.lines[line];
            let first = if line == from.line { from.stamp } else { begins };
            let last = if line == to.line { to.stamp } else { ends.or(found).unwrap_or(first) };
            let last = last.min(found.unwrap_or(u64::MAX));
            let mut reached = first;
            for gap in gaps.iter().filter(|gap| gap.line == line) {
                let touches = gap.from <= reached + RAISED;
                reached = if touches { reached.max(gap.to) } else { reached };
            }
            last <= reached + RAISED
        })
    }

    /// The moment at which something is missed that came until `end`, when a life was over: where the next one begins its
    /// stamps before that, and nothing on disk tells that the clock was set back, they are all that the two have in common.
    pub(crate) fn missed(&self, moment: Moment, end: Instant, next: Option<(Instant, u64)>) -> Moment {
        match next.map(|(from, stamp)| Moment { stamp, ..self.at(from) }) {
            Some(next) if next.line == self.at(end).line => moment.min(next),
            _ => moment,
        }
    }

    /// Whether a moment is behind everything that the start found which ended its line.
    pub(crate) fn is_behind(&self, moment: Moment) -> bool {
        self.lines[moment.line].found.is_some_and(|found| found <= moment.stamp)
    }

    /// The line of each event of the tape.
    pub(crate) fn lines_of(&self, tape: &Tape) -> Vec<usize> {
        let mut current = 0;
        // Where a start ended a line, by the last stamp that it found.
        let mut found = BTreeMap::new();
        let line_of = |event: &serde_json::Value| {
            let number = |key: &str| event[key].as_u64();
            if event["event"] == "clock_step" {
                let after = number("after").unwrap();
                let begins = |line: &usize| self.lines[*line].begins.abs_diff(after) <= RAISED;
                current = (current..self.lines.len()).find(begins).unwrap_or(current);
                found.insert(number("before"), current.saturating_sub(1));
            } else if event["event"] == "started" {
                let life = number("pid").unwrap() - u64::from(FIRST_PID);
                current = current.max(self.lives[usize::try_from(life).unwrap()]);
            }
            // What a start tells of a line before it is behind the event itself.
            let before = found.get(&number("to")).filter(|_| number("to") > number("ts_recv"));
            before.copied().unwrap_or(current)
        };
        tape.events.iter().map(line_of).collect()
    }
}

/// A gap on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Gap {
    pub(crate) line: usize,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

impl Gap {
    /// Whether it holds what came at a moment and may have got a stamp a little later.
    pub(crate) fn holds(&self, moment: Moment) -> bool {
        self.line == moment.line && self.from <= moment.stamp + RAISED && moment.stamp <= self.to
    }
}
