//! What is recorded, stream by stream, summed up over days: of the days' summaries, and of what is not sealed.
//!
//! ```text
//! day.json, else manifest and gaps ──▶ StreamDay ─┐
//! a day of which a part is asked for: its manifest┼─▶ Row: a stream's sum, and its days' pictures
//! active and waiting files ──▶ Part ──────────────┘
//! ```

use super::streams::{Choice, Named, Place};
use crate::clock::Stamp;
use crate::tape::day_summary::{DayGaps, Part, StreamDay, span, summarise};
use crate::tape::reader::{SummaryText, Tape, TapeError, ToldGaps};
use crate::tape::stream_key::StreamKey;
use crate::upbit::feed::Feed;
use jiff::civil::Date;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::RangeInclusive;

/// A stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// The stamps of its first and its last line.
    pub first: Option<Stamp>,
    /// See `first`.
    pub last: Option<Stamp>,
    /// Lines.
    pub lines: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Bytes of sealed files.
    pub zst_bytes: u64,
    /// Sealed files.
    pub files: u64,
    /// Files that the retention has deleted.
    pub pruned: u64,
    /// Files that are in the store.
    pub uploaded: u64,
    /// Gaps; one that goes over midnight counts on both days.
    pub gaps: u64,
    /// Their length together, µs.
    pub gap_micros: u64,
    /// The picture of each day that was asked for, a letter an hour: as summaries have it, and between lines of two days that
    /// follow each other as between those of one.
    pub days: BTreeMap<Date, String>,
}

/// What is asked for.
#[derive(Debug)]
pub struct Request<'a> {
    /// The streams.
    pub choice: &'a Choice,
    /// The receive times; of a day of which a part is asked for, the files that reach into it.
    pub span: RangeInclusive<Stamp>,
    /// Whether the pictures of days are kept.
    pub with_days: bool,
    /// The store whose files are counted.
    pub uploaded_to: Option<&'a str>,
}

/// The rows of all streams that are meant, in order, and what could not be read.
///
/// # Errors
/// An archive cannot be listed.
pub fn list(tape: &Tape, request: &Request<'_>) -> Result<BTreeMap<Named, Row>, TapeError> {
    let mut rows = BTreeMap::new();
    let mut gaps = Gaps { tape, told: ToldGaps::default(), since: None };
    for place in request.choice.places() {
        let tree = place.of(tape);
        let mut own = Tree { place, tree: &tree, request, rows: HashMap::new() };
        own.read(&mut gaps)?;
        let named = own.rows.into_iter().filter_map(|(name, row)| {
            let (stream, mut row) = (StreamKey::from_stem(&name)?, row?);
            join(&mut row.days);
            Some((Named { place, stream }, row))
        });
        rows.extend(named);
    }
    Ok(rows)
}

struct Tree<'a> {
    place: Place,
    tree: &'a Tape,
    request: &'a Request<'a>,
    /// By name; `None`: it is not meant. Ordered where it is handed on.
    rows: HashMap<String, Option<Row>>,
}

