//! The exchange's list of pairs, followed while the recorder runs: requested, weighed as evidence, kept, and published
//! to the supervisor, which derives subscription requests from it.
//!
//! ```text
//! kept ──▶ evidence (pure) ──listed──▶ supervisor: patterns become codes on the living connection
//!             ▲ ask             └─keep──▶ rest/markets.json
//!          Lister: the exchange and the directory
//! ```
//!
//! It runs on its own thread: keeping a list includes a sync, and a stalled disk must not block the connections' reads.

pub mod evidence;
mod report;

use super::client::Client;
use super::client::budget::Priority;
use super::codes::{has_patterns, is_checkable};
use super::markets::{FILE, Markets};
use super::{FetchError, SetupError};
use crate::clock::{Clock, sleep_until};
use crate::config::Config;
use crate::counters::requests::SharedRequests;
use crate::desired::Listed;
use crate::quantity::rounded_duration;
use evidence::ListingEvidence;
use report::ListingReport;
use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often a one-shot command repeats the request before it reports a short list, and the pause before each
/// repetition.
const ONCE: u32 = 3;
const ONCE_PAUSE: Duration = Duration::from_secs(2);

/// The source of lists of pairs, and the store of the known list.
pub trait Lister {
    /// Requests the list; an error holds the reason.
    fn ask(&mut self) -> impl Future<Output = Result<Markets, String>>;

    /// Keeps the known list for a start without REST.
    fn keep(&mut self, known: &Markets);
}

/// The configured exchange over REST, and its data directory.
struct Exchange {
    config: Config,
    clock: Clock,
    requests: SharedRequests,
    client: Option<Client>,
}

impl Lister for Exchange {
    async fn ask(&mut self) -> Result<Markets, String> {
        let connect = || {
            let client = super::connect(&self.config, self.clock, Priority::History)?;
            Ok::<_, SetupError>(client.counting(self.requests.clone()))
        };
        let mut client = self.client.take().map_or_else(connect, Ok).map_err(|error| error.to_string())?;
        let answer = Markets::fetch(&mut client).await.map_err(|error| error.to_string())?;
        // The client is dropped after a failure, because it may hold requests in flight: the next request makes a new
        // one.
        self.client = Some(client);
        Ok(answer)
    }

    fn keep(&mut self, known: &Markets) {
        keep(known, &self.config.data_dir);
    }
}

/// Drives the evidence with a lister's answers.
pub struct Follower<L> {
    lister: L,
    clock: Clock,
    evidence: ListingEvidence,
    listed: watch::Sender<Listed>,
    report: ListingReport,
    /// What is in force; `None`: it does not change.
    config: Option<watch::Receiver<Arc<Config>>>,
    /// The list is of use.
    is_followed: bool,
}

impl<L: Lister> Follower<L> {
    /// Follows `lister` with the state of `evidence`. `listed` publishes the listed pairs.
    pub fn new(lister: L, clock: Clock, evidence: ListingEvidence, listed: watch::Sender<Listed>) -> Self {
        Self { lister, clock, evidence, listed, report: ListingReport::default(), config: None, is_followed: true }
    }

    /// Follows while the configuration in force has a use for it.
    pub fn as_configured(mut self, config: watch::Receiver<Arc<Config>>) -> Self {
        self.config = Some(config);
        self.take_config();
        self
    }

    /// Runs until the list has no receiver.
    pub async fn run(mut self) {
        self.report.codes(self.evidence.known());
        while !self.listed.is_closed() {
            if self.is_followed && self.evidence.take_question(self.clock.now()) {
                self.ask().await;
            }
            self.report_findings();
            let deadline = self.evidence.poll_deadline().filter(|_| self.is_followed);
            tokio::select! {
                biased;
                () = changed(&mut self.config) => {
                    self.take_config();
                    self.report.codes(self.evidence.known());
                }
                () = sleep_until(deadline) => self.evidence.handle_timeout(self.clock.now()),
            }
        }
    }

    fn take_config(&mut self) {
        let Some(config) = self.config.as_mut().map(|config| config.borrow_and_update().clone()) else { return };
        let is_needed = has_patterns(&config);
        self.is_followed = is_needed || is_checkable(&config);
        self.report.take_config(&config, is_needed);
    }

    async fn ask(&mut self) {
        let (clock, evidence, report) = (self.clock, &mut self.evidence, &self.report);
        let answer = {
            let mut answer = pin!(self.lister.ask());
            loop {
                tokio::select! {
                    biased;
                    answer = &mut answer => break answer,
                    () = sleep_until(evidence.poll_deadline()) => evidence.handle_timeout(clock.now()),
                }
                std::iter::from_fn(|| evidence.poll_finding()).for_each(|finding| report.finding(finding, clock.now()));
            }
        };
        let now = clock.now();
        match answer {
            Err(cause) => evidence.handle_failure(now, cause),
            Ok(answer) => {
                if let Some(known) = evidence.handle_answer(now, answer) {
                    self.report.codes(known);
                    self.lister.keep(known);
                    let listed = evidence.listed();
                    self.listed.send_replace(listed);
                }
            }
        }
    }

    fn report_findings(&mut self) {
        while let Some(finding) = self.evidence.poll_finding() {
            self.report.finding(finding, self.clock.now());
        }
    }
}

/// Waits for another configuration.
async fn changed(config: &mut Option<watch::Receiver<Arc<Config>>>) {
    // Without a sender none will come.
    let is_changed = match config {
        Some(config) => config.changed().await.is_ok(),
        None => false,
    };
    if !is_changed {
        std::future::pending().await
    }
}

