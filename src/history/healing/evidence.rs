//! The records on the tape around one or several gaps of a stream, and the conclusions from them. Pure.
//!
//! ```text
//!  … before │  gap  │ first after … │  gap  │ first after …
//! ──────────┼───────┼───────────────┼───────┼──────────────▶ positions: ours, over all epochs
//!     floor ├────────── may be missing ─────┼─┤ ceiling       times: the exchange's
//! ```
//!
//! The records themselves locate the gap in the exchange's time: missing objects are no older than the last record
//! before the gap and no newer than the first one after it, within a margin, since records arrive out of order. Whether
//! an object between the two is missing is decided by the set of identifiers on disk.

use super::record::{Fetched, Record};
use crate::clock::Position;
use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::time::Duration;

/// Delay for data that the exchange's REST interface does not show yet, or that is still on its way to the disk.
pub const SETTLE: Duration = Duration::from_secs(5);

/// Records kept from before a gap: more than arrive out of order, even in a market crash.
const BEFORE: usize = 2_000;

/// Margin before the last record ahead of the gap, in ms: records older than it may not have arrived yet.
const EARLIER: i64 = 2_000;

/// Margin after the first record behind the gap, in ms: records newer than it may have been due earlier.
const LATER: i64 = 1_000;

/// Records are read this far past the first one after a gap, which covers `LATER` even on a slow day, and on to one that
/// is newer than that.
pub(super) const BEHIND: Duration = Duration::from_secs(10);

/// Most identifiers held: 20 MB. More occur only where a gap of hours contains records, as after a full disk.
pub const KNOWN: usize = 1_000_000;

/// See the module.
#[derive(Debug)]
pub struct Evidence {
    from: Position,
    /// The ends of the gaps that no record follows yet, in order.
    open: VecDeque<Position>,
    before: VecDeque<(u64, i64)>,
    /// Identifiers on disk, with their times.
    known: HashMap<u64, i64>,
    /// A record from within or before the gap exists.
    has_begun: bool,
    /// The time of the first record that is no snapshot.
    first_live: Option<i64>,
    /// The first record after the last gap.
    first_after: Option<Record>,
    /// Records behind this position are not needed.
    until: Position,
    /// The first record after one of the gaps does not prove it empty.
    is_doubtful: bool,
    is_too_much: bool,
    /// Number of identifiers held that triggers the next eviction.
    forgets_at: usize,
}

impl Evidence {
    /// Evidence for gaps given as ranges; records are added from before the first gap on.
    pub fn new(gaps: impl IntoIterator<Item = Range<Position>>) -> Self {
        let (mut begins, mut open): (Vec<_>, Vec<_>) = gaps.into_iter().map(|gap| (gap.start, gap.end)).unzip();
        begins.sort();
        open.sort();
        Self {
            from: begins.first().copied().unwrap_or_default(),
            open: open.into(),
            before: VecDeque::new(),
            known: HashMap::new(),
            has_begun: false,
            first_live: None,
            first_after: None,
            until: Position { epoch: u64::MAX, ..Position::default() },
            is_doubtful: false,
            is_too_much: false,
            forgets_at: KNOWN / 10,
        }
    }

    /// Lines within a gap may be lost although later ones are there: that a snapshot is on disk proves nothing.
    pub fn distrust(&mut self) {
        self.is_doubtful = true;
    }

    /// Adds the next record; `false`: no more are needed.
    pub fn add(&mut self, record: Record) -> bool {
        if record.position.epoch > self.until.epoch {
            // How long the clock step took is not known.
            self.until = record.position.after(BEHIND);
        } else if record.position > self.until
            && self.first_after.is_some_and(|first| record.time > first.time.saturating_add(LATER))
        {
            // What waited in the kernel while the process did not run is older.
            return false;
        }
        // A subscription within a gap, as of a process that died before the gap was over: records behind it prove nothing of
        // the time before it.
        if record.is_snapshot && record.position > self.from {
            self.is_doubtful |= !self.shows_that_nothing_was_missed(record);
        }
        while self.open.front().is_some_and(|end| record.position >= *end) {
            self.open.pop_front();
            self.is_doubtful |= !self.shows_that_nothing_was_missed(record);
            if self.open.is_empty() {
                (self.first_after, self.until) = (Some(record), record.position.after(BEHIND));
            }
        }
        self.has_begun = true;
        if !record.is_snapshot {
            self.first_live.get_or_insert(record.time);
        }
        if record.position <= self.from {
            if self.before.len() == BEFORE
                && let Some((id, _)) = self.before.pop_front()
            {
                self.known.remove(&id);
            }
            self.before.push_back((record.id, record.time));
        }
        self.know(record.id, record.time)
    }

    /// Adds an object that an earlier attempt wrote; `false`: no more are needed.
    pub fn add_fetched(&mut self, fetched: Fetched) -> bool {
        self.know(fetched.id, fetched.time)
    }

    /// Whether the records from before the gap reach back behind [`floor`](Self::floor), so that every record that is
    /// newer is known. Where the clock was set forward, records of the same seconds have stamps that are hours apart.
    pub fn reaches_back(&self) -> bool {
        let floor = self.floor();
        self.before.iter().any(|(_, time)| *time < floor)
    }

