//! Events against gaps: each loss and each start that ended in data again has its gap, and what was healed too. Pure.
//!
//! ```text
//! lost ────────▶ live        some gap of the connection begins before the loss and ends behind it
//! started ─────▶ live        the same for a connection that had been live before
//! healed, lines of .healed   name a gap that is on record
//! healed ──────────────────▶ so many lines of .healed name its gap
//! ```
//!
//! Retention deletes the oldest events first: what is older than the first one that is left proves nothing.

use super::Beside;
use super::fault::{Fault, Within};
use crate::clock::{Position, Stamp};
use crate::tape::event::Event;
use crate::tape::gap::{GapKind, GapRecord};
use crate::tape::stream_key::StreamKey;
use crate::tape::words::{Stage, Word};
use crate::upbit::feed::{Feed, PerFeed};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A gap is on record with the first data behind it. Where the process dies in between, the next one tells it, with its own
/// start: some lines later, which take no such time unless nothing follows at all.
const TOLD_WITHIN: Duration = Duration::from_secs(5);

/// No segment is active for longer.
const DAY: Duration = Duration::from_secs(86_400);

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
    /// A gap was healed.
    Healed {
        /// Its id.
        gap: Stamp,
        /// Its epoch, where it is another one.
        gap_epoch: Option<u64>,
        /// How many objects are on disk that were missed, by stream, where there are any.
        objects: BTreeMap<String, u64>,
    },
    /// A file could not be read, and lies in the archive under the time of that start.
    SetAside(String),
}

/// Lines of a healed stream that were missed in one gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissedLines {
    /// Where the first of them begins, in the content of its file.
    pub offset: u64,
    /// How many they are.
    pub lines: u64,
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
            Event::Healed { gap, gap_epoch, report } => {
                let objects =
                    report.complete.into_iter().chain(report.partial).filter(|(_, count)| *count > 0).collect();
                Some(Self::Healed { gap: Stamp::from_micros(gap)?, gap_epoch, objects })
            }
            Event::Quarantined { kept, .. } if kept.contains("archive/") => Some(Self::SetAside(kept)),
            _ => None,
        }
    }
}

/// All that events tell, and what has to agree with it.
#[derive(Debug)]
pub struct Story {
    beside: Beside,
    notes: Vec<(Note, usize)>,
    /// Files with notes, and those with healed lines.
    files: Vec<PathBuf>,
    named: Vec<NamedGap>,
    /// How many lines of a healed stream name a gap.
    missed: BTreeMap<(StreamKey, Position), u64>,
    /// Healed streams of which files were deleted.
    pruned: BTreeSet<StreamKey>,
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
    /// Of a directory in which others may be at work.
    pub fn new(beside: Beside) -> Self {
        let (notes, files, named) = (Vec::new(), Vec::new(), Vec::new());
        Self { beside, notes, files, named, missed: BTreeMap::new(), pruned: BTreeSet::new() }
    }

    /// Notes healed streams of which files were deleted.
    pub fn add_pruned(&mut self, streams: BTreeSet<StreamKey>) {
        self.pruned.extend(streams);
    }

    /// Adds what a file of `stream` tells: events in the order of its lines, and gaps that its lines were missed in.
    pub fn add(
        &mut self,
        file: &Path,
        stream: Option<&StreamKey>,
        notes: Vec<Note>,
        gaps: BTreeMap<Position, MissedLines>,
    ) {
        if notes.is_empty() && gaps.is_empty() {
            return;
        }
        for (gap, MissedLines { lines, .. }) in &gaps {
            if let Some(stream) = stream {
                *self.missed.entry((stream.clone(), *gap)).or_default() += lines;
            }
        }
        let index = self.files.len();
        self.files.push(file.to_owned());
        for Note { at, offset, told } in &notes {
            if let Told::Healed { gap, gap_epoch, .. } = told {
                let gap = Position { epoch: gap_epoch.unwrap_or(at.epoch), stamp: *gap };
                self.named.push(NamedGap { gap, file: index, offset: *offset });
            }
        }
        self.notes.extend(notes.into_iter().map(|note| (note, index)));
        self.named.extend(gaps.into_iter().map(|(gap, MissedLines { offset, .. })| NamedGap {
            gap,
            file: index,
            offset,
        }));
    }

    /// Whether this archived file was set aside by a start, which named it by its own time.
    pub fn is_set_aside(&self, file: &str) -> bool {
        self.notes.iter().any(|(note, _)| matches!(&note.told, Told::SetAside(kept) if kept == file))
    }

    /// What does not agree.
    pub fn faults(&mut self) -> Vec<Fault> {
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
        found.extend(self.unhealed(last));
        found
    }

