//! Stamps and queues objects that healing fetched, like everything else.
//!
//! Deliveries are taken only when nothing else waits and the disk has room, and never delay the end of the process: the
//! next one fetches again those that were not taken.

use super::sequence::Sequence;
use crate::history::healing::HealerOutput;
use crate::tape::event::Event;
use tokio::sync::mpsc;

/// The deliveries of the healer, if there is one.
#[derive(Debug, Default)]
pub(super) struct HealingInbox(pub(super) Option<mpsc::Receiver<HealerOutput>>);

impl HealingInbox {
    /// The next delivery; `None`: there is no healer, or it has ended.
    pub(super) async fn recv(&mut self) -> Option<HealerOutput> {
        self.0.as_mut()?.recv().await
    }
}

/// Records a delivery of the healer.
pub(super) fn record(sequence: &mut Sequence, output: HealerOutput) {
    match output {
        HealerOutput::Missing { stream, objects, stamped } => {
            // Ignored: the healer has ended, and no longer needs the stamp.
            let _ = stamped.send(sequence.missed(stream, objects));
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
            sequence.event(&Event::Healed { gap, gap_epoch: None, report });
        }
    }
}
