//! The healing schedule: the next stream to scan or to request, and the outcome of each gap. Pure.
//!
//! ```text
//!  gap ──▶ a task per stream ──scan──▶ nothing missed ────────────────────────────▶ done ──▶ report of the gap
//!          (joined over gaps    ├────▶ first record is there ──▶ asked, busy first ───┤
//!           close together)     └────▶ none for a minute ──────▶ asked last ──────────┘
//! ```
//!
//! A scan of the tape costs no request, so every due scan comes before the first request. A gap is done, and its report
//! due, when all its streams are done.

use super::evidence::{Evidence, SETTLE};
use super::story::Gap;
use crate::backoff::Backoff;
use crate::clock::{Position, Stamp};
use crate::tape::healed::HealReport;
use crate::tape::stream_key::StreamKey;
use crate::upbit::series::Series;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::time::Duration;

/// Most gaps in progress; further ones wait on disk. A disturbed hour brings as many, and each of thousands of streams
/// keeps a note per gap.
pub const MOST_GAPS: usize = 200;

/// A market without a record for this long counts as quiet. Subscriptions with snapshots deliver them within seconds,
/// and one request covers a market that trades less than once a minute.
pub const QUIET: Duration = Duration::from_secs(60);

/// Trades can be requested for the last seven days.
pub const REACH: Duration = Duration::from_secs(7 * 86_400);

/// Gaps of a stream no further apart are healed together: a flapping connection takes one walk.
const JOIN: Duration = Duration::from_secs(600);

/// Longest joined task, so that a long gap resumes where an earlier process stopped.
const LONGEST: Duration = Duration::from_secs(3_600);

/// Attempts to scan a tape that cannot be read.
const MOST_SCANS: u32 = 3;

/// The pause after a failed scan: the disk or the limit of descriptors may be the reason.
const SCAN_AGAIN: Duration = Duration::from_secs(300);

/// The pauses before an answer that contradicts the tape is requested again: a momentary fault is over after the first,
/// and at the end four answers over more than ten minutes agree.
const DOUBTED: [Duration; 3] = [Duration::from_secs(5), Duration::from_secs(300), Duration::from_secs(300)];

/// The pauses before lines that were not sealed are looked at again: the sealer takes seconds for most, and hours where it
/// has to wait for room.
const UNSEALED: Backoff = Backoff { first: Duration::from_secs(5), longest: Duration::from_secs(1_800) };

/// The pauses of a task without an answer while others get one.
const UNANSWERED: Backoff = Backoff { first: Duration::from_secs(60), longest: Duration::from_secs(1_800) };

/// One gap of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskGap {
    /// The gap's epoch and its id.
    pub id: Position,
    from: Position,
    to: Position,
    is_unsure: bool,
    is_cached: bool,
}

/// A stream to be healed, over one gap or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    number: u64,
    /// The stream.
    pub stream: StreamKey,
    /// The series to be healed.
    pub series: Series,
    /// The gaps, at least one.
    pub gaps: Vec<TaskGap>,
    /// Requests made so far.
    pub requests: u64,
    failed_scans: u32,
    /// Scans that found lines that are not sealed.
    waits: u32,
    /// Consecutive answers that contradict the tape.
    doubts: usize,
    /// Requests without an answer.
    failures: u32,
}

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Everything that was missing is on disk; possibly nothing was missing.
    Complete,
    /// Objects may still be missing.
    Partial,
}

/// Number of objects on disk, by gap.
pub type Written = BTreeMap<Position, u64>;

/// The next action.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Record the outcome of a gap.
    Report(Position, HealReport),
    /// Scan the tape for this task; then [`Plan::scanned`], or [`Plan::scan_failed`].
    Scan(Task),
    /// Query the exchange for this task; then [`Plan::done`], or [`Plan::put_back`].
    Ask(Task),
    /// Wait until then, or for another gap.
    Wait(Option<Stamp>),
}

/// See the module.
#[derive(Debug, Default)]
pub struct Plan {
    gaps: BTreeMap<Position, Pending>,
    tasks: BTreeMap<(StreamKey, u64), (State, Task)>,
    order: BTreeSet<(State, (StreamKey, u64))>,
    tasks_made: u64,
    reports: VecDeque<(Position, HealReport)>,
    held_until: Option<Stamp>,
    /// The epoch of what is waited for.
    epoch: u64,
}

#[derive(Debug)]
struct Pending {
    tasks: usize,
    report: HealReport,
}

/// In order of priority: scans come before requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Scan(Stamp),
    Ask { is_quiet: bool, rate: Reverse<u64> },
}

impl Task {
    /// The range of each gap.
    pub fn spans(&self) -> impl Iterator<Item = Range<Position>> {
        self.gaps.iter().map(|gap| gap.from..gap.to)
    }

    /// Whether lines within one of the gaps may be lost although later ones are there.
    pub fn is_unsure(&self) -> bool {
        self.gaps.iter().any(|gap| gap.is_unsure)
    }

