//! The healing thread: scans the tape, queries the exchange and hands on missing objects.
//!
//! ```text
//! events ─▶ plan ─▶ scan_tape ─▶ ask: search ⇄ Fetch
//!                                        └──▶ recorder (supervisor)
//! ```

use super::events::EventReader;
use super::evidence::SETTLE;
use super::fetch::{Fetch, Fetched};
use super::interrupted::Interrupted;
use super::link::{HealerOutput, HealerPorts};
use super::plan::{End, Next, Plan, Task, Written};
use super::recorder::Recorder;
use super::scan::{TapeView, refuse_unsealed, scan_tape};
use super::search::Search;
use crate::backoff::Backoff;
use crate::clock::{Clock, Position, Stamp};
use crate::config::Config;
use crate::files::Files;
use crate::history::page_walk::Step;
use crate::quantity::rounded_duration;
use crate::recording::progress::Progress;
use crate::rest::FetchError;
use crate::rest::answer::Item;
use crate::rest::client::RestError;
use crate::tape::healed::{HealReport, MissedObject};
use crate::tape::reader::{Tape, TapeError};
use crate::tape::stream_key::StreamKey;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Lowest priority: healing must not compete with recording.
const NICENESS: i32 = 19;

/// Backoff after requests without an answer.
const PAUSES: Backoff = Backoff { first: Duration::from_secs(60), longest: Duration::from_secs(1_800) };

/// See the module.
pub struct Healer<F> {
    tape: Tape,
    recorder: Recorder,
    events: EventReader,
    exchange: F,
    plan: Plan,
    /// The clock of the plan's stamps.
    clock: Clock,
    /// Consecutive requests without an answer.
    failures: u32,
}

impl<F: Fetch> Healer<F> {
    /// A healer for the tape being written into `files`, out of what `exchange` has; `progress` is the writer's position.
    pub fn new(config: &Config, files: Arc<dyn Files>, exchange: F, ports: HealerPorts, progress: Progress) -> Self {
        let recorder = Recorder::new(ports, progress);
        let tape = Tape::new(Some(files), &config.data_dir);
        Self {
            events: EventReader::new(config, tape.clone()),
            clock: recorder.clock(),
            tape,
            recorder,
            exchange,
            plan: Plan::default(),
            failures: 0,
        }
    }

