//! The lines of many streams in the order of their positions: a merge of one cursor a stream.
//!
//! ```text
//! KRW-BTC_trade      ──Lines──▶ next line ─┐
//! KRW-BTC_orderbook  ──Lines──▶ next line ─┼─▶ heap by position ──▶ MergedLine
//! KRW-ETH_trade      ──Lines──▶ segment ───┘   a segment is opened when its first line can be the next
//! ```
//!
//! A stream has one file open at the most, and a share of [`BUFFERS`] of content in memory.

use super::error::TapeError;
use super::lines::{Lines, Step};
use crate::clock::Position;
use crate::tape::line::Line;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Content of all streams in memory together: what makes few streams fast, and is little on a recorder's machine.
const BUFFERS: usize = 128 << 20;

/// A stream's least share: at the exchange's 2,565 streams 160 MiB, with each frame decoded sixteen times.
const LEAST: usize = 64 << 10;

/// The share of each of so many streams.
pub(super) fn share(streams: usize) -> usize {
    (BUFFERS / streams.max(1)).max(LEAST)
}

/// A line, and the place of its stream in the list that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergedLine {
    /// The stream's place.
    pub place: usize,
    /// The line.
    pub line: Line,
}

/// See the module. After an error the iterator goes on with the next readable line.
#[derive(Debug)]
pub struct Merged {
    cursors: Vec<Cursor>,
    /// Each cursor that is not over: where its line is, or that it has none before.
    heap: BinaryHeap<Reverse<(Position, usize)>>,
    faults: VecDeque<TapeError>,
}

#[derive(Debug)]
struct Cursor {
    lines: Lines,
    line: Option<Line>,
}

impl Merged {
    /// The lines of several streams, of one tape or of many that share their epochs.
    pub fn new(streams: Vec<Lines>) -> Self {
        let bounds = streams.iter().enumerate();
        let heap = bounds.filter_map(|(place, lines)| Some(Reverse((lines.bound()?, place)))).collect();
        let cursors = streams.into_iter().map(|lines| Cursor { lines, line: None }).collect();
        Self { cursors, heap, faults: VecDeque::new() }
    }

    /// Bytes of content of sealed files that were decoded so far.
    pub fn decoded(&self) -> u64 {
        self.cursors.iter().map(|cursor| cursor.lines.decoded()).sum()
    }

    /// Reads on in a stream, of which nothing is before `position`.
    fn advance(&mut self, place: usize, position: Position) {
        let cursor = &mut self.cursors[place];
        let next = match cursor.lines.step() {
            Step::Line(line) => {
                let position = line.position();
                cursor.line = Some(line);
                Some(position)
            }
            Step::Fault(fault) => {
                self.faults.push_back(fault);
                Some(position)
            }
            Step::End => cursor.lines.bound().map(|bound| bound.max(position)),
        };
        self.heap.extend(next.map(|position| Reverse((position, place))));
    }
}

impl Iterator for Merged {
    type Item = Result<MergedLine, TapeError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(fault) = self.faults.pop_front() {
                return Some(Err(fault));
            }
            let Reverse((position, place)) = self.heap.pop()?;
            let line = self.cursors[place].line.take();
            if let Some(line) = line {
                self.advance(place, position);
                return Some(Ok(MergedLine { place, line }));
            }
            self.advance(place, position);
        }
    }
}
