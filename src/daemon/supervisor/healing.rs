//! What was missed in a gap and fetched later gets its stamps and its place here, like everything else.
//!
//! It is taken when nothing else waits and the disk has room, and it never is what keeps the process from ending: what
//! is not taken is fetched again by the next one.

use super::Supervisor;
use super::ending::Phase;
use crate::clock::Stamp;
use crate::history::healing::{HealerHandle, HealerOutput};
use crate::recording::journal::JournalCommand;
use crate::recording::progress::Progress;
use crate::tape::event::Event;
use crate::upbit::feed::Feed;

impl Supervisor {
    /// Takes a healer in; returns the progress of the writer, which scans of the tape wait for.
    pub fn heal_with(&mut self, handle: HealerHandle) -> Progress {
        self.healer = Some(handle);
        // Gaps that ended with the process before this one may be on record already.
        self.tell_healer(self.stamper.last());
        self.threads.progress.clone()
    }

    pub(super) fn takes_healing(&self) -> bool {
        self.phase == Phase::Running && self.shown.disk_full.is_none()
    }

    pub(super) fn handle_healing(&mut self, output: HealerOutput) {
        self.follow_boot();
        match output {
            HealerOutput::Missing { stream, objects, stamped } => {
                let id = self.router.register(Feed::Public, stream);
                let now = self.clock.stamp();
                let objects: Vec<_> = objects.into_iter().map(|object| (self.stamper.raise(now), object)).collect();
                self.outbox.extend(self.router.take_fresh().into_iter().map(JournalCommand::Open));
                self.outbox.push_back(JournalCommand::Missed(id, objects));
                // Nobody waits for it where the healer is gone.
                let _ = stamped.send(self.stamper.last());
            }
            HealerOutput::Healed { gap, report } => {
                let (requests, unaffected) = (report.requests, report.unaffected);
                let written: u64 = report.complete.values().chain(report.partial.values()).sum();
                if !report.partial.is_empty() {
                    let partial: Vec<_> = report.partial.keys().collect();
                    tracing::warn!(gap, written, requests, ?partial, "a gap could not be healed whole");
                } else if written > 0 {
                    tracing::info!(gap, written, requests, "what was missed in a gap is on disk");
                } else {
                    tracing::debug!(gap, requests, unaffected, "nothing that can be fetched was missed in a gap");
                }
                self.event(&Event::Healed { gap, report });
            }
        }
    }

    /// A gap is on record, or the clock was set: at `stamp`.
    pub(super) fn tell_healer(&self, stamp: Stamp) {
        if let Some(healer) = &self.healer {
            healer.input.send_modify(|input| input.last = stamp);
        }
    }

    /// The machine was suspended, and stamps go on behind it.
    pub(super) fn tell_healer_of_resume(&self) {
        if let Some(healer) = &self.healer {
            healer.input.send_modify(|input| input.clock = self.clock);
        }
    }

    /// The clock was set, and the new time line begins at `stamp`.
    pub(super) fn tell_healer_of_step(&self, stamp: Stamp) {
        if let Some(healer) = &self.healer {
            healer.input.send_modify(|input| {
                (input.clock, input.last) = (self.clock, stamp);
                input.steps += 1;
            });
        }
    }
}

/// The healer's next output; none ever where there is no healer.
pub(super) async fn next_output(healer: &mut Option<HealerHandle>) -> Option<HealerOutput> {
    match healer {
        Some(healer) => healer.output.recv().await,
        None => None,
    }
}
