//! The plan of a run: which files go, date by date, oldest first. Pure.
//!
//! ```text
//! date   1      2      3      4 …
//! data   ■■■■   ■■□    □□□    □□      ■ goes: older than keep_for, or of the oldest beyond keep_bytes
//! events ■      □      □      □         the events of a date wait until no data of it, or of an earlier one, is left
//! ```

use crate::clock::Stamp;
use crate::tape::day::midnight;
use crate::tape::reader::manifest::Standing;
use crate::tape::segment_name::{SegmentName, date};
use crate::tape::stream_key::StreamKey;
use crate::tape::words::{PruneReason, Word};
use jiff::civil::Date;
use std::time::Duration;

/// What may be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeepLimits {
    /// Files whose last line is older go; `None`: none for their age.
    pub keep_for: Option<Duration>,
    /// The oldest files beyond so many bytes go; `None`: none for their number.
    pub keep_bytes: Option<u64>,
}

impl KeepLimits {
    /// Whether there is one.
    pub fn is_any(&self) -> bool {
        self.keep_for.is_some() || self.keep_bytes.is_some()
    }
}

/// What the archive has of one date, both trees together.
#[derive(Clone, Debug)]
pub struct Day {
    /// The date, UTC.
    pub date: Date,
    /// Its files that are sealed, verified and listed.
    pub held: Vec<Held>,
    /// It has data that is not: it waits to be sealed, or is not what its manifest says.
    pub has_other_data: bool,
}

/// A file that may be deleted.
#[derive(Clone, Debug)]
pub struct Held {
    /// Which it is.
    pub name: SegmentName,
    /// What its manifest says: where it is pruned, an interruption has left it.
    pub standing: Standing,
    /// Its length.
    pub bytes: u64,
    /// It is not in the store that it has to be in first: beyond a limit, it counts as gone, and stays.
    pub is_awaited: bool,
}

/// A file to be deleted.
#[derive(Clone, Debug)]
pub struct Removal {
    /// Which it is.
    pub name: SegmentName,
    /// The stamp of its last line, or, where that is not known, of its first one.
    pub last: Stamp,
    /// Its length.
    pub bytes: u64,
    /// Why.
    pub reason: Word<PruneReason>,
}

/// Plans one date after the other, in order.
#[derive(Debug)]
pub struct Planner {
    limits: KeepLimits,
    now: Stamp,
    /// The bytes that are left of all dates.
    total: u64,
    /// A date so far has data that stays.
    has_data: bool,
}

impl Planner {
    /// For an archive of `total` bytes, at `now`.
    pub fn new(limits: KeepLimits, now: Stamp, total: u64) -> Self {
        Self { limits, now, total, has_data: false }
    }

    /// Whether files of `date` can be beyond a limit; if not, none of a later date can.
    pub fn reaches(&self, date: Date) -> bool {
        let begin = midnight(date).and_then(|begin| u64::try_from(begin.as_microsecond()).ok());
        let begin = begin.and_then(Stamp::from_micros).unwrap_or_default();
        self.reason(begin).is_some()
    }

    /// What goes of a date.
    pub fn plan(&mut self, mut day: Day) -> Vec<Removal> {
        self.has_data |= day.has_other_data;
        let is_events = |held: &Held| held.name.stream == StreamKey::recorder();
        // As they were written, and the events last.
        day.held.sort_by_cached_key(|held| {
            (is_events(held), held.name.epoch, held.name.first, held.name.feed, held.name.stream.clone())
        });
        let mut removals = Vec::new();
        for held in day.held {
            let may_go = !is_events(&held) || self.may_forget(day.date);
            let Held { name, standing, bytes, is_awaited } = held;
            let due = match standing {
                Standing::Sealed { last, .. } => {
                    self.reason(last).filter(|_| may_go).map(|reason| (last, Word::from(reason)))
                }
                Standing::Pruned { reason } => Some((name.first, reason)),
            };
            match due {
                Some(_) if is_awaited => {
                    self.total = self.total.saturating_sub(bytes);
                    self.has_data |= name.stream != StreamKey::recorder();
                }
                Some((last, reason)) => {
                    self.total = self.total.saturating_sub(bytes);
                    removals.push(Removal { name, last, bytes, reason });
                }
                None => self.has_data |= name.stream != StreamKey::recorder(),
            }
        }
        removals
    }

    /// The limit that a file with this last line is beyond, as the oldest that is left.
    fn reason(&self, last: Stamp) -> Option<PruneReason> {
        if self.limits.keep_for.is_some_and(|keep_for| self.now.since(last) > keep_for) {
            return Some(PruneReason::Age);
        }
        self.limits.keep_bytes.is_some_and(|keep_bytes| self.total > keep_bytes).then_some(PruneReason::Bytes)
    }

