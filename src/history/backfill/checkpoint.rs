//! The checkpoint of one stream: which intervals were fetched, kept beside the stream's data.
//!
//! ```text
//! rest/KRW-BTC_candle.1m.checkpoint
//! {"listed":"2017-09-01T00:00:00Z"}
//! {"from":"2026-03-01T00:00:00Z","to":"2026-03-01T03:20:00Z","objects":200,"last":1795324324113204}
//! {"doubted":"2026-02-01T00:00:00Z","objects":0,"answered":1795324330113204}
//! ```
//!
//! A line is appended after the objects of its interval are written and synced. `last` is the stamp of the interval's
//! last object: lines of the stream with later stamps were written by a process that died before its checkpoint. Such
//! lines are an ordered prefix of one piece, so every object between the first and the last of them is on disk; `ids`
//! are the stored objects with the same time as the last one. `listed` is the first day of the pair's history on the
//! exchange, queried once. `doubted` is an answer that contradicts this file: for the time before `doubted` the
//! exchange returned only `objects` objects. An interval with objects before that time voids it.

use crate::clock::Stamp;
use crate::files::lines::{LONGEST_OWN, Lines, ends_with_break};
use crate::files::{Files, IoError, append_all};
use crate::history::claim::{AGREEING, AGREEING_FOR, Claim};
use crate::history::span::{Coverage, Span};
use crate::tape::checkpoint::{self, CheckpointLine, DoubtedAnswer, FetchedInterval};
use crate::tape::stream_key::StreamKey;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::io;
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// The checkpoint of one stream, in memory.
#[derive(Debug)]
pub(super) struct Checkpoint {
    path: PathBuf,
    /// The fetched intervals.
    pub(super) coverage: Coverage,
    /// Objects already on disk outside the covered intervals.
    pub(super) ids: BTreeSet<u64>,
    /// The first day of the exchange's history, where known: milliseconds since the Unix epoch.
    pub(super) listed: Option<i64>,
    /// The stamp of the last line covered by a checkpoint.
    pub(super) last: Stamp,
    /// The intervals in the order of fetching, each with the stamp of its last line. A year of minutes takes some
    /// kilobytes.
    pieces: Vec<Piece>,
    /// Answers in doubt and not disproved: a run adds a few at most.
    doubted: Vec<DoubtedAnswer>,
    /// The file ends in a torn line, so the next append starts with a line break.
    needs_break: bool,
}

/// A complete interval.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// The interval.
    pub(super) span: Span,
    /// The number of its objects.
    pub(super) objects: usize,
    /// The stamp of its last line.
    pub(super) last: Stamp,
}

impl Checkpoint {
    /// Reads the checkpoint of a stream; unreadable lines were torn by a crash and are skipped.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn read(files: &dyn Files, stream: &StreamKey) -> Result<Self, IoError> {
        let path = checkpoint::path(stream);
        let (coverage, ids, listed, last, pieces, doubted) = Default::default();
        let mut checkpoint = Self { path, coverage, ids, listed, last, pieces, doubted, needs_break: false };
        let path = checkpoint.path.clone();
        let mut file = match files.read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(checkpoint),
            file => file.map_err(IoError::at("read", &path))?,
        };
        checkpoint.needs_break = !ends_with_break(&mut *file).map_err(IoError::at("read", &path))?;
        let mut lines = Lines::new(file, LONGEST_OWN);
        while let Some(line) = lines.next_line().map_err(IoError::at("read", &path))? {
            if let Ok(line) = serde_json::from_slice(line) {
                checkpoint.take(line);
            }
        }
        lines.tell(&path);
        Ok(checkpoint)
    }

    /// Records that a piece is completely on disk, and the stored objects `ids` after it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn add(&mut self, files: &dyn Files, piece: Piece, ids: BTreeSet<u64>) -> Result<(), IoError> {
        let Piece { span, objects, last } = piece;
        let [from, to] = [moment(span.from), moment(span.to)];
        self.append(files, CheckpointLine::Fetched(FetchedInterval { from, to, objects, last, ids }))
    }

    /// Records the first day of the exchange's history.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn note_listed(&mut self, files: &dyn Files, listed: i64) -> Result<(), IoError> {
        self.append(files, CheckpointLine::Listed { listed: moment(listed) })
    }

    /// Records an answer given at `now` that contradicts known data.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn note_doubt(&mut self, files: &dyn Files, claim: Claim, now: Stamp) -> Result<(), IoError> {
        let Claim { to, objects, .. } = claim;
        self.append(
            files,
            CheckpointLine::Doubted(DoubtedAnswer { doubted: moment(to), objects, answered: now.as_micros() }),
        )
    }

    /// Whether enough earlier answers agree with this one, over a long enough time.
    pub(super) fn is_believed(&self, claim: Claim, now: Stamp) -> bool {
        let agrees = |doubt: &&DoubtedAnswer| claim.agrees_with(doubt.doubted.as_millisecond(), doubt.objects);
        let agreeing: Vec<u64> = self.doubted.iter().filter(agrees).map(|doubt| doubt.answered).collect();
        let begin = agreeing.iter().min().and_then(|begin| Stamp::from_micros(*begin)).unwrap_or(now);
        agreeing.len() + 1 >= AGREEING && now.since(begin) >= AGREEING_FOR
    }

    /// A time before which the stream has objects, judged by intervals that begin at or after `since`.
    pub(super) fn exists_before(&self, since: i64) -> Option<i64> {
        let found = self.pieces.iter().filter(|piece| piece.objects > 0 && piece.span.length() > 0);
        found.filter(|piece| piece.span.from >= since).map(|piece| piece.span.to).min()
    }

    fn append(&mut self, files: &dyn Files, line: CheckpointLine) -> Result<(), IoError> {
        let json = serde_json::to_string(&line).expect("times and numbers always serialise");
        let text = format!("{}{json}\n", if self.needs_break { "\n" } else { "" });
        let file = files.append(&self.path).map_err(IoError::at("open", &self.path))?;
        append_all(&*file, text.as_bytes()).map_err(IoError::at("write", &self.path))?;
        file.sync().map_err(IoError::at("sync", &self.path))?;
        self.needs_break = false;
        self.take(line);
        Ok(())
    }

    /// The range of stamps of the lines of `span`: an interval's lines follow those of the interval fetched before it.
    pub(super) fn stamps_of(&self, span: Span) -> RangeInclusive<Stamp> {
        let mut begin = Stamp::default();
        let (mut first, mut last) = (Stamp::MAX, Stamp::default());
        for piece in &self.pieces {
            if piece.span.from <= span.to && span.from <= piece.span.to {
                (first, last) = (first.min(begin), last.max(piece.last));
            }
            begin = piece.last;
        }
        first..=last
    }

    fn take(&mut self, line: CheckpointLine) {
        let entry = match line {
            CheckpointLine::Listed { listed } => {
                self.listed = Some(listed.as_millisecond());
                return;
            }
            CheckpointLine::Doubted(doubted) => {
                self.doubted.push(doubted);
                return;
            }
            CheckpointLine::Fetched(entry) => entry,
        };
        let span = Span { from: entry.from.as_millisecond(), to: entry.to.as_millisecond() };
        self.coverage.add(span);
        if entry.objects > 0 {
            self.doubted.retain(|doubt| doubt.doubted < entry.to);
        }
        self.pieces.push(Piece { span, objects: entry.objects, last: entry.last });
        self.ids.extend(entry.ids);
        self.last = self.last.max(entry.last);
    }
}