    /// Whether more identifiers were recorded than are held for comparison.
    pub fn is_too_much(&self) -> bool {
        self.is_too_much
    }

    /// The first record after the gap.
    pub fn first_after(&self) -> Option<Record> {
        self.first_after
    }

    /// Whether the first record after the gap is old enough at `now` for those right behind it to be on the tape, too.
    pub fn is_settled(&self, now: Position) -> bool {
        self.first_after.is_some_and(|first| first.position.after(SETTLE) <= now)
    }

    /// Whether the first record after each gap proves that nothing is missing in it.
    pub fn nothing_missed(&self) -> bool {
        self.first_after.is_some() && !self.is_doubtful
    }

    /// The oldest possible time of a missing object. Without a record before the gap our clock tells where it begins, and
    /// where that is ahead, the first record in it.
    pub fn floor(&self) -> i64 {
        let Some(last) = self.before.iter().map(|(_, time)| *time).max() else {
            return self.first_live.unwrap_or(i64::MAX).min(self.from.stamp.as_millis());
        };
        let oldest = self.before.iter().map(|(_, time)| *time).min().filter(|_| self.before.len() == BEFORE);
        (last - EARLIER).max(oldest.map_or(i64::MIN, |oldest| oldest + 1))
    }

    /// The time of the last record before the gap; without one, the beginning of the gap.
    pub fn last_before(&self) -> i64 {
        self.before.iter().map(|(_, time)| *time).max().unwrap_or(self.from.stamp.as_millis())
    }

    /// The newest possible time of a missing object; `None`: no record has followed yet.
    pub fn ceiling(&self) -> Option<i64> {
        self.first_after.map(|first| first.time + LATER)
    }

    /// How busy the stream was before the gap, in records per hour.
    pub fn rate(&self) -> u64 {
        const HOUR: i64 = 3_600_000;
        let times = || self.before.iter().map(|(_, time)| *time);
        let Some((oldest, newest)) = times().min().zip(times().max()) else { return 0 };
        let pauses = i64::try_from(self.before.len() - 1).unwrap_or(i64::MAX);
        u64::try_from(pauses.saturating_mul(HOUR) / (newest - oldest).max(1_000)).unwrap_or(0)
    }

    /// Whether an identifier is on disk.
    pub fn knows(&self, id: u64) -> bool {
        self.known.contains_key(&id)
    }

    /// Whether an object of this time range is on disk, so that the exchange must have it, too.
    pub fn knows_within(&self, times: Range<i64>) -> bool {
        self.known.values().any(|time| times.contains(time))
    }

    /// Marks an object as on disk. Objects newer than `newest` do not come up again, and are evicted when there are
    /// many.
    pub fn wrote(&mut self, id: u64, time: i64, newest: i64) {
        self.known.insert(id, time);
        if self.known.len() > self.forgets_at {
            self.known.retain(|_, time| *time <= newest);
            // The threshold doubles, so that an eviction that frees little is not repeated soon.
            self.forgets_at = self.forgets_at.max(self.known.len() * 2);
        }
    }

    /// A snapshot shows the state before the subscription: nothing is missing if that was on disk already. A stream
    /// without earlier records misses only objects from after the beginning of the gap.
    fn shows_that_nothing_was_missed(&self, first: Record) -> bool {
        first.is_snapshot && (self.knows(first.id) || (!self.has_begun && first.time < self.from.stamp.as_millis()))
    }

