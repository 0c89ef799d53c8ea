//! How long the store is waited for, and how often the same is asked of it.
//!
//! A step is given up where no byte has come or gone for [`STALL`], and tried again where the store fails by itself.

use super::http::{Line, Movement};
use super::trouble::StoreError;
use crate::clock::{self, Clock};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long nothing may come or go: a store answers in a tenth of a second, and a part of 8 MiB is assembled in some.
pub const STALL: Duration = Duration::from_secs(60);

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

    /// Awaits a step, as long as bytes come or go.
    ///
    /// # Errors
    /// None did, or the program stops.
    pub async fn await_step<T>(&self, step: impl Future<Output = T>) -> Result<T, StoreError> {
        self.movement.note();
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
