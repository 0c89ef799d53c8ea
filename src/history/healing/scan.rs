//! Scans of the tape. They block, so healing has a thread of its own.

use super::evidence::Evidence;
use super::plan::{REACH, Task, Written};
use super::record::{Fetched, Record};
use super::resume::ResumePoint;
use crate::clock::{Position, Stamp};
use crate::rest::quotation::TRADES_PER_PAGE;
use crate::tape::line::Line;
use crate::tape::reader::{Selection, Tape, TapeError};
use crate::tape::stream_key::StreamKey;
use crate::upbit::series::Series;
use std::time::Duration;

/// How far back the last records before a gap are searched. Most streams have them within minutes, and reading further
/// back is expensive.
pub(super) const LOOK_BACK: [Duration; 4] =
    [Duration::from_secs(600), Duration::from_secs(3 * 3_600), Duration::from_secs(86_400), REACH];

/// The result of a task's scan.
pub(super) struct TapeView {
    pub(super) evidence: Evidence,
    /// Earlier processes have written everything missing that is newer.
    pub(super) resume: Option<i64>,
    /// Objects written by earlier processes or attempts.
    pub(super) counts: Written,
}

/// Scans the tape for a task at `now`; `starts` is where processes began, in order.
///
/// # Errors
/// The tape cannot be read.
pub(super) fn scan_tape(tape: &Tape, starts: &[Position], task: &Task, now: Position) -> Result<TapeView, TapeError> {
    let resume = resume_point(tape, starts, task, now)?;
    let mut view = view(tape, task, reach(task.from().before(LOOK_BACK[0]), now), resume)?;
    for length in &LOOK_BACK[1..] {
        if view.evidence.reaches_back() {
            break;
        }
        view = self::view(tape, task, reach(task.from().before(*length), now), resume)?;
    }
    Ok(view)
}

/// The earliest stamp to be read where lines from `begin` on are wanted: in later epochs they may have older ones.
fn reach(begin: Position, now: Position) -> Stamp {
    if begin.epoch == now.epoch { begin.stamp } else { begin.stamp.min(now.stamp.before(REACH)) }
}

/// Reads all epochs: where the clock was set back shortly before the gap, the records before it are in an earlier one,
/// with later stamps.
fn view(tape: &Tape, task: &Task, begin: Stamp, resume: Option<i64>) -> Result<TapeView, TapeError> {
    let selected = Selection::from(begin..=Stamp::MAX);
    let (mut evidence, mut counts) = (Evidence::new(task.spans()), Written::new());
    if task.is_unsure() {
        evidence.distrust();
    }
    scan(tape, task.stream.healed(), selected.clone(), &mut |line| {
        let parsed = Fetched::parse(task.series, line.position().epoch, line.text());
        let Some(fetched) = parsed else { return true };
        if task.gaps.iter().any(|gap| gap.id == fetched.gap) {
            *counts.entry(fetched.gap).or_default() += 1;
        }
        resume.is_some_and(|resume| fetched.time > resume) || evidence.add_fetched(fetched)
    })?;
    scan(tape, Some(task.stream.clone()), selected, &mut |line| {
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
    let written = Selection::from(task.from()..).not_before(reach(task.from(), now));
    scan(tape, task.stream.healed(), written, &mut |line| {
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
