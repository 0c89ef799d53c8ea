//! Healing: what was missed in a gap is fetched over REST, in the background of a running recorder.
//!
//! ```text
//!  recorder.jsonl ──gap──▶ plan ──look──▶ tape: is anything missing?      the gap's streams, each on its own
//!  told (a gap closed)       └───ask────▶ client ──page──▶ walk ──missing──▶ supervisor ──▶ KRW-BTC_trade.healed.jsonl
//!                                                            └─ all streams done ─▶ `healed` event
//! ```
//!
//! | part | owns |
//! |---|---|
//! | [`story`] | what the recorder's own events tell of gaps |
//! | [`plan`] | which stream is looked at or asked for next, and what came of each gap |
//! | [`record`] | what is read of a line or of an answer |
//! | [`evidence`] | what the tape holds around a gap, and what follows from it |
//! | [`mod@walk`], [`candles`] | pages of the exchange, back to what was recorded before the gap |
//! | `healer` | the thread around them: reads the tape, asks, hands on |
//!
//! All but `healer` is pure. What is to be healed is what the tape says, so a gap of this process and one of an earlier
//! process are the same, and a kill at any point costs nothing but requests. The tape is read and the exchange asked on
//! a thread of its own, at the lowest priority; the supervisor takes what it hands on when nothing else waits.

pub mod candles;
pub mod evidence;
mod healer;
pub mod plan;
pub mod record;
pub mod story;
pub mod walk;

pub use healer::Healer;

use crate::clock::{Clock, Stamp};
use crate::config::Config;
use crate::tape::healed::HealReport;
use crate::tape::stream_key::StreamKey;
use crate::upbit::venue::Agreement;
use std::io;
use tokio::sync::{mpsc, oneshot, watch};

/// Pages that may wait for the supervisor: each is acknowledged before the next is fetched.
const SAID: usize = 1;

/// Healing competes with nothing.
const NICENESS: i32 = 19;

/// What the supervisor tells.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    /// The clock that makes the stamps now.
    pub clock: Clock,
    /// How often it was set.
    pub steps: u64,
    /// The stamp of the last gap's event, or of the last step's; what they are stands on the tape.
    pub last: Stamp,
}

/// What is handed to the supervisor, to be written in the one order of everything.
#[derive(Debug)]
pub enum Said {
    /// Objects of a stream, as they are to stand behind the stamp.
    Missing {
        /// The healed stream.
        stream: StreamKey,
        /// `{"gap":…,` and the rest of each object.
        objects: Vec<String>,
        /// Told the last of their stamps.
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
pub struct Desk {
    /// To the healer.
    pub told: watch::Sender<Told>,
    /// From the healer.
    pub said: mpsc::Receiver<Said>,
}

/// The healer's end.
#[derive(Debug)]
pub struct Counter {
    told: watch::Receiver<Told>,
    said: mpsc::Sender<Said>,
}

/// Both ends of what supervisor and healer tell each other.
pub fn connect(clock: Clock) -> (Desk, Counter) {
    let (told_sender, told) = watch::channel(Told { clock, steps: 0, last: Stamp::default() });
    let (said_sender, said) = mpsc::channel(SAID);
    (Desk { told: told_sender, said }, Counter { told, said: said_sender })
}

/// Whether gaps are to be healed. What is recorded and what is asked must be one venue: the exchange has others, with the
/// same codes.
pub fn is_wanted(config: &Config) -> bool {
    let (recorded, asked) = (&config.public.url, &config.rest.url);
    if config.rest.heal_max == 0 || !config.public.enabled {
        return false;
    }
    let is_same = Agreement::of(recorded.host(), asked.host()) == Agreement::Same;
    if !is_same {
        let (recorded, asked) = (recorded.host(), asked.host());
        tracing::warn!(recorded, asked, "gaps are not healed: public.url and rest.url are not of one venue");
    }
    is_same
}

/// Gives the healer its thread. It ends with the process, at any point.
///
/// # Errors
/// The system has no thread.
pub fn spawn(healer: Healer) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let work = move || {
        // Without the permission for it, healing competes a little more.
        let _ = rustix::process::setpriority_process(None, NICENESS);
        runtime.block_on(healer.run());
    };
    std::thread::Builder::new().name("healer".to_owned()).spawn(work).map(drop)
}
