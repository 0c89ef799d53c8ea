//! A day of a tree in few numbers a stream, as `day.json` has it beside the manifest. Pure.
//!
//! ```text
//! {"date":"2026-11-22","version":"0.1.0","written":…,"manifest":83211,"streams":[
//! {"stream":"KRW-BTC_trade","first":…,"last":…,"lines":48211,"bytes":17811904,"zst_bytes":1893311,"files":24,
//!  "pruned":0,"gaps":1,"gap_micros":3087656,"hours":"ffffffgfffffffffffffffff"}, …]}
//! ```
//!
//! It says nothing that manifests and events do not say: whoever has these can do without it.

use super::day::midnight;
use super::gap::{GapKind, GapRecord, Touched, is_kind};
use crate::clock::Stamp;
use crate::upbit::feed::Feed;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Hours of a day, UTC.
const HOURS: usize = 24;

/// An hour in microseconds.
const HOUR: u64 = 3_600_000_000;

/// A day of a tree. Names and pictures are those of the text that it was read from: a year of the whole exchange has a
/// million of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaySummary<'a> {
    /// The day, UTC.
    pub date: Date,
    /// Of the program that wrote it.
    pub version: String,
    /// When it was written.
    pub written: Stamp,
    /// The length of the manifest then: where it is another one, this is out of date.
    pub manifest: u64,
    /// The streams of the day, by name.
    #[serde(borrow)]
    pub streams: Vec<StreamDay<'a>>,
}

impl DaySummary<'_> {
    /// The line that it is as a file, with its line break.
    pub fn to_line(&self) -> String {
        let mut line = serde_json::to_string(self).expect("strings and numbers always serialise");
        line.push('\n');
        line
    }
}

/// A stream on a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamDay<'a> {
    /// The stream.
    #[serde(borrow)]
    pub stream: Cow<'a, str>,
    /// The stamps of its first and its last line, by their values; `None`: it has none, and a gap.
    pub first: Option<Stamp>,
    /// See `first`.
    pub last: Option<Stamp>,
    /// Lines, of files that are there.
    pub lines: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of the sealed files.
    pub zst_bytes: u64,
    /// Sealed files.
    pub files: u64,
    /// Files that were deleted by the retention.
    pub pruned: u64,
    /// Gaps that touch it on this day.
    pub gaps: u64,
    /// Their length on this day together, µs.
    pub gap_micros: u64,
    /// A letter for each hour, UTC: `f` full, `g` a gap, `s` a suspected one, `p` pruned, `-` nothing is expected.
    #[serde(borrow)]
    pub hours: Cow<'a, str>,
}

/// A part of a stream: a segment, or what is left of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The stamp of its first line.
    pub first: Stamp,
    /// The stamp of its last line.
    pub last: Stamp,
    /// Lines.
    pub lines: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Bytes of the sealed file; `None`: it is not sealed.
    pub zst_bytes: Option<u64>,
    /// It was deleted.
    pub is_pruned: bool,
}

/// The gaps of a tree that may touch a day.
#[derive(Debug, Default)]
pub struct DayGaps(Vec<Known>);

#[derive(Debug)]
struct Known {
    from: Stamp,
    to: Stamp,
    is_suspected: bool,
    streams: Touched,
    named: Vec<String>,
}

impl DayGaps {
    /// Those of `records` that touch a day of the tree of `feed`.
    pub fn of<'a>(records: impl Iterator<Item = &'a GapRecord>, feed: Feed, date: Date) -> Self {
        let Some((begin, end)) = span(date) else { return Self::default() };
        let touching = records.filter(|gap| gap.connection == feed && gap.from < end && begin <= gap.to);
        let known = touching.map(|gap| Known {
            from: gap.from.max(begin),
            to: gap.to.min(end.previous()),
            is_suspected: gap.kind == GapKind::Suspected.into(),
            streams: gap.touched(),
            named: gap.streams.clone(),
        });
        Self(known.collect())
    }

    /// The streams that are named one by one.
    pub fn named(&self) -> impl Iterator<Item = &String> {
        self.0.iter().flat_map(|gap| &gap.named).filter(|name| !crate::upbit::codes::is_pattern(name))
    }
}

/// When a day begins, and when the next one does.
pub fn span(date: Date) -> Option<(Stamp, Stamp)> {
    let stamp = |date: Date| {
        Some(u64::try_from(midnight(date)?.as_microsecond()).ok().and_then(Stamp::from_micros).unwrap_or(Stamp::MAX))
    };
    Some((stamp(date)?, stamp(date.tomorrow().ok()?)?))
}

/// The streams of a day, of their parts and the gaps of their tree.
pub fn summarise<'a>(date: Date, parts: &'a BTreeMap<String, Vec<Part>>, gaps: &'a DayGaps) -> Vec<StreamDay<'a>> {
    let none = Vec::new();
    // A type stands for its streams, where there are any.
    let has_own = |kind: &str| parts.keys().any(|stream| stream.split_once('_').is_some_and(|(_, own)| own == kind));
    let named = gaps.named().filter(|name| !(is_kind(name) && has_own(name)));
    let mut names: Vec<&String> = parts.keys().chain(named).collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().map(|name| StreamDay::of(name, date, parts.get(name).unwrap_or(&none), gaps)).collect()
}

