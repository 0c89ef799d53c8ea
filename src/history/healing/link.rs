//! What supervisor and healer hand each other. Pure.
//!
//! ```text
//! supervisor ──HealerInput (the newest)──▶ healer ──HealerOutput (one at a time)──▶ supervisor
//! ```

use crate::clock::{Clock, Stamp};
use crate::tape::healed::HealReport;
use crate::tape::stream_key::StreamKey;
use tokio::sync::{mpsc, oneshot, watch};

/// Pages that may wait for the supervisor: each is acknowledged before the next is fetched.
const OUTPUT: usize = 1;

/// To the healer: the clock, and that there are events to read.
#[derive(Clone, Copy, Debug)]
pub struct HealerInput {
    /// The clock that makes the stamps now.
    pub clock: Clock,
    /// How often it was set.
    pub steps: u64,
    /// The stamp of the last gap's event, or of the last step's; what they are stands on the tape.
    pub last: Stamp,
}

/// To the supervisor, to be written in the one order of everything.
#[derive(Debug)]
pub enum HealerOutput {
    /// Objects of a stream, as they are to stand behind the stamp.
    Missing {
        /// The healed stream.
        stream: StreamKey,
        /// `{"gap":…,` and the rest of each object.
        objects: Vec<String>,
        /// Acknowledges them with the last of their stamps.
        stamped: oneshot::Sender<Stamp>,
    },
    /// A gap is done.
    Healed {
        /// Its id.
        gap: u64,
        /// What became of it.
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
    let (input_sender, input) = watch::channel(HealerInput { clock, steps: 0, last: Stamp::default() });
    let (output_sender, output) = mpsc::channel(OUTPUT);
    (HealerHandle { input: input_sender, output }, HealerPorts { input, output: output_sender })
}
