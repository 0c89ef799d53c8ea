//! The state of earlier processes, as the recorder's own events record it.

use crate::clock::Stamp;
use crate::files::lines::{LONGEST_OWN, Lines};
use crate::tape::event::Event;
use crate::tape::gap::{GapKind, GapRecord};
use crate::tape::manifest::Origins;
use crate::tape::record::Record;
use crate::tape::stream_key::StreamKey;
use crate::tape::words::RotationReason;
use crate::upbit::feed::{Feed, PerFeed};
use crate::upbit::listing::stream_name;
use crate::upbit::subscription::Request;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::time::Duration;

/// The longest `sync_interval`: without a durable mark, this span before the last line is in doubt; with one, no line
/// is further ahead of it than this.
pub(super) const UNMARKED: Duration = Duration::from_secs(60);

/// Requests kept per tree. A request differs from the one before only if the configuration has changed.
const REQUESTS: usize = 64;

/// How the last process ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// Without a last event, or there was no process.
    #[default]
    Died,
    /// By an orderly stop, with this stamp as its last.
    Stopped(Stamp),
    /// After a failed sync; the stamp that was durable then, if known.
    SyncFailed(Option<Stamp>),
}

/// See the module.
#[derive(Debug, Default)]
pub struct History {
    requests: PerFeed<Vec<(Stamp, Request)>>,
    /// How the last process ended.
    pub end: End,
    /// Some events could not be read.
    pub is_incomplete: bool,
    /// The gaps of each tree are on record up to here.
    pub gaps_until: PerFeed<Option<Stamp>>,
    /// The first start in these events that wanted the connection of each tree.
    pub wanted_since: PerFeed<Option<Stamp>>,
    /// The start of the gap that was open when the last process started, unless a later event closes it.
    pub missing_since: PerFeed<Option<Stamp>>,
    /// The start of the gap of each lost connection, unless an event closes it.
    pub lost_since: PerFeed<Option<Stamp>>,
    /// Connections that were not live at the last event.
    is_down: PerFeed<bool>,
    /// Streams suspected when the last process ended, and since when.
    pub suspected: PerFeed<BTreeMap<String, Stamp>>,
    /// The number of the epoch: how often stamps had gone back.
    pub epoch: u64,
    /// The first stamp of the epoch; `None`: it is the first epoch, or began before these events.
    pub epoch_start: Option<Stamp>,
    /// Gaps of earlier epochs, found by a start that died before it wrote their events.
    pub untold: Vec<Untold>,
    /// The epoch of the segments that the last clock step ended.
    epoch_before: u64,
    /// The last stamp of the epoch before.
    before_step: Option<Stamp>,
    /// The same, if the last process itself continued after the step.
    pub stepped_from: Option<Stamp>,
    /// The stamp of the last event.
    last: Stamp,
    /// The epoch of each segment that ended since these events begin, by its plain name.
    ended_in: BTreeMap<String, u64>,
}

/// The streams of earlier requests.
#[derive(Debug, Default)]
pub struct Asked {
    streams: BTreeSet<String>,
    /// Types requested as a whole.
    whole: BTreeSet<String>,
}

impl Asked {
    /// Whether a stream was requested.
    pub fn has(&self, stream: &StreamKey) -> bool {
        self.streams.contains(stream.as_str()) || self.whole.contains(stream.kind())
    }
}

/// A gap of an earlier epoch, of a whole connection, without an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Untold {
    /// The connection.
    pub feed: Feed,
    /// Where it begins.
    pub from: Stamp,
    /// The last stamp of its epoch.
    pub to: Stamp,
}