impl<'a> StreamDay<'a> {
    /// A stream's day, of its parts and the gaps of its tree.
    pub fn of(stream: &'a str, date: Date, parts: &[Part], gaps: &DayGaps) -> Self {
        let own: Vec<&Known> = gaps.0.iter().filter(|gap| gap.streams.holds(stream)).collect();
        let kept = || parts.iter().filter(|part| !part.is_pruned);
        Self {
            stream: Cow::Borrowed(stream),
            first: kept().map(|part| part.first).min(),
            last: kept().map(|part| part.last).max(),
            lines: kept().map(|part| part.lines).sum(),
            bytes: kept().map(|part| part.bytes).sum(),
            zst_bytes: kept().filter_map(|part| part.zst_bytes).sum(),
            files: kept().filter(|part| part.zst_bytes.is_some()).count() as u64,
            pruned: parts.iter().filter(|part| part.is_pruned).count() as u64,
            gaps: own.len() as u64,
            gap_micros: own.iter().map(|gap| gap.to.as_micros().saturating_sub(gap.from.as_micros())).sum(),
            hours: Cow::Owned(hours(date, parts, &own)),
        }
    }
}

/// The picture of a day: from the first line to the last one something is expected all the time.
fn hours(date: Date, parts: &[Part], gaps: &[&Known]) -> String {
    let mut hours = [b'-'; HOURS];
    let Some((begin, _)) = span(date) else { return String::new() };
    let hour = |stamp: Stamp| {
        let hour = stamp.as_micros().saturating_sub(begin.as_micros()) / HOUR;
        usize::try_from(hour).map_or(HOURS - 1, |hour| hour.min(HOURS - 1))
    };
    let kept = || parts.iter().filter(|part| !part.is_pruned);
    if let (Some(first), Some(last)) = (kept().map(|part| part.first).min(), kept().map(|part| part.last).max()) {
        hours[hour(first)..=hour(last)].fill(b'f');
    }
    let has = |part: &Part, place: usize| (hour(part.first)..=hour(part.last)).contains(&place);
    let pruned = || parts.iter().filter(|part| part.is_pruned);
    for (place, letter) in hours.iter_mut().enumerate() {
        if pruned().any(|part| has(part, place)) && !kept().any(|part| has(part, place)) {
            *letter = b'p';
        }
    }
    for letter in [b's', b'g'] {
        for gap in gaps.iter().filter(|gap| gap.is_suspected == (letter == b's')) {
            hours[hour(gap.from)..=hour(gap.to)].fill(letter);
        }
    }
    hours.iter().map(|hour| char::from(*hour)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22T00:00:00Z.
    const MIDNIGHT: u64 = 1_795_305_600_000_000;

    fn at(hour: f64) -> Stamp {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "hours of a day")]
        Stamp::from_micros(MIDNIGHT + (hour * HOUR as f64) as u64).unwrap()
    }

    fn part(first: f64, last: f64) -> Part {
        let (first, last) = (at(first), at(last));
        Part { first, last, lines: 10, bytes: 1_000, zst_bytes: Some(100), is_pruned: false }
    }

    fn gap(id: u64, kind: GapKind, from: f64, to: f64, streams: &[&str]) -> GapRecord {
        let streams = streams.iter().map(|&stream| stream.to_owned()).collect();
        let (from, to, cause) = (at(from), at(to), String::new());
        GapRecord { id, connection: Feed::Public, epoch: Some(0), from, to, kind: kind.into(), cause, streams }
    }

    #[test]
    fn a_day_is_summed_up_with_its_gaps() {
        let date = "2026-11-22".parse().unwrap();
        let gaps = [
            gap(1, GapKind::Disconnected, 4.5, 5.5, &["KRW-BTC_trade", "KRW-ETH_trade"]),
            gap(2, GapKind::Suspected, 5.6, 6.5, &["KRW-*_trade"]),
            gap(3, GapKind::Stopped, 20.0, 30.0, &["KRW-BTC_trade"]),
            gap(4, GapKind::Stopped, 25.0, 30.0, &["KRW-BTC_trade"]),
        ];
        let gaps = DayGaps::of(gaps.iter(), Feed::Public, date);
        let pruned = Part { is_pruned: true, ..part(1.0, 3.9) };
        let day = StreamDay::of("KRW-BTC_trade", date, &[pruned, part(3.95, 8.0), part(8.1, 19.5)], &gaps);
        assert_eq!(day.hours, "-ppfgggfffffffffffffgggg".replace("ggggf", "gggf").replacen("ggg", "ggs", 1));
        assert_eq!((day.first, day.last), (Some(at(3.95)), Some(at(19.5))));
        assert_eq!((day.lines, day.bytes, day.zst_bytes, day.files, day.pruned, day.gaps), (20, 2_000, 200, 2, 1, 3));
        let other = StreamDay::of("KRW-ETH_trade", date, &[], &gaps);
        assert_eq!((other.first, other.gaps, &other.hours[3..8]), (None, 2, "-ggs-"));
        let account = [gap(5, GapKind::Killed, 3.0, 4.5, &["myAsset", "myOrder"])];
        let account = DayGaps::of(account.iter(), Feed::Public, date);
        let parts = BTreeMap::from([("KRW-BTC_myOrder".to_owned(), vec![part(2.0, 8.0)])]);
        let days = summarise(date, &parts, &account);
        let shown: Vec<_> = days.iter().map(|day| (&*day.stream, day.gaps, &day.hours[2..6])).collect();
        assert_eq!(shown, [("KRW-BTC_myOrder", 1, "fggf"), ("myAsset", 1, "-gg-")]);
        assert_eq!(DayGaps::of(std::iter::empty(), Feed::Public, date).named().count(), 0);
    }
}
