//! Scans of the tape. They block, so healing has a thread of its own.

use super::events::Past;
use super::evidence::{BEHIND, Evidence};
use super::plan::{REACH, Task, Written};
use super::record::{Fetched, Record};
use super::resume::ResumePoint;
use crate::clock::{Position, Stamp};
use crate::rest::quotation::TRADES_PER_PAGE;
use crate::tape::line::Line;
use crate::tape::reader::{Selection, Tape, TapeError};
use crate::tape::stream_key::StreamKey;
use crate::upbit::series::Series;
use std::ops::Range;
use std::time::Duration;

/// How far back the last records before a gap are searched in its own epoch. Most streams have them within minutes, and
/// reading further back is expensive; last, all that is within reach is read.
const LOOK_BACK: [Duration; 3] =
    [Duration::from_secs(600), Duration::from_secs(3 * 3_600), Duration::from_secs(86_400)];

/// The result of a task's scan.
pub(super) struct TapeView {
    pub(super) evidence: Evidence,
    /// Earlier processes have written everything missing that is newer.
    pub(super) resume: Option<i64>,
    /// Objects written by earlier processes or attempts.
    pub(super) counts: Written,
}

/// Scans the tape for a task at `now`; `past` is what events tell of the healer's own lines.
///
/// # Errors
/// The tape cannot be read.
pub(super) fn scan_tape(tape: &Tape, past: &Past, task: &Task, now: Position) -> Result<TapeView, TapeError> {
    // Where lines were deleted that an earlier attempt had fetched, nothing tells which, and they would be fetched once more.
    if let Some(healed) = task.stream.healed() {
        refuse_pruned(tape, &healed, Selection::from(reach(task.from(), now)..=Stamp::MAX))?;
        refuse_unsealed(tape, &healed, past.doubts_behind(task.to()), now)?;
    }
    refuse_unsealed(tape, &task.stream, task.cached(), now)?;
    let resume = resume_point(tape, &past.starts, task, now)?;
    for length in LOOK_BACK {
        let view = view(tape, task, Extent::since(task.from().before(length), now), resume)?;
        if view.evidence.reaches_back() {
            let around = Extent::since(task.from().before(LOOK_BACK[0]), now).selection();
            refuse_pruned(tape, &task.stream, around.until(last_needed(&view.evidence)))?;
            return Ok(view);
        }
    }
    let within_reach = Extent { from: Position::default(), not_before: reach(task.from().before(REACH), now) };
    // What lay before it in an earlier epoch, under any stamp, may be among what was deleted: what is left then has a hole.
    refuse_pruned(tape, &task.stream, Selection::from(within_reach.not_before..=Stamp::MAX))?;
    view(tape, task, within_reach, resume)
}

/// The lines around a gap tell where it lies in the exchange's time. Where they were deleted, those further off would make
/// it seem longer, and all that was deleted would be fetched.
fn refuse_pruned(tape: &Tape, stream: &StreamKey, selected: Selection) -> Result<(), TapeError> {
    match tape.is_pruned(stream, selected)? {
        true => Err(TapeError::Pruned { stream: stream.clone() }),
        false => Ok(()),
    }
}

/// Lines of a sync that may have failed can be read until the machine stops, and prove nothing before they are sealed.
///
/// # Errors
/// Some of `spans` are in a segment that is not, or that cannot be known.
pub(super) fn refuse_unsealed(
    tape: &Tape,
    stream: &StreamKey,
    mut spans: impl Iterator<Item = Range<Position>>,
    now: Position,
) -> Result<(), TapeError> {
    spans.try_for_each(|span| {
        // The line at its end is the first one behind it.
        let last = Position { stamp: span.end.stamp.previous(), ..span.end };
        let within = Selection::from(span.start..).until(last).not_before(reach(span.start, now));
        match tape.is_unsealed(stream, within)? {
            true => Err(TapeError::Unsealed { stream: stream.clone() }),
            false => Ok(()),
        }
    })
}

/// No line behind it tells anything of the gap: the last that is compared with what the exchange has.
fn last_needed(evidence: &Evidence) -> Position {
    let first_after = evidence.first_after().map(|first| first.position.after(BEHIND));
    first_after.unwrap_or(Position { epoch: u64::MAX, stamp: Stamp::MAX })
}

/// What is read of a stream.
#[derive(Clone, Copy)]
struct Extent {
    from: Position,
    /// In any epoch.
    not_before: Stamp,
}

