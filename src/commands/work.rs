//! Runs a verb on its own thread, so that the main thread handles signals while the verb is blocked.
//!
//! ```text
//! work   configuration ─ logging ─ the verb ──────────exit──▶ main: its exit code
//!           └─ Waiting: "the data directory /srv/tape"  ───▶ main: warns of it, and ends without it after a signal
//! ```
//!
//! An open can block for ever (a pipe, an unreachable network disk), and so can any step before the recorder runs.
//! Nothing is received by then and each step of a start is idempotent, so an exit in the middle loses nothing.

use crate::clock::{Clock, Instant, sleep_until};
use crate::exit::Exit;
use crate::logging::Logging;
use crate::quantity::rounded_duration;
use crate::signals::Shutdown;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// How long a step may block before the first warning, and the interval of further warnings.
pub(super) const WARN_AFTER: Duration = Duration::from_secs(3);
pub(super) const WARN_EVERY: Duration = Duration::from_secs(30);

/// How long a verb may take to stop, and the exit code if it does not.
#[derive(Clone, Copy, Debug)]
pub(super) struct StopTerms {
    /// Timeout from the first signal to the verb's own end.
    pub(super) stop: Duration,
    /// The exit code if the verb is abandoned while blocked in a step.
    pub(super) unfinished: Exit,
}

impl StopTerms {
    /// For verbs that must flush data to disk: the ten seconds of an orderly stop, and the last log lines.
    pub(super) const ORDERLY: Self = Self { stop: Duration::from_millis(10_500), unfinished: Exit::Success };

    /// For verbs that only print.
    pub(super) const PROMPT: Self = Self { stop: Duration::from_secs(1), unfinished: Exit::Wrong };
}

/// Timeout from the second signal.
const STOP_AT_ONCE: Duration = Duration::from_millis(500);

/// A blocking step, which may never return.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    what: String,
    /// Timeout of the step after the first signal.
    grace: Duration,
}

/// Publishes the step that blocks the verb, one at a time.
#[derive(Clone, Debug)]
pub(super) struct Waiting(watch::Sender<Option<Step>>);

impl Waiting {
    /// Runs `work`, which may block, as the named step. After a signal the process ends within `grace`, done or not.
    pub(super) fn during<T>(&self, what: impl Into<String>, grace: Duration, work: impl FnOnce() -> T) -> T {
        self.0.send_replace(Some(Step { what: what.into(), grace }));
        let done = work();
        self.0.send_replace(None);
        done
    }
}

/// The verb's end of the channels to the main thread; its fields go to different owners.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) waiting: Waiting,
    pub(super) logging: oneshot::Sender<Logging>,
    pub(super) ended: Ended,
}

/// Reports the verb's exit code; logging is handed over before, or never.
#[derive(Debug)]
pub(super) struct Ended(oneshot::Sender<Exit>);

impl Ended {
    pub(super) fn with(self, exit: Exit) {
        // Ignored: the send fails only if the main thread has abandoned the verb and chosen the exit code.
        let _ = self.0.send(exit);
    }
}

/// The main thread's end of the channels.
pub(super) struct Monitor {
    step: watch::Receiver<Option<Step>>,
    logging: oneshot::Receiver<Logging>,
    ended: oneshot::Receiver<Exit>,
}

/// Both ends.
pub(super) fn connect() -> (Worker, Monitor) {
    let (waiting, step) = watch::channel(None);
    let (logging_sender, logging) = oneshot::channel();
    let (exit, ended) = oneshot::channel();
    let worker = Worker { waiting: Waiting(waiting), logging: logging_sender, ended: Ended(exit) };
    (worker, Monitor { step, logging, ended })
}

/// How the verb ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It ended by itself.
    Ended(Exit),
    /// It did not stop in time; the step that blocked it, if any.
    Abandoned(Option<String>),
    /// It panicked.
    Panicked,
}

impl Monitor {
    /// Waits for the verb, warns of steps that block it, and abandons it if it misses its stop timeout.
    pub(super) async fn wait(
        &mut self,
        shutdown: &Shutdown,
        terms: StopTerms,
        clock: Clock,
        warn: &mut dyn FnMut(&str),
    ) -> Outcome {
        let mut patience = Patience::new(terms.stop);
        loop {
            let is_stopping = patience.stop.is_some();
            let is_cut_short = patience.at_once.is_some();
            tokio::select! {
                biased;
                ended = &mut self.ended => return ended.map_or(Outcome::Panicked, Outcome::Ended),
                () = shutdown.orderly.cancelled(), if !is_stopping => patience.stop = Some(clock.now()),
                () = shutdown.now.cancelled(), if !is_cut_short => patience.at_once = Some(clock.now()),
                changed = next(&mut self.step) => patience.handle_step(clock.now(), changed),
                () = sleep_until(patience.poll_deadline()) => {}
            }
            if let Some(text) = patience.take_warning(clock.now()) {
                warn(&text);
            }
            if patience.is_over(clock.now()) {
                return Outcome::Abandoned(patience.step.map(|(step, _)| step.what));
            }
        }
    }

