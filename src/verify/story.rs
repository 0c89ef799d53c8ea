//! Events against gaps: each loss and each start that ended in data again has its gap, and what was healed too. Pure.
//!
//! ```text
//! lost ────────▶ live        some gap of the connection begins before the loss and ends behind it
//! started ─────▶ live        the same for a connection that had been live before
//! healed, lines of .healed   name a gap that is on record
//! ```
//!
//! Retention deletes the oldest events first: what is older than the first one that is left proves nothing.

use super::fault::{Fault, Within};
use crate::clock::{Position, Stamp};
use crate::tape::event::Event;
use crate::tape::gap::GapRecord;
use crate::tape::words::{Stage, Word};
use crate::upbit::feed::{Feed, PerFeed};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A gap is on record with the first data behind it. Where the process dies in between, the next one tells it, with its own
/// start: some lines later, which take no such time unless nothing follows at all.
const TOLD_WITHIN: Duration = Duration::from_secs(5);

/// What an event tells that has to agree with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// A process began.
    Started,
    /// A living connection was lost.
    Lost(Feed),
    /// Data came again.
    Live(Feed),
    /// A gap.
    Gap(GapRecord),
    /// A gap was healed: its id, and its epoch where it is another one.
    Healed(Stamp, Option<u64>),
    /// A file could not be read, and lies in the archive under the time of that start.
    SetAside(String),
}

/// Something told, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// When.
    pub at: Position,
    /// Where the line begins, in the content of its file.
    pub offset: u64,
    /// What.
    pub told: Told,
}

impl Told {
    /// What an event tells; `None`: nothing that others have to agree with.
    pub(super) fn of(event: Event) -> Option<Self> {
        match event {
            Event::Started { .. } => Some(Self::Started),
            Event::Lost { connection, stage: Word::Known(Stage::Live), .. } => Some(Self::Lost(connection)),
            Event::Live { connection, .. } => Some(Self::Live(connection)),
            Event::Gap(gap) => Some(Self::Gap(gap)),
            Event::Healed { gap, gap_epoch, .. } => Some(Self::Healed(Stamp::from_micros(gap)?, gap_epoch)),
            Event::Quarantined { kept, .. } if kept.contains("archive/") => Some(Self::SetAside(kept)),
            _ => None,
        }
    }
}

/// All that events tell, and what has to agree with it.
#[derive(Debug, Default)]
pub struct Story {
    notes: Vec<(Note, usize)>,
    /// Files with notes, and those with healed lines.
    files: Vec<PathBuf>,
    named: Vec<NamedGap>,
}

/// A gap that a line or an event names.
#[derive(Debug)]
struct NamedGap {
    gap: Position,
    file: usize,
    offset: u64,
}

/// A moment at which a connection brought nothing, and the event that says that it came back.
struct Outage {
    connection: Feed,
    moment: Position,
    live: Position,
    file: usize,
    offset: u64,
}

impl Story {
    /// Adds what a file tells: events in the order of its lines, and gaps that its lines were missed in.
    pub fn add(&mut self, file: &Path, notes: Vec<Note>, gaps: BTreeMap<Position, u64>) {
        if notes.is_empty() && gaps.is_empty() {
            return;
        }
        let index = self.files.len();
        self.files.push(file.to_owned());
        for Note { at, offset, told } in &notes {
            if let Told::Healed(id, epoch) = told {
                let gap = Position { epoch: epoch.unwrap_or(at.epoch), stamp: *id };
                self.named.push(NamedGap { gap, file: index, offset: *offset });
            }
        }
        self.notes.extend(notes.into_iter().map(|note| (note, index)));
        self.named.extend(gaps.into_iter().map(|(gap, offset)| NamedGap { gap, file: index, offset }));
    }

    /// Whether this archived file was set aside by a start, which named it by its own time.
    pub fn is_set_aside(&self, file: &str) -> bool {
        self.notes.iter().any(|(note, _)| matches!(&note.told, Told::SetAside(kept) if kept == file))
    }

    /// What does not agree.
    pub fn faults(mut self) -> Vec<Fault> {
        self.notes.sort_by_key(|(note, _)| note.at);
        let (Some((first, _)), Some((last, _))) = (self.notes.first(), self.notes.last()) else {
            return Vec::new();
        };
        let (first, last) = (first.at, last.at);
        let mut found = self.ungapped(last);
        let known: BTreeSet<Position> = self.gaps().map(|(at, gap)| id_of(at, gap)).collect();
        for NamedGap { gap, file, offset } in &self.named {
            if *gap > first && !known.contains(gap) {
                let reason = format!("no event tells the gap {} that is named here", gap.stamp);
                found.push(self.fault(*file, *offset, reason));
            }
        }
        found
    }

    /// Outages without a gap.
    fn ungapped(&self, last: Position) -> Vec<Fault> {
        let mut found = Vec::new();
        for Outage { connection, moment, live, file, offset } in self.outages() {
            let covers = |(at, gap): (Position, &GapRecord)| {
                gap.connection == connection
                    && id_of(at, gap).epoch == moment.epoch
                    && gap.from <= moment.stamp
                    && moment.stamp <= gap.to
            };
            if live.after(TOLD_WITHIN) < last && !self.gaps().any(covers) {
                let reason =
                    format!("{connection} is live again here, and no gap tells that it was not at {}", moment.stamp);
                found.push(self.fault(file, offset, reason));
            }
        }
        found
    }