impl Extent {
    fn since(from: Position, now: Position) -> Self {
        Self { from, not_before: reach(from, now) }
    }

    fn selection(self) -> Selection {
        Selection::from(self.from..).not_before(self.not_before)
    }
}

/// The earliest stamp to be read where lines from `begin` on are wanted: in later epochs they may have older ones.
fn reach(begin: Position, now: Position) -> Stamp {
    if begin.epoch == now.epoch { begin.stamp } else { begin.stamp.min(now.stamp.before(REACH)) }
}

/// Where the clock was set back shortly before the gap, the records before it are in an earlier epoch, with later stamps.
/// They are read from all epochs at once, or those of an epoch between would be left out where their stamps are older.
fn view(tape: &Tape, task: &Task, span: Extent, resume: Option<i64>) -> Result<TapeView, TapeError> {
    let (mut evidence, mut counts) = (Evidence::new(task.spans()), Written::new());
    if task.is_unsure() {
        evidence.distrust();
    }
    let healed = Selection::from(span.not_before..=Stamp::MAX);
    scan(tape, task.stream.healed(), healed, &mut |line| {
        let parsed = Fetched::parse(task.series, line.position().epoch, line.text());
        let Some(fetched) = parsed else { return true };
        if task.gaps.iter().any(|gap| gap.id == fetched.gap) {
            *counts.entry(fetched.gap).or_default() += 1;
        }
        resume.is_some_and(|resume| fetched.time > resume) || evidence.add_fetched(fetched)
    })?;
    scan(tape, Some(task.stream.clone()), span.selection(), &mut |line| {
        Record::parse(task.series, line.position(), line.text()).is_none_or(|record| evidence.add(record))
    })?;
    Ok(TapeView { evidence, resume, counts })
}

/// The progress of earlier processes in a gap that is healed alone: objects written for joined gaps cannot be told
/// apart.
fn resume_point(tape: &Tape, starts: &[Position], task: &Task, now: Position) -> Result<Option<i64>, TapeError> {
    let ([gap], Series::Trades) = (&task.gaps[..], task.series) else { return Ok(None) };
    let mut point = ResumePoint::of_pages(TRADES_PER_PAGE);
    let mut starts = starts.iter().peekable();
    scan(tape, task.stream.healed(), Extent::since(task.from(), now).selection(), &mut |line| {
        while starts.next_if(|start| **start <= line.position()).is_some() {
            point.next_process();
        }
        let fetched =
            Fetched::parse(task.series, line.position().epoch, line.text()).filter(|fetched| fetched.gap == gap.id);
        fetched.into_iter().for_each(|fetched| point.add(fetched.time));
        true
    })?;
    Ok(point.until())
}

