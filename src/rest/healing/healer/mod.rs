//! The thread of healing: reads the tape, asks the exchange, and hands on what was missing.

mod look;
mod way;

use super::plan::{End, Next, Plan, REACH, SETTLE, Task, Written};
use super::story::{self, Told as Event};
use super::walk::{Missing, Step};
use super::{Counter, Said, Told};
use crate::archive::{Tape, TapeError};
use crate::clock::{Clock, Stamp, sleep_until};
use crate::config::Config;
use crate::recording::naming::stream_key::StreamKey;
use crate::recording::writer::Progress;
use crate::rest::client::budget::Priority;
use crate::rest::client::request::Request;
use crate::rest::client::verdict::Page;
use crate::rest::client::{Client, Denial, RestError};
use crate::rest::{self, FetchError};
use crate::status;
use look::View;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use way::Way;

/// The pause after the exchange gave no answer; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(60);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1_800);

/// How often it is looked whether what was handed on is written.
const WRITTEN_PAUSE: Duration = Duration::from_millis(50);

/// The distance of two stamps in a row where nothing raises them.
const MICROSECOND: Duration = Duration::from_micros(1);

/// See the module.
pub struct Healer {
    config: Config,
    tape: Tape,
    told: watch::Receiver<Told>,
    said: mpsc::Sender<Said>,
    progress: Progress,
    clock: Clock,
    client: Option<Client>,
    plan: Plan,
    /// Streams that were asked for snapshots only: they are not meant to hold everything.
    samples: BTreeSet<StreamKey>,
    /// Gaps that need nothing more.
    done: BTreeSet<u64>,
    /// When processes began, this one last.
    starts: Vec<Stamp>,
    /// Events up to here were read, and whether there are further ones to be read now.
    read_to: Stamp,
    has_unread: bool,
    steps: u64,
    /// Everything up to here has to be in its file before the tape is looked at.
    handed_on: Stamp,
    /// Times in a row that the exchange gave no answer.
    failures: u32,
}

/// Why a task could not be ended.
enum Interrupted {
    /// The supervisor is gone.
    Stopped,
    /// The tape cannot be read.
    Tape(TapeError),
    /// The exchange cannot be asked now.
    Rest(FetchError),
    /// The exchange's answers are not to our questions.
    Astray,
}

impl Healer {
    /// A healer of the tape that is being written; `progress` says how far it is.
    pub fn new(config: &Config, counter: Counter, progress: Progress) -> Self {
        let Counter { told, said } = counter;
        let clock = told.borrow().clock;
        Self {
            config: config.clone(),
            tape: Tape::new(&config.data_dir),
            told,
            said,
            progress,
            clock,
            client: None,
            plan: Plan::default(),
            samples: samples(config),
            done: BTreeSet::new(),
            starts: Vec::new(),
            read_to: Stamp::default(),
            has_unread: true,
            steps: 0,
            handed_on: Stamp::default(),
            failures: 0,
        }
    }

    /// Heals until the supervisor is gone.
    pub async fn run(mut self) {
        self.read_to = self.clock.stamp().before(REACH);
        // The supervisor is gone, and whatever was begun is begun again by the next process.
        let _ = self.work().await;
    }

    async fn work(&mut self) -> Result<(), Interrupted> {
        self.listen();
        self.until_written().await?;
        self.read_the_past();
        loop {
            self.listen();
            if self.has_unread && self.plan.has_room() {
                self.until_written().await?;
                self.read_gaps();
            }
            match self.plan.next(self.clock.stamp()) {
                Next::Report(gap, report) => {
                    self.note_done(gap);
                    self.say(Said::Healed { gap, report }).await?;
                }
                Next::Look(task) => self.look_first(task).await?,
                Next::Ask(task) => self.ask(task).await?,
                Next::Wait(until) => self.wait(until).await?,
            }
        }
    }

    /// Takes in what the supervisor told since the last time.
    fn listen(&mut self) {
        if !self.told.has_changed().unwrap_or(false) {
            return;
        }
        let told = *self.told.borrow_and_update();
        if told.steps != self.steps {
            // Stamps from before the step say nothing about what is written after it.
            (self.steps, self.clock, self.client, self.handed_on) = (told.steps, told.clock, None, told.last);
            self.read_to = self.read_to.min(told.last.before(MICROSECOND));
        }
        self.handed_on = self.handed_on.max(told.last);
        self.has_unread = true;
    }

