//! Every line on disk is an object that was sent, is there once, and stands in the order of sending.

use crate::sim::exchange::books::{Sent, Side};
use crate::sim::tape::{Segment, Tape};
use crate::sim::timeline::Moment;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use upbit_recorder::clock::Instant;
use upbit_recorder::upbit::feed::Feed;

/// One connection's objects and lines, matched.
pub(super) struct Matched {
    pub(super) side: Side,
    /// When each object that is on disk was received, by its number.
    pub(super) moments: BTreeMap<usize, Moment>,
    /// Objects that prove nothing: in `misc`, which comes without a subscription, or of a stream that was not asked for.
    pub(super) misc: BTreeSet<usize>,
    /// Lines that are not what was sent.
    pub(super) faults: Vec<String>,
}

/// An object, with its number.
#[derive(Clone, Copy)]
pub(super) struct Object<'a> {
    pub(super) index: usize,
    pub(super) sent: &'a Sent,
}

impl Matched {
    /// Finds the object of every line of a connection.
    pub(super) fn new(tape: &Tape, feed: Feed, side: Side) -> Self {
        let mut lines = Lines::default();
        let by_content: HashMap<&[u8], usize> =
            side.sent.iter().enumerate().map(|(index, sent)| (&*sent.content, index)).collect();
        for (stream, segments) in tape.streams[feed].iter().filter(|(stream, _)| !stream.ends_with(".healed")) {
            lines.add_stream(stream, segments, &by_content);
        }
        let Lines { moments, misc, mut faults } = lines;
        let mut last = Moment::default();
        for (index, moment) in &moments {
            if *moment <= last {
                faults.push(format!("object {index} at {moment:?} does not follow the one before, at {last:?}"));
            }
            last = *moment;
        }
        Self { side, moments, misc, faults }
    }

    /// Every object, in the order in which they were handed over.
    pub(super) fn objects(&self) -> impl Iterator<Item = Object<'_>> {
        self.side.sent.iter().enumerate().map(|(index, sent)| Object { index, sent })
    }

    /// When the recorder read an object; `None`: never.
    pub(super) fn read_at(&self, object: Object) -> Option<Instant> {
        self.side.read_at(object.sent)
    }

    /// When each object that is data was received.
    pub(super) fn data(&self) -> impl Iterator<Item = (&usize, &Moment)> {
        self.moments.iter().filter(|(index, _)| !self.misc.contains(index))
    }
}

/// The lines of one connection, by the objects that they are.
#[derive(Default)]
struct Lines {
    moments: BTreeMap<usize, Moment>,
    misc: BTreeSet<usize>,
    faults: Vec<String>,
}

impl Lines {
    fn add_stream(&mut self, stream: &str, segments: &[Segment], by_content: &HashMap<&[u8], usize>) {
        let mut order = Vec::new();
        for segment in segments {
            let indexes = self.add_segment(stream, segment, by_content);
            if stream == "misc" || stream.ends_with("_ticker") {
                self.misc.extend(&indexes);
            }
            order.push((indexes.first().copied(), indexes));
        }
        // After a clock was set back, names do not tell in which order the segments were written.
        order.sort();
        let order: Vec<usize> = order.into_iter().flat_map(|(_, indexes)| indexes).collect();
        let disordered = order.windows(2).filter(|pair| pair[0] >= pair[1]);
        self.faults.extend(disordered.map(|pair| format!("{stream}: object {} is out of order", pair[1])));
    }

    /// The objects of a segment's lines, in their order.
    fn add_segment(&mut self, stream: &str, segment: &Segment, by_content: &HashMap<&[u8], usize>) -> Vec<usize> {
        let mut indexes = Vec::new();
        for line in &segment.lines {
            let Some(&index) = by_content.get(&*line.content) else {
                self.faults.push(format!("{stream}: never sent: {}", String::from_utf8_lossy(&line.content)));
                continue;
            };
            if self.moments.insert(index, Moment { epoch: segment.epoch, stamp: line.stamp }).is_some() {
                self.faults.push(format!("{stream}: object {index} is there twice"));
            }
            indexes.push(index);
        }
        indexes
    }
}
