//! Healing: objects missed in a gap are fetched over REST, in the background of a running recorder.
//!
//! ```text
//!  recorder.jsonl ──gap──▶ plan ──scan──▶ tape: is anything missing?      the gap's streams, each on its own
//!  input (a gap closed)      └───ask────▶ Fetch ──page───▶ search ──missing──▶ supervisor ──▶ KRW-BTC_trade.healed.jsonl
//!                                                            └─ all streams done ─▶ `healed` event
//! ```
//!
//! | part | owns |
//! |---|---|
//! | [`story`], `events` | gap events on the recorder's own stream |
//! | [`plan`] | which stream is scanned or requested next, and the outcome of each gap |
//! | [`record`], `scan` | reading the tape |
//! | [`evidence`] | the records around a gap, and the conclusions from them |
//! | `search` | the walk over the exchange's pages, back to the records before the gap |
//! | `resume` | progress of earlier processes |
//! | `link`, `recorder`, `fetch` | the healer's view of the supervisor, the writer and the exchange |
//! | `healer` | the thread around them |
//!
//! The tape is the only state of healing, so gaps of this process and of earlier ones are treated alike, and a kill at
//! any point costs only requests. Scans and requests run on a thread of their own, at the lowest priority; the
//! supervisor accepts its output only when nothing else waits.

mod events;
pub mod evidence;
mod fetch;
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

pub use fetch::{Exchange, Fetch, Fetched};
pub use healer::Healer;
pub use link::{HealerHandle, HealerInput, HealerOutput, HealerPorts, connect};
pub use wanted::is_wanted;