    async fn wait(&mut self, until: Option<Stamp>) -> Result<(), Interrupted> {
        let deadline = until.map(|until| self.clock.now() + until.since(self.clock.stamp()));
        tokio::select! {
            biased;
            told = self.told.changed() => {
                self.told.mark_changed();
                told.map_err(|_| Interrupted::Stopped)
            }
            () = sleep_until(deadline) => Ok(()),
        }
    }

    async fn say(&mut self, said: Said) -> Result<(), Interrupted> {
        self.said.send(said).await.map_err(|_| Interrupted::Stopped)
    }

    /// Waits until the files hold everything that the tape is to be asked about. On a full disk that takes its time.
    async fn until_written(&mut self) -> Result<(), Interrupted> {
        while self.progress.written() < self.handed_on {
            if self.said.is_closed() {
                return Err(Interrupted::Stopped);
            }
            self.pause(WRITTEN_PAUSE).await;
            self.listen();
        }
        Ok(())
    }

    async fn pause(&self, length: Duration) {
        sleep_until(Some(self.clock.now() + length)).await;
    }
}

/// The recorder's own events.
impl Healer {
    fn read_the_past(&mut self) {
        for (stamp, event) in self.events() {
            match event {
                Event::Healed(gap) => _ = self.done.insert(gap),
                Event::Started => self.starts.push(stamp),
                Event::Gap(_) | Event::WentBack => {}
            }
        }
    }

    fn read_gaps(&mut self) {
        let now = self.clock.stamp();
        let mut events = self.events();
        let mut is_at_end = true;
        for (stamp, event) in events.by_ref() {
            self.read_to = stamp;
            match event {
                Event::Gap(mut gap) if !self.done.contains(&gap.id) => {
                    gap.streams.retain(|stream| !self.samples.contains(stream));
                    self.plan.add(&gap, now);
                }
                Event::WentBack => self.plan.give_up(),
                Event::Gap(_) | Event::Healed(_) | Event::Started => {}
            }
            if !self.plan.has_room() {
                is_at_end = false;
                break;
            }
        }
        self.has_unread = !is_at_end;
    }

    /// The events that were not read yet, with their stamps.
    fn events(&self) -> impl Iterator<Item = (Stamp, Event)> + use<> {
        let lines = self.tape.lines(&StreamKey::recorder(), self.read_to.next()..=Stamp::MAX);
        if let Err(error) = &lines {
            tracing::warn!(%error, "the recorder's events cannot be read, and gaps in them are not healed");
        }
        let readable = lines.into_iter().flatten().filter_map(|line| match line {
            Ok(line) => Some(line),
            Err(error) => {
                tracing::warn!(%error, "some of the recorder's events cannot be read, and gaps in them are not healed");
                None
            }
        });
        readable.filter_map(|line| Some((line.stamp(), story::parse(line.text())?)))
    }

    fn note_done(&mut self, gap: u64) {
        self.done.insert(gap);
        // Older ones are not read again.
        self.done = self.done.split_off(&self.clock.stamp().before(REACH * 2).as_micros());
    }
}

/// One task.
impl Healer {
    async fn look_first(&mut self, task: Task) -> Result<(), Interrupted> {
        self.until_written().await?;
        match self.look(&task) {
            Ok(view) => self.plan.looked(task, &view.evidence, self.clock.stamp()),
            Err(error) => self.handle_fault(task, &error),
        }
        // Where there are thousands, whatever else is to be done on this thread comes in between.
        tokio::task::yield_now().await;
        Ok(())
    }

