//! The exchange's list of pairs, followed while the recorder runs: requested, weighed as evidence, kept, and published
//! to the supervisor, which derives subscription requests from it.
//!
//! ```text
//! kept ──▶ evidence (pure) ──listed──▶ supervisor: patterns become codes on the living connection
//!             ▲ ask             └─keep──▶ rest/markets.json
//!          Lister: the exchange and the directory
//!             └─ objects ──▶ supervisor: what the exchange says of its pairs is recorded
//! ```
//!
//! It runs on its own thread: keeping a list includes a sync, and a stalled disk must not block the connections' reads.

mod catalogue;
pub mod evidence;
mod lister;
mod objects;
mod once;
mod report;

pub use lister::Lister;
pub use once::{ListingAnswer, ask_once};

use super::codes::{has_patterns, is_checkable};
use crate::clock::{Clock, Wall, sleep_until};
use crate::config::Config;
use crate::counters::requests::SharedRequests;
use crate::desired::Listed;
use crate::tape::rest_objects::RestObjects;
use evidence::{Finding, ListingEvidence};
use lister::Exchange;
use objects::Objects;
use report::ListingReport;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::{Notify, mpsc, watch};

/// The channels of a follower.
#[derive(Debug)]
pub struct Ports {
    /// Takes the listed pairs.
    pub listed: watch::Sender<Listed>,
    /// What is in force.
    pub config: watch::Receiver<Arc<Config>>,
    /// Calls for a look at once.
    pub look: Arc<Notify>,
    /// Takes what is to be recorded.
    pub objects: mpsc::Sender<RestObjects>,
    /// Counts the requests.
    pub requests: SharedRequests,
    /// Tells the days.
    pub wall: Wall,
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
    /// The revision of the known pairs that is kept.
    kept: u64,
    look: Arc<Notify>,
    /// What is recorded of the answers, where that is wanted.
    objects: Option<Objects>,
}

impl<L: Lister> Follower<L> {
    /// Follows `lister` with the state of `evidence`. `listed` publishes the listed pairs.
    pub fn new(lister: L, clock: Clock, evidence: ListingEvidence, listed: watch::Sender<Listed>) -> Self {
        let (report, look) = (ListingReport::default(), Arc::default());
        let kept = evidence.revision();
        Self { lister, clock, evidence, listed, report, config: None, is_followed: true, kept, look, objects: None }
    }

    /// Follows while the configuration in force has a use for it, and records as it says.
    pub fn as_configured(lister: L, clock: Clock, evidence: ListingEvidence, ports: Ports) -> Self {
        let Ports { listed, config, look, objects, wall, .. } = ports;
        let is_recording = config.borrow().rest.instruments && is_checkable(&config.borrow());
        let objects = is_recording.then(|| Objects::new(wall, objects, clock.now()));
        let follower = Self::new(lister, clock, evidence, listed);
        let mut follower = Self { config: Some(config), look, objects, ..follower };
        follower.take_config();
        follower
    }

    /// Runs until the list has no receiver.
    pub async fn run(mut self) {
        self.report.codes(self.evidence.known());
        while !self.listed.is_closed() {
            if self.is_followed && self.evidence.take_question(self.clock.now()) {
                self.ask().await;
            }
            self.ask_instruments().await;
            self.report_findings();
            let instruments_at = self.objects.as_ref().and_then(Objects::instruments_at).filter(|_| self.knows_pairs());
            let deadline = self.evidence.poll_deadline().into_iter().chain(instruments_at).min();
            let deadline = deadline.filter(|_| self.is_followed);
            tokio::select! {
                biased;
                () = changed(&mut self.config) => {
                    self.take_config();
                    self.report.codes(self.evidence.known());
                }
                () = self.look.notified() => self.evidence.handle_look(self.clock.now()),
                () = hand_over(&mut self.objects) => {}
                () = sleep_until(deadline) => self.evidence.handle_timeout(self.clock.now()),
            }
        }
    }

    fn knows_pairs(&self) -> bool {
        !self.evidence.known().pairs.is_empty()
    }

