//! A verb at work on a thread of its own, so that the main thread hears what it is told whatever the verb waits for.
//!
//! ```text
//! work   configuration ─ logging ─ the verb ──────────exit──▶ main: its exit code
//!           └─ Waiting: "the data directory /srv/tape"  ───▶ main: says so, and ends without it once it is told to stop
//! ```
//!
//! An open can hang for ever (a pipe, a network disk that has gone), and so may anything before the recorder runs. Nothing
//! was received by then and every step of a start can be done again, so ending in the middle of it loses nothing.

use crate::clock::{Clock, Instant, sleep_until};
use crate::exit::Exit;
use crate::logging::{Logging, Screen};
use crate::quantity::rounded_duration;
use crate::signals::Shutdown;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// How long a step may take before it is said what is waited for, and how often it is said again.
const PATIENCE: Duration = Duration::from_secs(3);
const REMIND_EVERY: Duration = Duration::from_secs(30);

/// How a verb may stop, and what it means when it does not come to an end of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// How long after the first signal it may still end by itself.
    pub(super) stop: Duration,
    /// How the process ends where the verb had not begun.
    pub(super) unfinished: Exit,
}

impl Manner {
    /// It has what was received or fetched to bring to disk: the ten seconds of an orderly stop, and its last words.
    pub(super) const ORDERLY: Self = Self { stop: Duration::from_millis(10_500), unfinished: Exit::Success };

    /// It only shows something.
    pub(super) const PROMPT: Self = Self { stop: Duration::from_secs(1), unfinished: Exit::Wrong };
}

/// How long after the second.
const STOP_AT_ONCE: Duration = Duration::from_millis(500);

/// Something that is waited for, and may be for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    what: String,
    /// How long it may go on once the process is told to stop.
    grace: Duration,
}

/// Where the verb says what it waits for. One step at a time.
#[derive(Clone, Debug)]
pub struct Waiting(watch::Sender<Option<Step>>);

impl Waiting {
    /// Does something that can block; what it waits for is `what`. Told to stop, the process ends `grace` later, done or not.
    pub fn during<T>(&self, what: impl Into<String>, grace: Duration, work: impl FnOnce() -> T) -> T {
        self.0.send_replace(Some(Step { what: what.into(), grace }));
        let done = work();
        self.0.send_replace(None);
        done
    }
}

/// What a verb has of the process around it.
#[derive(Debug)]
pub struct Host {
    /// The status line.
    pub screen: Screen,
    /// What is waited for.
    pub waiting: Waiting,
}

/// The verb's end of the line to the main thread. Its parts go to different places.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) waiting: Waiting,
    pub(super) logging: oneshot::Sender<Logging>,
    pub(super) ended: Ended,
}

/// Where the verb says that it has ended, by which time it has handed logging over or never will.
#[derive(Debug)]
pub(super) struct Ended(oneshot::Sender<Exit>);

impl Ended {
    pub(super) fn with(self, exit: Exit) {
        // Fails where the main thread has given up on the verb: the process then ends as that said.
        let _ = self.0.send(exit);
    }
}

/// The main thread's end.
pub(super) struct Attendant {
    step: watch::Receiver<Option<Step>>,
    logging: oneshot::Receiver<Logging>,
    ended: oneshot::Receiver<Exit>,
}

/// Both ends.
pub(super) fn connect() -> (Worker, Attendant) {
    let ((waiting, step), (logging, logged), (ended, end)) =
        (watch::channel(None), oneshot::channel(), oneshot::channel());
    let worker = Worker { waiting: Waiting(waiting), logging, ended: Ended(ended) };
    (worker, Attendant { step, logging: logged, ended: end })
}

/// How the verb came to its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// By itself.
    Verb(Exit),
    /// It was told to stop and did not, or not yet; what it waited for.
    Abandoned(Option<String>),
    /// It panicked.
    Lost,
}

impl Attendant {
    /// Waits for the verb, says what it waits for, and gives up on it when it does not stop.
    pub(super) async fn wait(
        &mut self,
        (shutdown, stop): (&Shutdown, Duration),
        clock: Clock,
        say: &mut dyn FnMut(&str),
    ) -> End {
        let mut patience = Patience::new(stop);
        loop {
            let is_told = (patience.stop.is_some(), patience.at_once.is_some());
            tokio::select! {
                biased;
                ended = &mut self.ended => return ended.map_or(End::Lost, End::Verb),
                () = shutdown.orderly.cancelled(), if !is_told.0 => patience.stop = Some(clock.now()),
                () = shutdown.now.cancelled(), if !is_told.1 => patience.at_once = Some(clock.now()),
                changed = next(&mut self.step) => patience.handle_step(clock.now(), changed),
                () = sleep_until(patience.poll_deadline()) => {}
            }
            if let Some(text) = patience.take_reminder(clock.now()) {
                say(&text);
            }
            if patience.is_over(clock.now()) {
                return End::Abandoned(patience.step.map(|(step, _)| step.what));
            }
        }
    }

