//! What happens to a life from outside: the disk fills, the clock is set, files are taken away, the machine freezes, and
//! in the end the recorder is stopped or dies.

use super::disk::{Crash, SimDisk};
use super::life::{End, Life};
use super::machine::Machine;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use upbit_recorder::clock::{Clock, sleep_until};

/// What a life's plan is done to.
pub(crate) struct Incidents<'a> {
    pub(crate) life: &'a Life,
    pub(crate) disk: &'a SimDisk,
    pub(crate) machine: &'a Machine,
    /// The world's own, which is never set.
    pub(crate) clock: Clock,
    /// How far the wall clock is set ahead of it, µs.
    pub(crate) ahead: &'a AtomicI64,
}

impl Incidents<'_> {
    /// Lets everything happen at its time; returns at the crash that ends the life, never where it is stopped in order.
    pub(crate) async fn happen(&self, shutdown: &CancellationToken) -> Crash {
        tokio::select! {
            biased;
            crash = self.fill_and_end(shutdown) => crash,
            () = self.set_clock() => unreachable!("it never ends"),
            () = self.displace() => unreachable!("it never ends"),
            () = self.freeze() => unreachable!("it never ends"),
        }
    }

    async fn set_clock(&self) {
        let start = self.clock.now();
        for (after, micros) in &self.life.steps {
            sleep_until(Some(start + *after)).await;
            self.ahead.fetch_add(*micros, Ordering::Relaxed);
        }
        std::future::pending().await
    }

    async fn displace(&self) {
        let start = self.clock.now();
        for (after, how) in &self.life.displaced {
            sleep_until(Some(start + *after)).await;
            self.disk.displace(*how);
        }
        std::future::pending().await
    }

    /// Freezes the machine where no socket is there to do it.
    async fn freeze(&self) {
        while let Some(next) = self.machine.next() {
            sleep_until(Some(next.max(self.clock.now()) + Duration::from_millis(500))).await;
            if self.machine.next() == Some(next)
                && let Some(freeze) = self.machine.take_due(self.clock.now())
            {
                self.machine.freeze(self.clock.now(), freeze).await;
            }
        }
        std::future::pending().await
    }

    /// The disk is full for its time, and the life ends when its own is over.
    async fn fill_and_end(&self, shutdown: &CancellationToken) -> Crash {
        let start = self.clock.now();
        let end = start + self.life.length;
        if let Some((after, length, room)) = self.life.full {
            let full = self.clock.now() + after;
            sleep_until(Some(full.min(end))).await;
            self.disk.set_room(Some(room));
            sleep_until(Some((full + length).min(end))).await;
            self.disk.set_room(None);
        }
        // Time in which it does not run is none of the life's.
        while let ran = self.machine.ran(start, self.clock.now())
            && ran < self.life.length
        {
            sleep_until(Some(self.clock.now() + (self.life.length - ran))).await;
        }
        match self.life.end {
            End::Crash(crash) => crash,
            End::Stop => {
                shutdown.cancel();
                std::future::pending().await
            }
        }
    }
}
