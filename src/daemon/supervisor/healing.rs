//! What was missed in a gap and fetched later gets its stamps and its position here, like everything else.
//!
//! It is taken when nothing else waits and the disk has room, and it never keeps the process from ending: what is not
//! taken is fetched again by the next one.

use super::sequence::Sequence;
use crate::history::healing::HealerOutput;
use crate::tape::event::Event;
use tokio::sync::mpsc;

/// What the healer delivers, where there is one.
#[derive(Debug, Default)]
pub(super) struct HealingInbox(pub(super) Option<mpsc::Receiver<HealerOutput>>);

impl HealingInbox {
    /// The next delivery; `None`: there is no healer, or no longer.
    pub(super) async fn recv(&mut self) -> Option<HealerOutput> {
        self.0.as_mut()?.recv().await
    }
}

/// Records a delivery of the healer.
pub(super) fn record(sequence: &mut Sequence, output: HealerOutput) {
    match output {
        HealerOutput::Missing { stream, objects, stamped } => {
            // Ignored: the healer is gone, and with it the use of the stamp.
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
            sequence.event(&Event::Healed { gap, report });
        }
    }
}
