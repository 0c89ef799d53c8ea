//! A recording, for the local exchange to play: what `Tape` reads, in the shape that it asks for.

use crate::clock::{Position, Stamp};
use crate::files::disk::Disk;
use crate::files::{Files, IoError};
use crate::replay::{Endpoint, Objects, Recording, ReelObject, Silence, Span};
use crate::tape::event::Event;
use crate::tape::gap::GapKind;
use crate::tape::line::Line;
use crate::tape::paths;
use crate::tape::reader::{Lines, Merged, MergedLine, Selection, Tape, TapeError};
use crate::tape::record::Record;
use crate::tape::stream_key::StreamKey;
use crate::tape::words::Word;
use crate::upbit::feed::{Feed, PerFeed};
use bytes::Bytes;
use serde::de::IgnoredAny;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Spans in which the last object of a stream is looked for, before all of it is.
const LOOK_BACK: [Duration; 3] = [Duration::from_secs(60), Duration::from_secs(3_600), Duration::from_secs(86_400)];

/// How far stamps and the exchange's times may be apart.
const APART: u64 = 600_000;

/// An event comes each hour, so nothing is later than this behind the last.
const BEHIND_EVENTS: Duration = Duration::from_secs(3_700);

/// Why a recording cannot be played.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordingError {
    #[error("nothing is recorded in {}: --from wants a data directory", .0.display())]
    Nothing(PathBuf),
    #[error("cannot read the recording: {0}")]
    Tape(#[from] TapeError),
    #[error("cannot read the recording: {0}")]
    Disk(#[from] IoError),
}

/// See the module.
#[derive(Debug)]
pub(super) struct TapeRecording {
    trees: PerFeed<Tape>,
    rest: Tape,
    streams: PerFeed<BTreeSet<String>>,
    gaps: PerFeed<Vec<Silence>>,
    begin: Position,
    /// Nothing is behind it.
    end: Position,
}

impl TapeRecording {
    /// Opens a data directory at `now`. One that `goes_on` may be empty yet, and has no end.
    pub(super) fn open(directory: &Path, now: Stamp, goes_on: bool) -> Result<Self, RecordingError> {
        let nothing = || RecordingError::Nothing(directory.to_owned());
        let files: Arc<dyn Files> = Disk::readable(directory)?.ok_or_else(nothing)?;
        let public = Tape::new(Some(files), directory);
        let trees = PerFeed { private: public.beneath(paths::root(Feed::Private)), public };
        let mut streams: PerFeed<BTreeSet<String>> = PerFeed::default();
        let mut begin: Option<Position> = None;
        for feed in Feed::ALL {
            let found = trees[feed].streams()?;
            streams[feed] = found.iter().filter(|key| key.is_recorded()).map(StreamKey::to_string).collect();
            let first = Merged::new(lines(&trees[feed], &streams[feed], Selection::from(Position::default()..))?.1)
                .find_map(Result::ok);
            begin = begin.into_iter().chain(first.map(|first| first.line.position())).min();
        }
        let unknown = Position { epoch: trees.public.epoch(), stamp: now };
        let begin = begin.or(goes_on.then_some(unknown)).ok_or_else(nothing)?;
        let rest = trees.public.beneath(Path::new("rest"));
        let mut recording = Self { trees, rest, streams, gaps: PerFeed::default(), begin, end: Position::default() };
        let last = recording.read_gaps()?;
        recording.end = match goes_on {
            true => Position { epoch: u64::MAX, stamp: Stamp::MAX },
            false => last.map_or(unknown, |last| last.after(BEHIND_EVENTS)),
        };
        Ok(recording)
    }

    /// Its tape.
    pub(super) fn tape(&self) -> Tape {
        self.trees.public.clone()
    }

    /// Reads the intervals without a connection; returns where the last event is.
    fn read_gaps(&mut self) -> Result<Option<Position>, TapeError> {
        let mut last = None;
        for line in readable(self.trees.public.lines(&StreamKey::recorder(), Position::default()..)?) {
            last = last.max(Some(line.position()));
            let Some(Event::Gap(gap)) = Record::parse_if(&["gap"], line.text()).and_then(|record| record.event) else {
                continue;
            };
            let is_cut = matches!(gap.kind, Word::Known(GapKind::Disconnected | GapKind::Stopped | GapKind::Killed));
            let epoch = gap.epoch.unwrap_or(line.position().epoch);
            let [from, until] = [gap.from, gap.to].map(|stamp| Position { epoch, stamp });
            if is_cut && until > self.begin {
                self.gaps[gap.connection].push(Silence { from, until });
            }
        }
        for feed in Feed::ALL {
            self.gaps[feed].sort_by_key(|gap| gap.until);
            self.gaps[feed].dedup();
        }
        Ok(last)
    }

    /// Lines of a stream, where there is one of that name.
    fn lines(&self, tape: &Tape, stream: Option<StreamKey>, selected: Selection) -> Box<dyn Iterator<Item = Line>> {
        match stream.map(|stream| tape.lines(&stream, selected)) {
            Some(Ok(lines)) => Box::new(readable(lines)),
            Some(Err(error)) => {
                tracing::warn!("{error}");
                Box::new(std::iter::empty())
            }
            None => Box::new(std::iter::empty()),
        }
    }
}

impl Recording for TapeRecording {
    fn streams(&self, endpoint: Endpoint) -> &BTreeSet<String> {
        &self.streams[feed(endpoint)]
    }

    fn begin(&self) -> Position {
        self.begin
    }

    fn play(&self, endpoint: Endpoint, streams: &BTreeSet<String>, from: Position) -> Box<dyn Objects> {
        match lines(&self.trees[feed(endpoint)], streams, Selection::from(from..)) {
            Ok((names, lines)) => Box::new(Playing { names, lines: Merged::new(lines) }),
            Err(error) => {
                tracing::warn!("{error}");
                Box::new(Playing { names: Vec::new(), lines: Merged::new(Vec::new()) })
            }
        }
    }

    fn before(&self, endpoint: Endpoint, stream: &str, position: Position, count: usize) -> Vec<Bytes> {
        let end = position.min(self.end);
        let end = Position { stamp: end.stamp.previous(), ..end };
        let spans = LOOK_BACK.iter().map(|length| end.before(*length)).chain([Position::default()]);
        for from in spans {
            let selected = Selection::from(from..).until(end);
            let mut last = VecDeque::with_capacity(count);
            for line in self.lines(&self.trees[feed(endpoint)], StreamKey::from_stem(stream), selected) {
                if last.len() == count {
                    last.pop_front();
                }
                last.push_back(line.object());
            }
            if last.len() == count || from == Position::default() {
                return last.into_iter().rev().map(Bytes::from).collect();
            }
        }
        Vec::new()
    }

    fn gaps(&self, endpoint: Endpoint) -> &[Silence] {
        &self.gaps[feed(endpoint)]
    }

    fn past(&self, stream: &str, span: Span, before: Position) -> Box<dyn Iterator<Item = Bytes> + '_> {
        let stamp = |millis: u64| Stamp::from_micros(millis.saturating_mul(1_000)).unwrap_or(Stamp::MAX);
        let (from, until) = (stamp(span.from.saturating_sub(APART)), stamp(span.until.saturating_add(APART)));
        let before = Position { stamp: before.stamp.previous(), ..before };
        let key = StreamKey::from_stem(stream);
        let tree = &self.trees.public;
        let own = self.lines(tree, key.clone(), Selection::from(from..=until).until(before));
        let healed = self.lines(tree, key.as_ref().and_then(StreamKey::healed), Selection::from(from..=Stamp::MAX));
        let fetched = self.lines(&self.rest, key, Selection::from(Position::default()..));
        let own = own.map(|line| line.object().into());
        let healed = healed.map(|line| without_gap(line.object()).into());
        Box::new(own.chain(healed).chain(fetched.map(|line| line.object().into())))
    }

    fn markets(&self) -> Vec<Bytes> {
        #[derive(serde::Deserialize)]
        struct Listed {
            market: String,
        }
        let codes = self.streams.public.iter().filter_map(|stream| Some(stream.split_once('_')?.0.to_owned()));
        let named = |code: String| {
            let object = format!("{{\"market\":\"{code}\",\"korean_name\":\"{code}\",\"english_name\":\"{code}\"}}");
            (code, Bytes::from(object))
        };
        let mut markets: BTreeMap<String, Bytes> = codes.map(named).collect();
        let all = Selection::from(Position::default()..);
        for line in self.lines(&self.trees.public, Some(StreamKey::market_objects()), all) {
            let object = line.object();
            if let Ok(Listed { market }) = serde_json::from_slice(&object) {
                markets.insert(market, object.into());
            }
        }
        markets.into_values().collect()
    }
}