fn moment(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::disk::Disk;

    #[test]
    fn a_torn_line_says_nothing_and_swallows_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::open(directory.path()).unwrap();
        let stream = StreamKey::from_stem("KRW-BTC_candle.1m").unwrap();
        let read = || Checkpoint::read(&disk, &stream).unwrap();
        let stamp = |micros| Stamp::from_micros(micros).unwrap();
        let add = |from, to, last, ids: &[u64]| {
            let span = Span { from, to };
            read().add(&disk, Piece { span, objects: 1, last: stamp(last) }, ids.iter().copied().collect()).unwrap();
        };
        add(0, 60_000, 5, &[]);
        let torn = disk.append(&PathBuf::from("KRW-BTC_candle.1m.checkpoint")).unwrap();
        append_all(&*torn, b"{\"from\":\"1970").unwrap();
        read().note_listed(&disk, 7_000).unwrap();
        add(60_000, 60_001, 9, &[7]);
        let checkpoint = read();
        assert_eq!(checkpoint.coverage.missing(Span { from: 0, to: 60_002 }), [Span { from: 60_001, to: 60_002 }]);
        assert_eq!(checkpoint.stamps_of(Span { from: 0, to: 9 }), stamp(0)..=stamp(5));
        assert_eq!(checkpoint.stamps_of(Span { from: 60_001, to: 60_002 }), stamp(5)..=stamp(9));
        let Checkpoint { last, ids, listed, .. } = checkpoint;
        assert_eq!((last, ids, listed), (stamp(9), BTreeSet::from([7]), Some(7_000)));
    }

    #[test]
    fn three_answers_are_believed_until_objects_disprove_them() {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::open(directory.path()).unwrap();
        let stream = StreamKey::from_stem("KRW-BTC_candle.1m").unwrap();
        let read = || Checkpoint::read(&disk, &stream).unwrap();
        let at = |minute: u64| Stamp::from_micros(minute * 60_000_000).unwrap();
        let span = Span { from: 0, to: 5_500 };
        let claim = |to, objects| Claim { since: 0, to, objects, before: to };
        read().note_doubt(&disk, claim(5_000, 0), at(1)).unwrap();
        assert!(!read().is_believed(claim(5_000, 0), at(99)), "two answers");
        read().note_doubt(&disk, claim(6_000, 0), at(2)).unwrap();
        assert!(!read().is_believed(claim(5_000, 0), at(10)), "nine minutes");
        assert!(read().is_believed(claim(5_000, 0), at(11)));
        assert!(!read().is_believed(claim(5_000, 7), at(11)), "another answer");
        assert!(!read().is_believed(claim(5_500, 0), at(11)), "one of them says less");
        read().add(&disk, Piece { span, objects: 0, last: at(12) }, BTreeSet::new()).unwrap();
        assert_eq!((read().is_believed(claim(5_000, 0), at(11)), read().exists_before(0)), (true, None));
        read().add(&disk, Piece { span, objects: 1, last: at(13) }, BTreeSet::new()).unwrap();
        assert!(!read().is_believed(claim(5_000, 0), at(11)), "something was before one of them");
        assert_eq!([0, 1].map(|since| read().exists_before(since)), [Some(5_500), None]);
    }
}
