//! `prune`: retention by hand, on a directory that is not being recorded into, and what it would do on any.
//!
//! ```text
//! limits, clock ──▶ Run ──▶ batch ──printed──▶ deleted, unless --dry-run ──▶ …
//! ```
//!
//! It takes the recorder's lock, since one process at a time writes to manifests; a recorder that runs deletes by itself.

use super::output::{Form, print, write_line};
use super::process::{GRACE, Host, serve};
use super::work::StopTerms;
use crate::clock::Stamp;
use crate::clock::discipline::Discipline;
use crate::config::{Config, Sources};
use crate::exit::Exit;
use crate::files::disk::Disk;
use crate::files::{Files, IoError};
use crate::quantity::rounded_size;
use crate::recording::lock::{Lock, LockError};
use crate::recording::retention::circumstances::{Circumstances, Hindrance};
use crate::recording::retention::plan::{KeepLimits, Removal};
use crate::recording::retention::run::Run;
use crate::tape::segment_name::date;
use crate::tape::words::{PruneReason, Word};
use clap::Args;
use jiff::civil::Date;
use serde::Serialize;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// How to delete.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example:\n  upbit-recorder prune --dry-run --set storage.keep_for=90d")]
pub struct PruneOptions {
    /// Shows what would be deleted now, and deletes nothing; also while a recorder runs.
    #[arg(long)]
    dry_run: bool,
    /// Prints an object a line: each file, and last the sum.
    #[arg(long)]
    json: bool,
}

/// Why it did not begin, or did not end.
#[derive(Debug, thiserror::Error)]
enum PruneError {
    #[error("{0}; a running recorder deletes old files by itself, and --dry-run shows which")]
    Held(LockError),
    #[error(transparent)]
    Lock(LockError),
    #[error(transparent)]
    Disk(#[from] IoError),
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

impl PruneError {
    fn exit(&self) -> Exit {
        match self {
            Self::Held(_) => Exit::Locked,
            Self::Lock(_) | Self::Disk(_) | Self::Output(_) => Exit::Io,
        }
    }
}

/// A file, in the shape of the JSON output.
#[derive(Serialize)]
struct ShownFile {
    file: PathBuf,
    bytes: u64,
    /// The stamp of its last line.
    last: Stamp,
    reason: Word<PruneReason>,
}

/// The sum, in the shape of the JSON output.
#[derive(Debug, Default, Serialize)]
struct Sum {
    files: u64,
    bytes: u64,
    /// Whether they were deleted.
    deleted: bool,
    /// Why nothing may be deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    hindrance: Option<String>,
}

/// Deletes, or shows what it would delete.
pub fn run(sources: Sources, options: PruneOptions) -> Exit {
    serve(sources, StopTerms::ORDERLY, async move |host| {
        print(Form::of(options.json), |out| {
            let pruned = prune(&host, &options, out);
            // A reader that has gone away is no failure, and `print` knows it.
            Ok(match pruned {
                Err(PruneError::Output(error)) => return Err(error),
                Err(error) => {
                    tracing::error!("{error}");
                    error.exit()
                }
                Ok(exit) => exit,
            })
        })
    })
}

fn prune(host: &Host, options: &PruneOptions, out: &mut dyn Write) -> Result<Exit, PruneError> {
    let Host { config, clock, waiting, .. } = host;
    let now = clock.stamp();
    let open = || open(config, options, now);
    let opened = waiting.during(format!("the data directory {}", config.data_dir.display()), GRACE, open)?;
    let Some(Opened { files, _lock }) = opened else {
        tracing::info!(data_dir = %config.data_dir.display(), "nothing is recorded there");
        return Ok(Exit::Success);
    };
    let limits = KeepLimits { keep_for: config.storage.keep_for, keep_bytes: config.storage.keep_bytes };
    if !limits.is_any() {
        tracing::info!("every file is kept: neither storage.keep_for nor storage.keep_bytes is set");
    }
    let shutdown = host.signals.shutdown.orderly.clone();
    let hindrance = Circumstances::read(&files, now, Discipline::machine().read()).hindrance();
    let work = Work { is_dry: options.dry_run, hindrance, json: options.json, shutdown, out };
    work.run(Run::begin(files, limits, now)?.once_uploaded_to(config.uploaded_to()))
}

/// The directory, and the right to delete in it.
struct Opened {
    files: Arc<dyn Files>,
    _lock: Option<Lock>,
}

fn open(config: &Config, options: &PruneOptions, now: Stamp) -> Result<Option<Opened>, PruneError> {
    let disk = match Disk::existing(&config.data_dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(IoError::at("open the data directory", &config.data_dir))?,
    };
    let lock = (!options.dry_run).then(|| Lock::take(&disk, now)).transpose().map_err(|error| match error {
        LockError::Held { .. } => PruneError::Held(error),
        LockError::Io(_) => PruneError::Lock(error),
    })?;
    Ok(Some(Opened { files: Arc::new(disk), _lock: lock }))
}

struct Work<'a> {
    is_dry: bool,
    hindrance: Option<Hindrance>,
    json: bool,
    shutdown: CancellationToken,
    out: &'a mut dyn Write,
}

impl Work<'_> {
    fn run(mut self, mut run: Run) -> Result<Exit, PruneError> {
        let is_deleting = !self.is_dry && self.hindrance.is_none();
        let mut sum = Sum { hindrance: self.hindrance.map(|cause| cause.to_string()), ..Sum::default() };
        sum.deleted = is_deleting;
        let mut of_date: Option<(Date, Sum)> = None;
        while !self.shutdown.is_cancelled() {
            let batch = run.next_batch()?;
            if batch.is_empty() {
                break;
            }
            if is_deleting {
                run.execute(&batch)?;
            }
            for removal in batch {
                sum.files += 1;
                sum.bytes += removal.bytes;
                self.show(removal, &mut of_date)?;
            }
        }
        self.end_date(of_date)?;
        self.conclude(&sum)?;
        let is_refused = !self.is_dry && self.hindrance.is_some() && sum.files > 0;
        Ok(if is_refused || self.shutdown.is_cancelled() { Exit::Wrong } else { Exit::Success })
    }

