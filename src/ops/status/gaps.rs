//! Gaps on record, as operators see them.

use crate::clock::{Position, Stamp};
use crate::tape::gap::{Gap, GapKind};
use crate::tape::healed::HealReport;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// For how long a gap is shown.
const SHOWN: Duration = Duration::from_secs(86_400);

/// Gaps shown at the most: one every six minutes of that day. Counts go on beyond it.
const MOST: usize = 240;

/// The gaps that this process put on record.
#[derive(Clone, Debug, Default)]
pub struct GapStatus {
    /// How many there were, and how long, by kind.
    pub totals: BTreeMap<GapKind, GapTotal>,
    /// Those of the last day, oldest first.
    pub recent: Arc<VecDeque<RecentGap>>,
    /// Gaps healed, whole or in part.
    pub healed: u64,
    /// Objects that were missed and are on disk now.
    pub healed_objects: u64,
}

/// Gaps of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GapTotal {
    /// How many.
    pub count: u64,
    /// Their lengths together, µs.
    pub micros: u64,
}

/// A gap, and what was healed of it.
#[derive(Clone, Debug)]
pub struct RecentGap {
    /// Its epoch and its id.
    pub position: Position,
    /// As it is on record.
    pub gap: Gap,
    /// What healing it came to; `None`: it is not done, or not wanted.
    pub healed: Option<Healed>,
}

/// What healing a gap came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Healed {
    /// Objects that are on disk now.
    pub objects: u64,
    /// Streams that have everything.
    pub complete: usize,
    /// Streams that may still miss some.
    pub partial: usize,
    /// Types of which the exchange keeps nothing.
    pub impossible: BTreeSet<String>,
}

impl GapStatus {
    /// Adds a gap that is on record now, at `stamp`. One that is told again counts once.
    pub fn note(&mut self, position: Position, gap: Gap, stamp: Stamp) {
        if self.recent.iter().any(|recent| recent.position == position) {
            return;
        }
        let total = self.totals.entry(gap.kind).or_default();
        total.count += 1;
        total.micros = total.micros.saturating_add(u64::try_from(gap.length().as_micros()).unwrap_or(u64::MAX));
        let recent = Arc::make_mut(&mut self.recent);
        recent.retain(|recent| stamp.since(recent.gap.to) < SHOWN);
        if recent.len() == MOST {
            recent.pop_front();
        }
        recent.push_back(RecentGap { position, gap, healed: None });
    }

    /// Notes what healing a gap came to.
    pub fn note_healed(&mut self, position: Position, report: &HealReport) {
        let objects = report.complete.values().chain(report.partial.values()).sum();
        self.healed += 1;
        self.healed_objects += objects;
        let (complete, partial, impossible) = (report.complete.len(), report.partial.len(), &report.impossible);
        let healed = Healed { objects, complete, partial, impossible: impossible.clone() };
        if self.recent.iter().any(|recent| recent.position == position) {
            let recent = Arc::make_mut(&mut self.recent).iter_mut().filter(|recent| recent.position == position);
            recent.for_each(|recent| recent.healed = Some(healed.clone()));
        }
    }

    /// The last gap on record.
    pub fn last(&self) -> Option<&Gap> {
        self.recent.back().map(|recent| &recent.gap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upbit::feed::Feed;

    fn gap(from: u64, to: u64) -> Gap {
        let [from, to] = [from, to].map(|second| Stamp::default().after(Duration::from_secs(second)));
        let (connection, kind) = (Feed::Public, GapKind::Disconnected);
        Gap { connection, epoch: 0, from, to, kind, cause: String::new(), only: None }
    }

    fn note(status: &mut GapStatus, from: u64, to: u64) -> Position {
        let gap = gap(from, to);
        let position = Position { epoch: 0, stamp: gap.to };
        let stamp = gap.to;
        status.note(position, gap, stamp);
        position
    }

    #[test]
    fn gaps_are_shown_for_a_day_and_counted_for_ever() {
        let mut status = GapStatus::default();
        for second in 0..1_000 {
            note(&mut status, 2 * second, 2 * second + 1);
        }
        assert_eq!(status.recent.len(), MOST);
        note(&mut status, 90_000, 90_010);
        note(&mut status, 90_000, 90_010);
        assert_eq!(status.recent.len(), 1);
        assert_eq!(status.totals[&GapKind::Disconnected], GapTotal { count: 1_001, micros: 1_010_000_000 });
    }

    #[test]
    fn what_was_healed_stands_with_its_gap() {
        let mut status = GapStatus::default();
        let (first, second) = (note(&mut status, 10, 20), note(&mut status, 30, 40));
        let complete = [("KRW-BTC_trade".to_owned(), 17), ("KRW-ETH_trade".to_owned(), 3)].into_iter().collect();
        status.note_healed(first, &HealReport { complete, ..HealReport::default() });
        let shown: Vec<_> = status.recent.iter().map(|recent| (recent.position, recent.healed.clone())).collect();
        let healed = Healed { objects: 20, complete: 2, partial: 0, impossible: BTreeSet::new() };
        assert_eq!(shown, [(first, Some(healed)), (second, None)]);
        assert_eq!((status.healed, status.healed_objects), (1, 20));
    }
}
