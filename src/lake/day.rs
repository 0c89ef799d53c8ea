//! The files of a day: which there are to be, of what is sealed.

use super::gaps::{Gaps, needed_since};
use super::job::Job;
use super::place::LakePlace;
use super::table::Table;
use crate::clock::Position;
use crate::tape::reader::{SealedDate, SealedSegment, SealedStream, Tape, TapeError, ToldGaps};
use crate::tape::stream_key::StreamKey;
use jiff::civil::Date;
use std::collections::BTreeSet;

/// What is exported.
#[derive(Clone, Debug)]
pub struct Selected {
    /// The types; none: those that the tape has.
    pub tables: Vec<Table>,
    /// So many levels of books in columns of their own, beside the lists.
    pub levels: Option<u16>,
    /// The venue of files that do not name theirs.
    pub venue: String,
}

/// A day.
#[derive(Debug)]
pub struct Day {
    /// Its files, by type and pair.
    pub jobs: Vec<Job>,
    /// Streams of which a segment waits to be sealed: a file of theirs will be written anew.
    pub waiting: BTreeSet<StreamKey>,
}

impl Selected {
    fn tables_of(&self, stream: &StreamKey) -> Vec<Table> {
        let Some(own) = Table::of(stream) else { return Vec::new() };
        let is_meant = |table: &Table| self.tables.is_empty() || self.tables.contains(table);
        let mut tables: Vec<Table> = Some(own).filter(is_meant).into_iter().collect();
        if own == Table::Books {
            tables.extend(self.levels.map(Table::FlatBooks));
            tables.extend(self.tables.iter().filter(|table| matches!(table, Table::FlatBooks(_))));
            tables.sort_unstable();
            tables.dedup();
        }
        tables
    }

    fn holds(&self, stream: &StreamKey) -> bool {
        !self.tables_of(stream).is_empty()
    }
}

impl Day {
    /// The files that a day is to have; `told` is read on as far as it is needed.
    ///
    /// # Errors
    /// The tape cannot be read.
    pub fn plan(tape: &Tape, told: &mut ToldGaps, date: Date, selected: &Selected) -> Result<Self, TapeError> {
        let is_meant = |stream: &StreamKey| selected.holds(stream);
        let SealedDate { mut streams, waiting, venue } = tape.sealed(date, &is_meant)?;
        let before = date.yesterday().map_or_else(|_| Ok(SealedDate::default()), |day| tape.sealed(day, &is_meant))?;
        told.read(tape, needed_since(date))?;
        let gaps = Gaps::of(told, date);
        let venue = venue.or_else(|| tape.venue()).unwrap_or_else(|| selected.venue.clone());
        let mut jobs = Vec::new();
        for stream in own_streams(&streams) {
            let Some(code) = stream.code() else { continue };
            let healed = stream.healed().and_then(|healed| streams.remove(&healed));
            // What was healed on a day without a line of the stream.
            let recorded = streams.remove(&stream).or_else(|| healed.as_ref().map(SealedStream::without_segments));
            let Some(recorded) = recorded.filter(|own| !own.segments.is_empty() || healed.is_some()) else { continue };
            let last = before.streams.get(&stream).and_then(last_position);
            let own = gaps.of_stream(stream.as_str(), last);
            for table in selected.tables_of(&stream) {
                jobs.push(Job {
                    place: LakePlace { venue: venue.clone(), table, date, code: code.to_owned() },
                    tape: tape.clone(),
                    stream: stream.clone(),
                    recorded: recorded.clone(),
                    healed: healed.clone().filter(|_| table.has_history()),
                    gaps: own.clone(),
                });
            }
        }
        Ok(Self { jobs, waiting })
    }
}

/// The streams, each for itself and what was healed of it.
fn own_streams(streams: &std::collections::BTreeMap<StreamKey, SealedStream>) -> BTreeSet<StreamKey> {
    let own = |stream: &StreamKey| StreamKey::from_stem(stream.as_str().trim_end_matches(".healed"));
    streams.keys().filter_map(own).collect()
}

fn last_position(sealed: &SealedStream) -> Option<Position> {
    sealed.segments.iter().map(SealedSegment::end).max()
}