    fn outages(&self) -> Vec<Outage> {
        let mut outages = Vec::new();
        let mut was_live = PerFeed::from_fn(|_| false);
        let mut since: PerFeed<Option<Position>> = PerFeed::default();
        let mut epoch = None;
        for (Note { at, offset, told }, file) in &self.notes {
            match told {
                // A start of another epoch tells the end of the one before, and its own beginning.
                Told::Started if epoch == Some(at.epoch) => {
                    for feed in Feed::ALL.into_iter().filter(|feed| was_live[*feed]) {
                        since[feed].get_or_insert(*at);
                    }
                }
                Told::Lost(feed) => {
                    since[*feed].get_or_insert(*at);
                }
                Told::Live(feed) => {
                    was_live[*feed] = true;
                    let outage = |moment| Outage { connection: *feed, moment, live: *at, file: *file, offset: *offset };
                    outages.extend(since[*feed].take().map(outage));
                }
                Told::Started | Told::Gap(_) | Told::Healed(..) | Told::SetAside(_) => {}
            }
            epoch = Some(at.epoch);
        }
        outages
    }

    fn gaps(&self) -> impl Iterator<Item = (Position, &GapRecord)> {
        self.notes.iter().filter_map(|(note, _)| match &note.told {
            Told::Gap(gap) => Some((note.at, gap)),
            _ => None,
        })
    }

    fn fault(&self, file: usize, offset: u64, reason: String) -> Fault {
        Fault { file: self.files[file].clone(), offset: Some(offset), within: Within::Content, reason }
    }
}

/// The epoch of a gap and its id.
fn id_of(at: Position, gap: &GapRecord) -> Position {
    Position { epoch: gap.epoch.unwrap_or(at.epoch), stamp: Stamp::from_micros(gap.id).unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::gap::GapKind;

    fn at(micros: u64) -> Position {
        Position { epoch: 0, stamp: Stamp::from_micros(micros).unwrap() }
    }

    fn gap(from: u64, to: u64) -> Told {
        Told::Gap(GapRecord {
            id: to + 1,
            connection: Feed::Public,
            epoch: Some(0),
            from: at(from).stamp,
            to: at(to).stamp,
            kind: GapKind::Disconnected.into(),
            cause: "x".to_owned(),
            streams: Vec::new(),
        })
    }

    fn faults(told: Vec<(u64, Told)>, healed: &[u64]) -> Vec<String> {
        let mut story = Story::default();
        let notes = told.into_iter().map(|(micros, told)| Note { at: at(micros), offset: micros, told }).collect();
        story.add(Path::new("recorder.jsonl"), notes, healed.iter().map(|gap| (at(*gap), 7)).collect());
        story.faults().into_iter().map(|fault| format!("{:?} {}", fault.offset, fault.reason)).collect()
    }

    const PUBLIC: Feed = Feed::Public;
    const LATER: (u64, Told) = (99_000_000, Told::Started);

    #[test]
    fn a_loss_with_data_behind_it_has_a_gap() {
        let outage =
            [(10, Told::Started), (20, Told::Live(PUBLIC)), (30, Told::Lost(PUBLIC)), (50, Told::Live(PUBLIC))];
        let with = |more: Vec<(u64, Told)>| faults([&outage[..], &more, &[LATER]].concat(), &[]);
        assert_eq!(with(vec![(52, gap(29, 51))]), [""; 0]);
        assert_eq!(with(vec![]), ["Some(50) public is live again here, and no gap tells that it was not at 30"]);
        assert_eq!(with(vec![(52, gap(31, 51))]).len(), 1, "it begins behind the loss");
        assert_eq!(faults(outage.to_vec(), &[]), [""; 0], "it may be about to be told");
    }

    #[test]
    fn a_start_behind_data_has_a_gap() {
        let told = [(10, Told::Started), (20, Told::Live(PUBLIC)), (40, Told::Started), (50, Told::Live(PUBLIC))];
        assert_eq!(faults([&told[..], &[(52, gap(30, 51)), LATER]].concat(), &[]), [""; 0]);
        let found = faults([&told[..], &[LATER]].concat(), &[]);
        assert_eq!(found, ["Some(50) public is live again here, and no gap tells that it was not at 40"]);
        assert_eq!(faults([&told[2..], &[LATER]].concat(), &[]), [""; 0], "the first start lacks nothing");
    }

    #[test]
    fn what_was_healed_names_a_gap_on_record() {
        let told = vec![(10, Told::Started), (52, gap(30, 51)), (60, Told::Healed(at(52).stamp, None))];
        assert_eq!(faults(told.clone(), &[52]), [""; 0]);
        assert_eq!(faults(told.clone(), &[53]), ["Some(7) no event tells the gap 53 that is named here"]);
        assert_eq!(faults(told, &[9]), [""; 0], "its events may be deleted");
        let healed = vec![(10, Told::Started), (60, Told::Healed(at(52).stamp, None))];
        assert_eq!(faults(healed, &[]), ["Some(60) no event tells the gap 52 that is named here"]);
    }
}
