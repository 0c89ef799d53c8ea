//! How long the store is waited for, and how often the same is asked of it.
//!
//! A step is given up where no byte has come or gone for [`STALL`], and, where nothing is sent in it, after [`LONGEST`]. It is
//! tried again where the store fails by itself.

use super::http::{Line, Movement};
use super::trouble::StoreError;
use crate::clock::{self, Clock, Instant};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long nothing may come or go: a store answers in a tenth of a second, and a part of 8 MiB is assembled in some.
pub const STALL: Duration = Duration::from_secs(60);

/// How long an answer may take that comes byte by byte: a thousand objects are listed in seconds.
pub const LONGEST: Duration = Duration::from_secs(600);

/// How long a list may be read: of a million objects there are a thousand answers, each of a second.
const LONGEST_LIST: Duration = Duration::from_secs(3_600);

/// Bytes of an object that come in a second at the least, on the long run: as many as the smallest bandwidth sends.
const SLOWEST: u64 = 16 << 10;

/// Pauses before the same is asked once more. What lasts longer is the caller's to wait out.
const AGAIN: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(3)];

/// See the module.
#[derive(Debug)]
pub struct Patience {
    clock: Clock,
    movement: Movement,
    cancel: CancellationToken,
}

impl Patience {
    /// With what moves over `line`, until the program stops.
    pub fn new(line: &Line, cancel: CancellationToken) -> Self {
        Self { clock: line.clock, movement: line.movement.clone(), cancel }
    }

    /// Awaits a step in which nothing is sent but a request, as long as bytes come.
    ///
    /// # Errors
    /// None did, it is not over after [`LONGEST`], or the program stops.
    pub async fn await_step<T>(&self, step: impl Future<Output = T>) -> Result<T, StoreError> {
        let end = self.clock.now() + LONGEST;
        tokio::select! {
            biased;
            done = self.await_put(step) => done,
            () = clock::sleep_until(Some(end)) => Err(StoreError::Unending(LONGEST.as_secs())),
        }
    }

    /// Awaits a step in which content is sent, as long as bytes come or go.
    ///
    /// # Errors
    /// None did, or the program stops.
    pub async fn await_put<T>(&self, step: impl Future<Output = T>) -> Result<T, StoreError> {
        self.movement.begin();
        tokio::pin!(step);
        loop {
            let due = self.movement.last() + STALL;
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Err(StoreError::Stopped),
                done = &mut step => return Ok(done),
                () = clock::sleep_until(Some(due)) => {
                    if self.clock.now() >= self.movement.last() + STALL {
                        return Err(StoreError::Slow(STALL.as_secs()));
                    }
                }
            }
        }
    }

    /// The time that a list may take, from now on.
    pub fn for_list(&self) -> Allowance<'_> {
        Allowance { clock: &self.clock, begin: self.clock.now(), length: LONGEST_LIST }
    }

    /// The time that an object of so many bytes may take, from now on.
    pub fn for_object(&self, bytes: u64) -> Allowance<'_> {
        let length = LONGEST.saturating_add(Duration::from_secs(bytes / SLOWEST));
        Allowance { clock: &self.clock, begin: self.clock.now(), length }
    }

    /// Awaits a step whose outcome nobody needs, for `length` at the most, also while the program stops.
    pub async fn await_briefly(&self, length: Duration, step: impl Future) {
        tokio::select! {
            _ = step => {}
            () = clock::sleep_until(Some(self.clock.now() + length)) => {}
        }
    }

    /// Tries it again where the store fails by itself.
    ///
    /// # Errors
    /// Those of the last attempt, or the program stops.
    pub async fn again<T>(&self, attempt: impl AsyncFn() -> Result<T, StoreError>) -> Result<T, StoreError> {
        for pause in AGAIN {
            match attempt().await {
                Err(error) if error.is_passing() => tracing::debug!(%error, "asked again"),
                done => return done,
            }
            self.pause(pause).await?;
        }
        attempt().await
    }

    async fn pause(&self, length: Duration) -> Result<(), StoreError> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(StoreError::Stopped),
            () = clock::sleep_until(Some(self.clock.now() + length)) => Ok(()),
        }
    }
}

/// The time that several steps may take together.
#[derive(Debug)]
pub struct Allowance<'a> {
    clock: &'a Clock,
    begin: Instant,
    length: Duration,
}

impl Allowance<'_> {
    /// Whether there is some left.
    ///
    /// # Errors
    /// There is none.
    pub fn check(&self) -> Result<(), StoreError> {
        match self.clock.now().saturating_duration_since(self.begin) > self.length {
            true => Err(StoreError::Unending(self.length.as_secs())),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Stamp;
    use crate::upload::pace::Pace;
    use crate::upload::trouble::LastTrouble;
    use std::sync::Arc;

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_trickles_has_an_end() {
        let clock = Clock::anchored(Stamp::default());
        let movement = Movement::new(clock);
        let (trouble, pace, is_guarded) = (LastTrouble::default(), Arc::new(Pace::new(1)), Arc::default());
        let line = Line { clock, trouble, movement: movement.clone(), pace, is_guarded };
        let patience = Patience::new(&line, CancellationToken::new());
        let trickle = async || {
            for _ in 0..100 {
                clock::sleep_until(Some(clock.now() + Duration::from_secs(59))).await;
                movement.note();
            }
        };
        let begin = clock.now();
        assert_eq!(patience.await_step(trickle()).await, Err(StoreError::Unending(600)));
        assert_eq!(clock.now() - begin, LONGEST);
        assert_eq!(patience.await_put(trickle()).await, Ok(()), "what is sent takes its time");
        assert_eq!(patience.await_step(clock::sleep_until(None)).await, Err(StoreError::Slow(60)));
        let allowance = patience.for_object(16 << 10);
        clock::sleep_until(Some(clock.now() + Duration::from_secs(601))).await;
        assert_eq!(allowance.check(), Ok(()));
        clock::sleep_until(Some(clock.now() + Duration::from_secs(1))).await;
        assert_eq!(allowance.check(), Err(StoreError::Unending(601)));
    }
}