impl Tree<'_> {
    fn read(&mut self, gaps: &mut Gaps<'_>) -> Result<(), TapeError> {
        let (choice, place) = (self.request.choice, self.place);
        let (mut others, mut summed) = (BTreeSet::new(), BTreeSet::new());
        for date in self.tree.dates()? {
            let text = if self.is_whole(date) { self.tree.written_summary(date) } else { None };
            match text.as_ref().and_then(SummaryText::parse) {
                // It was written when all was sealed.
                Some(summary) => {
                    summed.insert(date);
                    summary.streams.into_iter().for_each(|day| self.add(date, day));
                }
                None if self.is_touched(date) => drop(others.insert(date)),
                None => {}
            }
        }
        let mut unsealed: BTreeMap<Date, BTreeMap<String, Vec<Part>>> = BTreeMap::new();
        for (stream, date, part) in self.tree.unsealed_parts(&others, &|stream| choice.holds(place, stream))? {
            unsealed.entry(date).or_default().entry(stream.to_string()).or_default().push(part);
        }
        self.count_uploaded(&summed)?;
        self.count_uploaded(&others)?;
        others.extend(unsealed.keys().filter(|date| self.is_touched(**date)));
        for date in others {
            let plain = unsealed.remove(&date).unwrap_or_default();
            // A file that is active still, of a day that is known but for it.
            let (sealed, known) = match summed.contains(&date) {
                true => (BTreeMap::new(), DayGaps::default()),
                false => (self.tree.sealed_parts(date)?, gaps.of(place, date)?),
            };
            let parts = self.asked_for(sealed, plain);
            let streams = summarise(date, &parts, &known);
            streams.into_iter().for_each(|day| self.add(date, day));
        }
        Ok(())
    }

    /// Adds what is in the store to the streams.
    fn count_uploaded(&mut self, dates: &BTreeSet<Date>) -> Result<(), TapeError> {
        let Some(to) = self.request.uploaded_to else { return Ok(()) };
        for date in dates {
            let span = Some(&self.request.span).filter(|_| !self.is_whole(*date));
            for (stream, files) in self.tree.uploaded(*date, to, span)? {
                if let Some(row) = self.row(&stream) {
                    row.uploaded += files;
                }
            }
        }
        Ok(())
    }

    /// Whether a day is asked for from its beginning to its end.
    fn is_whole(&self, date: Date) -> bool {
        let asked = &self.request.span;
        span(date).is_some_and(|(begin, end)| *asked.start() <= begin && end.previous() <= *asked.end())
    }

    fn is_touched(&self, date: Date) -> bool {
        let asked = &self.request.span;
        span(date).is_some_and(|(begin, end)| *asked.start() < end && begin <= *asked.end())
    }

    /// The parts that reach into what is asked for.
    fn asked_for(
        &self,
        sealed: BTreeMap<String, Vec<Part>>,
        plain: BTreeMap<String, Vec<Part>>,
    ) -> BTreeMap<String, Vec<Part>> {
        let mut parts = sealed;
        for (stream, own) in plain {
            parts.entry(stream).or_default().extend(own);
        }
        let asked = &self.request.span;
        for own in parts.values_mut() {
            own.retain(|part| part.first <= *asked.end() && *asked.start() <= part.last);
        }
        parts.retain(|_, own| !own.is_empty());
        parts
    }

    /// The row of a stream; `None`: it is not meant.
    fn row(&mut self, name: &str) -> Option<&mut Row> {
        if !self.rows.contains_key(name) {
            let stream = StreamKey::from_stem(name);
            let is_meant = stream.is_some_and(|stream| self.request.choice.holds(self.place, &stream));
            self.rows.insert(name.to_owned(), is_meant.then(Row::default));
        }
        self.rows.get_mut(name)?.as_mut()
    }

    fn add(&mut self, date: Date, day: StreamDay<'_>) {
        let with_days = self.request.with_days;
        if let Some(row) = self.row(&day.stream) {
            row.add(&day);
            if with_days {
                let known = row.days.remove(&date);
                row.days
                    .insert(date, known.map_or_else(|| day.hours.to_string(), |known| overlaid(&known, &day.hours)));
            }
        }
    }
}

impl Row {
    fn add(&mut self, day: &StreamDay<'_>) {
        self.first = self.first.into_iter().chain(day.first).min();
        self.last = self.last.max(day.last);
        self.lines += day.lines;
        self.bytes += day.bytes;
        self.zst_bytes += day.zst_bytes;
        self.files += day.files;
        self.pruned += day.pruned;
        self.gaps += day.gaps;
        self.gap_micros += day.gap_micros;
    }
}

/// Two pictures of one day: of its summary, and of a file that is active still.
fn overlaid(one: &str, other: &str) -> String {
    /// What tells more comes later.
    const LETTERS: &str = "-pfsg";
    let both = one.chars().zip(other.chars());
    both.filter_map(|(one, other)| [one, other].into_iter().max_by_key(|letter| LETTERS.find(*letter))).collect()
}

