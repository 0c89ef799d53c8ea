//! Time as the recorder's stamps tell it, epoch after epoch.
//!
//! ```text
//! instants  ───life 0────────────────┬───life 0──────┐      ┌──life 1───────┐   ┌──life 2──
//! epochs    0: 05:12:04 … 05:12:31   │ 1: 03:00:00 … └──────┘ 1 goes on     │   │ 2: a start found stamps ahead of it
//!                                    └ the wall clock was set back          └───┘
//! ```
//!
//! Stamps order what is of one epoch; a moment is an epoch and a stamp in it.

use upbit_recorder::clock::{self, Clock, Instant, Stamp};
use upbit_recorder::upbit::feed::Feed;

/// The first process id; each life has the next one, by which its `started` event is known.
pub(crate) const FIRST_PID: u32 = 4711;

/// Stamps are raised where they would repeat, and what happens at one instant has stamps a little apart.
pub(crate) const RAISED: u64 = 2_000;

/// Behind every stamp of an epoch.
const LAST: u64 = u64::MAX / 2;

/// An epoch and a stamp in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment {
    pub(crate) epoch: u64,
    pub(crate) stamp: u64,
}

/// A time during which one clock made the stamps. It begins with a life, with a step of the clock, or where the machine
/// was suspended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) from: Instant,
    pub(crate) clock: Clock,
    pub(crate) epoch: u64,
    /// The epoch begins with it, by a step of the clock.
    pub(crate) is_back: bool,
    /// No file has the epoch in which it was, and the state that had it is gone: it is behind all of the epoch before.
    pub(crate) is_lost: bool,
}

impl Span {
    fn moment(&self, stamp: Stamp) -> Moment {
        Moment { epoch: self.epoch, stamp: if self.is_lost { LAST } else { stamp.as_micros() } }
    }
}

/// All epochs so far.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    spans: Vec<Span>,
    epochs: Vec<Epoch>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Epoch {
    /// `None`: it is not known to have begun.
    begins: Option<u64>,
    /// What the clock showed at its end; `None`: it goes on, or a start ended it.
    ends: Option<u64>,
    /// The last stamp on the disk when a start ended it: of what is behind it, nothing can be known.
    found: Option<u64>,
}

impl Timeline {
    /// The clocks of a life that is over, as far as there is anything of them.
    pub(crate) fn add_life(&mut self, spans: &[Span]) {
        for span in spans {
            let begins = span.clock.stamp_at(span.from).as_micros();
            let last = self.spans.last().copied();
            // The clock of a later life may be behind: its stamps are raised past the last one, and begin nothing.
            self.epoch_mut(span.epoch).begins.get_or_insert(begins);
            if let Some(last) = last.filter(|last| last.epoch < span.epoch) {
                let ends = last.clock.stamp_at(span.from).as_micros();
                let ended = self.epoch_mut(last.epoch);
                if ended.found.is_none() {
                    ended.ends = Some(ends);
                }
            }
            self.spans.push(*span);
        }
    }

    /// A start lost the state, which alone had known of the epochs behind this one.
    pub(crate) fn lose_behind(&mut self, epoch: u64) {
        for span in self.spans.iter_mut().filter(|span| span.epoch > epoch) {
            (span.epoch, span.is_lost) = (epoch, true);
        }
        self.epochs.truncate(usize::try_from(epoch).unwrap() + 1);
    }

    /// A start ended an epoch, whose last stamp on the disk is this one.
    pub(crate) fn end_at_start(&mut self, found: Moment) {
        self.epoch_mut(found.epoch).found.get_or_insert(found.stamp);
    }

    fn epoch_mut(&mut self, epoch: u64) -> &mut Epoch {
        let index = usize::try_from(epoch).unwrap();
        if self.epochs.len() <= index {
            self.epochs.resize(index + 1, Epoch::default());
        }
        &mut self.epochs[index]
    }

    fn epoch(&self, epoch: u64) -> Epoch {
        self.epochs.get(usize::try_from(epoch).unwrap()).copied().unwrap_or_default()
    }

    /// The moment of an instant, by the clock that ran then, or by the one before.
    pub(crate) fn at(&self, instant: Instant) -> Moment {
        let span = self.span_at(instant);
        span.moment(span.clock.stamp_at(instant))
    }

    /// The same, where it is known on which side of a suspension it was.
    pub(crate) fn on(&self, moment: clock::Moment) -> Moment {
        let span = self.span_at(moment.at);
        span.moment(span.clock.stamp_of(moment))
    }

    fn span_at(&self, instant: Instant) -> &Span {
        self.spans.iter().rev().find(|span| span.from <= instant).unwrap_or(&self.spans[0])
    }

    /// Whether the gaps cover everything from one moment to another, the ends of the epochs between them included.
    pub(crate) fn is_covered(&self, gaps: &[Gap], from: Moment, to: Moment) -> bool {
        (from.epoch..=to.epoch).all(|number| {
            let Epoch { begins, ends, found } = self.epoch(number);
            let Some(begins) = begins else { return true };
            let first = if number == from.epoch { from.stamp } else { begins };
            let last = if number == to.epoch { to.stamp } else { found.or(ends).unwrap_or(first) };
            let last = last.min(found.unwrap_or(u64::MAX));
            let mut reached = first;
            for gap in gaps.iter().filter(|gap| gap.epoch == number) {
                let touches = gap.from <= reached + RAISED;
                reached = if touches { reached.max(gap.to) } else { reached };
            }
            last <= reached + RAISED
        })
    }

    /// The moment at which something is missed that came until `end`, when a life was over: where the next one begins its
    /// stamps before that in the same epoch, they are all that the two have in common.
    pub(crate) fn missed(&self, moment: Moment, next: Option<Moment>) -> Moment {
        match next {
            Some(next) if next.epoch == moment.epoch => moment.min(next),
            _ => moment,
        }
    }

    /// The last stamp that a start found of an epoch which it ended.
    pub(crate) fn found(&self, epoch: u64) -> Option<u64> {
        self.epoch(epoch).found
    }

    /// Whether a moment is behind everything that the start found which ended its epoch.
    pub(crate) fn is_behind(&self, moment: Moment) -> bool {
        self.found(moment.epoch).is_some_and(|found| found <= moment.stamp)
    }
}

/// A gap that was decided, and that the disk alone does not show.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forgotten {
    pub(crate) feed: Feed,
    pub(crate) gap: Gap,
}

/// A gap on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Gap {
    pub(crate) epoch: u64,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

impl Gap {
    /// Whether it holds what came at a moment and may have got a stamp a little later.
    pub(crate) fn holds(&self, moment: Moment) -> bool {
        self.epoch == moment.epoch && self.from <= moment.stamp + RAISED && moment.stamp <= self.to
    }
}
