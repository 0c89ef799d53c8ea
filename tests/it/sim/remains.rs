//! What the disk shows of a life that is over: its start, and the clocks that made its stamps.
//!
//! A step of a clock, or a start, of which a power cut has left nothing did not happen, for all that a reader can know.

use super::exchange::books::Books;
use super::machine::Frozen;
use super::tape::Tape;
use super::timeline::Span;
use std::collections::HashSet;
use upbit_recorder::clock::Instant;
use upbit_recorder::upbit::feed::Feed;

/// A life that is over, and what a crash has left of it.
pub(crate) struct Remains<'a> {
    pub(crate) books: &'a Books,
    pub(crate) pid: u32,
    /// When it began.
    pub(crate) from: Instant,
    /// The disk behind it.
    pub(crate) left: Tape,
}

impl Remains<'_> {
    /// The stamp of its start.
    pub(crate) fn started(&self) -> Option<u64> {
        let is_own = |event: &&serde_json::Value| event["event"] == "started" && event["pid"] == self.pid;
        self.left.events.iter().find(is_own).and_then(|event| event["ts_recv"].as_u64())
    }

    /// The spans of its clocks of which there is anything, out of all; each that goes back begins an epoch.
    pub(crate) fn spans(&self, spans: Vec<Span>, frozen: &[Frozen]) -> Vec<Span> {
        let mut left: Vec<Span> = Vec::new();
        for span in spans {
            let epoch = left.last().map_or(span.epoch, |last| last.epoch + u64::from(span.is_back));
            let is_left = span.from == self.from
                || self.is_on_record(&span)
                || (span.is_back && epoch <= self.left.epoch())
                || (!span.is_back && self.has_lines_since(span.from));
            left.extend(is_left.then_some(Span { epoch, ..span }));
        }
        resume(&mut left, frozen);
        left
    }

    /// Whether anything that was sent since then is on the tape.
    fn has_lines_since(&self, since: Instant) -> bool {
        Feed::ALL.into_iter().any(|feed| {
            let side = self.books.side(feed);
            let later = side.sent.iter().filter(|sent| sent.at >= since);
            let contents: HashSet<&[u8]> = later.map(|sent| &*sent.content).collect();
            let mut segments = self.left.streams[feed].values().flatten();
            segments.any(|segment| segment.lines.iter().any(|line| contents.contains(&*line.content)))
        })
    }

    /// Whether a step is on disk.
    fn is_on_record(&self, span: &Span) -> bool {
        let begins = span.clock.stamp_at(span.from).as_micros();
        self.left.events.iter().any(|event| event["event"] == "clock_step" && event["after"] == begins)
    }
}

/// Stamps go on behind the time in which the machine was suspended, from that moment on.
fn resume(spans: &mut Vec<Span>, frozen: &[Frozen]) {
    for frozen in frozen.iter().filter(|frozen| !frozen.suspended.is_zero()) {
        let suspended = frozen.suspended_in_all;
        let is_before = |span: &Span| span.from <= frozen.from && span.clock.suspended() < suspended;
        let index = spans.partition_point(is_before);
        let Some(before) = index.checked_sub(1).map(|index| spans[index]) else { continue };
        spans.insert(
            index,
            Span { from: frozen.from, clock: before.clock.resumed(suspended), is_back: false, ..before },
        );
    }
}