    /// Logging, if the verb has set it up. Dropping it flushes the queued lines.
    pub(super) fn take_logging(&mut self) -> Option<Logging> {
        self.logging.try_recv().ok()
    }
}

/// The next step; pending for ever once the verb has dropped its end.
fn next(step: &mut watch::Receiver<Option<Step>>) -> Pin<Box<dyn Future<Output = Option<Step>> + '_>> {
    Box::pin(async move {
        match step.changed().await {
            Ok(()) => step.borrow_and_update().clone(),
            Err(_) => std::future::pending().await,
        }
    })
}

/// The deadlines for warnings and for abandoning the verb. Pure.
#[derive(Debug)]
struct Patience {
    /// How long a stop may take outside of the steps.
    longest_stop: Duration,
    step: Option<(Step, Instant)>,
    warn_at: Option<Instant>,
    /// When the first signal came, and the second.
    stop: Option<Instant>,
    at_once: Option<Instant>,
}

impl Patience {
    fn new(longest_stop: Duration) -> Self {
        Self { longest_stop, step: None, warn_at: None, stop: None, at_once: None }
    }

    fn handle_step(&mut self, now: Instant, step: Option<Step>) {
        self.warn_at = step.is_some().then(|| now + WARN_AFTER);
        self.step = step.map(|step| (step, now));
    }

    fn take_warning(&mut self, now: Instant) -> Option<String> {
        let (step, since) = self.step.as_ref()?;
        self.warn_at.take_if(|at| now >= *at)?;
        self.warn_at = Some(now + WARN_EVERY);
        Some(format!("waiting for {} for {}", step.what, rounded_duration(now - *since)))
    }

    fn is_over(&self, now: Instant) -> bool {
        self.give_up_at().is_some_and(|at| now >= at)
    }

    fn give_up_at(&self) -> Option<Instant> {
        // A step has nothing to flush, so the second signal ends it immediately.
        let at_once = self.at_once.map(|at| if self.step.is_some() { at } else { at + STOP_AT_ONCE });
        let step = self.stop.zip(self.step.as_ref()).map(|(stop, (step, _))| stop + step.grace);
        let times = [self.stop.map(|stop| stop + self.longest_stop), step, at_once];
        times.into_iter().flatten().min()
    }

    fn poll_deadline(&self) -> Option<Instant> {
        self.warn_at.into_iter().chain(self.give_up_at()).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Stamp;

    const GRACE: Duration = Duration::from_secs(3);

    /// Blocks in `step` for ever, with signals after so many seconds. Returns the outcome, its time, and the warnings.
    async fn wait(step: Option<&str>, signals: &[u64]) -> (Outcome, Duration, Vec<String>) {
        let (clock, shutdown) = (Clock::anchored(Stamp::default()), Shutdown::default());
        let begin = clock.now();
        let (worker, mut monitor) = connect();
        let step = step.map(|what| Step { what: what.to_owned(), grace: GRACE });
        worker.waiting.0.send_replace(step);
        let mut warned = Vec::new();
        let told = async {
            for (at, token) in signals.iter().zip([&shutdown.orderly, &shutdown.now]) {
                sleep_until(Some(begin + Duration::from_secs(*at))).await;
                token.cancel();
            }
            std::future::pending::<()>().await;
        };
        let mut warn = |text: &str| warned.push(text.to_owned());
        let end = tokio::select! {
            end = monitor.wait(&shutdown, StopTerms::ORDERLY, clock, &mut warn) => end,
            () = told => unreachable!("it is pending"),
        };
        (end, clock.now() - begin, warned)
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_hangs_is_warned_of_and_ends_with_the_stop() {
        let (end, at, warned) = wait(Some("the data directory /x"), &[40]).await;
        assert_eq!(end, Outcome::Abandoned(Some("the data directory /x".to_owned())));
        assert_eq!(at.as_secs(), 43);
        assert_eq!(warned.len(), 2);
        assert!(warned[0].starts_with("waiting for the data directory /x for 3"), "{warned:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_signal_ends_at_once_whatever_hangs() {
        assert_eq!(wait(Some("the lock"), &[2, 3]).await.1, Duration::from_secs(3));
        assert_eq!(wait(None, &[2, 3]).await.1, Duration::from_millis(3_500));
    }

    #[tokio::test(start_paused = true)]
    async fn a_verb_that_works_has_the_whole_time_of_a_stop() {
        let (end, at, warned) = wait(None, &[5]).await;
        assert_eq!((end, at), (Outcome::Abandoned(None), Duration::from_millis(15_500)));
        assert!(warned.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_verb_that_ends_or_panics_is_noticed() {
        let (clock, shutdown) = (Clock::anchored(Stamp::default()), Shutdown::default());
        let (worker, mut monitor) = connect();
        worker.ended.with(Exit::Wrong);
        assert_eq!(monitor.wait(&shutdown, StopTerms::ORDERLY, clock, &mut |_| {}).await, Outcome::Ended(Exit::Wrong));
        let (worker, mut monitor) = connect();
        drop(worker);
        assert_eq!(monitor.wait(&shutdown, StopTerms::ORDERLY, clock, &mut |_| {}).await, Outcome::Panicked);
    }
}