impl History {
    /// Adds the events of one file, of `epoch` if that is known; files are read oldest first. Lines without an event
    /// are skipped; a line longer than any event makes the events incomplete.
    pub fn read(&mut self, source: impl Read, epoch: Option<u64>) -> std::io::Result<()> {
        let mut lines = Lines::new(source, LONGEST_OWN);
        let mut is_first = true;
        while let Some(line) = lines.next_line()? {
            if let Some(record) = Record::parse(line) {
                let is_new = epoch.filter(|epoch| std::mem::take(&mut is_first) && *epoch > self.epoch);
                if let Some(epoch) = is_new.filter(|_| !matches!(record.event, Some(Event::ClockStep { .. }))) {
                    self.miss_step(epoch);
                }
                self.add(record);
            }
        }
        if lines.too_long() > 0 {
            let message = format!("{} of its lines are longer than {LONGEST_OWN} bytes", lines.too_long());
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, message));
        }
        Ok(())
    }

    /// The requests of a stream's lines from `stamp` on; `None`: these events do not reach back that far.
    pub fn origins_at(&self, feed: Feed, stamp: Stamp) -> Option<Origins> {
        let before = self.requests[feed].iter().rev().find(|(since, _)| *since <= stamp);
        before.map(|(_, request)| Origins::of(request))
    }

    /// The requests at the last event.
    pub fn last_origins(&self, feed: Feed) -> Option<Origins> {
        self.requests[feed].last().map(|(_, request)| Origins::of(request))
    }

    /// The streams requested since these events begin; `None`: they name no request.
    pub fn asked(&self, feed: Feed) -> Option<Asked> {
        let requests = &self.requests[feed];
        let mut asked = Asked::default();
        for subscription in requests.iter().flat_map(|(_, request)| &request.subscriptions) {
            let kind = &subscription.kind;
            asked.streams.extend(subscription.codes.iter().map(|code| stream_name(kind, Some(code))));
            asked.whole.extend(subscription.codes.is_empty().then(|| kind.clone()));
        }
        (!asked.streams.is_empty() || !asked.whole.is_empty()).then_some(asked)
    }

    /// The epoch of an ended segment; `None`: no event names it.
    pub fn ended_in(&self, plain_name: &str) -> Option<u64> {
        self.ended_in.get(plain_name).copied()
    }

    /// Whether an archived segment, from its first stamp to its last, belongs to the epoch before the last backward
    /// step: it is too old or too new for the current epoch, which has reached `reached`, or the process died before
    /// its `rotated` event was written.
    pub fn is_before_step(&self, [first, last]: [Stamp; 2], reached: Option<Stamp>) -> bool {
        let (Some(start), Some(before)) = (self.epoch_start, self.before_step) else { return false };
        let is_untold = self.last == start && start < last;
        let is_ahead = last.before(UNMARKED) > self.last.max(reached.unwrap_or_default());
        start <= before && last <= before && (first < start || is_ahead || is_untold)
    }

    fn add(&mut self, Record { stamp, event }: Record) {
        self.last = stamp;
        match event {
            Some(Event::Started { connections, epoch, missing_since, .. }) => {
                if let Some(epoch) = epoch.filter(|epoch| *epoch > self.epoch) {
                    self.miss_step(epoch);
                }
                (self.end, self.stepped_from) = (End::Died, None);
                (self.lost_since, self.is_down) = (PerFeed::default(), PerFeed { public: true, private: true });
                self.missing_since = PerFeed::from_fn(|feed| missing_since.get(&feed).copied());
                for feed in connections {
                    self.wanted_since[feed].get_or_insert(stamp);
                }
            }
            Some(Event::Subscribed { connection, request, .. }) => self.add_request(connection, stamp, &request),
            Some(Event::Live { connection, .. }) => self.is_down[connection] = false,
            Some(Event::Lost { connection: feed, last, .. }) => {
                // As in the gap tracker: the gap begins at the last line, but not before the end of the previous gap,
                // and not while one is open.
                let since = last.max(self.gaps_until[feed]).filter(|_| self.missing_since[feed].is_none());
                (self.lost_since[feed], self.is_down[feed]) = (self.lost_since[feed].or(since), true);
            }
            Some(Event::SyncFailed { durable, .. }) => self.end = End::SyncFailed(durable),
            Some(Event::Stopped { requests, .. }) => {
                for (feed, request) in &requests {
                    self.add_request(*feed, stamp, request);
                }
                // An orderly stop does not make data of a failed sync durable.
                if self.end == End::Died {
                    self.end = End::Stopped(stamp);
                }
            }
            Some(Event::Stale { connection, streams, since, last_data }) => {
                let suspected = &mut self.suspected[connection];
                for (index, stream) in streams.into_iter().enumerate() {
                    suspected.entry(stream).or_insert(last_data.get(index).copied().unwrap_or(since));
                }
            }
            Some(Event::Gap(gap)) => self.add_gap(stamp, gap),
            Some(Event::Rotated { reason, segments, epoch }) => {
                // Segments ended by a step were written before it.
                let is_by_step = reason == RotationReason::Clock.into();
                let epoch = epoch.unwrap_or(if is_by_step { self.epoch_before } else { self.epoch });
                self.ended_in.extend(segments.into_iter().map(|name| (name, epoch)));
            }
            Some(Event::ClockStep { before, epoch, missing_since, .. }) => {
                self.untold.extend(missing_since.into_iter().map(|(feed, from)| Untold { feed, from, to: before }));
                self.step(stamp, before, epoch);
            }
            _ => {}
        }
    }

    fn add_gap(&mut self, stamp: Stamp, gap: GapRecord) {
        let GapRecord { connection: feed, from, to, kind, streams, .. } = gap;
        self.untold.retain(|untold| (untold.feed, untold.to) != (feed, to));
        let kind = kind.known();
        // A suspected gap covers some of the connection's streams, so it proves nothing about the connection.
        if kind == Some(GapKind::Suspected) {
            self.suspected[feed].retain(|stream, _| !streams.contains(stream));
            return;
        }
        // A displaced file holds the lines of one stream, and a start that found stamps ahead of its clock also records
        // gaps of the epoch before.
        if to > stamp || (kind == Some(GapKind::Unsure) && self.is_about_some(feed, &streams)) {
            return;
        }
        let until = &mut self.gaps_until[feed];
        *until = (*until).max(Some(to));
        // Such a gap ends every suspicion at its start; a suspicion that began just there leaves no gap of its own.
        if matches!(kind, Some(GapKind::Disconnected | GapKind::Stopped | GapKind::Killed)) {
            self.suspected[feed].clear();
        }
        for since in [&mut self.missing_since[feed], &mut self.lost_since[feed]] {
            since.take_if(|since| from <= *since);
        }
    }

    /// Whether a gap covers only some of a connection's streams.
    fn is_about_some(&self, feed: Feed, streams: &[String]) -> bool {
        let all = self.last_origins(feed).map(|origins| origins.names()).unwrap_or_default();
        all.iter().any(|name| !streams.contains(name))
    }

    /// Earlier stamps belong to another epoch and are not comparable with those of this one.
    fn step(&mut self, stamp: Stamp, before: Stamp, epoch: u64) {
        self.epoch_before = self.epoch;
        if epoch > self.epoch {
            (self.before_step, self.stepped_from, self.epoch_start) = (Some(before), Some(before), Some(stamp));
        }
        self.epoch = epoch;
        self.missing_since = PerFeed::default();
        self.lost_since = self.is_down.map(|is_down| is_down.then_some(stamp));
        self.suspected.iter_mut().flat_map(BTreeMap::values_mut).for_each(|since| *since = stamp);
        // Up to the step every connection was live, or the step closed its gap.
        self.gaps_until = self.wanted_since.map(|since| since.map(|_| stamp));
        self.wanted_since = self.wanted_since.map(|since| since.map(|_| stamp));
        self.requests.iter_mut().for_each(|requests| {
            requests.last_mut().into_iter().for_each(|(since, _)| *since = (*since).min(stamp));
        });
    }

    /// A backward step whose event is missing: earlier events do not apply to this epoch.
    fn miss_step(&mut self, epoch: u64) {
        (self.epoch_before, self.before_step, self.epoch, self.epoch_start) = (epoch, None, epoch, None);
        (self.missing_since, self.lost_since, self.gaps_until) =
            (PerFeed::default(), PerFeed::default(), PerFeed::default());
        (self.wanted_since, self.suspected) = (PerFeed::default(), Default::default());
    }

    fn add_request(&mut self, feed: Feed, stamp: Stamp, frame: &str) {
        let requests = &mut self.requests[feed];
        let Some(request) = Request::from_frame(frame) else { return };
        if requests.last().is_none_or(|(_, last)| *last != request) {
            if requests.len() == REQUESTS {
                requests.remove(0);
            }
            requests.push((stamp, request));
        }
    }
}

#[cfg(test)]
mod tests;