    fn handle_fault(&mut self, task: Task, error: &TapeError) {
        tracing::warn!(stream = %task.stream, %error, "what is on disk cannot be held against what the exchange has");
        self.plan.look_failed(task, self.clock.stamp());
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
            Err(Interrupted::Rest(error)) => self.hold(task, &error.to_string(), error.until()),
            Err(Interrupted::Astray) => self.hold(task, "its answers are not to our questions", None),
        }
        Ok(())
    }

    /// The exchange cannot be asked now: nothing is lost by that but time.
    fn hold(&mut self, task: Task, cause: &str, until: Option<Stamp>) {
        let now = self.clock.stamp();
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(10)).min(LONGEST_PAUSE);
        if until.is_none() {
            self.failures += 1;
        }
        let until = until.unwrap_or_else(|| now.after(pause));
        let pause = status::duration(until.since(now));
        tracing::info!(cause, pause, "healing waits: the exchange cannot be asked for what was missed");
        self.plan.hold(until);
        self.plan.put_back(task, now);
    }

    async fn heal(&mut self, task: &mut Task, written: &mut Written) -> Result<End, Interrupted> {
        self.until_written().await?;
        let View { mut evidence, resume, counts } = self.look(task).map_err(Interrupted::Tape)?;
        *written = counts;
        if evidence.nothing_missed() {
            return Ok(End::Complete);
        }
        let mut way = Way::new(task, &evidence, (resume, self.millis()));
        let mut is_settled = evidence.ceiling().is_some();
        loop {
            let Some(request) = way.request(self.millis()) else { return Ok(way.end()) };
            let page = match self.fetch(request, task).await? {
                Ok(page) => page,
                // A pair that the exchange does not list has nothing that could be missed.
                Err(_) if !evidence.has_any() => return Ok(End::Complete),
                Err(denial) => {
                    tracing::warn!(stream = %task.stream, %denial, "the exchange refuses what was missed");
                    return Ok(End::Partial);
                }
            };
            if !is_settled && way.has_news(&page, &evidence) {
                // It may have come over the stream since the tape was looked at.
                self.pause(SETTLE).await;
                self.until_written().await?;
                evidence = self.look(task).map_err(Interrupted::Tape)?.evidence;
                way.lower_ceiling(evidence.ceiling());
                is_settled = true;
            }
            let mut missing = Vec::new();
            let step = way.handle(page, self.millis(), (&mut evidence, &mut missing));
            self.hand_on(task, missing, written).await?;
            match step {
                Step::More => {}
                Step::Done => return Ok(End::Complete),
                Step::Gone => return Ok(End::Partial),
                Step::Astray => return Err(Interrupted::Astray),
            }
        }
    }

    async fn fetch(&mut self, request: Request, task: &mut Task) -> Result<Result<Page, Denial>, Interrupted> {
        let mut client = match self.client.take() {
            Some(client) => client,
            None => {
                let priority = Priority::Healing { per_day: self.config.rest.heal_max };
                let client = rest::connect(&self.config, self.clock, priority);
                client.map_err(|error| Interrupted::Rest(error.into()))?
            }
        };
        let before = client.tally().sent;
        let answer = client.get(request).await;
        task.requests += client.tally().sent - before;
        match answer {
            Err(RestError::Refused(denial)) => {
                self.client = Some(client);
                Ok(Err(denial))
            }
            // What is left of it may be in the middle of a conversation: it is made anew the next time.
            Err(error) => Err(Interrupted::Rest(error.into())),
            Ok(page) => {
                self.client = Some(client);
                Ok(Ok(page))
            }
        }
    }

    async fn hand_on(&mut self, task: &Task, missing: Vec<Missing>, written: &mut Written) -> Result<(), Interrupted> {
        let Some(stream) = task.stream.healed().filter(|_| !missing.is_empty()) else { return Ok(()) };
        let mut objects = Vec::with_capacity(missing.len());
        for Missing { time, object } in missing {
            let gap = task.gap_of(time);
            *written.entry(gap).or_default() += 1;
            objects.push(format!("{{\"gap\":{gap},{}", &object.get()[1..]));
        }
        let (stamped, last) = oneshot::channel();
        self.say(Said::Missing { stream, objects, stamped }).await?;
        self.handed_on = self.handed_on.max(last.await.map_err(|_| Interrupted::Stopped)?);
        Ok(())
    }

    fn millis(&self) -> i64 {
        i64::try_from(self.clock.stamp().as_micros() / 1_000).unwrap_or(i64::MAX)
    }
}

/// The streams of which snapshots alone are recorded.
fn samples(config: &Config) -> BTreeSet<StreamKey> {
    let entries = config.public.subscribe.iter().filter(|entry| entry.only_snapshot);
    let names = entries.flat_map(|entry| entry.codes.iter().map(|code| format!("{code}_{}", entry.kind)));
    names.filter_map(|name| StreamKey::from_stem(&name)).collect()
}
