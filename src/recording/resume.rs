//! Resumes a recording: from the state and the durable mark to where gaps begin, what is continued, and the first stamp.
//! Pure.
//!
//! ```text
//! .state ──┐                ┌─▶ the epoch goes on, or another one begins
//! .durable ┼──▶ Evidence ───┼─▶ open gap of each feed         from the earlier of durable and heard, or as it was
//! tails ───┘                └─▶ redo: gaps that are decided   suspicions, doubts, the end of an epoch
//! ```

use super::mend::tails::Tails;
use crate::clock::step::STEP;
use crate::clock::{Position, Stamp};
use crate::tape::durable::DurableMark;
use crate::tape::gap::{Gap, GapKind, grouped, suspicions};
use crate::tape::state::{Ended, FeedState, OpenGap, Redo, State, Stepping, Unsure};
use crate::tape::words::EpochReason;
use crate::upbit::feed::{Feed, PerFeed};
use std::time::Duration;

/// The longest `sync_interval`: without a durable mark, this span before the last line is in doubt; where a file cannot be
/// read, it is behind the last line that can.
const UNMARKED: Duration = Duration::from_secs(60);

/// Why everything is in doubt where the state was lost, or restored from an earlier time.
const NO_STATE: &str = "what the recorder had known was lost";

/// What is on disk of the processes before, and what is wanted now.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The state; `None`: there is no usable one.
    pub state: Option<&'a State>,
    /// The durable mark.
    pub mark: Option<DurableMark>,
    /// The last stamps in the files.
    pub tails: &'a Tails,
    /// The exchange that is recorded.
    pub venue: &'a str,
    /// The feeds that are recorded.
    pub wanted: PerFeed<bool>,
    /// The time.
    pub now: Stamp,
}

/// How a recording goes on.
#[derive(Debug)]
pub struct Resumed {
    /// The state that has to be durable before the first line.
    pub state: State,
    /// Where another epoch begins: the state that has to be durable before the files of the epoch before are mended, and
    /// the reason.
    pub step: Option<(State, EpochReason)>,
    /// The epoch of the active files.
    pub epoch: u64,
    /// Stamps follow this one.
    pub last: Stamp,
    /// The epoch has a line. The first one has its first stamp, so that names tell where it began.
    pub has_begun: bool,
    /// Active files may be continued: the process before stopped in order, with everything durable.
    pub is_clean: bool,
}

/// Whether a state knows of everything else on disk: it does not where it was lost, or restored from an earlier time.
pub fn is_usable(state: &State, generation: u64, mark: Option<DurableMark>, tails: &Tails) -> bool {
    let is_marked = mark.is_none_or(|mark| mark.generation <= generation && mark.epoch <= state.epoch);
    // A line behind the stop is of a process that this state does not know.
    let is_last = match state.ended {
        Ended::Stopped { last, .. } => tails.last(state.epoch).is_none_or(|tail| tail <= last),
        Ended::Running | Ended::SyncFailed => true,
    };
    is_marked && is_last && tails.epoch() <= state.epoch
}

/// What is decided of the epoch before.
struct Former {
    state: State,
    /// Its last stamp.
    last: Stamp,
    /// Ids follow this one: each is a stamp of the gap's epoch that no line has.
    id: Stamp,
    is_clean: bool,
    /// Why it has to end.
    reason: Option<EpochReason>,
}

