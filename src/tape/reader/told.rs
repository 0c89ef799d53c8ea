//! The gaps that were told since a time, read on as more are told: a gap is told when it is over, on whichever day.

use super::{Selection, Tape, TapeError};
use crate::clock::{Position, Stamp};
use crate::tape::day_summary::{DayGaps, span};
use crate::tape::event::Event;
use crate::tape::gap::GapRecord;
use crate::tape::record::Record;
use crate::tape::stream_key::StreamKey;
use crate::upbit::feed::Feed;
use jiff::civil::Date;
use std::collections::BTreeMap;

/// See the module.
#[derive(Debug, Default)]
pub struct ToldGaps {
    /// What was told before is not here; `None`: nothing was read.
    since: Option<Stamp>,
    /// Where reading goes on.
    next: Position,
    /// By epoch and id: what is told twice is one.
    gaps: BTreeMap<(u64, u64), Told>,
}

#[derive(Debug)]
struct Told {
    gap: GapRecord,
    at: Stamp,
}

/// A gap on record.
#[derive(Clone, Copy, Debug)]
pub struct ToldGap<'a> {
    /// The epoch of its stamps.
    pub epoch: u64,
    /// What was told of it.
    pub gap: &'a GapRecord,
}

impl ToldGaps {
    /// Reads what was told since a time, and not read yet; what is damaged is passed over.
    ///
    /// # Errors
    /// The archive cannot be listed.
    pub fn read(&mut self, tape: &Tape, since: Stamp) -> Result<(), TapeError> {
        if self.since.is_none_or(|known| since < known) {
            *self = Self { since: Some(since), ..Self::default() };
        }
        let selected = Selection::from(self.next..).not_before(self.since.unwrap_or(since));
        for line in tape.lines(&StreamKey::recorder(), selected)?.flatten() {
            self.next = Position { stamp: line.stamp().next(), ..line.position() };
            if let Some(Event::Gap(gap)) = Record::parse_if(&["gap"], line.text()).and_then(|record| record.event) {
                let id = (gap.epoch.unwrap_or(line.position().epoch), gap.id);
                self.gaps.entry(id).or_insert(Told { gap, at: line.stamp() });
            }
        }
        Ok(())
    }

    /// Those that touch a day of the tree of `feed`.
    pub fn of_day(&self, feed: Feed, date: Date) -> DayGaps {
        DayGaps::of(self.gaps.values().map(|told| &told.gap), feed, date)
    }

    /// All of a feed, each with its epoch.
    pub fn of_feed(&self, feed: Feed) -> impl Iterator<Item = ToldGap<'_>> {
        self.gaps
            .iter()
            .map(|((epoch, _), told)| ToldGap { epoch: *epoch, gap: &told.gap })
            .filter(move |told| told.gap.connection == feed)
    }

    /// Whether one of them was told after `stamp`.
    pub fn is_told_after(&self, stamp: Stamp, feed: Feed, date: Date) -> bool {
        let Some((begin, end)) = span(date) else { return false };
        let touches = |gap: &GapRecord| gap.connection == feed && gap.from < end && begin <= gap.to;
        self.gaps.values().any(|told| stamp < told.at && touches(&told.gap))
    }
}
