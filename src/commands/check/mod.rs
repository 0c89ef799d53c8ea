//! `check`: validates the configuration, and reports the settings in force, their origins and the resources needed.
//!
//! ```text
//! configuration ──▶ report ◀── estimate (disk a day), machine (limits, free space), start (the next one)
//!                     └──▶ text, or JSON
//! ```

mod estimate;
mod machine;
mod report;
mod start;
mod text;

use super::output::{Form, complain, complain_of, print};
use super::process::attend;
use super::work::StopTerms;
use crate::config::{self, Sources};
use crate::exit::Exit;
use crate::net::tls;
use crate::rest::codes::{self, RestUse};
use clap::Args;
use machine::Machine;
use report::{CheckReport, FaultReport};
use serde::Serialize;
use start::ShownStart;
use std::io::{self, Write};
use std::time::Duration;

/// How to show it.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example:\n  upbit-recorder check --config recorder.toml --set public.format=SIMPLE")]
pub struct CheckOptions {
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
    /// Prints faults alone: nothing where all is well.
    #[arg(long, conflicts_with = "json")]
    quiet: bool,
}

/// Checks and reports on its own thread: file access may hang, for example on a network disk.
pub fn run(sources: Sources, options: CheckOptions) -> Exit {
    attend(StopTerms::PROMPT, move |_, worker| {
        let check = || print(Form::of(options.json), |out| check(&sources, &options, out));
        let what = "the configuration and the data directory";
        worker.ended.with(worker.waiting.during(what, Duration::ZERO, check));
    })
}

fn check(sources: &Sources, options: &CheckOptions, out: &mut dyn Write) -> io::Result<Exit> {
    match config::load(sources) {
        Ok(mut loaded) => {
            // Offline, hence the list of pairs cached by the last start.
            if let Err(error) = codes::check_venues(&loaded.config, RestUse::AsConfigured) {
                complain(&error.to_string());
                return Ok(error.exit());
            }
            if let Err(error) = tls::authorities(loaded.config.tls_roots) {
                complain(&error.to_string());
                return Ok(Exit::Config);
            }
            loaded.config = codes::resolve_kept(&loaded.config);
            let start = match ShownStart::of(&loaded.config) {
                Ok(start) => start,
                Err(error) => {
                    complain(&error.to_string());
                    return Ok(error.exit());
                }
            };
            if options.quiet {
                return Ok(Exit::Success);
            }
            let report = CheckReport::of(&loaded, Machine::inspect(&loaded.config.data_dir), start);
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
