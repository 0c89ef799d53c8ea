//! Healing: what was missed in a gap is fetched over REST, in the background of a running recorder.
//!
//! ```text
//!  recorder.jsonl ──gap──▶ plan ──scan──▶ tape: is anything missing?      the gap's streams, each on its own
//!  input (a gap closed)      └───ask────▶ client ──page──▶ search ──missing──▶ supervisor ──▶ KRW-BTC_trade.healed.jsonl
//!                                                            └─ all streams done ─▶ `healed` event
//! ```
//!
//! | part | owns |
//! |---|---|
//! | [`story`], `events` | what the recorder's own events say of gaps |
//! | [`plan`] | which stream is scanned or asked for next, and what came of each gap |
//! | [`record`], `scan` | what is read of the tape |
//! | [`evidence`] | what the tape holds around a gap, and what follows from it |
//! | `search` | pages of the exchange, back to what was recorded before the gap |
//! | `resume` | how far earlier processes had come |
//! | `link`, `recorder`, `exchange` | the supervisor, the writer and the exchange as the healer sees them |
//! | `healer` | the thread around them |
//!
//! What is to be healed is what the tape says, so a gap of this process and one of an earlier process are the same, and a
//! kill at any point costs nothing but requests. The tape is scanned and the exchange asked on a thread of its own, at the
//! lowest priority; the supervisor takes what it hands on when nothing else waits.

mod events;
pub mod evidence;
mod exchange;
mod healer;
mod interrupted;
mod link;
pub mod plan;
pub mod record;
mod recorder;
mod resume;
mod scan;
mod search;
pub mod story;
mod wanted;

pub use healer::Healer;
pub use link::{HealerHandle, HealerInput, HealerOutput, HealerPorts, connect};
pub use wanted::is_wanted;
