//! `health`: whether the recorder of this configuration records, for a container's HEALTHCHECK. It asks the recorder
//! itself, and is never content with another one.
//!
//! ```text
//! http.listen ──/readyz──▶ ready? reasons, and which process answers ──same as in .lock of data_dir?──▶ 0 or 1
//! ```

use super::output::{Form, complain_of, print};
use super::process::attend;
use super::work::StopTerms;
use crate::config::{self, Config, Sources};
use crate::exit::Exit;
use crate::files::disk::Disk;
use crate::ops::ask::ask;
use crate::ops::shown::{Owner, Readiness, ShownReason};
use crate::recording::lock::{Holder, holder};
use clap::Args;
use serde::Serialize;
use std::io::{self, Write};
use std::time::Duration;

/// How to show it.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example:\n  upbit-recorder health --config recorder.toml")]
pub struct HealthOptions {
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

/// Asks, and prints why it is not well.
pub fn run(sources: Sources, options: HealthOptions) -> Exit {
    attend(StopTerms::PROMPT, move |_, worker| {
        let health = || match config::load(&sources) {
            Ok(loaded) => print(Form::of(options.json), |out| show(out, &Health::of(&loaded.config), options.json)),
            Err(faults) => {
                complain_of(&faults);
                Exit::Config
            }
        };
        worker.ended.with(worker.waiting.during("the recorder's answer", Duration::ZERO, health));
    })
}

/// The finding.
#[derive(Debug, Serialize)]
struct Health {
    healthy: bool,
    reasons: Vec<ShownReason>,
    /// The process that holds the data directory, and answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<Owner>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<u64>,
}

impl Health {
    fn of(config: &Config) -> Self {
        Self::ask(config).unwrap_or_else(|text| {
            let reasons = vec![ShownReason { part: "health".to_owned(), text }];
            Self { healthy: false, reasons, owner: None, run: None }
        })
    }

    /// An error says why nothing is known of the recorder.
    fn ask(config: &Config) -> Result<Self, String> {
        let listen = config.http.listen.ok_or("http.listen is empty: the recorder cannot be asked; set it")?;
        let directory = config.data_dir.display();
        let disk = Disk::existing(&config.data_dir)
            .map_err(|error| format!("nothing records into {directory}: it cannot be opened: {error}"))?;
        let holder = holder(&disk).ok_or(format!("nothing records into {directory}: its .lock names no process"))?;
        let answer = ask(listen, "/readyz").map_err(|error| error.to_string())?;
        let foreign = |_| format!("{listen} is no recorder: it answers something else");
        let Readiness { ready, reasons, owner, run } = serde_json::from_slice(&answer).map_err(foreign)?;
        if owner != Owner::from(holder.clone()) {
            let Owner { host, pid, started } = owner;
            let other = Holder { host, pid, started };
            return Err(format!("{listen} is of another recorder, {other}, and not of {directory}, held by {holder}"));
        }
        Ok(Self { healthy: ready && reasons.is_empty(), reasons, owner: Some(owner), run })
    }
}

impl From<Holder> for Owner {
    fn from(holder: Holder) -> Self {
        let Holder { host, pid, started } = holder;
        Self { host, pid, started }
    }
}

fn show(out: &mut dyn Write, health: &Health, is_json: bool) -> io::Result<Exit> {
    if is_json {
        serde_json::to_writer(&mut *out, health)?;
        writeln!(out)?;
    } else if health.healthy {
        writeln!(out, "healthy: it records")?;
    } else {
        let texts: Vec<&str> = health.reasons.iter().map(|reason| reason.text.as_str()).collect();
        writeln!(out, "unhealthy: {}", texts.join("; "))?;
    }
    Ok(if health.healthy { Exit::Success } else { Exit::Wrong })
}