    fn know(&mut self, id: u64, time: i64) -> bool {
        self.known.insert(id, time);
        self.is_too_much |= self.known.len() > KNOWN;
        !self.is_too_much
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Stamp;

    const SECOND: u64 = 1_000_000;

    fn at(micros: u64) -> Position {
        Position { epoch: 0, stamp: Stamp::from_micros(micros).unwrap() }
    }

    /// A record received a tenth of a second after it happened.
    fn record(id: u64, second: u64) -> Record {
        let time = i64::try_from(second * 1_000).unwrap();
        Record { position: at(second * SECOND + 100_000), id, time, is_snapshot: false }
    }

    fn snapshot(id: u64, second: u64, received: u64) -> Record {
        Record { position: at(received * SECOND), is_snapshot: true, ..record(id, second) }
    }

    fn gap() -> Range<Position> {
        at(100 * SECOND)..at(200 * SECOND)
    }

    /// Of a gap from second 100 to second 200.
    fn evidence(records: &[Record]) -> Evidence {
        let mut evidence = Evidence::new([gap()]);
        records.iter().for_each(|record| assert!(evidence.add(*record)));
        evidence
    }

    #[test]
    fn what_may_be_missing_lies_between_the_records_around_the_gap() {
        let mut evidence = evidence(&[record(1, 80), record(2, 90), record(3, 201)]);
        assert_eq!((evidence.floor(), evidence.ceiling()), (90_000 - EARLIER, Some(201_000 + LATER)));
        assert!(evidence.knows(1) && evidence.knows(3) && !evidence.knows(4) && !evidence.nothing_missed());
        let held_up = Record { time: 201_900, ..record(5, 800) };
        assert!(evidence.add(held_up) && evidence.knows(5), "it had waited to be read");
        assert!(!evidence.add(record(4, 813)) && !evidence.knows(4));
    }

    #[test]
    fn a_snapshot_that_is_on_disk_shows_that_nothing_was_missed() {
        assert!(evidence(&[record(1, 80), record(2, 90), snapshot(2, 90, 200)]).nothing_missed());
        assert!(!evidence(&[record(1, 80), record(2, 90), snapshot(3, 150, 200)]).nothing_missed());
        // Recorded within the gap, as after a kill.
        assert!(evidence(&[record(1, 80), record(2, 120), snapshot(2, 120, 200)]).nothing_missed());
        // The process that recorded it within the gap had missed something itself.
        assert!(!evidence(&[record(1, 80), snapshot(3, 150, 160), snapshot(3, 150, 200)]).nothing_missed());
        // A realtime record proves nothing about the time before it.
        assert!(!evidence(&[record(1, 80), record(2, 200)]).nothing_missed());
        let mut healed = Evidence::new([gap()]);
        healed.add_fetched(Fetched { id: 3, time: 150_000, gap: at(1) });
        healed.add(record(1, 80));
        healed.add(snapshot(3, 150, 200));
        assert!(healed.nothing_missed());
        // Lines before the snapshot's may be lost, such as of a truncated file.
        healed.distrust();
        assert!(!healed.nothing_missed());
    }

    #[test]
    fn of_several_gaps_each_has_to_show_that_nothing_was_missed() {
        let later = at(300 * SECOND)..at(400 * SECOND);
        let missed_nothing = |records: &[Record]| {
            let mut evidence = Evidence::new([later.clone(), gap()]);
            records.iter().for_each(|record| assert!(evidence.add(*record)));
            evidence.nothing_missed()
        };
        let (before, between) = (record(1, 90), record(2, 250));
        assert!(missed_nothing(&[before, snapshot(1, 90, 200), between, snapshot(2, 250, 400)]));
        assert!(missed_nothing(&[before, snapshot(1, 90, 400)]), "nothing came between the two");
        assert!(!missed_nothing(&[before, between, snapshot(2, 250, 400)]), "the first may have missed something");
        assert!(!missed_nothing(&[before, snapshot(1, 90, 200), between, snapshot(3, 350, 400)]));
        assert!(!missed_nothing(&[before, snapshot(1, 90, 200), between]), "nothing is known of the second yet");
    }

    #[test]
    fn a_stream_that_begins_with_the_gap_misses_nothing() {
        assert!(evidence(&[snapshot(1, 70, 200)]).nothing_missed());
        let traded = evidence(&[snapshot(1, 150, 200)]);
        assert!(!traded.nothing_missed());
        assert_eq!(traded.floor(), 100_000);
        // Our clock is ahead by more than a minute.
        let ahead = [snapshot(1, 20, 190), Record { time: 40_000, ..record(2, 200) }];
        assert_eq!(evidence(&ahead).floor(), 40_000);
        assert_eq!(evidence(&[]).ceiling(), None);
    }

    #[test]
    fn a_gap_that_a_clock_step_ended_is_followed_by_the_next_epoch() {
        let mut evidence = evidence(&[record(1, 90)]);
        let in_epoch = |epoch, record: Record| Record { position: Position { epoch, ..record.position }, ..record };
        // The clock was set back behind the gap, so that the stamps are those of before it.
        assert!(evidence.add(in_epoch(1, Record { time: 201_000, ..record(3, 50) })));
        assert_eq!((evidence.floor(), evidence.ceiling()), (90_000 - EARLIER, Some(201_000 + LATER)));
        assert!(evidence.add(in_epoch(1, record(4, 59))) && evidence.add(in_epoch(2, record(5, 300))));
        assert!(evidence.knows(5) && !evidence.add(in_epoch(2, record(6, 311))));
    }

    #[test]
    fn only_the_last_records_before_a_gap_are_kept() {
        let mut evidence = Evidence::new([gap()]);
        for id in 0..=BEFORE as u64 {
            evidence.add(Record { time: 90_000 + i64::try_from(id / 2).unwrap(), ..record(id, 90) });
        }
        assert!(!evidence.knows(0) && evidence.knows(1));
        assert_eq!(evidence.floor(), 90_001);
    }

    #[test]
    fn records_reach_back_when_one_is_older_than_the_floor() {
        assert!(!evidence(&[]).reaches_back() && !evidence(&[record(1, 90)]).reaches_back());
        assert!(!evidence(&[record(1, 88), record(2, 90)]).reaches_back());
        assert!(evidence(&[record(1, 87), record(2, 90)]).reaches_back());
    }

    #[test]
    fn busy_streams_have_a_greater_rate() {
        let every = |pause: u64| -> Vec<Record> { (0..5).map(|n| record(n, 10 + n * pause)).collect() };
        assert!(evidence(&every(1)).rate() > evidence(&every(10)).rate());
        assert_eq!(evidence(&[]).rate(), 0);
    }
}