    /// Asks how the known pairs are traded, where that is due.
    async fn ask_instruments(&mut self) {
        let knows_pairs = self.knows_pairs();
        let Some(objects) = self.objects.as_mut().filter(|_| knows_pairs) else { return };
        if objects.take_question(self.clock.now()) {
            let answer = self.lister.ask_instruments(&self.evidence.known().codes()).await;
            match &answer {
                Ok(pairs) => objects.handle_instruments(pairs),
                Err(_) => objects.handle_failure(self.clock.now()),
            }
            self.report.instruments(answer.err());
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
                if let Some(objects) = &mut self.objects {
                    objects.handle_markets(&answer.pairs);
                }
                if evidence.handle_answer(now, answer).is_some() {
                    self.report.codes(evidence.known());
                    self.listed.send_replace(evidence.listed());
                    let revision = evidence.revision();
                    if std::mem::replace(&mut self.kept, revision) != revision {
                        self.lister.keep(evidence.known());
                    }
                }
            }
        }
    }

    fn report_findings(&mut self) {
        while let Some(finding) = self.evidence.poll_finding() {
            if let (Finding::New { .. }, Some(objects)) = (&finding, &mut self.objects) {
                objects.handle_listing(self.clock.now());
            }
            self.report.finding(finding, self.clock.now());
        }
    }
}

/// Hands over what waits to be recorded; for ever pending where nothing does.
async fn hand_over(objects: &mut Option<Objects>) {
    match objects {
        Some(objects) => objects.hand_over().await,
        None => std::future::pending().await,
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

/// Follows the exchange's list on a background thread that ends with the process, as the configuration in force needs it.
///
/// # Errors
/// The thread cannot be spawned.
pub fn spawn(clock: Clock, evidence: ListingEvidence, ports: Ports) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (config, requests) = (Config::clone(&ports.config.borrow()), ports.requests.clone());
    let exchange = Exchange::new(config, clock, requests);
    let follower = Follower::as_configured(exchange, clock, evidence, ports);
    std::thread::Builder::new().name("pairs".to_owned()).spawn(move || runtime.block_on(follower.run())).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Stamp;
    use crate::rest::markets::Markets;
    use std::collections::VecDeque;
    use std::sync::Mutex;
    use std::time::Duration;

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

    /// Follows the answers for some minutes; returns the number of pairs at each keep, and of those listed at the end.
    async fn follow(known: Option<usize>, answers: &[Option<usize>]) -> (Vec<usize>, Option<usize>) {
        let clock = Clock::anchored(Stamp::default());
        let kept = Arc::new(Mutex::new(Vec::new()));
        let script = Script { answers: answers.iter().copied().collect(), kept: kept.clone() };
        let evidence = ListingEvidence::new(known.map(markets), clock.now());
        let (sender, listed) = watch::channel(evidence.listed());
        tokio::select! {
            () = Follower::new(script, clock, evidence, sender).run() => panic!("somebody listens"),
            () = sleep_until(Some(clock.now() + Duration::from_secs(2000))) => {}
        }
        let kept = kept.lock().unwrap().clone();
        (kept, listed.borrow().codes.as_ref().map(|codes| codes.len()))
    }

    #[tokio::test(start_paused = true)]
    async fn wrong_lists_are_neither_kept_nor_handed_on() {
        assert_eq!(follow(Some(40), &[Some(0), Some(3), None, Some(41)]).await, (vec![41], Some(41)));
        assert_eq!(follow(Some(40), &[Some(3), Some(3), Some(3)]).await, (vec![], Some(40)));
        assert_eq!(follow(Some(40), &[Some(0); 30]).await, (vec![], Some(40)));
        assert_eq!(follow(Some(40), &[Some(3); 30]).await.1, Some(3), "until they have agreed for long enough");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_list_the_first_that_comes_is_used() {
        assert_eq!(follow(None, &[None, Some(0), None]).await, (vec![], None));
        assert_eq!(follow(None, &[None, Some(0), Some(3), Some(40)]).await, (vec![3, 40], Some(40)));
        assert_eq!(follow(Some(40), &[None, Some(39)]).await, (vec![], Some(40)));
        assert_eq!(follow(Some(40), &[Some(40), Some(40)]).await, (vec![], Some(40)), "it is kept where it changes");
    }
}
