//! The files of a day: which there are to be, of what is sealed.

use super::gaps::{Gaps, LOOKED_BACK, near, needed_since};
use super::job::Job;
use super::place::LakePlace;
use super::table::Table;
use crate::clock::Position;
use crate::tape::reader::{SealedDate, SealedStream, Tape, TapeError, ToldGaps};
use crate::tape::stream_key::StreamKey;
use jiff::Span;
use jiff::civil::Date;
use std::collections::{BTreeMap, BTreeSet};

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
            tables.extend(self.levels.filter(|_| is_meant(&own)).map(Table::FlatBooks));
            tables.extend(self.tables.iter().filter(|table| matches!(table, Table::FlatBooks(_))));
            tables.sort_unstable();
            tables.dedup();
        }
        tables
    }

    /// Whether a stream is exported.
    pub fn holds(&self, stream: &StreamKey) -> bool {
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
        let mut before = ends_before(tape, date, &streams)?;
        let mut since = needed_since(date, &streams, &before);
        if let Err(error) = told.read(tape, since) {
            // A damaged day of weeks ago ends no other one. That its gaps are not known stands in the file, which is written
            // anew once they are.
            tracing::warn!(%date, %error, "gaps before a day are not known");
            (*told, before, since) = (ToldGaps::default(), BTreeMap::new(), near(date));
            told.read(tape, since)?;
        }
        let gaps = Gaps::of(told, date, since);
        let venue = venue.or_else(|| tape.venue()).unwrap_or_else(|| selected.venue.clone());
        let mut jobs = Vec::new();
        for stream in own_streams(&streams) {
            let Some(code) = stream.code() else { continue };
            let healed = stream.healed().and_then(|healed| streams.remove(&healed));
            // What was healed on a day without a line of the stream.
            let recorded = streams.remove(&stream).or_else(|| healed.as_ref().map(SealedStream::without_segments));
            let Some(recorded) = recorded.filter(|own| !own.is_empty() || healed.is_some()) else { continue };
            let own = gaps.of_stream(stream.as_str(), before.get(&stream).copied());
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
fn own_streams(streams: &BTreeMap<StreamKey, SealedStream>) -> BTreeSet<StreamKey> {
    let own = |stream: &StreamKey| StreamKey::from_stem(stream.as_str().trim_end_matches(".healed"));
    streams.keys().filter_map(own).collect()
}

/// Where each stream ended that has lines on a date, before its first one.
fn ends_before(
    tape: &Tape,
    date: Date,
    streams: &BTreeMap<StreamKey, SealedStream>,
) -> Result<BTreeMap<StreamKey, Position>, TapeError> {
    let begins = own_streams(streams).into_iter().filter_map(|stream| {
        let begin = streams.get(&stream)?.begin()?;
        Some((stream, begin))
    });
    let first = date.saturating_sub(Span::new().days(LOOKED_BACK));
    tape.ends_before(first..date, begins.collect())
}