    /// Logging, where the verb came to set it up. What waits is written out when it is dropped.
    pub(super) fn take_logging(&mut self) -> Option<Logging> {
        self.logging.try_recv().ok()
    }
}

/// The next step; never anything once the verb says no more.
fn next(step: &mut watch::Receiver<Option<Step>>) -> Pin<Box<dyn Future<Output = Option<Step>> + '_>> {
    Box::pin(async move {
        match step.changed().await {
            Ok(()) => step.borrow_and_update().clone(),
            Err(_) => std::future::pending().await,
        }
    })
}

/// When to say what, and when to give up. Pure.
#[derive(Debug)]
struct Patience {
    /// How long a stop may take outside of the steps.
    longest_stop: Duration,
    step: Option<(Step, Instant)>,
    remind_at: Option<Instant>,
    /// When the first signal came, and the second.
    stop: Option<Instant>,
    at_once: Option<Instant>,
}

impl Patience {
    fn new(longest_stop: Duration) -> Self {
        Self { longest_stop, step: None, remind_at: None, stop: None, at_once: None }
    }

    fn handle_step(&mut self, now: Instant, step: Option<Step>) {
        self.remind_at = step.is_some().then(|| now + PATIENCE);
        self.step = step.map(|step| (step, now));
    }

    fn take_reminder(&mut self, now: Instant) -> Option<String> {
        let (step, since) = self.step.as_ref()?;
        self.remind_at.take_if(|at| now >= *at)?;
        self.remind_at = Some(now + REMIND_EVERY);
        Some(format!("waiting for {} for {}", step.what, rounded_duration(now - *since)))
    }

    fn is_over(&self, now: Instant) -> bool {
        self.give_up_at().is_some_and(|at| now >= at)
    }

    fn give_up_at(&self) -> Option<Instant> {
        // A step has nothing to bring to an end, so the second signal ends it in that moment.
        let at_once = self.at_once.map(|at| if self.step.is_some() { at } else { at + STOP_AT_ONCE });
        let step = self.stop.zip(self.step.as_ref()).map(|(stop, (step, _))| stop + step.grace);
        let times = [self.stop.map(|stop| stop + self.longest_stop), step, at_once];
        times.into_iter().flatten().min()
    }

    fn poll_deadline(&self) -> Option<Instant> {
        self.remind_at.into_iter().chain(self.give_up_at()).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Stamp;

    const GRACE: Duration = Duration::from_secs(3);

    /// Waits for `step` for ever; signals come after so many seconds. Returns how it ended, when, and what was said.
    async fn wait(step: Option<&str>, signals: &[u64]) -> (End, Duration, Vec<String>) {
        let (clock, shutdown) = (Clock::anchored(Stamp::default()), Shutdown::default());
        let (begin, (worker, mut attendant)) = (clock.now(), connect());
        let step = step.map(|what| Step { what: what.to_owned(), grace: GRACE });
        worker.waiting.0.send_replace(step);
        let mut said = Vec::new();
        let told = async {
            for (at, token) in signals.iter().zip([&shutdown.orderly, &shutdown.now]) {
                sleep_until(Some(begin + Duration::from_secs(*at))).await;
                token.cancel();
            }
            std::future::pending::<()>().await;
        };
        let mut say = |text: &str| said.push(text.to_owned());
        let end = tokio::select! {
            end = attendant.wait((&shutdown, Manner::ORDERLY.stop), clock, &mut say) => end,
            () = told => unreachable!("it is pending"),
        };
        (end, clock.now() - begin, said)
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_hangs_is_said_and_ends_with_the_stop() {
        let (end, at, said) = wait(Some("the data directory /x"), &[40]).await;
        assert_eq!(end, End::Abandoned(Some("the data directory /x".to_owned())));
        assert_eq!(at.as_secs(), 43);
        assert_eq!(said.len(), 2);
        assert!(said[0].starts_with("waiting for the data directory /x for 3"), "{said:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_signal_ends_at_once_whatever_hangs() {
        assert_eq!(wait(Some("the lock"), &[2, 3]).await.1, Duration::from_secs(3));
        assert_eq!(wait(None, &[2, 3]).await.1, Duration::from_millis(3_500));
    }

    #[tokio::test(start_paused = true)]
    async fn a_verb_that_works_has_the_whole_time_of_a_stop() {
        let (end, at, said) = wait(None, &[5]).await;
        assert_eq!((end, at), (End::Abandoned(None), Duration::from_millis(15_500)));
        assert!(said.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_verb_that_ends_or_panics_is_noticed() {
        let (clock, shutdown) = (Clock::anchored(Stamp::default()), Shutdown::default());
        let (worker, mut attendant) = connect();
        worker.ended.with(Exit::Wrong);
        assert_eq!(attendant.wait((&shutdown, Manner::ORDERLY.stop), clock, &mut |_| {}).await, End::Verb(Exit::Wrong));
        let (worker, mut attendant) = connect();
        drop(worker);
        assert_eq!(attendant.wait((&shutdown, Manner::ORDERLY.stop), clock, &mut |_| {}).await, End::Lost);
    }
}
