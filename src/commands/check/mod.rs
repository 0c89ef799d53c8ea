//! `check`: whether the configuration is sound, what is in force and why, and what it amounts to.
//!
//! ```text
//! configuration ──▶ report ◀── estimate (disk a day), machine (limits, free space)
//!                     └──▶ text, or JSON
//! ```

mod estimate;
mod machine;
mod report;
mod text;

use super::{complain, complain_of};
use crate::config::{self, Sources};
use crate::exit::Exit;
use crate::rest::codes;
use clap::Args;
use machine::Machine;
use report::{FaultReport, Report};
use serde::Serialize;
use std::io::{self, Write};

/// Shown below the help.
pub const EXAMPLE: &str = "Example:\n  upbit-recorder check --config recorder.toml --set public.format=SIMPLE";

/// How to show it.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Prints one JSON object.
    #[arg(long)]
    pub(super) json: bool,
}

/// Checks and reports.
///
/// # Errors
///
/// `out` cannot be written.
pub fn run(sources: &Sources, options: &Options, out: &mut dyn Write) -> io::Result<Exit> {
    match config::load(sources) {
        Ok(mut loaded) => {
            // Offline, so by what the last start was told.
            if let Err(error) = codes::check_venues(&loaded.config) {
                complain(&error.to_string());
                return Ok(Exit::Config);
            }
            loaded.config = codes::resolve_kept(&loaded.config);
            let report = Report::of(&loaded, Machine::look(&loaded.config.data_dir));
            if options.json {
                write_json(out, &report)?
            } else {
                text::write(out, &loaded, &report)?
            }
            Ok(Exit::Success)
        }
        Err(faults) => {
            if options.json {
                write_json(out, &FaultReport::of(&faults))?
            } else {
                complain_of(&faults)
            }
            Ok(Exit::Config)
        }
    }
}

fn write_json(out: &mut dyn Write, report: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, report)?;
    writeln!(out)
}