/// Lines of some streams, being played.
struct Playing {
    names: Vec<String>,
    lines: Merged,
}

impl Objects for Playing {
    fn next(&mut self) -> Option<ReelObject> {
        loop {
            match self.lines.next()? {
                Ok(MergedLine { place, line }) if is_whole(&line) => {
                    let (at, stream) = (line.position(), self.names[place].clone());
                    return Some(ReelObject { at, stream, object: line.object().into() });
                }
                // A crash tore it.
                Ok(_) => {}
                Err(error) => tracing::warn!("{error}"),
            }
        }
    }
}

pub(super) fn feed(endpoint: Endpoint) -> Feed {
    match endpoint {
        Endpoint::Public => Feed::Public,
        Endpoint::Private => Feed::Private,
    }
}

pub(super) fn endpoint(feed: Feed) -> Endpoint {
    match feed {
        Feed::Public => Endpoint::Public,
        Feed::Private => Endpoint::Private,
    }
}

/// The lines of the streams of a tree, and their names in the same order.
fn lines(tape: &Tape, streams: &BTreeSet<String>, selected: Selection) -> Result<(Vec<String>, Vec<Lines>), TapeError> {
    let found = tape.lines_of(&|key| streams.contains(key.as_str()), selected)?;
    Ok(found.into_iter().map(|(key, lines)| (key.to_string(), lines)).unzip())
}

/// The lines that can be read, and are whole.
fn readable(lines: Lines) -> impl Iterator<Item = Line> {
    lines.filter_map(|line| line.inspect_err(|error| tracing::warn!("{error}")).ok()).filter(is_whole)
}

fn is_whole(line: &Line) -> bool {
    serde_json::from_slice::<IgnoredAny>(line.text()).is_ok()
}

/// An object that was missed, without the gap in front.
fn without_gap(object: Vec<u8>) -> Vec<u8> {
    let mut rest = &object[1..];
    for key in [&b"\"gap\":"[..], b"\"gap_epoch\":"] {
        if rest.starts_with(key)
            && let Some(comma) = memchr::memchr(b',', rest)
        {
            rest = &rest[comma + 1..];
        }
    }
    [b"{", rest].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_missed_is_the_object_that_was_fetched() {
        for gap in ["", "\"gap\":9,", "\"gap\":9,\"gap_epoch\":1,"] {
            let object = without_gap(format!("{{{gap}\"market\":\"KRW-BTC\"}}").into_bytes());
            assert_eq!(object, br#"{"market":"KRW-BTC"}"#);
        }
    }
}