    /// A file, as JSON; as text, the date before where it is of another one.
    fn show(&mut self, removal: Removal, of_date: &mut Option<(Date, Sum)>) -> io::Result<()> {
        if self.json {
            let Removal { name, last, bytes, reason } = removal;
            return write_line(self.out, &ShownFile { file: name.sealed(), bytes, last, reason });
        }
        let of = date(removal.name.first);
        if of_date.as_ref().is_some_and(|(date, _)| *date != of) {
            self.end_date(of_date.take())?;
        }
        let (_, sum) = of_date.get_or_insert_with(|| (of, Sum::default()));
        sum.files += 1;
        sum.bytes += removal.bytes;
        Ok(())
    }

    fn end_date(&mut self, of_date: Option<(Date, Sum)>) -> io::Result<()> {
        let Some((date, Sum { files, bytes, .. })) = of_date else { return Ok(()) };
        writeln!(self.out, "{date}  {files:>7} files  {:>9}", rounded_size(bytes))
    }

    fn conclude(&mut self, sum: &Sum) -> io::Result<()> {
        if self.json {
            return write_line(self.out, sum);
        }
        let Sum { files, bytes, deleted, .. } = sum;
        let bytes = rounded_size(*bytes);
        match (deleted, &self.hindrance) {
            (true, _) => writeln!(self.out, "{files} files, {bytes}: deleted."),
            (false, Some(cause)) if *files > 0 => {
                writeln!(self.out, "{files} files, {bytes}: nothing may be deleted now, since {cause}.")
            }
            (false, _) => writeln!(self.out, "{files} files, {bytes}: nothing was deleted."),
        }
    }
}
