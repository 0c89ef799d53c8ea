//! One stream: what the tape has of it, what the exchange has, and what is handed on.

use super::look::View;
use super::way::Way;
use super::{Healer, Interrupted};
use crate::backoff::Backoff;
use crate::clock::Stamp;
use crate::history::healing::Said;
use crate::history::healing::plan::{End, SETTLE, Task, Written};
use crate::history::healing::walk::{CONFIRM, Missing, Step};
use crate::quantity::rounded_duration;
use crate::rest::client::budget::Priority;
use crate::rest::client::request::Request;
use crate::rest::client::verdict::Page;
use crate::rest::client::{Denial, RestError};
use crate::rest::{self, FetchError};
use crate::tape::healed;
use crate::tape::reader::TapeError;
use std::time::Duration;
use tokio::sync::oneshot;

/// The pauses after the exchange gave no answer.
const PAUSES: Backoff = Backoff { first: Duration::from_secs(60), longest: Duration::from_secs(1_800) };

impl Healer {
    pub(super) async fn look_first(&mut self, task: Task) -> Result<(), Interrupted> {
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

    pub(super) async fn ask(&mut self, mut task: Task) -> Result<(), Interrupted> {
        let mut written = Written::new();
        match self.heal(&mut task, &mut written).await {
            Ok(end) => {
                self.failures = 0;
                self.plan.done(&task, end, &written);
            }
            Err(Interrupted::Stopped) => return Err(Interrupted::Stopped),
            Err(Interrupted::Tape(error)) => self.handle_fault(task, &error),
            Err(Interrupted::Rest(error)) => self.handle_silence(task, &error),
            // Around midnight, where the exchange's day is not ours.
            Err(Interrupted::Astray) => self.plan.put_aside(task, self.clock.stamp()),
            Err(Interrupted::Doubted) => self.doubt(task, &written),
        }
        Ok(())
    }

    /// One stream that gets no answer keeps no other waiting; a second one in a row is no answer to anything.
    fn handle_silence(&mut self, task: Task, error: &FetchError) {
        let is_first = self.failures == 0 && matches!(error, FetchError::Rest(RestError::Unavailable { .. }));
        if !is_first {
            return self.hold(task, &error.to_string(), error.until());
        }
        self.failures += 1;
        tracing::info!(stream = %task.stream, cause = %error, "healing of this stream waits, and others are healed");
        self.plan.put_aside(task, self.clock.stamp());
    }

    /// The exchange says that there is nothing where the tape has something.
    fn doubt(&mut self, task: Task, written: &Written) {
        self.failures = 0;
        let stream = task.stream.clone();
        match self.plan.doubt(task, written, self.clock.stamp()) {
            true => tracing::info!(%stream, "the exchange does not show what was recorded: it is asked again"),
            false => tracing::warn!(%stream, "the exchange does not show what was recorded: gaps stay partial"),
        }
    }

    /// The exchange cannot be asked now: nothing is lost by that but time.
    fn hold(&mut self, task: Task, cause: &str, until: Option<Stamp>) {
        let now = self.clock.stamp();
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
                Step::Again => self.pause(CONFIRM).await,
                Step::Doubted => return Err(Interrupted::Doubted),
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
            objects.push(healed::object(gap, object.get()));
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
