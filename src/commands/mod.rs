//! The verbs of the command line, a file each: their output, and the rooms that they run.
//!
//! ```text
//! cli ──options──▶ verb ──▶ process: signals, a thread for the verb, configuration, logging ──▶ the verb's own work
//!                                                                        output: standard output and faults
//! ```

pub mod audit;
pub mod backfill;
pub mod cat;
pub mod check;
pub mod completions;
#[cfg(feature = "export")]
pub mod export;
pub mod health;
pub mod ls;
pub mod markets;
pub mod prune;
pub mod record;
pub mod replay;
pub mod tail;
pub mod upload;
pub mod verify;

mod descriptors;
mod notify;
mod output;
mod pairs;
mod process;
mod progress;
mod recording;
mod reload;
mod work;
