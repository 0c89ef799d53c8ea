//! Decides from the files of earlier processes: their epochs, the certain part of each feed, and the intervals in
//! doubt. Pure.

use super::history::{End, History, UNMARKED, Untold};
use super::past::Past;
use crate::clock::Stamp;
use crate::clock::step::STEP;
use crate::tape::durable::DurableMark;
use crate::upbit::feed::{Feed, PerFeed};

/// The evidence on earlier processes.
pub(super) struct Evidence<'a> {
    pub(super) history: &'a History,
    pub(super) past: &'a Past,
    pub(super) mark: Option<DurableMark>,
    /// An unreadable file exists.
    pub(super) has_unreadable: bool,
    pub(super) now: Stamp,
}

/// The conclusions, once all files were read.
pub(super) struct Decision {
    pub(super) is_clean: bool,
    pub(super) last: Option<Stamp>,
    pub(super) goes_back: bool,
    pub(super) epoch: u64,
    pub(super) reached: PerFeed<Option<Stamp>>,
    /// Data written before a clock step and not durable by then: in doubt in its own epoch.
    pub(super) untold: Vec<Untold>,
}

impl Evidence<'_> {
    /// The epoch of active segments: a clock step ends all of them before its event is written.
    pub(super) fn newest_epoch(&self) -> u64 {
        let marked = self.mark.filter(|_| self.history.is_incomplete).map_or(0, |mark| mark.epoch);
        self.history.epoch.max(self.past.newest_epoch()).max(marked)
    }

    /// Concludes, once all evidence is read.
    pub(super) fn decide(&self) -> Decision {
        let is_clean = self.is_clean();
        let epoch = self.newest_epoch();
        let last = self.past.last(epoch);
        let goes_back = last.any.is_some_and(|last| last.before(STEP) > self.now);
        Decision {
            is_clean,
            last: last.any,
            goes_back,
            epoch: epoch + u64::from(goes_back),
            reached: PerFeed::from_fn(|feed| self.reached(feed, last.data[feed], is_clean)),
            untold: if is_clean { Vec::new() } else { self.doubt_before_step() },
        }
    }

    /// The stamp up to which the lines and gaps of a feed are certain to be on disk; `data` is its last line from the
    /// exchange.
    fn reached(&self, feed: Feed, data: Option<Stamp>, is_clean: bool) -> Option<Stamp> {
        let history = self.history;
        // Lines of an older epoch prove that the connection existed when this one began.
        let began = history.epoch_start.filter(|_| self.past.has_data(feed));
        // Up to the durable mark everything is on record, even if it is unreadable now.
        let marked = self.mark.filter(|_| history.is_incomplete).map(|mark| mark.durable);
        let reached = data.max(history.gaps_until[feed]);
        let reached = reached.or(began).or(history.wanted_since[feed]).or(marked);
        // An orderly stop has put every gap on record.
        let lost_since = history.lost_since[feed].filter(|_| !is_clean);
        let open = history.missing_since[feed].into_iter().chain(lost_since).min();
        reached.map(|reached| {
            let certain = if is_clean { reached } else { reached.min(self.durable(reached)) };
            open.map_or(certain, |since| certain.min(since))
        })
    }

    fn doubt_before_step(&self) -> Vec<Untold> {
        let history = self.history;
        let mark = self.mark.filter(|mark| mark.epoch < history.epoch);
        let Some((mark, before)) = mark.zip(history.stepped_from) else { return Vec::new() };
        let wanted = Feed::ALL.into_iter().filter(|feed| history.wanted_since[*feed].is_some());
        let doubted = wanted.map(|feed| Untold { feed, from: mark.durable, to: before });
        doubted.filter(|doubted| doubted.from < before).collect()
    }

    /// The stamp up to which everything was durable when the last process ended.
    fn durable(&self, reached: Stamp) -> Stamp {
        let marked = match self.mark {
            Some(mark) if mark.epoch == self.newest_epoch() => mark.durable,
            // A start entered a new epoch and died before its event was written; everything older was durable by then.
            Some(mark) if mark.epoch > self.newest_epoch() => reached,
            // A durable mark of an older epoch: nothing of this one is certain.
            Some(_) => self.history.epoch_start.unwrap_or(reached.before(UNMARKED)),
            None => reached.before(UNMARKED),
        };
        match self.history.end {
            End::SyncFailed(Some(durable)) => marked.min(durable),
            _ => marked,
        }
    }

    /// Whether the last process stopped in order, with everything it wrote durable.
    fn is_clean(&self) -> bool {
        let End::Stopped(at) = self.history.end else { return false };
        let is_marked = |mark: DurableMark| mark.epoch == self.history.epoch && mark.durable >= at;
        !self.has_unreadable && self.mark.is_some_and(is_marked)
    }
}
