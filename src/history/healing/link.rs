//! Messages between supervisor and healer. Pure.
//!
//! ```text
//! supervisor ──HealerInput (the newest)──▶ healer ──HealerOutput (one at a time)──▶ supervisor
//! ```

use crate::clock::{Clock, Position};
use crate::tape::healed::{HealReport, MissedObject};
use crate::tape::stream_key::StreamKey;
use crate::upbit::subscription::Subscription;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// Pages queued for the supervisor: each is acknowledged before the next is fetched.
const OUTPUT: usize = 1;

/// To the healer: the clock, how far there are events to read, and what is subscribed.
#[derive(Clone, Debug)]
pub struct HealerInput {
    /// The clock that makes the stamps now.
    pub clock: Clock,
    /// The position of the last gap event or of the last step; the events themselves are on the tape.
    pub last: Position,
    /// The entries of the public connection, since they were changed.
    pub entries: Option<Arc<[Subscription]>>,
}

/// To the supervisor, to be stamped and written in sequence.
#[derive(Debug)]
pub enum HealerOutput {
    /// Objects of a stream, as they are written behind the stamp.
    Missing {
        /// The healed stream.
        stream: StreamKey,
        /// The objects.
        objects: Vec<MissedObject>,
        /// Acknowledges the objects with the position of the last of them.
        stamped: oneshot::Sender<Position>,
    },
    /// A gap is done.
    Healed {
        /// Its epoch and its id.
        gap: Position,
        /// The outcome of its healing.
        report: HealReport,
    },
}

/// The supervisor's end.
#[derive(Debug)]
pub struct HealerHandle {
    /// To the healer.
    pub input: watch::Sender<HealerInput>,
    /// From the healer.
    pub output: mpsc::Receiver<HealerOutput>,
}

/// The healer's end.
#[derive(Debug)]
pub struct HealerPorts {
    pub(super) input: watch::Receiver<HealerInput>,
    pub(super) output: mpsc::Sender<HealerOutput>,
}

/// Both ends.
pub fn connect(clock: Clock) -> (HealerHandle, HealerPorts) {
    let (input_sender, input) = watch::channel(HealerInput { clock, last: Position::default(), entries: None });
    let (output_sender, output) = mpsc::channel(OUTPUT);
    (HealerHandle { input: input_sender, output }, HealerPorts { input, output: output_sender })
}
