//! The thread of healing: reads the tape, asks the exchange, and hands on what was missing.
//!
//! ```text
//! told ─▶ past (events) ─▶ plan ─▶ look (the tape) ─▶ ask ─▶ way ⇄ client
//!                                                      └──▶ said ─▶ supervisor
//! ```
//!
//! Before it looks at the tape it waits until the files hold what came: a record that is on its way to the disk would
//! be taken for missing.

mod ask;
mod look;
mod past;
mod way;

use super::plan::{Next, Plan, REACH};
use super::{Counter, Said, Told};
use crate::clock::{Clock, Stamp, sleep_until};
use crate::config::Config;
use crate::files::Files;
use crate::recording::progress::Progress;
use crate::rest::FetchError;
use crate::rest::client::Client;
use crate::tape::reader::{Tape, TapeError};
use crate::tape::stream_key::StreamKey;
use crate::upbit::codes::Meaning;
use crate::upbit::subscription::Subscription;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Everything is in its file so soon after it came: the writer says so once a second. It is well within what is left to
/// records to settle.
const WRITTEN_WITHIN: Duration = Duration::from_secs(2);

/// How often it is looked whether what was handed on is written.
const WRITTEN_PAUSE: Duration = Duration::from_millis(50);

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
    /// What was asked for snapshots only: it is not meant to hold everything.
    samples: Samples,
    /// Gaps that need nothing more.
    done: BTreeSet<u64>,
    /// When processes began, this one last.
    starts: Vec<Stamp>,
    /// Events up to here were read, and whether there are further ones to be read now.
    read_to: Stamp,
    has_unread: bool,
    steps: u64,
    /// Stamps that may be those of two time lines, since they went back.
    overlap: RangeInclusive<Stamp>,
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
    /// The exchange's day is not ours.
    Astray,
    /// The tape contradicts the exchange's answers.
    Doubted,
}

impl Healer {
    /// A healer of the tape that is being written into `files`; `progress` says how far it is.
    pub fn new(config: &Config, files: Arc<dyn Files>, counter: Counter, progress: Progress) -> Self {
        let Counter { told, said } = counter;
        let clock = told.borrow().clock;
        Self {
            config: config.clone(),
            tape: Tape::new(Some(files), &config.data_dir),
            told,
            said,
            progress,
            clock,
            client: None,
            plan: Plan::default(),
            samples: Samples::of(&config.public.subscribe),
            done: BTreeSet::new(),
            starts: Vec::new(),
            read_to: Stamp::default(),
            has_unread: true,
            steps: 0,
            overlap: Stamp::MAX..=Stamp::default(),
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
            self.overlap = told.last.previous()..=self.clock.stamp().after(WRITTEN_WITHIN);
            (self.steps, self.clock, self.client, self.handed_on) = (told.steps, told.clock, None, told.last);
        }
        if told.clock != self.clock {
            // The machine was suspended: its stamps are of the same time line.
            (self.clock, self.client) = (told.clock, None);
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

    /// Waits until the files hold everything that the tape is to be asked about: what was handed on, and what had come
    /// when it began to settle. On a full disk that takes its time.
    async fn until_written(&mut self) -> Result<(), Interrupted> {
        let begin = self.clock.stamp().before(WRITTEN_WITHIN);
        let steps = self.steps;
        loop {
            self.listen();
            let wanted = if self.steps == steps { self.handed_on.max(begin) } else { self.handed_on };
            // What is far ahead of the clock is of the time line before a step that is not written yet.
            if (wanted..=self.latest()).contains(&self.progress.written()) {
                return Ok(());
            }
            if self.said.is_closed() {
                return Err(Interrupted::Stopped);
            }
            self.pause(WRITTEN_PAUSE).await;
        }
    }

    /// No line of this time line has a later stamp.
    fn latest(&self) -> Stamp {
        self.clock.stamp().after(WRITTEN_WITHIN)
    }

    async fn pause(&self, length: Duration) {
        sleep_until(Some(self.clock.now() + length)).await;
    }
}

/// The entries of which snapshots alone are recorded, by their type.
#[derive(Debug)]
struct Samples(Vec<(String, Meaning)>);

impl Samples {
    fn of(entries: &[Subscription]) -> Self {
        let sampled = entries.iter().filter(|entry| entry.only_snapshot);
        Self(sampled.map(|entry| (entry.kind.clone(), Meaning::of(&entry.codes))).collect())
    }

    /// Whether a stream is one of theirs, be it by a pattern.
    fn contains(&self, stream: &StreamKey) -> bool {
        let is_meant = |(kind, meaning): &(String, Meaning)| {
            kind == stream.kind() && stream.code().is_some_and(|code| meaning.holds(code))
        };
        self.0.iter().any(is_meant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::disk::Disk;

    #[test]
    fn it_follows_the_clock_of_a_machine_that_was_suspended() {
        let clock = Clock::anchored(Stamp::default());
        let (desk, counter) = crate::history::healing::connect(clock);
        let config = crate::config::load(&Default::default()).unwrap().config;
        let directory = tempfile::tempdir().unwrap();
        let files = Arc::new(Disk::open(directory.path()).unwrap());
        let mut healer = Healer::new(&config, files, counter, Progress::default());
        let resumed = clock.resumed(Duration::from_secs(3600));
        desk.told.send_modify(|told| told.clock = resumed);
        healer.listen();
        assert_eq!((healer.clock, healer.steps), (resumed, 0), "or it would wait for an hour before the gap is over");
    }

    #[test]
    fn samples_are_known_by_their_patterns_too() {
        let codes = ["KRW-*", "!KRW-DOGE", "BTC-ETH"].map(str::to_owned).into();
        let entry = Subscription { kind: "trade".into(), codes, only_snapshot: true, ..Subscription::default() };
        let samples = Samples::of(&[entry]);
        let sampled = |stem: &str| samples.contains(&StreamKey::from_stem(stem).unwrap());
        assert!(sampled("KRW-BTC_trade") && sampled("BTC-ETH_trade"));
        assert!(!sampled("KRW-DOGE_trade") && !sampled("KRW-BTC_ticker") && !sampled("BTC-XRP_trade"));
    }
}
