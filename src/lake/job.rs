//! One file of the lake: the lines of a pair on a day, as rows.

use super::encode::{About, Group};
use super::file::LakeFile;
use super::gaps::StreamGaps;
use super::metadata::{self, LeftOut, Source};
use super::place::LakePlace;
use super::read_back;
use super::repeats::{Came, Repeats};
use super::row::{Row, RowReader};
use super::scan::text_of;
use super::table::Table;
use crate::files::Files;
use crate::files::disk::Disk;
use crate::reading::trade::TradeKey;
use crate::tape::day_summary::span;
use crate::tape::line::Line;
use crate::tape::reader::{MergedLine, SealedSegment, SealedStream, Tape, TapeError, merge_sealed};
use crate::tape::stream_key::StreamKey;
use std::borrow::Cow;

pub use super::file::{LakeError, Written};

/// Whether it is to stop.
pub type Stop<'a> = &'a (dyn Fn() -> bool + Sync);

/// Lines between two looks at whether it is to stop: some milliseconds' work.
const LOOK: u64 = 1 << 12;

/// See the module.
#[derive(Debug)]
pub struct Job {
    /// Where it goes.
    pub place: LakePlace,
    pub(super) tape: Tape,
    pub(super) stream: StreamKey,
    pub(super) recorded: SealedStream,
    pub(super) healed: Option<SealedStream>,
    pub(super) gaps: StreamGaps,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is written, or written anew.
    Written(Written),
    /// It was there, from the same sources.
    Current,
    /// Some of its sources are gone. The file that was made of them and of all that are there stays.
    Kept,
}

impl Job {
    /// Bytes of its sources before compression, as far as they are listed.
    pub fn bytes(&self) -> u64 {
        self.sources().map(SealedStream::bytes).sum()
    }

    /// Writes the file where it is not there as it would be written.
    ///
    /// # Errors
    /// The tape, the disk, or that it was told to `stop`.
    pub fn run(&self, disk: &Disk, stop: Stop<'_>) -> Result<Outcome, LakeError> {
        let measured: Vec<Cow<'_, SealedStream>> =
            self.sources().map(SealedStream::measured).collect::<Result<_, TapeError>>()?;
        let sources: Vec<&SealedStream> = measured.iter().map(AsRef::as_ref).collect();
        let named = self.named(&sources);
        let known = metadata::known(&self.place, &named, &self.gaps.notes, self.gaps.before);
        if let Ok(file) = disk.read(&self.place.path()) {
            let is_partial = sources.iter().any(|stream| stream.missing > 0);
            match read_back::footer(file) {
                Ok(footer) if metadata::is_current(&footer, &known) => return Ok(Outcome::Current),
                // It is written anew, and so is one that is damaged.
                _ if !is_partial => {}
                Ok(footer) if metadata::covers(&footer, &named) => return Ok(Outcome::Kept),
                Ok(_) => return Err(LakeError::Apart { path: self.place.path() }),
                Err(source) => return Err(LakeError::Damaged { path: self.place.path(), source }),
            }
        }
        let mut file = LakeFile::begin(disk, &self.place, known)?;
        let written = self.write(&mut file, &sources, stop).and_then(|left_out| file.finish(left_out));
        if written.is_err() {
            // Ignored: the next run removes it.
            let _ = disk.remove(&self.place.unfinished());
        }
        written.map(Outcome::Written)
    }

    fn write(&self, file: &mut LakeFile<'_>, sources: &[&SealedStream], stop: Stop<'_>) -> Result<LeftOut, LakeError> {
        let mut lines = merge_sealed(sources);
        let mut rows = Rows::new(self);
        let mut count = 0_u64;
        for item in lines.by_ref() {
            let MergedLine { place, line } = item?;
            count += 1;
            if count.is_multiple_of(LOOK) && stop() {
                return Err(LakeError::Stopped);
            }
            rows.add(&line, place > 0)?;
            if rows.group.is_full() {
                let count = rows.group.rows();
                file.write(rows.group.take(), count)?;
            }
        }
        if lines.decoded() != sources.iter().map(|stream| stream.bytes()).sum::<u64>() {
            return Err(LakeError::Gone { stream: self.stream.to_string() });
        }
        let count = rows.group.rows();
        file.write(rows.group.take(), count)?;
        // Lines without a stamp are none to a reader: what is listed tells that they are there.
        let listed: u64 = sources.iter().flat_map(|stream| &stream.segments).map(|segment| segment.lines).sum();
        Ok(rows.left_out(listed))
    }