impl Evidence<'_> {
    /// Decides.
    pub fn resume(&self) -> Resumed {
        let mut former = match self.state {
            Some(state) if state.stepping.is_some() => self.finish_step(state),
            Some(state) => self.reopen(state),
            None if self.tails.is_empty() && self.mark.is_none() => self.begin(),
            None => self.doubt_all(),
        };
        let is_ahead = former.last.before(STEP) > self.now;
        let is_lost = self.tails.has_unreadable.then_some(EpochReason::Unreadable);
        if is_lost.is_some() && self.state.is_none_or(|state| state.stepping.is_none()) {
            // It may hold the last lines of the epoch, and what they told is lost with them.
            former.last = former.last.after(UNMARKED);
        }
        match former.reason.or(is_ahead.then_some(EpochReason::Clock)).or(is_lost) {
            Some(reason) => self.begin_epoch(former, reason),
            None => {
                let Former { mut state, id, is_clean, .. } = former;
                self.want(&mut state, self.now.max(id.next()));
                let has_begun = self.tails.last(state.epoch).is_some();
                Resumed { epoch: state.epoch, state, step: None, last: id, has_begun, is_clean }
            }
        }
    }

    /// The first start in a directory.
    fn begin(&self) -> Former {
        let state = State::new(self.venue, self.now);
        let last = self.now.previous();
        Former { state, last, id: last, is_clean: true, reason: None }
    }

    /// Reopens the gap of each feed, and decides those that ended with the process.
    fn reopen(&self, state: &State) -> Former {
        let last = self.last(state);
        let mark = self.mark.filter(|mark| mark.epoch == state.epoch);
        let is_clean = match state.ended {
            Ended::Stopped { last, .. } => mark.is_some_and(|mark| mark.durable >= last),
            _ => false,
        };
        let mut former = Former { state: state.clone(), last, id: last, is_clean, reason: None };
        let (kind, why) = reason(state.ended, is_clean);
        for feed in Feed::ALL {
            let FeedState { wanted, open, suspected, .. } = &mut former.state.feeds[feed];
            // A state that was restored from an earlier time may not know that it was recorded.
            let is_unknown = open.is_none() && self.tails.has(feed);
            if !*wanted && (is_clean || !(self.wanted[feed] || is_unknown)) {
                continue;
            }
            let certain = match state.ended {
                Ended::Stopped { heard, .. } if is_clean => heard[feed].unwrap_or(last),
                // It had been deaf for longer than is in doubt.
                Ended::Stopped { heard, .. } => {
                    heard[feed].into_iter().fold(self.certain(state, feed, last), Stamp::min)
                }
                Ended::Running | Ended::SyncFailed => self.certain(state, feed, last),
            };
            let from = open.as_ref().map_or(certain, |open| open.from.min(certain));
            let cause = open.as_ref().map_or(why.to_owned(), |open| format!("{why}; before that: {}", open.cause));
            *open = Some(OpenGap { from, kind, cause });
            let suspected = std::mem::take(suspected);
            former.redo(suspicions(feed, suspected, Position { epoch: state.epoch, stamp: from }));
        }
        former.state.ended = Ended::Running;
        former.redo_unsure();
        former
    }

    /// A step of stamps that had been decided and whose first line was not written: what is in doubt is in the redo list.
    fn finish_step(&self, state: &State) -> Former {
        let mut former = Former {
            state: state.clone(),
            last: state.stepping.map_or(Stamp::default(), |stepping| stepping.before),
            id: Stamp::default(),
            is_clean: false,
            reason: Some(EpochReason::Step),
        };
        former.id = former.last;
        former.redo_unsure();
        let (kind, why) = reason(Ended::Running, false);
        for feed in former.state.feeds.iter_mut().filter(|feed| feed.wanted) {
            feed.open.get_or_insert_with(|| OpenGap { from: Stamp::MAX, kind, cause: why.to_owned() });
        }
        former.state.ended = Ended::Running;
        former
    }

    /// Without a usable state each stream is in doubt from its own last line on, and all are from where a kill would have
    /// them: of a stream without a line it is not known whether it had some.
    fn doubt_all(&self) -> Former {
        let epoch = self.tails.epoch().max(self.mark.map_or(0, |mark| mark.epoch));
        // A mark of another epoch, as after a restore, tells nothing of this one.
        let latest = Self { mark: self.mark.filter(|mark| mark.epoch == epoch), ..*self };
        let mut former = self.begin();
        (former.state.epoch, former.state.began) = (epoch, self.tails.began(epoch));
        former.last = latest.last(&former.state);
        former.id = former.last;
        let (began, to, kind) = (former.state.began, former.last, GapKind::Unsure);
        for feed in Feed::ALL {
            let (wanted, streams) = (self.wanted[feed], self.tails.streams(feed, epoch));
            if streams.is_empty() && !wanted {
                continue;
            }
            let is_unheard = latest.mark.is_some_and(|mark| mark.heard[feed].is_none());
            let from = match streams.values().max() {
                None => began,
                // Nothing since the process began; or lines behind the mark, before which it may have paused.
                Some(last) if is_unheard => (*last).min(latest.certain(&former.state, feed, to)),
                Some(_) => latest.certain(&former.state, feed, to),
            };
            // Where it is not recorded, no request names others.
            let known: Vec<String> = streams.keys().cloned().collect();
            let only = (!wanted).then(|| known.clone());
            former.redo(grouped(feed, streams, Position { epoch, stamp: from }, kind, NO_STATE));
            let gap = Gap { connection: feed, epoch, from, to, kind, cause: NO_STATE.to_owned(), only };
            former.redo((from < to).then_some(gap));
            let open = Some(OpenGap { from: Stamp::MAX, kind, cause: NO_STATE.to_owned() });
            former.state.feeds[feed] = FeedState { wanted, open, streams: known, ..FeedState::default() };
        }
        Former { is_clean: false, reason: Some(EpochReason::State), ..former }
    }

    /// Ends the epoch, and the open gaps with it: they go on in the next one.
    fn begin_epoch(&self, mut former: Former, reason: EpochReason) -> Resumed {
        let Former { last: before, .. } = former;
        let after = former.state.stepping.map_or(self.now, |stepping| stepping.after.min(self.now));
        for feed in Feed::ALL {
            let Some(OpenGap { from, kind, cause }) = former.state.feeds[feed].open.clone() else { continue };
            if former.state.stepping.is_none() && from < before {
                let epoch = former.state.epoch;
                former.redo([Gap { connection: feed, epoch, from, to: before, kind, cause, only: None }]);
            }
            former.state.feeds[feed].open.as_mut().expect("it is open").from = after;
        }
        let epoch = former.state.epoch;
        let stepping = former.state.stepping.map_or(epoch + 1, |stepping| stepping.epoch);
        let mut state = State { epoch: stepping, began: after, stepping: None, ..former.state };
        self.want(&mut state, after);
        let stepping = Some(Stepping { epoch: stepping, before, after });
        let ending =
            State { epoch, began: self.state.map_or(Stamp::default(), |state| state.began), stepping, ..state.clone() };
        let last = after.previous();
        Resumed { state, step: Some((ending, reason)), epoch, last, has_begun: false, is_clean: false }
    }

    /// Opens the gap of a feed that is recorded for the first time, and keeps that of one that is not recorded any more.
    fn want(&self, state: &mut State, first: Stamp) {
        for feed in Feed::ALL {
            let FeedState { wanted, open, .. } = &mut state.feeds[feed];
            match (*wanted, self.wanted[feed]) {
                (_, true) => {
                    let begin =
                        || OpenGap { from: first, kind: GapKind::Disconnected, cause: "the first start".to_owned() };
                    open.get_or_insert_with(begin);
                }
                (true, false) => {
                    if let Some(OpenGap { kind, cause, .. }) = open {
                        // What is in doubt holds lines.
                        let is_doubt = matches!(kind, GapKind::Killed | GapKind::Unsure);
                        *kind = if is_doubt { *kind } else { GapKind::Stopped };
                        *cause = "it was not recorded".to_owned();
                    }
                }
                (false, false) => {}
            }
            *wanted = self.wanted[feed];
        }
    }

    /// The last stamp of the state's epoch.
    fn last(&self, state: &State) -> Stamp {
        let stopped = if let Ended::Stopped { last, .. } = state.ended { Some(last) } else { None };
        let marked = self.mark.filter(|mark| mark.epoch == state.epoch).map(|mark| mark.durable);
        self.tails.last(state.epoch).max(stopped).max(marked).unwrap_or_default().max(state.began)
    }

    /// The stamp up to which a feed is certain to be on disk, and to have been listened to.
    fn certain(&self, state: &State, feed: Feed, last: Stamp) -> Stamp {
        match self.mark {
            Some(mark) if mark.epoch == state.epoch => {
                mark.heard[feed].map_or(mark.durable, |heard| heard.min(mark.durable))
            }
            // Nothing of this epoch was synced yet.
            Some(_) => state.began,
            None => last.before(UNMARKED).max(state.began),
        }
    }
}

