//! The operator's view of a running recorder: everything is computed from one snapshot, which the supervisor publishes
//! each second.
//!
//! ```text
//!                         ┌──▶ display     a line on the terminal
//! supervisor ──Status──▶──┼──▶ http ──▶ metrics, shown (JSON), page       its own thread: no scrape delays a read
//!                         └──▶ liveness, readiness ──▶ http, watchdog
//! ```
//!
//! | part | owns |
//! |---|---|
//! | [`status`] | the snapshot: plain numbers and names |
//! | [`liveness`] | whether the loops turn |
//! | [`readiness`] | whether data is being recorded, and if not, why |
//! | [`shown`] | the snapshot as JSON |
//! | [`metrics`] | the snapshot as OpenMetrics |
//! | [`http`] | the server |
//! | [`ask`] | the client of `health` |
//! | [`display`] | the line on a terminal |
//! | [`systemd`] | what the service manager is told |

pub mod ask;
pub mod display;
pub mod http;
pub mod liveness;
pub mod metrics;
pub mod readiness;
pub mod shown;
pub mod status;
pub mod systemd;