    /// The stream, and what was healed of it.
    fn sources(&self) -> impl Iterator<Item = &SealedStream> {
        std::iter::once(&self.recorded).chain(&self.healed)
    }

    fn named(&self, sources: &[&SealedStream]) -> Vec<Source> {
        let names = [self.stream.to_string(), format!("{}.healed", self.stream)];
        names.into_iter().zip(sources).flat_map(|(name, sealed)| named(name, sealed)).collect()
    }
}

/// The files of a stream, as the footer names them.
fn named(stream: String, sealed: &SealedStream) -> Vec<Source> {
    let source = |segment: &SealedSegment| Source {
        stream: stream.clone(),
        name: segment.file_name(),
        lines: segment.lines,
        sha256: segment.sha256.clone(),
    };
    sealed.segments.iter().map(source).collect()
}

/// Lines on their way to a row group.
struct Rows {
    is_trade: bool,
    reader: RowReader,
    repeats: Repeats,
    gaps: StreamGaps,
    /// A gap ended in front of the next row.
    gap_before: bool,
    group: Group,
    rows: u64,
    left_out: LeftOut,
}

impl Rows {
    fn new(job: &Job) -> Self {
        let LakePlace { venue, table, date, code } = &job.place;
        let begin = span(*date).map_or_else(Default::default, |(begin, _)| begin);
        Self {
            is_trade: *table == Table::Trades,
            reader: RowReader::new(*table, code),
            repeats: Repeats::new(job.tape.clone(), job.stream.clone(), begin),
            gaps: job.gaps.clone(),
            gap_before: false,
            group: Group::new(*table, venue, code),
            rows: 0,
            left_out: LeftOut::default(),
        }
    }

    fn add(&mut self, line: &Line, is_healed: bool) -> Result<(), LakeError> {
        if !is_healed {
            self.gap_before |= self.gaps.pass(line.position());
        }
        let Some(row) = self.reader.read(line.text(), is_healed) else {
            self.left_out.unreadable += 1;
            return Ok(());
        };
        if self.is_trade
            && let Some(trade) = trade(&row)
            && self.repeats.holds(trade, came(&row, is_healed))?
        {
            self.left_out.repeats += 1;
            return Ok(());
        }
        let about = About { position: line.position(), is_healed, gap_before: self.gap_before && !is_healed };
        if !self.group.push(&row, about, line.text().len()) {
            self.left_out.unreadable += 1;
            return Ok(());
        }
        self.rows += 1;
        self.gap_before &= is_healed;
        Ok(())
    }

    /// What has no row, of so many lines.
    fn left_out(&self, lines: u64) -> LeftOut {
        let LeftOut { repeats, unreadable } = self.left_out;
        LeftOut { repeats, unreadable: unreadable.max(lines.saturating_sub(self.rows + repeats)) }
    }
}

/// What tells trades apart: the first two columns; `None`: it has none, and is like no other.
fn trade(row: &Row<'_>) -> Option<TradeKey> {
    let (time, id) = (row.values.first()?.as_ref()?, row.values.get(1)?.as_ref()?);
    Some(TradeKey { time: time.parse().ok()?, id: id.parse().ok()? })
}

fn came(row: &Row<'_>, is_healed: bool) -> Came {
    /// The place of `stream_type` among the columns of trades.
    const STREAM_TYPE: usize = 15;
    let kind = || row.values.get(STREAM_TYPE).copied().flatten().and_then(text_of);
    match is_healed {
        true => Came::Healed,
        false if kind().is_some_and(|kind| kind == "SNAPSHOT") => Came::Snapshot,
        false => Came::Live,
    }
}