impl Former {
    /// Decides gaps.
    fn redo(&mut self, gaps: impl IntoIterator<Item = Gap>) {
        for gap in gaps {
            let own = (gap.epoch == self.state.epoch).then_some(self.id);
            let taken = self.state.redo.iter().filter(|redo| redo.gap.epoch == gap.epoch).map(|redo| redo.id).max();
            let id = gap.to.max(own.unwrap_or_default()).max(taken.unwrap_or_default()).next();
            if own.is_some() {
                self.id = id;
            }
            self.state.redo.push(Redo { id, gap });
        }
    }

    /// Decides the gaps of what a sync without room may have lost.
    fn redo_unsure(&mut self) {
        let wanted: Vec<Feed> = Feed::ALL.into_iter().filter(|feed| self.state.feeds[*feed].wanted).collect();
        for Unsure { epoch, from, to } in std::mem::take(&mut self.state.unsure) {
            let cause = "the disk was full when what was written was to be made durable".to_owned();
            let gap = |connection: &Feed| {
                let (connection, kind, cause) = (*connection, GapKind::Unsure, cause.clone());
                Gap { connection, epoch, from, to, kind, cause, only: None }
            };
            self.redo(wanted.iter().map(gap).collect::<Vec<_>>());
        }
    }
}

/// The kind and the cause of the gap since the process before.
fn reason(ended: Ended, is_clean: bool) -> (GapKind, &'static str) {
    match ended {
        Ended::Stopped { .. } if is_clean => (GapKind::Stopped, "the recorder had been stopped"),
        Ended::Stopped { .. } => (GapKind::Unsure, "the recorder had been stopped before its last sync ended"),
        Ended::SyncFailed => (GapKind::Unsure, "a sync had failed"),
        Ended::Running => (GapKind::Killed, "the recorder had died"),
    }
}

#[cfg(test)]
mod tests;