/// Between the last line of a day and the first of the next the stream was recorded all the time, but for gaps.
fn join(days: &mut BTreeMap<Date, String>) {
    let has_lines = |(_, hours): &(&Date, &String)| hours.contains(['f', 'p']);
    let date = |(date, _): (&Date, &String)| *date;
    let (first, last) = (days.iter().find(has_lines).map(date), days.iter().rfind(has_lines).map(date));
    let Some((first, last)) = first.zip(last) else { return };
    let mut before: Option<(Date, &mut String)> = None;
    for (date, hours) in days.range_mut(first..=last) {
        let begin = hours.find(|letter| letter != '-');
        if let Some((_, earlier)) = before.filter(|(day, _)| day.tomorrow().is_ok_and(|next| next == *date))
            && let Some(begin) = begin
        {
            let end = earlier.trim_end_matches('-').len();
            earlier.replace_range(end.., &"f".repeat(earlier.len() - end));
            hours.replace_range(..begin, &"f".repeat(begin));
        }
        before = Some((*date, hours));
    }
}

/// The gaps on record, read where a day needs them.
struct Gaps<'a> {
    tape: &'a Tape,
    told: ToldGaps,
    since: Option<Stamp>,
}

impl Gaps<'_> {
    fn of(&mut self, place: Place, date: Date) -> Result<DayGaps, TapeError> {
        let feed = match place {
            Place::Public => Feed::Public,
            Place::Private => Feed::Private,
            Place::Rest => return Ok(DayGaps::default()),
        };
        let Some((begin, _)) = span(date) else { return Ok(DayGaps::default()) };
        // Days come in order within a tree: once is enough, but for a tree that begins earlier.
        if self.since.is_none_or(|since| begin < since) {
            self.told.read(self.tape, begin)?;
            self.since = Some(begin);
        }
        Ok(self.told.of_day(feed, date))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::disk::Disk;
    use crate::files::{Files, append_all};
    use crate::tape::paths;
    use crate::tape::reader::summary::of_complete_day;
    use std::fs;
    use std::path::Path;

    /// 2026-11-22T00:00:00Z.
    const MIDNIGHT: u64 = 1_795_305_600_000_000;
    const HOUR: u64 = 3_600_000_000;

    fn entry(stream: &str, hour: u64) -> String {
        let first = MIDNIGHT + hour * HOUR;
        format!(
            "{{\"name\":\"{stream}.{hour}\",\"stream\":\"{stream}\",\"run\":1,\"version\":\"0\",\"format\":null,\
             \"subscription\":null,\"epoch\":0,\"first\":{first},\"last\":{},\"lines\":10,\"bytes\":1000,\
             \"zst_bytes\":100,\"sha256\":\"0\"}}\n",
            first + HOUR - 1
        )
    }

    fn listed(directory: &Path, span: RangeInclusive<Stamp>) -> BTreeMap<String, Row> {
        let tape = Tape::new(Disk::readable(directory).unwrap(), directory);
        let choice = Choice::of(&["*_trade".to_owned()]);
        let rows = list(&tape, &Request { choice: &choice, span, with_days: true, uploaded_to: None }).unwrap();
        rows.into_iter().map(|(named, row)| (named.to_string(), row)).collect()
    }

    #[test]
    fn a_night_between_two_days_of_lines_is_full() {
        let joined = |days: &[(&str, &str)]| {
            let mut days = days.iter().map(|(date, hours)| (date.parse().unwrap(), (*hours).to_owned())).collect();
            join(&mut days);
            days.into_values().collect::<Vec<String>>().join(" ")
        };
        let (one, two) = (("2026-11-22", "----ff--fg--"), ("2026-11-23", "---gff------"));
        assert_eq!(joined(&[one, two]), "----ff--fgff fffgff------");
        assert_eq!(
            joined(&[one, ("2026-11-24", two.1)]),
            [one.1, two.1].join(" "),
            "a day without anything is between"
        );
        let quiet = ("2026-11-21", "--gg--------");
        assert_eq!(joined(&[quiet, one]), [quiet.1, one.1].join(" "), "no line is before");
        let pruned = ("2026-11-21", "--pp--------");
        assert_eq!(joined(&[pruned, one]), "--ppffffffff ffffff--fg--");
    }

    #[test]
    fn a_written_summary_says_what_manifest_and_events_say() {
        let directory = tempfile::tempdir().unwrap();
        let day = directory.path().join("archive/date=2026-11-22");
        fs::create_dir_all(&day).unwrap();
        let manifest: String =
            (3..9).flat_map(|hour| [entry("KRW-BTC_trade", hour), entry("KRW-ETH_trade", hour + 2)]).collect();
        fs::write(day.join("manifest.jsonl"), &manifest).unwrap();
        let gap = format!(
            "{{\"ts_recv\":{0},\"type\":\"recorder\",\"event\":\"gap\",\"id\":{0},\"connection\":\"public\",\"epoch\":0,\
             \"from\":{1},\"to\":{2},\"kind\":\"disconnected\",\"cause\":\"x\",\"streams\":[\"KRW-BTC_trade\"]}}\n",
            MIDNIGHT + 30 * HOUR,
            MIDNIGHT + 5 * HOUR,
            MIDNIGHT + 5 * HOUR + 9,
        );
        fs::write(directory.path().join("recorder.jsonl"), gap).unwrap();
        let all = || Stamp::default()..=Stamp::MAX;
        let rebuilt = listed(directory.path(), all());
        let row = &rebuilt["KRW-BTC_trade"];
        assert_eq!((row.lines, row.files, row.gaps, row.gap_micros), (60, 6, 1, 9));
        let date = "2026-11-22".parse().unwrap();
        assert_eq!(row.days[&date], "---ffgfff---------------");
        let disk = Disk::existing(directory.path()).unwrap();
        let tape = Tape::new(Disk::readable(directory.path()).unwrap(), directory.path());
        let gaps = Gaps { tape: &tape, told: ToldGaps::default(), since: None }.of(Place::Public, date).unwrap();
        let write = || {
            let summary = of_complete_day(&disk, Feed::Public, date, &gaps, Stamp::default()).unwrap().unwrap();
            let path = paths::date_directory(Feed::Public, date).join(paths::SUMMARY);
            let _ = disk.remove(&path);
            append_all(&*disk.create(&path).unwrap(), summary.as_bytes()).unwrap();
        };
        write();
        // Without its events the day is known by its summary alone.
        fs::remove_file(directory.path().join("recorder.jsonl")).unwrap();
        assert_eq!(listed(directory.path(), all()), rebuilt);
        // A file is active still.
        let active = directory.path().join("KRW-BTC_trade.jsonl");
        fs::write(&active, format!("{{\"ts_recv\":{},\"n\":1}}\n", MIDNIGHT + 12 * HOUR)).unwrap();
        let row = &listed(directory.path(), all())["KRW-BTC_trade"];
        assert_eq!((row.lines, &*row.days[&date]), (61, "---ffgfff---f-----------"));
        fs::remove_file(active).unwrap();
        // A part of the day is asked of its manifest.
        let stamp = |hour: u64| Stamp::from_micros(MIDNIGHT + hour * HOUR).unwrap();
        assert_eq!(listed(directory.path(), stamp(4)..=stamp(5).previous())["KRW-BTC_trade"].lines, 10);
        // What comes to the manifest later makes it out of date.
        fs::write(day.join("manifest.jsonl"), manifest + &entry("KRW-BTC_trade", 20)).unwrap();
        assert_eq!(listed(directory.path(), all())["KRW-BTC_trade"].lines, 70);
    }
}