    /// Starts the healing thread; it ends with the process, at any point.
    ///
    /// # Errors
    /// The system cannot create the thread.
    pub fn spawn(self) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let work = move || {
            // Without the permission, healing runs at normal priority.
            let _ = rustix::process::setpriority_process(None, NICENESS);
            runtime.block_on(self.run());
        };
        std::thread::Builder::new().name("healer".to_owned()).spawn(work).map(drop)
    }

    /// Heals until the supervisor is gone.
    pub async fn run(mut self) {
        // The next process repeats unfinished work.
        let _ = self.heal_all().await;
    }

    async fn heal_all(&mut self) -> Result<(), Interrupted> {
        self.recorder.until_written().await?;
        self.events.read_past(&self.recorder);
        loop {
            self.recorder.handle_input();
            self.follow_clock();
            if let Some(entries) = self.recorder.entries.take() {
                self.events.take_entries(&entries);
            }
            if self.recorder.has_unread && self.plan.has_room() {
                self.recorder.until_written().await?;
                self.recorder.has_unread = !self.events.read_gaps(&mut self.plan, &self.recorder);
            }
            match self.plan.next(self.recorder.position()) {
                Next::Report(gap, report) => self.report(gap, report).await?,
                Next::Scan(task) => self.scan(task).await?,
                Next::Ask(task) => self.ask(task).await?,
                Next::Wait(until) => self.recorder.wait(until).await?,
            }
        }
    }

    /// Hands on the outcome of a gap, once its lines survive a power cut. A sync that had found no room proves nothing of
    /// them, and until they are sealed the gap is as one of which nothing is known yet.
    async fn report(&mut self, gap: Position, report: HealReport) -> Result<(), Interrupted> {
        self.recorder.until_durable().await?;
        self.recorder.handle_input();
        if self.recorder.has_unread {
            self.events.read_doubts(&self.recorder);
        }
        if self.is_doubted(gap, &report) {
            tracing::debug!(gap = gap.stamp.as_micros(), "what was healed is not certain, and is looked at again");
            self.events.read_again(gap);
            self.recorder.has_unread = true;
            return Ok(());
        }
        self.events.note_done(gap, self.recorder.now());
        self.recorder.hand_on(HealerOutput::Healed { gap, report }).await
    }

    /// Whether lines of a gap may be in memory alone.
    fn is_doubted(&self, gap: Position, report: &HealReport) -> bool {
        let written = report.complete.iter().chain(&report.partial).filter(|(_, count)| **count > 0);
        let mut streams = written.filter_map(|(stream, _)| StreamKey::from_stem(stream)?.healed());
        let now = self.recorder.position();
        streams.any(|stream| {
            let doubts = self.events.past().doubts_behind(gap);
            refuse_unsealed(&self.tape, &stream, doubts, now).is_err()
        })
    }

    /// Stamps of before and behind a change of the clock say nothing of the time between them: what has to settle gets that
    /// time anew.
    fn follow_clock(&mut self) {
        let clock = self.recorder.clock();
        if std::mem::replace(&mut self.clock, clock) != clock {
            self.plan.hold(self.recorder.now().after(SETTLE));
        }
    }

    async fn scan(&mut self, task: Task) -> Result<(), Interrupted> {
        self.recorder.until_written().await?;
        match self.scan_tape(&task) {
            Ok(view) => self.plan.scanned(task, &view.evidence, self.recorder.position()),
            Err(error) => self.handle_fault(task, &error),
        }
        // With thousands of scans, other tasks on this thread must run in between.
        tokio::task::yield_now().await;
        Ok(())
    }

    fn scan_tape(&self, task: &Task) -> Result<TapeView, TapeError> {
        scan_tape(&self.tape, self.events.past(), task, self.recorder.position())
    }

    fn handle_fault(&mut self, task: Task, error: &TapeError) {
        if matches!(error, TapeError::Pruned { .. }) {
            tracing::debug!(stream = %task.stream, %error, "a gap is not healed");
            return self.plan.done(&task, End::Partial, &Written::new());
        }
        if matches!(error, TapeError::Unsealed { .. }) {
            tracing::debug!(stream = %task.stream, %error, "healing of a gap waits");
            return self.plan.wait_for_seal(task, self.recorder.now());
        }
        tracing::warn!(stream = %task.stream, %error, "what is on disk cannot be held against what the exchange has");
        self.plan.scan_failed(task, self.recorder.now());
    }

    async fn ask(&mut self, mut task: Task) -> Result<(), Interrupted> {
        let mut written = Written::new();
        match self.heal(&mut task, &mut written).await {
            Ok(end) => {
                self.failures = 0;
                self.plan.done(&task, end, &written);
            }
            Err(Interrupted::Stopped) => return Err(Interrupted::Stopped),
            Err(Interrupted::Tape(error)) => self.handle_fault(task, &error),
            Err(Interrupted::Rest(error)) => self.handle_silence(task, &error),
            Err(Interrupted::OtherDay) => self.plan.put_aside(task, self.recorder.now()),
            Err(Interrupted::Doubted) => self.doubt(task, &written),
        }
        Ok(())
    }

    /// One stream without an answer does not block the others; a second in a row holds all requests.
    fn handle_silence(&mut self, task: Task, error: &FetchError) {
        let is_first = self.failures == 0 && matches!(error, FetchError::Rest(RestError::Unavailable { .. }));
        if !is_first {
            return self.hold(task, &error.to_string(), error.until());
        }
        self.failures += 1;
        tracing::info!(stream = %task.stream, cause = %error, "healing of this stream waits, and others are healed");
        self.plan.put_aside(task, self.recorder.now());
    }

    /// The exchange reports nothing where the tape has records.
    fn doubt(&mut self, task: Task, written: &Written) {
        self.failures = 0;
        let stream = task.stream.clone();
        match self.plan.doubt(task, written, self.recorder.now()) {
            true => tracing::info!(%stream, "the exchange does not show what was recorded: it is asked again"),
            false => tracing::warn!(%stream, "the exchange does not show what was recorded: gaps stay partial"),
        }
    }

    /// The exchange is unavailable: healing is delayed, nothing is lost.
    fn hold(&mut self, task: Task, cause: &str, until: Option<Stamp>) {
        let now = self.recorder.now();
        let until = until.unwrap_or_else(|| {
            self.failures += 1;
            now.after(PAUSES.ceiling(self.failures))
        });
        let pause = rounded_duration(until.since(now));
        tracing::info!(cause, pause, "healing waits: the exchange cannot be asked for what was missed");
        self.plan.hold(until);
        self.plan.put_back(task, now);
    }

    async fn heal(&mut self, task: &mut Task, written: &mut Written) -> Result<End, Interrupted> {
        self.recorder.until_written().await?;
        let TapeView { evidence, resume, counts } = self.scan_tape(task).map_err(Interrupted::Tape)?;
        *written = counts;
        if evidence.nothing_missed() {
            return Ok(End::Complete);
        }
        let market = task.stream.code().unwrap_or_default();
        let mut search = Search::new(market, task.series, evidence, resume, self.recorder.position());
        loop {
            let request = match search.request(self.recorder.now().as_millis()) {
                Ok(request) => request,
                Err(end) => return Ok(end),
            };
            let Fetched { requests, outcome } = self.exchange.fetch(request, self.recorder.clock()).await;
            task.requests += requests;
            let page = match outcome {
                Ok(page) => page,
                // One refusal proves nothing, even of a stream without a record: "code not found" may be a moment's.
                Err(FetchError::Rest(RestError::Refused(denial))) => {
                    tracing::warn!(stream = %task.stream, %denial, "the exchange refuses what was missed");
                    return Ok(End::Partial);
                }
                Err(error) => return Err(Interrupted::Rest(error)),
            };
            if search.needs_scan(&page) {
                self.recorder.pause(SETTLE).await;
                self.recorder.until_written().await?;
                search.settle(self.scan_tape(task).map_err(Interrupted::Tape)?.evidence);
            }
            let step = search.handle(page, self.recorder.now().as_millis());
            self.hand_on(task, search.take_missing(), written).await?;
            match step {
                Step::More => {}
                Step::Again(pause) => self.recorder.pause(pause).await,
                Step::Ends(_) | Step::Doubted { .. } => return Err(Interrupted::Doubted),
                Step::Done => return Ok(End::Complete),
                Step::Gone => return Ok(End::Partial),
                Step::Strange(_) | Step::OtherDay => return Err(Interrupted::OtherDay),
            }
        }
    }

    async fn hand_on(&mut self, task: &Task, missing: Vec<Item>, written: &mut Written) -> Result<(), Interrupted> {
        let Some(stream) = task.stream.healed().filter(|_| !missing.is_empty()) else { return Ok(()) };
        let mut objects = Vec::with_capacity(missing.len());
        for Item { time, object, .. } in missing {
            let gap = task.gap_of(time);
            *written.entry(gap).or_default() += 1;
            objects.push(MissedObject { gap, object: object.get().to_owned() });
        }
        let (stamped, last) = oneshot::channel();
        self.recorder.hand_on(HealerOutput::Missing { stream, objects, stamped }).await?;
        self.recorder.note_missed(last.await.map_err(|_| Interrupted::Stopped)?);
        Ok(())
    }
}
