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

/// A life that is over, and its disk.
pub(crate) struct Remains<'a> {
    pub(crate) books: &'a Books,
    pub(crate) pid: u32,
    /// When it began.
    pub(crate) from: Instant,
    /// The disk at its end.
    pub(crate) ended: Tape,
    /// What a power cut has left of it.
    pub(crate) left: Tape,
}

impl Remains<'_> {
    /// The stamp of its start.
    pub(crate) fn started(&self) -> Option<u64> {
        start_of(&self.left, self.pid).and_then(|index| self.left.events[index]["ts_recv"].as_u64())
    }

    /// The last stamp that its start found ahead of its clock.
    pub(crate) fn ahead(&self) -> Option<u64> {
        let is_known = self.started().is_some() || self.has_lines_since(self.from, &self.left);
        last_found(if is_known { &self.ended } else { &self.left }, self.pid)
    }

    /// The spans of its clocks of which there is anything, out of all.
    pub(crate) fn spans(&self, mut spans: Vec<Span>, frozen: &[Frozen]) -> Vec<Span> {
        // The event of a step is written before anything else with its stamps.
        spans.retain(|span| span.from == self.from || is_on_record(span, &self.ended));
        spans.iter_mut().for_each(|span| span.is_on_record = is_on_record(span, &self.left));
        let is_left =
            |span: &Span| span.from == self.from || span.is_on_record || self.has_lines_since(span.from, &self.left);
        spans.retain(is_left);
        resume(&mut spans, frozen);
        spans
    }

    /// Whether anything that was sent since then is on the tape.
    fn has_lines_since(&self, since: Instant, tape: &Tape) -> bool {
        Feed::ALL.into_iter().any(|feed| {
            let side = self.books.side(feed);
            let later = side.sent.iter().filter(|sent| sent.at >= since);
            let contents: HashSet<&[u8]> = later.map(|sent| &*sent.content).collect();
            let mut segments = tape.streams[feed].values().flatten();
            segments.any(|segment| segment.lines.iter().any(|line| contents.contains(&*line.content)))
        })
    }
}

/// Stamps go on behind the time in which the machine was suspended, from that moment on.
fn resume(spans: &mut Vec<Span>, frozen: &[Frozen]) {
    for frozen in frozen.iter().filter(|frozen| !frozen.suspended.is_zero()) {
        let suspended = frozen.suspended_in_all;
        let is_before = |span: &Span| span.from <= frozen.from && span.clock.suspended() < suspended;
        let index = spans.partition_point(is_before);
        let Some(before) = index.checked_sub(1).map(|index| spans[index]) else { continue };
        let clock = before.clock.resumed(suspended);
        spans.insert(index, Span { from: frozen.from, clock, is_resumed: true, ..before });
    }
}

/// Whether a step is on disk.
fn is_on_record(span: &Span, tape: &Tape) -> bool {
    let begins = span.clock.stamp_at(span.from).as_micros();
    let is_it = |event: &serde_json::Value| event["event"] == "clock_step" && event["after"] == begins;
    tape.events.iter().any(is_it)
}

/// Where the start of a process stands among the events.
fn start_of(tape: &Tape, pid: u32) -> Option<usize> {
    tape.events.iter().position(|event| event["event"] == "started" && event["pid"] == pid)
}

/// The last stamp that the start of a process found ahead of its clock: then a step of the same moment stands before it.
fn last_found(tape: &Tape, pid: u32) -> Option<u64> {
    let started = start_of(tape, pid)?;
    let [step, started] = tape.events.get(started.checked_sub(1)?..=started)? else { return None };
    let is_step = step["event"] == "clock_step";
    let is_of_start = step["after"].as_u64().map(|after| after + 1) == started["ts_recv"].as_u64();
    step["before"].as_u64().filter(|_| is_step && is_of_start)
}
