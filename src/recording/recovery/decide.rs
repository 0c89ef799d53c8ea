//! What is certain of what earlier processes left: in which time line it was written, up to where it is whole, and what is
//! in doubt.

use super::history::{End, Untold};
use super::{Plain, Recovery};
use crate::clock::Stamp;
use crate::clock::step::STEP;
use crate::recording::mark::Mark;
use crate::upbit::feed::Feed;
use std::time::Duration;

/// Where no mark tells what was durable, this much before the last line is doubted, and where one does, nothing is further
/// ahead of it than this: the longest `sync_interval`.
pub(super) const UNMARKED: Duration = Duration::from_secs(60);

impl Recovery<'_> {
    /// The time line of an archived segment of which nothing tells it: the last one, as good as always.
    pub(super) fn epoch_of(&self, ends: [Stamp; 2]) -> u64 {
        let history = &self.found.history;
        let reached = self.mark.filter(|mark| mark.epoch == history.epoch).map(|mark| mark.durable);
        self.newest_epoch().saturating_sub(u64::from(history.is_before_step(ends, reached)))
    }

    /// The time line of active segments: a step ends all of them before it is on record.
    pub(super) fn newest_epoch(&self) -> u64 {
        let marked = self.mark.filter(|_| self.found.history.is_incomplete).map_or(0, |mark| mark.epoch);
        self.found.history.epoch.max(self.past.newest_epoch()).max(marked)
    }

    /// Everything that was left is known now.
    pub(super) fn decide(&mut self, active: &[Plain]) {
        let is_clean = self.is_clean();
        let history = &self.found.history;
        let epoch = self.newest_epoch();
        let last = self.past.last(epoch);
        self.found.last = last.any;
        self.found.goes_back = last.any.is_some_and(|last| last.before(STEP) > self.now);
        self.found.epoch = epoch + u64::from(self.found.goes_back);
        debug_assert!(last.any.is_some() || active.is_empty() || epoch > 0, "what is there was noted");
        for feed in Feed::ALL {
            // Lines of an older time line say that the connection was there when this one began.
            let began = history.epoch_start.filter(|_| self.past.has_data(feed));
            let since = history.wanted_since[feed];
            // Up to the mark everything is on record, even where that cannot be read now.
            let marked = self.mark.filter(|_| history.is_incomplete).map(|mark| mark.durable);
            let reached = last.data[feed].max(history.gaps_until[feed]);
            let reached = reached.or(began).or(since).or(marked);
            // An orderly end has put every gap on record.
            let lost_since = history.lost_since[feed].filter(|_| !is_clean);
            let open = history.missing_since[feed].into_iter().chain(lost_since).min();
            self.found.reached[feed] = reached.map(|reached| {
                let certain = if is_clean { reached } else { reached.min(self.durable(reached)) };
                open.map_or(certain, |since| certain.min(since))
            });
        }
        self.found.is_clean = is_clean;
        self.doubt_the_end_before_a_step();
    }

    /// What was written before a step and not durable by then is in doubt in its own time line.
    fn doubt_the_end_before_a_step(&mut self) {
        let history = &mut self.found.history;
        let mark = self.mark.filter(|mark| !self.found.is_clean && mark.epoch < history.epoch);
        let Some((mark, before)) = mark.zip(history.stepped_from) else { return };
        let wanted = Feed::ALL.into_iter().filter(|feed| history.wanted_since[*feed].is_some());
        let doubted = wanted.map(|feed| Untold { feed, from: mark.durable, to: before });
        history.untold.extend(doubted.filter(|doubted| doubted.from < before).collect::<Vec<_>>());
    }

    /// Up to where everything was durable when the last process ended.
    fn durable(&self, reached: Stamp) -> Stamp {
        let history = &self.found.history;
        let marked = match self.mark {
            Some(mark) if mark.epoch == self.newest_epoch() => mark.durable,
            // A start that had come to a new one died before it said so; by then everything older was durable.
            Some(mark) if mark.epoch > self.newest_epoch() => reached,
            // It is of an older time line: nothing of this one is certain.
            Some(_) => history.epoch_start.unwrap_or(reached.before(UNMARKED)),
            None => reached.before(UNMARKED),
        };
        match history.end {
            End::SyncFailed(Some(durable)) => marked.min(durable),
            _ => marked,
        }
    }

    /// Whether the last process ended in order, and everything it wrote was durable when it did.
    fn is_clean(&self) -> bool {
        let End::Stopped(at) = self.found.history.end else { return false };
        let is_marked = |mark: Mark| mark.epoch == self.found.history.epoch && mark.durable >= at;
        !self.has_unreadable && self.mark.is_some_and(is_marked)
    }
}