/// Reads the selected lines of a stream, until `each` stops.
fn scan(
    tape: &Tape,
    stream: Option<StreamKey>,
    selected: Selection,
    each: &mut dyn FnMut(&Line) -> bool,
) -> Result<(), TapeError> {
    let Some(stream) = stream else { return Ok(()) };
    for line in tape.lines(&stream, selected)? {
        if !each(&line?) {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::disk::Disk;
    use crate::history::healing::plan::{Next, Plan};
    use crate::history::healing::story::Gap;
    use crate::tape::segment_name::SegmentName;
    use crate::upbit::feed::Feed;
    use std::fs;
    use std::path::Path;

    /// 2026-11-22T12:00:00Z, in seconds.
    const NOON: u64 = 1_795_348_800;
    const HOUR: u64 = 3_600;

    fn stream() -> StreamKey {
        StreamKey::from_stem("KRW-BTC_trade").unwrap()
    }

    fn at(epoch: u64, second: u64) -> Position {
        Position { epoch, stamp: Stamp::from_micros(second * 1_000_000).unwrap() }
    }

    /// A segment of trades, three seconds apart by both clocks, the first of which has this id and was received at `first`.
    fn write(directory: &Path, first: Position, ids: Range<u64>) {
        let name = SegmentName { feed: Feed::Public, stream: stream(), epoch: first.epoch, first: first.stamp };
        let second = first.stamp.as_micros() / 1_000_000;
        let lines = ids.clone().map(|id| {
            let (received, time) = ((second + 3 * (id - ids.start)) * 1_000_000, 3_000 * id);
            format!("{{\"ts_recv\":{received},\"type\":\"trade\",\"trade_timestamp\":{time},\"sequential_id\":{id}}}\n")
        });
        fs::create_dir_all(directory.join(name.directory())).unwrap();
        fs::write(directory.join(name.plain()), lines.collect::<String>()).unwrap();
    }

    /// Of a gap that begins at `from` and took a minute.
    fn evidence(directory: &Path, from: Position, is_unsure: bool) -> Evidence {
        let to = from.after(Duration::from_secs(60));
        let gap = Gap { id: to, from: from.stamp, to: to.stamp, is_unsure, is_cached: false, streams: vec![stream()] };
        let (mut plan, now) = (Plan::default(), to.after(Duration::from_secs(600)));
        plan.add(&gap, now);
        let Next::Scan(task) = plan.next(now) else { panic!("it is scanned first") };
        let tape = Tape::new(Disk::readable(directory).unwrap(), directory);
        scan_tape(&tape, &Past::default(), &task, now).unwrap().evidence
    }

    /// A gap of a minute.
    fn gap_at_noon() -> Gap {
        let [from, to] = [NOON, NOON + 60].map(|second| at(0, second));
        let (id, streams) = (to, vec![stream()]);
        Gap { id, from: from.stamp, to: to.stamp, is_unsure: false, is_cached: false, streams }
    }

    #[test]
    fn no_epoch_between_is_left_out_before_a_gap() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), at(0, NOON - HOUR), 1..9);
        write(directory.path(), at(1, NOON - 5 * HOUR), 9..17);
        let evidence = evidence(directory.path(), at(2, NOON), false);
        assert_eq!(evidence.last_before(), 3_000 * 16);
        assert!((1..17).all(|id| evidence.knows(id)));
    }

    #[test]
    fn a_gap_is_left_alone_where_lines_around_it_were_deleted() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), at(0, NOON - 2 * HOUR), 1..9);
        write(directory.path(), at(0, NOON - 30), 9..17);
        write(directory.path(), at(1, NOON - HOUR), 17..18);
        let gap = gap_at_noon();
        let (mut plan, now) = (Plan::default(), at(1, NOON));
        plan.add(&gap, now);
        let Next::Scan(task) = plan.next(now) else { panic!("it is scanned first") };
        let tape = Tape::new(Disk::readable(directory.path()).unwrap(), directory.path());
        let is_pruned = |name: &SegmentName| {
            let sealed = name.sealed();
            let name = sealed.file_name().unwrap().to_str().unwrap();
            let line = format!("{{\"name\":\"{name}\",\"pruned\":1,\"reason\":\"keep_for\"}}\n");
            fs::write(directory.path().join(sealed.with_file_name("manifest.jsonl")), line).unwrap();
            matches!(scan_tape(&tape, &Past::default(), &task, now), Err(TapeError::Pruned { .. }))
        };
        let name =
            |Position { epoch, stamp: first }| SegmentName { feed: Feed::Public, stream: stream(), epoch, first };
        assert!(!is_pruned(&name(at(1, NOON - HOUR + 11))), "behind what is read");
        assert!(is_pruned(&name(at(1, NOON - HOUR + 10))));
        assert!(
            is_pruned(&name(at(1, NOON - 2 * HOUR))),
            "behind a step of the clock, and before the first that is left"
        );
        assert!(is_pruned(&name(at(0, NOON))));
        let other = SegmentName { stream: StreamKey::from_stem("KRW-ETH_trade").unwrap(), ..name(at(0, NOON)) };
        assert!(!is_pruned(&other));
        let healed = |first| SegmentName { stream: stream().healed().unwrap(), ..name(first) };
        assert!(is_pruned(&healed(at(0, NOON + 300))), "what an earlier attempt had fetched");
    }

    #[test]
    fn lines_in_memory_alone_are_no_evidence() {
        let directory = tempfile::tempdir().unwrap();
        let write = |first, ids| write(directory.path(), first, ids);
        write(at(0, NOON - 30), 1..9);
        let mut gap = gap_at_noon();
        let is_unsealed = |gap: &Gap| {
            let (mut plan, now) = (Plan::default(), at(0, NOON + 600));
            plan.add(gap, now);
            let Next::Scan(task) = plan.next(now) else { panic!("it is scanned first") };
            let tape = Tape::new(Disk::readable(directory.path()).unwrap(), directory.path());
            matches!(scan_tape(&tape, &Past::default(), &task, now), Err(TapeError::Unsealed { .. }))
        };
        assert!(!is_unsealed(&gap));
        gap.is_cached = true;
        assert!(is_unsealed(&gap), "a segment that begins before it waits");
        let name = SegmentName { feed: Feed::Public, stream: stream(), epoch: 0, first: at(0, NOON - 30).stamp };
        let file = name.sealed().file_name().unwrap().to_str().unwrap().to_owned();
        let listed = format!(
            "{{\"name\":\"{file}\",\"stream\":\"KRW-BTC_trade\",\"run\":1,\"version\":\"1\",\"format\":null,\"subscription\":null,\
             \"epoch\":0,\"first\":{},\"last\":{},\"lines\":8,\"bytes\":1,\"zst_bytes\":1,\"sha256\":\"\"}}\n",
            (NOON - 30) * 1_000_000,
            (NOON - 9) * 1_000_000
        );
        fs::write(directory.path().join(name.manifest()), listed).unwrap();
        assert!(!is_unsealed(&gap), "it is sealed");
        fs::remove_file(directory.path().join(name.manifest())).unwrap();
        fs::write(directory.path().join(name.sealed()), "").unwrap();
        assert!(!is_unsealed(&gap), "and not listed any more, since it is to be pruned");
        write(at(0, NOON + 61), 9..10);
        assert!(!is_unsealed(&gap), "another begins behind it");
        let active = directory.path().join("KRW-BTC_trade.jsonl");
        let line = |second| format!("{{\"ts_recv\":{},\"type\":\"trade\"}}\n", second * 1_000_000);
        fs::write(&active, line(NOON + 90)).unwrap();
        assert!(!is_unsealed(&gap), "the active one does, too");
        fs::write(&active, line(NOON + 60)).unwrap();
        assert!(!is_unsealed(&gap), "the line that ends a gap is behind it");
        fs::write(&active, line(NOON + 30)).unwrap();
        assert!(is_unsealed(&gap), "the active one begins within it");
    }

    #[test]
    fn what_was_healed_in_a_doubted_sync_proves_nothing_yet() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), at(0, NOON - 30), 1..9);
        let healed = directory.path().join("KRW-BTC_trade.healed.jsonl");
        fs::write(healed, format!("{{\"ts_recv\":{},\"gap\":1}}\n", (NOON + 90) * 1_000_000)).unwrap();
        let (mut plan, now) = (Plan::default(), at(0, NOON + 600));
        plan.add(&gap_at_noon(), now);
        let Next::Scan(task) = plan.next(now) else { panic!("it is scanned first") };
        let tape = Tape::new(Disk::readable(directory.path()).unwrap(), directory.path());
        let is_unsealed = |doubt: Range<u64>| {
            let (from, to) = (at(0, doubt.start).stamp, at(0, doubt.end).stamp);
            let gap = Gap { id: at(0, doubt.end), from, to, is_cached: true, ..gap_at_noon() };
            let past = Past::of_gaps([gap]);
            matches!(scan_tape(&tape, &past, &task, now), Err(TapeError::Unsealed { .. }))
        };
        assert!(is_unsealed(NOON + 80..NOON + 100));
        assert!(!is_unsealed(NOON + 70..NOON + 90), "the file begins behind it");
        assert!(!is_unsealed(NOON - 100..NOON + 50), "what is healed of a gap is behind the gap");
    }

    #[test]
    fn earlier_epochs_are_not_read_where_the_own_reaches_back() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), at(0, NOON + HOUR), 1..9);
        write(directory.path(), at(1, NOON - HOUR), 9..17);
        let evidence = evidence(directory.path(), at(1, NOON), false);
        assert!((9..17).all(|id| evidence.knows(id)) && !evidence.knows(8));
    }

    #[test]
    fn a_snapshot_proves_nothing_of_an_unsure_gap() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), at(0, NOON - 30), 1..9);
        let name = SegmentName { feed: Feed::Public, stream: stream(), epoch: 0, first: at(0, NOON + 70).stamp };
        let received = name.first.as_micros();
        let line = format!(
            "{{\"ts_recv\":{received},\"type\":\"trade\",\"trade_timestamp\":24000,\"sequential_id\":8,\"stream_type\":\"SNAPSHOT\"}}\n"
        );
        fs::write(directory.path().join(name.plain()), line).unwrap();
        assert!(evidence(directory.path(), at(0, NOON), false).nothing_missed());
        assert!(!evidence(directory.path(), at(0, NOON), true).nothing_missed());
    }
}
