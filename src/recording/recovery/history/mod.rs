//! What the recorder's own events tell of the processes before this one.

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

/// Where no mark tells what was durable, this much before the last line is doubted, and where one does, nothing is further
/// ahead of it than this: the longest `sync_interval`.
pub(super) const UNMARKED: Duration = Duration::from_secs(60);

/// Requests remembered per tree. Requests that differ are as rare as changes of the configuration.
const REQUESTS: usize = 64;

/// How the last process ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// Without a word, or there was none.
    #[default]
    Died,
    /// In order, with this stamp as its last.
    Stopped(Stamp),
    /// After a sync had failed; what was durable then, where it is known.
    SyncFailed(Option<Stamp>),
}

/// See the module.
#[derive(Debug, Default)]
pub struct History {
    requests: PerFeed<Vec<(Stamp, Request)>>,
    /// How the last process ended.
    pub end: End,
    /// There are events that could not be read.
    pub is_incomplete: bool,
    /// Up to here the gaps of each tree are on record.
    pub gaps_until: PerFeed<Option<Stamp>>,
    /// The first start, of those that are told of here, that wanted the connection of each tree.
    pub wanted_since: PerFeed<Option<Stamp>>,
    /// Where the gap begins that was open when the last process started, while no later one closes it.
    pub missing_since: PerFeed<Option<Stamp>>,
    /// Where the gap begins of each connection that was lost, while no event closes it.
    pub lost_since: PerFeed<Option<Stamp>>,
    /// Connections that were not live when the events ended.
    is_down: PerFeed<bool>,
    /// Streams that were suspected when the last process ended, and since when.
    pub suspected: PerFeed<BTreeMap<String, Stamp>>,
    /// How often stamps had gone back, and the first stamp since the last time.
    pub epoch: u64,
    /// The first stamp of the time line; `None`: it is the first one, or began before these events.
    pub epoch_start: Option<Stamp>,
    /// Gaps of earlier time lines that a start found, and died before it told of them.
    pub untold: Vec<Untold>,
    /// The time line in which what the last step ended was written.
    epoch_before: u64,
    /// The last stamp of the time line before.
    before_step: Option<Stamp>,
    /// The same, where the last process itself went on behind the step.
    pub stepped_from: Option<Stamp>,
    /// The stamp of the last event.
    last: Stamp,
    /// In which time line the segments were written that ended since these events begin, by their plain names.
    ended_in: BTreeMap<String, u64>,
}

/// The streams that earlier requests asked for.
#[derive(Debug, Default)]
pub struct Asked {
    streams: BTreeSet<String>,
    /// Types asked for as a whole.
    whole: BTreeSet<String>,
}

impl Asked {
    /// Whether a stream was asked for.
    pub fn has(&self, stream: &StreamKey) -> bool {
        self.streams.contains(stream.as_str()) || self.whole.contains(stream.kind())
    }
}

/// A gap of an earlier time line, of a whole connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Untold {
    /// Whose streams are affected.
    pub feed: Feed,
    /// Where it begins.
    pub from: Stamp,
    /// The last stamp of its time line.
    pub to: Stamp,
}

impl History {
    /// Takes the events of one file in, which are of the time line `epoch` where that is known; files come oldest first.
    /// Lines that are none are passed over; what is longer than any of them makes the events incomplete.
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

    /// What a stream's lines from `stamp` on answer to; `None`: these events do not reach back that far.
    pub fn origins_at(&self, feed: Feed, stamp: Stamp) -> Option<Origins> {
        let before = self.requests[feed].iter().rev().find(|(since, _)| *since <= stamp);
        before.map(|(_, request)| Origins::of(request))
    }

    /// What was asked when the events ended.
    pub fn last_origins(&self, feed: Feed) -> Option<Origins> {
        self.requests[feed].last().map(|(_, request)| Origins::of(request))
    }

    /// What was asked for, as far as these events reach back; `None`: they tell of no request.
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

    /// In which time line a segment was written that ended; `None`: these events do not tell.
    pub fn ended_in(&self, plain_name: &str) -> Option<u64> {
        self.ended_in.get(plain_name).copied()
    }

    /// Whether an archived segment, from its first stamp to its last, is of the time line before the last step, by which
    /// stamps went back: it is too old or too new for the one behind it, which has come as far as `reached`, or the process
    /// died while it said what had ended.
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
                // As the gap tracker does: it begins at the last line, not before the end of the gap before it, and not
                // while one is open.
                let since = last.max(self.gaps_until[feed]).filter(|_| self.missing_since[feed].is_none());
                (self.lost_since[feed], self.is_down[feed]) = (self.lost_since[feed].or(since), true);
            }
            Some(Event::SyncFailed { durable, .. }) => self.end = End::SyncFailed(durable),
            Some(Event::Stopped { requests, .. }) => {
                for (feed, request) in &requests {
                    self.add_request(*feed, stamp, request);
                }
                // What failed to be made durable does not become so by the order in which the process ended.
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
                // What ends because of a step was written before it.
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
        // The streams of a suspected gap are some of the connection's, so it says nothing of the connection.
        if kind == Some(GapKind::Suspected) {
            self.suspected[feed].retain(|stream, _| !streams.contains(stream));
            return;
        }
        // A file that was displaced has the lines of one stream, and a start that found stamps ahead of its clock also
        // tells of the time line before.
        if to > stamp || (kind == Some(GapKind::Unsure) && self.is_about_some(feed, &streams)) {
            return;
        }
        let until = &mut self.gaps_until[feed];
        *until = (*until).max(Some(to));
        // What was suspected ended where such a gap began, and where it had just begun there is no gap of it.
        if matches!(kind, Some(GapKind::Disconnected | GapKind::Stopped | GapKind::Killed)) {
            self.suspected[feed].clear();
        }
        for since in [&mut self.missing_since[feed], &mut self.lost_since[feed]] {
            since.take_if(|since| from <= *since);
        }
    }

    /// Whether a gap has streams of a connection that others are missing beside.
    fn is_about_some(&self, feed: Feed, streams: &[String]) -> bool {
        let all = self.last_origins(feed).map(|origins| origins.names()).unwrap_or_default();
        all.iter().any(|name| !streams.contains(name))
    }

    /// The stamps before this one are of another time line and mean nothing in this one.
    fn step(&mut self, stamp: Stamp, before: Stamp, epoch: u64) {
        self.epoch_before = self.epoch;
        if epoch > self.epoch {
            (self.before_step, self.stepped_from, self.epoch_start) = (Some(before), Some(before), Some(stamp));
        }
        self.epoch = epoch;
        self.missing_since = PerFeed::default();
        self.lost_since = self.is_down.map(|is_down| is_down.then_some(stamp));
        self.suspected.iter_mut().flat_map(BTreeMap::values_mut).for_each(|since| *since = stamp);
        // Up to the step every connection was listened to, or its gap was closed by it.
        self.gaps_until = self.wanted_since.map(|since| since.map(|_| stamp));
        self.wanted_since = self.wanted_since.map(|since| since.map(|_| stamp));
        self.requests.iter_mut().for_each(|requests| {
            requests.last_mut().into_iter().for_each(|(since, _)| *since = (*since).min(stamp));
        });
    }

    /// Stamps have gone back, and the events that tell of it are not among these: what the ones before tell means nothing.
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