    /// The gaps whose lines may be in memory alone until they are sealed.
    pub fn cached(&self) -> impl Iterator<Item = Range<Position>> {
        self.gaps.iter().filter(|gap| gap.is_cached).map(|gap| gap.from..gap.to)
    }

    /// The beginning of the first gap.
    pub fn from(&self) -> Position {
        self.gaps.iter().map(|gap| gap.from).min().unwrap_or_default()
    }

    /// The end of the last gap.
    pub fn to(&self) -> Position {
        self.gaps.iter().map(|gap| gap.to).max().unwrap_or_default()
    }

    /// The gap that a missing object of this time (milliseconds since the epoch) belongs to: the last one that had
    /// begun by then, or else the first, since the exchange's clock is not ours.
    pub fn gap_of(&self, time: i64) -> Position {
        let begun = self.gaps.iter().filter(|gap| gap.from.stamp.as_millis() <= time);
        begun.max_by_key(|gap| gap.from).or(self.gaps.first()).map_or(Position::default(), |gap| gap.id)
    }

    fn key(&self) -> (StreamKey, u64) {
        (self.stream.clone(), self.number)
    }
}

impl Plan {
    /// Whether there is room for another gap.
    pub fn has_room(&self) -> bool {
        self.gaps.len() < MOST_GAPS
    }

    /// Adds a gap, unless it is beyond the exchange's reach.
    pub fn add(&mut self, gap: &Gap, now: Position) {
        let is_done = self.reports.iter().any(|(id, _)| *id == gap.id);
        if is_done || self.gaps.contains_key(&gap.id) || now.stamp.since(gap.to) > REACH {
            return;
        }
        let Range { start: from, end: to } = gap.span();
        let task_gap = TaskGap { id: gap.id, from, to, is_unsure: gap.is_unsure, is_cached: gap.is_cached };
        let streams: BTreeSet<&StreamKey> = gap.streams.iter().collect();
        let series = |stream: &StreamKey| Series::of_type(stream.kind()).filter(|_| stream.code().is_some());
        let (possible, impossible): (Vec<_>, Vec<_>) = streams.into_iter().partition(|stream| series(stream).is_some());
        let impossible = impossible.into_iter().map(|stream| stream.kind().to_owned()).collect();
        let report = HealReport { impossible, ..HealReport::default() };
        self.gaps.insert(gap.id, Pending { tasks: possible.len(), report });
        self.report_if_done(gap.id);
        for stream in possible {
            self.add_task(stream, series(stream).expect("it is possible"), task_gap, now);
        }
    }

    /// Sends no requests before `until`.
    pub fn hold(&mut self, until: Stamp) {
        self.held_until = Some(until);
    }

    /// The next action at `now`. The caller owns a returned task until it gives it back.
    pub fn next(&mut self, now: Position) -> Next {
        self.follow(now);
        let now = now.stamp;
        if let Some((gap, report)) = self.reports.pop_front() {
            return Next::Report(gap, report);
        }
        // The key behind every scan; no stream is that busy, so the name does not matter.
        let first_ask = (State::Ask { is_quiet: false, rate: Reverse(u64::MAX) }, (StreamKey::misc(), 0));
        let scan = self.order.first().cloned();
        let scan_at = match scan {
            Some((State::Scan(at), key)) if at <= now => return Next::Scan(self.take(&key)),
            Some((State::Scan(at), _)) => Some(at),
            _ => None,
        };
        let ask = self.order.range(first_ask..).next().map(|(_, key)| key.clone());
        let held_until = self.held_until.filter(|until| *until > now);
        match (ask, held_until) {
            (Some(key), None) => Next::Ask(self.take(&key)),
            (Some(_), Some(until)) => Next::Wait(Some(scan_at.map_or(until, |at| at.min(until)))),
            (None, _) => Next::Wait(scan_at),
        }
    }

    /// Takes the result of a scan at `now`.
    pub fn scanned(&mut self, task: Task, evidence: &Evidence, now: Position) {
        let first = evidence.first_after().map(|first| first.position);
        if evidence.nothing_missed() {
            return self.done(&task, End::Complete, &Written::new());
        }
        if evidence.is_too_much() || now.stamp.since(task.to().stamp) > REACH {
            return self.done(&task, End::Partial, &Written::new());
        }
        let settled = first.map(|first| first.after(SETTLE));
        let quiet = task.to().after(QUIET);
        let state = match settled {
            Some(settled) if settled > now => State::Scan(settled.stamp),
            None if quiet > now => State::Scan(quiet.stamp),
            _ => State::Ask { is_quiet: first.is_none(), rate: Reverse(evidence.rate()) },
        };
        self.put(task, state);
    }

    /// The tape could not be read at `now`. Without it nothing is requested: objects could be written twice.
    pub fn scan_failed(&mut self, mut task: Task, now: Stamp) {
        task.failed_scans += 1;
        match task.failed_scans < MOST_SCANS {
            true => self.put(task, State::Scan(now.after(SCAN_AGAIN))),
            false => self.done(&task, End::Partial, &Written::new()),
        }
    }