    /// Whether the events of a date tell of nothing that is left. Files that are being written are of today or, shortly
    /// after midnight, of yesterday.
    fn may_forget(&self, of: Date) -> bool {
        !self.has_data && date(self.now).yesterday().is_ok_and(|yesterday| of < yesterday)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upbit::feed::Feed;
    use proptest::prelude::*;

    const DAY: u64 = 86_400_000_000;

    /// 2026-11-22T00:00:00Z, µs.
    const BEGIN: u64 = 1_795_305_600_000_000;

    fn at(micros: u64) -> Stamp {
        Stamp::from_micros(micros).unwrap()
    }

    /// A file of the `day`th day: it begins `hour` hours after midnight, and its last line is half an hour later.
    fn held(stream: &str, day: u64, hour: u64, bytes: u64) -> Held {
        let first = BEGIN + day * DAY + hour * 3_600_000_000;
        let stream = StreamKey::from_stem(stream).unwrap();
        let name = SegmentName { feed: Feed::Public, stream, epoch: 0, first: at(first) };
        let standing = Standing::Sealed { last: at(first + 1_800_000_000), zst_bytes: bytes };
        Held { name, standing, bytes, is_awaited: false }
    }

    fn day(held: Vec<Held>) -> Day {
        Day { date: date(held[0].name.first), held, has_other_data: false }
    }

    /// Three days of two streams and events, two files a day, a hundred bytes each.
    fn archive() -> Vec<Day> {
        let files = |number| {
            ["recorder", "KRW-BTC_trade", "KRW-ETH_trade"]
                .iter()
                .flat_map(move |stream| [1, 13].map(|hour| held(stream, number, hour, 100)))
        };
        (0..3).map(|number| day(files(number).collect())).collect()
    }

    fn planned(limits: KeepLimits, now: u64, days: Vec<Day>) -> Vec<String> {
        let total = days.iter().flat_map(|day| &day.held).map(|held| held.bytes).sum();
        let mut planner = Planner::new(limits, at(now), total);
        let mut removals = Vec::new();
        for day in days {
            if !planner.reaches(day.date) {
                break;
            }
            removals.extend(planner.plan(day));
        }
        let shown = |removal: Removal| {
            let name = removal.name.plain_name();
            let reason = match removal.reason {
                Word::Known(reason) => reason.as_str().to_owned(),
                Word::Other(reason) => reason,
            };
            format!("{reason} {}", name.strip_suffix("0000.000000Z.jsonl").unwrap())
        };
        removals.into_iter().map(shown).collect()
    }

    fn age(hours: u64) -> KeepLimits {
        KeepLimits { keep_for: Some(Duration::from_secs(hours * 3_600)), keep_bytes: None }
    }

    fn bytes(keep_bytes: u64) -> KeepLimits {
        KeepLimits { keep_for: None, keep_bytes: Some(keep_bytes) }
    }

    #[test]
    fn without_a_limit_nothing_goes() {
        assert_eq!(planned(KeepLimits::default(), BEGIN + 9 * DAY, archive()), [""; 0]);
        assert!(!KeepLimits::default().is_any());
    }

    #[test]
    fn files_go_by_the_age_of_their_last_line() {
        // At 03:00 of the third day, files of before 02:00 of the second are older than 25 h.
        let found = planned(age(25), BEGIN + 2 * DAY + 3 * 3_600_000_000, archive());
        assert_eq!(
            found,
            [
                "keep_for KRW-BTC_trade.20261122T01",
                "keep_for KRW-ETH_trade.20261122T01",
                "keep_for KRW-BTC_trade.20261122T13",
                "keep_for KRW-ETH_trade.20261122T13",
                "keep_for recorder.20261122T01",
                "keep_for recorder.20261122T13",
                "keep_for KRW-BTC_trade.20261123T01",
                "keep_for KRW-ETH_trade.20261123T01",
            ]
        );
        let exactly = BEGIN + 3_600_000_000 + 1_800_000_000 + 25 * 3_600_000_000;
        assert_eq!(planned(age(25), exactly, archive()), [""; 0]);
        assert_eq!(planned(age(25), exactly + 1, archive()).len(), 2);
    }

    #[test]
    fn the_oldest_go_until_the_rest_is_small_enough() {
        let now = BEGIN + 9 * DAY;
        assert_eq!(planned(bytes(1_800), now, archive()), [""; 0]);
        assert_eq!(planned(bytes(1_750), now, archive()), ["keep_bytes KRW-BTC_trade.20261122T01"]);
        let found = planned(bytes(1_300), now, archive());
        assert_eq!(found[4..], ["keep_bytes recorder.20261122T01"]);
        assert_eq!(planned(bytes(0), now, archive()).len(), 18);
        let both = KeepLimits { keep_bytes: Some(1_300), ..age(25) };
        let found = planned(both, BEGIN + DAY, archive());
        assert_eq!(found.len(), 5, "the events of yesterday and today stay: {found:?}");
    }

    #[test]
    fn events_stay_as_long_as_data_of_their_date_or_before() {
        let now = BEGIN + 9 * DAY;
        for index in 0..3 {
            let mut days = archive();
            days[index].has_other_data = true;
            let found = planned(age(1), now, days);
            let events: Vec<_> = found.iter().filter(|name| name.contains("recorder")).collect();
            assert_eq!(events.len(), 2 * index, "{index}: {events:?}");
            assert_eq!(found.len(), 12 + 2 * index, "all the data goes");
        }
    }

    #[test]
    fn what_an_interruption_left_goes_first_of_all_limits() {
        let mut days = archive();
        days[0].held[2].standing = Standing::Pruned { reason: Word::Other("left".to_owned()) };
        let found = planned(bytes(1_750), BEGIN + 9 * DAY, days);
        assert_eq!(found, ["left KRW-BTC_trade.20261122T01"]);
    }

    #[test]
    fn what_is_not_uploaded_stays_and_no_newer_goes_in_its_place() {
        let mut days = archive();
        let awaited: Vec<_> =
            days[0].held.iter_mut().filter(|held| held.name.stream.kind() == "trade").take(2).collect();
        awaited.into_iter().for_each(|held| held.is_awaited = true);
        let found = planned(bytes(1_400), BEGIN + 9 * DAY, days.clone());
        assert_eq!(found, ["keep_bytes KRW-ETH_trade.20261122T01", "keep_bytes KRW-ETH_trade.20261122T13"]);
        let found = planned(age(1), BEGIN + 9 * DAY, days);
        assert!(
            found.len() == 10 && !found.iter().any(|name| name.contains("recorder")),
            "events wait for it: {found:?}"
        );
    }

    #[test]
    fn stamps_ahead_of_now_are_not_old() {
        assert_eq!(planned(age(1), BEGIN - DAY, archive()), [""; 0]);
    }

    proptest! {
        #[test]
        fn no_more_goes_than_the_limits_say(
            sizes in prop::collection::vec((0_u64..6, 0_u64..24, 1_u64..1_000, 0_usize..3), 1..60),
            keep_hours in prop::option::of(1_u64..200),
            keep_bytes in prop::option::of(0_u64..20_000),
            now_hours in 0_u64..300,
        ) {
            let streams = ["KRW-BTC_trade", "misc", "recorder"];
            let limits = KeepLimits { keep_for: keep_hours.map(|hours| Duration::from_secs(hours * 3_600)), keep_bytes };
            let now = at(BEGIN + now_hours * 3_600_000_000);
            let files: Vec<Held> =
                sizes.iter().map(|(day, hour, bytes, stream)| held(streams[*stream], *day, *hour, *bytes)).collect();
            let total: u64 = files.iter().map(|held| held.bytes).sum();
            let mut planner = Planner::new(limits, now, total);
            let (mut gone, mut left): (Vec<Removal>, Vec<Held>) = (Vec::new(), Vec::new());
            for number in 0..6 {
                let of_day: Vec<Held> =
                    files.iter().filter(|held| date(held.name.first) == date(at(BEGIN + number * DAY))).cloned().collect();
                let Some(first) = of_day.first() else { continue };
                let date = date(first.name.first);
                let reached = planner.reaches(date);
                let removals = planner.plan(Day { date, held: of_day.clone(), has_other_data: false });
                prop_assert!(reached || removals.is_empty());
                let is_gone = |held: &Held| removals.iter().any(|removal| {
                    removal.name == held.name && removal.bytes == held.bytes
                });
                left.extend(of_day.into_iter().filter(|held| !is_gone(held)));
                gone.extend(removals);
            }
            let is_events = |name: &SegmentName| name.stream == StreamKey::recorder();
            let bytes_left: u64 = total - gone.iter().map(|removal| removal.bytes).sum::<u64>();
            let largest = gone.iter().map(|removal| removal.bytes).max().unwrap_or_default();
            // Nothing goes for its bytes where the rest is small enough already. Events go last, as they wait for data to go.
            let events: u64 = gone.iter().filter(|gone| is_events(&gone.name)).map(|gone| gone.bytes).sum();
            if gone.iter().any(|removal| removal.reason == Word::Known(PruneReason::Bytes)) {
                prop_assert!(bytes_left + events + largest > keep_bytes.unwrap());
            }
            for held in left.iter().filter(|held| !is_events(&held.name)) {
                let Standing::Sealed { last, .. } = held.standing else { unreachable!("all are sealed") };
                prop_assert!(limits.keep_for.is_none_or(|keep_for| now.since(last) <= keep_for), "too old");
                prop_assert!(keep_bytes.is_none_or(|most| bytes_left <= most + left.iter()
                    .filter(|held| is_events(&held.name)).map(|held| held.bytes).sum::<u64>()), "too much");
            }
            // Events outlive the data of their date and of all before.
            for removal in gone.iter().filter(|removal| is_events(&removal.name)) {
                let of = date(removal.name.first);
                let is_data = |held: &&Held| !is_events(&held.name) && date(held.name.first) <= of;
                prop_assert!(!left.iter().any(|held| is_data(&held)));
            }
        }
    }
}
