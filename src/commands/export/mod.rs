//! `export`: what is sealed as Parquet, day by day, on all cores.
//!
//! ```text
//! dates of the archive ──▶ Day: its jobs ──▶ [ thread, thread, … ] ──▶ a line per file or day, and last the sum
//! ```

pub(super) mod nightly;
mod pool;

use super::output::{Form, print};
use super::process::{GRACE, Host, serve};
use super::recording::{ReadError, SpanArgs, open};
use super::work::StopTerms;
use crate::clock::Stamp;
use crate::config::Sources;
use crate::exit::Exit;
use crate::files::IoError;
use crate::files::disk::Disk;
use crate::lake::day::{Day, Selected};
use crate::lake::job::Outcome;
use crate::lake::table::{MOST_LEVELS, Table};
use crate::quantity::rounded_size;
use crate::recording::lock::{Lock, LockError};
use crate::tape::day_summary::span;
use crate::tape::reader::{Tape, ToldGaps};
use clap::Args;
use jiff::civil::Date;
use pool::{Done, Lake};
use serde::Serialize;
use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::path::PathBuf;

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

/// Why it did not begin, or did not end.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("{0}; another export writes there")]
    Held(LockError),
    #[error(transparent)]
    Lock(LockError),
    #[error(transparent)]
    Disk(#[from] IoError),
    #[error("no threads to export with: {0}")]
    Threads(io::Error),
    #[error("stopped before everything was exported: what is there is whole, and the next export goes on")]
    Stopped,
}

impl From<io::Error> for ExportError {
    fn from(error: io::Error) -> Self {
        Self::Read(ReadError::Output(error))
    }
}

impl ExportError {
    fn exit(&self) -> Exit {
        match self {
            Self::Read(error) => error.exit(),
            Self::Held(_) => Exit::Locked,
            Self::Stopped => Exit::Wrong,
            Self::Lock(_) | Self::Disk(_) | Self::Threads(_) => Exit::Io,
        }
    }
}

/// A file, in the shape of the JSON output.
#[derive(Serialize)]
struct ShownFile {
    /// Below the lake.
    file: PathBuf,
    /// `written`, `current`, `kept` or `failed`.
    state: &'static str,
    rows: u64,
    bytes: u64,
    repeats: u64,
    unreadable: u64,
}

/// The sum, in the shape of the JSON output.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Sum {
    written: u64,
    current: u64,
    kept: u64,
    failed: u64,
    rows: u64,
    bytes: u64,
    /// Lines that have no row, since another one has the trade, or since they are no JSON.
    repeats: u64,
    unreadable: u64,
    /// Streams with a segment that is not sealed yet.
    waiting: u64,
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
    let lake = waiting.during(step, GRACE, || Lake::open(&directory, clock.stamp()))?;
    let levels = options.levels.or(Some(config.export.levels).filter(|levels| *levels > 0));
    let selected = Selected { tables: options.types.clone(), levels, venue: config.venue().to_string() };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let shutdown = host.signals.shutdown.orderly.clone();
    let stop = || shutdown.is_cancelled();
    let (mut told, mut sum) = (ToldGaps::default(), Sum::default());
    for date in dates(&tape, &span)? {
        let day = Day::plan(&tape, &mut told, date, &selected).map_err(ReadError::from)?;
        let mut own = Sum { waiting: day.waiting.len() as u64, ..Sum::default() };
        let mut fault = None;
        lake.run(day.jobs, cores, &stop, &mut |done| {
            let shown = own.add(&done);
            if options.json && fault.is_none() {
                fault = write_json(out, &shown).err();
            }
        })?;
        fault.map_or(Ok(()), Err)?;
        if !options.json {
            own.show(out, date)?;
        }
        sum.join(own);
        if stop() {
            return Err(ExportError::Stopped);
        }
    }
    if options.json {
        write_json(out, &sum)?;
    }
    sum.explain(&directory);
    Ok(if sum.failed > 0 { Exit::Io } else { Exit::Success })
}

/// The dates of the archive that a span touches.
fn dates(tape: &Tape, asked: &RangeInclusive<Stamp>) -> Result<Vec<Date>, ReadError> {
    let touches = |date: &Date| span(*date).is_some_and(|(begin, end)| begin <= *asked.end() && *asked.start() < end);
    Ok(tape.dates()?.into_iter().filter(touches).collect())
}

fn write_json(out: &mut dyn Write, shown: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, shown)?;
    writeln!(out)
}

impl Sum {
    /// Counts what became of a file.
    fn add(&mut self, done: &Done) -> ShownFile {
        let mut shown =
            ShownFile { file: done.path.clone(), state: "failed", rows: 0, bytes: 0, repeats: 0, unreadable: 0 };
        match &done.outcome {
            Ok(Outcome::Written(written)) => {
                (shown.state, shown.rows, shown.bytes) = ("written", written.rows, written.bytes);
                (shown.repeats, shown.unreadable) = (written.left_out.repeats, written.left_out.unreadable);
                self.written += 1;
            }
            Ok(Outcome::Current) => {
                shown.state = "current";
                self.current += 1;
            }
            Ok(Outcome::Kept) => {
                shown.state = "kept";
                self.kept += 1;
            }
            Err(crate::lake::job::LakeError::Stopped) => {}
            Err(error) => {
                tracing::error!(file = %done.path.display(), %error, "not exported; what was there before stays");
                self.failed += 1;
            }
        }
        self.rows += shown.rows;
        self.bytes += shown.bytes;
        self.repeats += shown.repeats;
        self.unreadable += shown.unreadable;
        shown
    }

    fn join(&mut self, other: Self) {
        let Self { written, current, kept, failed, rows, bytes, repeats, unreadable, waiting } = other;
        self.written += written;
        self.current += current;
        self.kept += kept;
        self.failed += failed;
        self.rows += rows;
        self.bytes += bytes;
        self.repeats += repeats;
        self.unreadable += unreadable;
        self.waiting += waiting;
    }

    fn show(&self, out: &mut dyn Write, date: Date) -> io::Result<()> {
        let Self { written, current, kept, failed, rows, bytes, .. } = *self;
        let size = rounded_size(bytes);
        write!(out, "{date}  {written} files written with {rows} rows, {size}; {current} as they are to be")?;
        if kept > 0 {
            write!(out, "; {kept} kept, whose sources are gone")?;
        }
        if failed > 0 {
            write!(out, "; {failed} failed")?;
        }
        writeln!(out)
    }

    /// What a person should know.
    fn explain(&self, directory: &std::path::Path) {
        let Self { written, current, kept, unreadable, waiting, .. } = *self;
        if written + current + kept == 0 {
            let hint = "what is active still is sealed when its segment ends: by its size, at midnight, or on SIGUSR1";
            tracing::warn!(lake = %directory.display(), "nothing is sealed of what is asked for; {hint}");
        }
        if waiting > 0 {
            tracing::warn!(streams = waiting, "segments wait to be sealed; export again once they are");
        }
        if unreadable > 0 {
            tracing::warn!(lines = unreadable, "lines that are no JSON, as a crash leaves them, were left out");
        }
    }
}

impl Lake {
    /// Opens it, and keeps others out.
    fn open(directory: &std::path::Path, now: Stamp) -> Result<Self, ExportError> {
        let disk = Disk::open(directory).map_err(IoError::at("open the directory", directory))?;
        let lock = Lock::take(&disk, now).map_err(|error| match error {
            LockError::Held { .. } => ExportError::Held(error),
            LockError::Io(_) => ExportError::Lock(error),
        })?;
        Ok(Self { disk, lock })
    }
}
