//! `export`: what is sealed as Parquet, day by day, on all cores.
//!
//! ```text
//! dates of the archive ──▶ Day: its jobs ──▶ [ thread, thread, … ] ──▶ a line per file or day, and last the sum
//! ```

mod error;
pub(super) mod nightly;
mod pool;
mod sum;

use super::output::{Form, print};
use super::process::{GRACE, Host, serve};
use super::recording::{ReadError, SpanArgs, open};
use super::work::StopTerms;
use crate::clock::Stamp;
use crate::config::Sources;
use crate::exit::Exit;
use crate::lake::day::{Day, Selected};
use crate::lake::table::{MOST_LEVELS, Table};
use crate::tape::day_summary::span;
use crate::tape::reader::{Tape, ToldGaps};
use clap::Args;
use error::ExportError;
use jiff::civil::Date;
use pool::Lake;
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::ops::RangeInclusive;
use sum::Sum;

/// What to export.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example:\n  upbit-recorder export --from 2026-11-01 --to 2026-12-01 --types trade,orderbook")]
pub struct ExportOptions {
    /// Days, UTC, by the times that a part of them is asked for; each is exported whole.
    #[command(flatten)]
    span: SpanArgs,
    /// Types: trade, ticker, orderbook, book_snapshot_5, candle.1s and so on. Without any: those that the tape has.
    #[arg(long, value_name = "TYPE", value_delimiter = ',')]
    types: Vec<Table>,
    /// Books also with so many levels in columns of their own, 1 to 30. Without it: export.levels.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=i64::from(MOST_LEVELS)))]
    levels: Option<u16>,
    /// Prints an object a line: each file, and last the sum.
    #[arg(long)]
    json: bool,
}

/// Exports.
pub fn run(sources: Sources, options: ExportOptions) -> Exit {
    serve(sources, StopTerms::PROMPT, async move |host| {
        print(Form::of(options.json), |out| match export(&host, &options, out) {
            // A reader that has gone away is no failure, and `print` knows it.
            Err(ExportError::Read(ReadError::Output(error))) => Err(error),
            Err(error) => {
                tracing::error!("{error}");
                Ok(error.exit())
            }
            Ok(exit) => Ok(exit),
        })
    })
}

fn export(host: &Host, options: &ExportOptions, out: &mut dyn Write) -> Result<Exit, ExportError> {
    let Host { config, clock, waiting, .. } = host;
    let span = options.span.stamps(clock.stamp())?;
    let tape = open(host, &config.data_dir)?;
    let directory = config.data_dir.join(&config.export.directory);
    let step = format!("the directory {}", directory.display());
    let lake = waiting.during(step, GRACE, || Lake::open(&directory, config.storage.min_free_bytes, clock.stamp()))?;
    let levels = options.levels.or(Some(config.export.levels).filter(|levels| *levels > 0));
    let selected = Selected { tables: options.types.clone(), levels, venue: config.venue().to_string() };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let shutdown = host.signals.shutdown.orderly.clone();
    let stop = || shutdown.is_cancelled();
    let (mut told, mut sum) = (ToldGaps::default(), Sum::default());
    for date in dates(&tape, &span, &selected)? {
        let day = match Day::plan(&tape, &mut told, date, &selected) {
            Ok(day) => day,
            Err(error) => {
                tracing::error!(%date, %error, "a day is not exported; the others are");
                sum.failed += 1;
                continue;
            }
        };
        let mut own = Sum { waiting: day.waiting.len() as u64, ..Sum::default() };
        let mut fault = None;
        let ended = lake.run(day.jobs, cores, &stop, &mut |done| {
            let shown = own.add(&done);
            if options.json && fault.is_none() {
                fault = shown.and_then(|shown| write_json(out, &shown).err());
            }
        });
        fault.map_or(Ok(()), Err)?;
        if !options.json {
            own.show(out, date)?;
        }
        sum.join(own);
        ended?;
    }
    if options.json {
        write_json(out, &sum)?;
    }
    sum.explain(&directory);
    Ok(if sum.failed > 0 { Exit::Io } else { Exit::Success })
}

/// The dates that a span touches, of the archive and of what is not in it yet.
fn dates(tape: &Tape, asked: &RangeInclusive<Stamp>, selected: &Selected) -> Result<BTreeSet<Date>, ReadError> {
    let touches = |date: &Date| span(*date).is_some_and(|(begin, end)| begin <= *asked.end() && *asked.start() < end);
    let active = tape.active_dates(&|stream| selected.holds(stream))?;
    Ok(tape.dates()?.into_iter().chain(active).filter(touches).collect())
}

fn write_json(out: &mut dyn Write, shown: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, shown)?;
    writeln!(out)
}
