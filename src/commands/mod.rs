//! The verbs of the command line, a file each: what a verb prints, and which rooms it puts to work.
//!
//! ```text
//! cli ──options──▶ verb ──▶ process: signals, a thread for the verb, configuration, logging ──▶ the verb's own work
//!                                                                        output: what it prints, what it complains of
//! ```

pub mod audit;
pub mod backfill;
pub mod check;
pub mod completions;
pub mod markets;
pub mod record;
pub mod replay;

mod descriptors;
mod output;
mod pairs;
mod process;
mod progress;
mod work;