/// What following the list is for.
#[derive(Debug)]
pub struct Following {
    /// Publishes the listed pairs.
    pub listed: watch::Sender<Listed>,
    /// Counts the requests.
    pub requests: SharedRequests,
}

/// Follows the exchange's list on a background thread that ends with the process, as `config` in force needs it.
///
/// # Errors
/// The thread cannot be spawned.
pub fn spawn(
    config: watch::Receiver<Arc<Config>>,
    clock: Clock,
    evidence: ListingEvidence,
    following: Following,
) -> io::Result<()> {
    let Following { listed, requests } = following;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let exchange = Exchange { config: Config::clone(&config.borrow()), clock, requests, client: None };
    let follower = Follower::new(exchange, clock, evidence, listed).as_configured(config);
    std::thread::Builder::new().name("pairs".to_owned()).spawn(move || runtime.block_on(follower.run())).map(drop)
}

/// The list of pairs used by a one-shot command.
#[derive(Debug)]
pub struct ListingAnswer {
    /// The answer's pairs, or the known ones if the answer is unreliable.
    pub markets: Markets,
    /// The answer lacked too many known pairs, also when it was repeated.
    pub is_short: bool,
}

/// Requests the configured exchange's list once, and keeps the result below its data directory if it is reliable;
/// `kept` is the list of an earlier process.
///
/// # Errors
/// The request failed, or the list is empty and none is known.
pub async fn ask_once(config: &Config, clock: Clock, kept: Option<Markets>) -> Result<ListingAnswer, FetchError> {
    let mut client = super::connect(config, clock, Priority::History)?;
    let mut evidence = ListingEvidence::new(kept, clock.now());
    let report = ListingReport::default();
    for round in 1..=ONCE {
        let answer = Markets::fetch(&mut client).await?;
        let listed = answer.clone();
        let changed = evidence.handle_answer(clock.now(), answer).cloned();
        std::iter::from_fn(|| evidence.poll_finding()).for_each(|finding| report.finding(finding, clock.now()));
        if let Some(known) = changed {
            keep(&known, &config.data_dir);
            return Ok(ListingAnswer { markets: listed, is_short: false });
        }
        if round < ONCE {
            let pause = ONCE_PAUSE * round;
            let (pairs, again_in) = (listed.pairs.len(), rounded_duration(pause));
            tracing::warn!(pairs, again_in, "the list of pairs is empty or much shorter than known: asking again");
            sleep_until(Some(clock.now() + pause)).await;
        }
    }
    let markets = evidence.known().clone();
    if markets.pairs.is_empty() { Err(FetchError::Empty) } else { Ok(ListingAnswer { markets, is_short: true }) }
}

fn keep(known: &Markets, data_dir: &Path) {
    if let Err(error) = known.keep(data_dir) {
        tracing::warn!(%error, file = FILE, "the list of pairs cannot be kept for a start without the exchange");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Stamp;
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};

    fn markets(count: usize) -> Markets {
        let entries: Vec<String> = (0..count).map(|number| format!(r#"{{"market":"KRW-{number}"}}"#)).collect();
        Markets::of(serde_json::from_str(&format!("[{}]", entries.join(","))).unwrap())
    }

    /// Answers with a scripted number of pairs or a failure, and notes how many pairs were kept.
    struct Script {
        answers: VecDeque<Option<usize>>,
        kept: Arc<Mutex<Vec<usize>>>,
    }

    impl Lister for Script {
        async fn ask(&mut self) -> Result<Markets, String> {
            match self.answers.pop_front() {
                Some(answer) => answer.map(markets).ok_or_else(|| "503".to_owned()),
                None => std::future::pending().await,
            }
        }

        fn keep(&mut self, known: &Markets) {
            self.kept.lock().unwrap().push(known.pairs.len());
        }
    }

    /// Follows the answers for an hour; returns the number of pairs at each keep, and of those listed at the end.
    async fn follow(known: Option<usize>, answers: &[Option<usize>]) -> (Vec<usize>, Option<usize>) {
        let clock = Clock::anchored(Stamp::default());
        let kept = Arc::new(Mutex::new(Vec::new()));
        let script = Script { answers: answers.iter().copied().collect(), kept: kept.clone() };
        let evidence = ListingEvidence::new(known.map(markets), clock.now());
        let (sender, listed) = watch::channel(evidence.listed());
        tokio::select! {
            () = Follower::new(script, clock, evidence, sender).run() => panic!("somebody listens"),
            () = sleep_until(Some(clock.now() + Duration::from_secs(3500))) => {}
        }
        let kept = kept.lock().unwrap().clone();
        (kept, listed.borrow().codes.as_ref().map(|codes| codes.len()))
    }

    #[tokio::test(start_paused = true)]
    async fn wrong_lists_are_neither_kept_nor_handed_on() {
        assert_eq!(follow(Some(40), &[Some(0), Some(3), None, Some(40)]).await, (vec![40], Some(40)));
        assert_eq!(follow(Some(40), &[Some(3), Some(3), Some(3)]).await, (vec![], Some(40)));
        assert_eq!(follow(Some(40), &[Some(0); 30]).await, (vec![], Some(40)));
        assert_eq!(follow(Some(40), &[Some(3); 30]).await.1, Some(3), "until they have agreed for long enough");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_list_the_first_that_comes_is_used() {
        assert_eq!(follow(None, &[None, Some(0), None]).await, (vec![], None));
        assert_eq!(follow(None, &[None, Some(0), Some(3), Some(40)]).await, (vec![3, 40], Some(40)));
        assert_eq!(follow(Some(40), &[None, Some(39)]).await, (vec![40], Some(40)));
    }
}