    /// Lines of a task are not sealed yet at `now`. What was read of them proves nothing.
    pub fn wait_for_seal(&mut self, mut task: Task, now: Stamp) {
        task.waits += 1;
        let next = State::Scan(now.after(UNSEALED.ceiling(task.waits)));
        match now.since(task.to().stamp) > REACH {
            true => self.done(&task, End::Partial, &Written::new()),
            false => self.put(task, next),
        }
    }

    /// Takes an unfinished task back, to be scanned again when requests are possible again.
    pub fn put_back(&mut self, task: Task, now: Stamp) {
        let at = self.held_until.unwrap_or(now);
        self.put(task, State::Scan(at));
    }

    /// The exchange did not answer this task: others go first.
    pub fn put_aside(&mut self, mut task: Task, now: Stamp) {
        task.failures += 1;
        let pause = UNANSWERED.ceiling(task.failures);
        self.put(task, State::Scan(now.after(pause)));
    }

    /// The answer contradicts the tape: `true`, it is requested again; `false`, it is accepted as final, and the task
    /// ends partial.
    pub fn doubt(&mut self, mut task: Task, written: &Written, now: Stamp) -> bool {
        let pause = DOUBTED.get(task.doubts);
        task.doubts += 1;
        match pause {
            Some(pause) => self.put(task, State::Scan(now.after(*pause))),
            None => self.done(&task, End::Partial, written),
        }
        pause.is_some()
    }

    /// Ends a task.
    pub fn done(&mut self, task: &Task, end: End, written: &Written) {
        for (index, gap) in task.gaps.iter().enumerate() {
            let Some(pending) = self.gaps.get_mut(&gap.id) else { continue };
            let report = &mut pending.report;
            let count = written.get(&gap.id).copied().unwrap_or_default();
            match end {
                End::Complete if count == 0 => report.unaffected += 1,
                End::Complete => *report.complete.entry(task.stream.to_string()).or_default() += count,
                End::Partial => *report.partial.entry(task.stream.to_string()).or_default() += count,
            }
            if index == 0 {
                report.requests += task.requests;
            }
            pending.tasks -= 1;
            self.report_if_done(gap.id);
        }
    }

    /// In a new epoch nothing of the one before is waited for: its stamps may be far ahead. Requests wait as long as data
    /// needs to settle at the most, since the new clock may have told that already.
    fn follow(&mut self, now: Position) {
        if now.epoch == self.epoch {
            return;
        }
        self.epoch = now.epoch;
        self.held_until = self.held_until.map(|until| until.min(now.stamp.after(SETTLE)));
        self.order.clear();
        for (state, task) in std::mem::take(&mut self.tasks).into_values() {
            let due = if let State::Scan(at) = state { State::Scan(at.min(now.stamp)) } else { state };
            self.put(task, due);
        }
    }

    /// Joins the gap to the stream's last task where they are close together, or creates a new task.
    fn add_task(&mut self, stream: &StreamKey, series: Series, gap: TaskGap, now: Position) {
        let scan = |task: &Task| match task.to().after(SETTLE) {
            settled if settled.epoch == now.epoch => State::Scan(settled.stamp),
            _ => State::Scan(now.stamp),
        };
        let last = self.tasks.range((stream.clone(), 0)..=(stream.clone(), u64::MAX)).next_back();
        let joined = last.map(|(key, _)| key.clone()).filter(|key| {
            let task = &self.tasks[key].1;
            let length = task.to().max(gap.to).stamp.since(task.from().min(gap.from).stamp);
            let is_near = gap.from.stamp.since(task.to().stamp) <= JOIN && length <= LONGEST;
            is_near && gap.id.epoch == task.to().epoch
        });
        let task = match joined {
            Some(key) => {
                let mut task = self.take(&key);
                task.gaps.push(gap);
                task
            }
            None => {
                self.tasks_made += 1;
                let (number, gaps) = (self.tasks_made, vec![gap]);
                Task {
                    number,
                    stream: stream.clone(),
                    series,
                    gaps,
                    requests: 0,
                    failed_scans: 0,
                    waits: 0,
                    doubts: 0,
                    failures: 0,
                }
            }
        };
        let state = scan(&task);
        self.put(task, state);
    }

    fn put(&mut self, task: Task, state: State) {
        self.order.insert((state, task.key()));
        self.tasks.insert(task.key(), (state, task));
    }

    fn take(&mut self, key: &(StreamKey, u64)) -> Task {
        let (state, task) = self.tasks.remove(key).expect("what is in order is in hand");
        self.order.remove(&(state, key.clone()));
        task
    }

    fn report_if_done(&mut self, gap: Position) {
        if self.gaps.get(&gap).is_some_and(|pending| pending.tasks == 0)
            && let Some(pending) = self.gaps.remove(&gap)
        {
            self.reports.push_back((gap, pending.report));
        }
    }
}

#[cfg(test)]
mod tests;
