//! A recording for tests: lines in memory, of streams with an active file and of others.

use super::object::ReelObject;
use super::reel::{Objects, Recording, Silence, Span};
use super::wire::request::Endpoint;
use crate::clock::{Position, Stamp};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Fake {
    pub(super) streams: BTreeSet<String>,
    lines: Arc<Mutex<Vec<ReelObject>>>,
    /// The spans that were asked for.
    pub(super) spans: Arc<Mutex<Vec<Span>>>,
    /// As long as it is locked, the past is being read.
    pub(super) disk: Arc<Mutex<()>>,
    begin: Position,
}

/// The position so many milliseconds behind the beginning.
pub(super) fn at(millis: u64) -> Position {
    const BEGIN: u64 = 1_795_317_064_000_000;
    Position { epoch: 0, stamp: Stamp::from_micros(BEGIN + millis * 1_000).unwrap() }
}

/// A trade, of a stream such as `KRW-BTC_trade`.
pub(super) fn trade(stream: &str, millis: u64) -> ReelObject {
    let code = stream.split_once('_').unwrap().0;
    let object =
        format!("{{\"type\":\"trade\",\"code\":\"{code}\",\"timestamp\":{millis},\"stream_type\":\"REALTIME\"}}");
    ReelObject { at: at(millis), stream: stream.to_owned(), object: object.into() }
}

impl Fake {
    pub(super) fn of(streams: &[&str]) -> Self {
        let streams = streams.iter().map(|stream| (*stream).to_owned()).collect();
        Self { streams, begin: at(0), ..Self::default() }
    }

    /// A line stands in a file.
    pub(super) fn write(&self, object: ReelObject) {
        self.lines.lock().unwrap().push(object);
    }
}

/// Lines being read: of files that were there, and of the active ones also what is added.
struct Reading {
    lines: Arc<Mutex<Vec<ReelObject>>>,
    streams: BTreeSet<String>,
    from: Position,
    listed: usize,
    next: usize,
}

impl Objects for Reading {
    fn next(&mut self) -> Option<ReelObject> {
        let lines = self.lines.lock().unwrap();
        let is_read = |index: usize, line: &ReelObject| {
            let is_listed = index < self.listed || line.stream.starts_with("KRW-BTC");
            is_listed && line.at >= self.from && self.streams.contains(&line.stream)
        };
        let found = lines.iter().enumerate().skip(self.next).find(|(index, line)| is_read(*index, line));
        let (index, line) = found?;
        self.next = index + 1;
        Some(line.clone())
    }
}

impl Recording for Fake {
    fn streams(&self, _: Endpoint) -> &BTreeSet<String> {
        &self.streams
    }

    fn begin(&self) -> Position {
        self.begin
    }

    fn play(&self, _: Endpoint, streams: &BTreeSet<String>, from: Position) -> Box<dyn Objects> {
        let (lines, streams, listed) = (self.lines.clone(), streams.clone(), self.lines.lock().unwrap().len());
        Box::new(Reading { lines, streams, from, listed, next: 0 })
    }

    fn before(&self, _: Endpoint, stream: &str, position: Position, count: usize) -> Vec<Bytes> {
        let lines = self.lines.lock().unwrap();
        let found = lines.iter().rev().filter(|line| line.stream == stream && line.at < position);
        found.take(count).map(|line| line.object.clone()).collect()
    }

    fn gaps(&self, _: Endpoint) -> &[Silence] {
        &[]
    }

    fn past(&self, _: &str, span: Span, _: Position) -> Box<dyn Iterator<Item = Bytes> + '_> {
        let _read = self.disk.lock().unwrap();
        self.spans.lock().unwrap().push(span);
        Box::new(std::iter::empty())
    }

    fn markets(&self) -> Vec<Bytes> {
        Vec::new()
    }
}