    /// Objects that were fetched, by an event, and are not there. There may be more than it says: an attempt of an earlier
    /// process is not always in its count.
    fn unhealed(&self, last: Position) -> Vec<Fault> {
        let in_doubt: BTreeSet<&String> = self.doubted().collect();
        let mut found = Vec::new();
        for (Note { at, offset, told }, file) in &self.notes {
            let Told::Healed { gap, gap_epoch, objects } = told else { continue };
            // A file that a recorder has renamed meanwhile may not have been read: it has lines of this day.
            if self.beside == Beside::Recorder && at.after(DAY) > last {
                continue;
            }
            let gap = Position { epoch: gap_epoch.unwrap_or(at.epoch), stamp: *gap };
            for (stream, told) in objects {
                let Some(healed) = StreamKey::from_stem(stream).and_then(|stream| stream.healed()) else { continue };
                if self.pruned.contains(&healed) || in_doubt.contains(&healed.to_string()) {
                    continue;
                }
                let lines = self.missed.get(&(healed, gap)).copied().unwrap_or_default();
                if lines < *told {
                    let reason = format!(
                        "{told} objects of {stream} were fetched for the gap {}, and {lines} are there",
                        gap.stamp
                    );
                    found.push(self.fault(*file, *offset, reason));
                }
            }
        }
        found
    }

    /// Streams of which a gap says that lines on disk may be gone.
    fn doubted(&self) -> impl Iterator<Item = &String> {
        let doubts = self.gaps().filter(|(_, gap)| gap.kind == GapKind::Unsure.into());
        doubts.flat_map(|(_, gap)| &gap.streams)
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
                Told::Started | Told::Gap(_) | Told::Healed { .. } | Told::SetAside(_) => {}
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

    fn healed(objects: u64) -> Told {
        let objects = BTreeMap::from([("KRW-BTC_trade".to_owned(), objects)]);
        Told::Healed { gap: at(52).stamp, gap_epoch: None, objects }
    }

    /// Of events, and two lines for each of these gaps.
    fn story(beside: Beside, told: Vec<(u64, Told)>, missed: &[u64]) -> Story {
        let mut story = Story::new(beside);
        let notes = told.into_iter().map(|(micros, told)| Note { at: at(micros), offset: micros, told }).collect();
        story.add(Path::new("recorder.jsonl"), Some(&StreamKey::recorder()), notes, BTreeMap::new());
        let missed = missed.iter().map(|gap| (at(*gap), MissedLines { offset: 7, lines: 2 })).collect();
        story.add(Path::new("KRW-BTC_trade.healed.jsonl"), Some(&missing()), Vec::new(), missed);
        story
    }

    fn missing() -> StreamKey {
        StreamKey::from_stem("KRW-BTC_trade.healed").unwrap()
    }

    fn found(mut story: Story) -> Vec<String> {
        story.faults().into_iter().map(|fault| format!("{:?} {}", fault.offset, fault.reason)).collect()
    }

    fn faults(told: Vec<(u64, Told)>, missed: &[u64]) -> Vec<String> {
        found(story(Beside::Nobody, told, missed))
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
        let told = vec![(10, Told::Started), (52, gap(30, 51)), (60, healed(0))];
        assert_eq!(faults(told.clone(), &[52]), [""; 0]);
        assert_eq!(faults(told.clone(), &[53]), ["Some(7) no event tells the gap 53 that is named here"]);
        assert_eq!(faults(told, &[9]), [""; 0], "its events may be deleted");
        let alone = vec![(10, Told::Started), (60, healed(0))];
        assert_eq!(faults(alone, &[]), ["Some(60) no event tells the gap 52 that is named here"]);
    }
    #[test]
    fn what_was_healed_is_there() {
        let told = |objects| vec![(10, Told::Started), (52, gap(30, 51)), (60, healed(objects))];
        let lost = ["Some(60) 3 objects of KRW-BTC_trade were fetched for the gap 52, and 2 are there"];
        assert_eq!(faults(told(3), &[52]), lost);
        assert_eq!(faults(told(2), &[52]), [""; 0]);
        assert_eq!(faults(told(1), &[52]), [""; 0], "an earlier process may have written more");
        assert_eq!(faults(told(2), &[]).len(), 1, "the file is gone");
        let mut deleted = story(Beside::Nobody, told(3), &[52]);
        deleted.add_pruned(BTreeSet::from([missing()]));
        assert_eq!(found(deleted), [""; 0]);
        let Told::Gap(gap) = gap(61, 62) else { unreachable!() };
        let displaced = GapRecord { kind: GapKind::Unsure.into(), streams: vec![missing().to_string()], ..gap };
        assert_eq!(faults([told(3), vec![(64, Told::Gap(displaced))]].concat(), &[52]), [""; 0]);
        assert_eq!(found(story(Beside::Recorder, told(3), &[52])), [""; 0], "what it works at is not read at one time");
        let later = at(60).after(DAY).stamp.as_micros();
        assert_eq!(found(story(Beside::Recorder, [told(3), vec![(later, Told::Started)]].concat(), &[52])), lost);
    }
}
