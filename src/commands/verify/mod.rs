//! `verify`: reads all that was recorded, on all cores, and names each fault with its file, its place and its reason.
//!
//! ```text
//! Walk ──Job──▶ [ thread, thread, … ] ──Report──▶ in the order of the jobs: Order, Story ──▶ faults, and last the sum
//! ```

mod remote;
mod threads;

use super::output::{Form, exit_of, print, standard, write_line};
use super::process::{GRACE, Host, serve};
use super::progress;
use super::work::StopTerms;
use crate::config::Sources;
use crate::exit::Exit;
use crate::files::IoError;
use crate::files::disk::Disk;
use crate::quantity::rounded_size;
use crate::verify::directory::{Depth, Walk, weigh};
use crate::verify::fault::{Fault, Within};
use crate::verify::order::Order;
use crate::verify::story::Story;
use crate::verify::{Beside, Meter, Report, Root};
use clap::Args;
use remote::{RemoteError, RemoteOptions};
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use threads::{Pool, Turn};

/// How to look, and how to show it.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example:\n  upbit-recorder verify --set data_dir=/srv/tape")]
pub struct VerifyOptions {
    /// Reads manifests and names alone, for an archive whose files were moved away: one that is not there is no fault.
    #[arg(long)]
    manifest_only: bool,
    /// Looks at the store of [upload] in place of the directory: what its manifests list is there, and nothing else.
    #[arg(long, conflicts_with = "manifest_only")]
    remote: bool,
    /// Reads each object there, too, and compares its checksum.
    #[arg(long, requires = "remote")]
    content: bool,
    /// Prints an object a line: each fault, and last the sum.
    #[arg(long)]
    json: bool,
}

/// Why it did not begin, or did not end.
#[derive(Debug, thiserror::Error)]
enum VerifyError {
    #[error("nothing is recorded in {}; name the directory with --set data_dir=…", .0.display())]
    Nothing(PathBuf),
    #[error(transparent)]
    Disk(#[from] IoError),
    #[error("no threads to read with: {0}")]
    Threads(io::Error),
    #[error("stopped before everything was read")]
    Stopped,
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

/// The sum, in the shape of the JSON output.
#[derive(Debug, Default, Serialize)]
struct Sum {
    files: u64,
    lines: u64,
    /// Before compression.
    content_bytes: u64,
    faults: u64,
    /// Files with a fault.
    faulty: usize,
}

/// Reads, and prints what is wrong.
pub fn run(sources: Sources, options: VerifyOptions) -> Exit {
    serve(sources, StopTerms::PROMPT, async move |host| {
        if options.remote {
            return verify_remote(&host, &options).await;
        }
        print(Form::of(options.json), |out| match verify(&host, &options, out) {
            // A reader that has gone away is no failure, and `print` knows it.
            Err(VerifyError::Output(error)) => Err(error),
            Err(VerifyError::Stopped) => Ok(Exit::Wrong),
            Err(error) => {
                tracing::error!("{error}");
                Ok(Exit::Io)
            }
            Ok(exit) => Ok(exit),
        })
    })
}

async fn verify_remote(host: &Host, options: &VerifyOptions) -> Exit {
    let mut out = standard(Form::of(options.json));
    let verified =
        remote::verify(host, RemoteOptions { content: options.content, json: options.json }, &mut *out).await;
    let flushed = out.flush();
    match verified {
        Err(RemoteError::Output(error)) => exit_of(&error),
        Err(error) => {
            tracing::error!("{error}");
            error.exit()
        }
        Ok(exit) => flushed.map_or_else(|error| exit_of(&error), |()| exit),
    }
}

fn verify(host: &Host, options: &VerifyOptions, out: &mut dyn Write) -> Result<Exit, VerifyError> {
    let directory = &host.config.data_dir;
    let open = || match Disk::existing(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(VerifyError::Nothing(directory.clone())),
        disk => Ok(Root::all(&disk.map_err(IoError::at("open the data directory", directory))?)?),
    };
    let roots = host.waiting.during(format!("the data directory {}", directory.display()), GRACE, open)?;
    let is_alone = roots.iter().all(|root| root.beside == Beside::Nobody);
    let beside = if is_alone { Beside::Nobody } else { Beside::Recorder };
    let depth = if options.manifest_only { Depth::Manifests } else { Depth::Files };
    let total = if host.screen.is_shown() && depth == Depth::Files { weigh(&roots) } else { 0 };
    let show = progress::show_bytes(host, total);
    let meter = Meter::default();
    let mut findings = Findings {
        depth,
        json: options.json,
        out,
        order: Order::default(),
        story: Story::new(beside),
        misnamed: Vec::new(),
        sum: Sum::default(),
        faulty: BTreeSet::new(),
    };
    let read = std::thread::scope(|scope| {
        let mut pool = Pool::new(scope, &meter, Walk::new(roots, depth)).map_err(VerifyError::Threads)?;
        loop {
            if host.signals.shutdown.orderly.is_cancelled() {
                meter.stop.store(true, Ordering::Relaxed);
                return Err(VerifyError::Stopped);
            }
            match pool.turn() {
                Turn::Report { below, report } => {
                    if let Err(error) = findings.take(&below, *report) {
                        meter.stop.store(true, Ordering::Relaxed);
                        return Err(error.into());
                    }
                }
                Turn::Idle => show(meter.bytes.load(Ordering::Relaxed)),
                Turn::Over => return Ok(()),
            }
        }
    });
    host.screen.clear();
    read?;
    Ok(findings.conclude()?)
}

/// What was found so far.
struct Findings<'a> {
    depth: Depth,
    json: bool,
    out: &'a mut dyn Write,
    order: Order,
    story: Story,
    /// Names that do not fit, unless an event explains it.
    misnamed: Vec<Fault>,
    sum: Sum,
    faulty: BTreeSet<PathBuf>,
}

impl Findings<'_> {
    fn take(&mut self, below: &Path, report: Report) -> io::Result<()> {
        let out_of_order = self.order.next(below, &report);
        let Report { file, stream, found, misnamed, lines, content_bytes, notes, gaps, pruned, .. } = report;
        self.sum.files += u64::from(!file.as_os_str().is_empty() && self.is_segment(&file));
        self.sum.lines += lines;
        self.sum.content_bytes += content_bytes;
        self.story.add(&file, stream.as_ref().map(|(stream, _)| stream), notes, gaps);
        self.story.add_pruned(pruned);
        self.misnamed.extend(misnamed);
        found.into_iter().chain(out_of_order).try_for_each(|fault| self.tell(&fault))
    }

    fn conclude(mut self) -> io::Result<Exit> {
        let misnamed = std::mem::take(&mut self.misnamed);
        for fault in misnamed {
            if !self.story.is_set_aside(&fault.file.to_string_lossy().replace(".jsonl.zst", ".jsonl")) {
                self.tell(&fault)?;
            }
        }
        if self.depth == Depth::Files {
            let told = self.story.faults();
            told.iter().try_for_each(|fault| self.tell(fault))?;
        }
        self.sum.faulty = self.faulty.len();
        if self.json {
            write_line(self.out, &self.sum)?;
        } else {
            let Sum { files, lines, content_bytes, faults, faulty } = &self.sum;
            let read = format!("{files} files, {lines} lines, {} of content", rounded_size(*content_bytes));
            match faults {
                0 => writeln!(self.out, "{read}: nothing is wrong.")?,
                1 => writeln!(self.out, "{read}: 1 fault.")?,
                _ => writeln!(self.out, "{read}: {faults} faults, in {faulty} of them.")?,
            }
        }
        Ok(if self.sum.faults == 0 { Exit::Success } else { Exit::Wrong })
    }

    fn tell(&mut self, fault: &Fault) -> io::Result<()> {
        self.sum.faults += 1;
        self.faulty.insert(fault.file.clone());
        if self.json {
            return write_line(self.out, fault);
        }
        let Fault { file, offset, within, reason } = fault;
        let place = match (offset, within) {
            (None, _) => String::new(),
            (Some(offset), Within::File) => format!(", byte {offset}"),
            (Some(offset), Within::Content) => format!(", byte {offset} of its content"),
        };
        writeln!(self.out, "{}{place}: {reason}", file.display())
    }

    fn is_segment(&self, file: &Path) -> bool {
        file.extension().is_some_and(|ending| ending == "zst" || ending == "jsonl") && !file.ends_with("manifest.jsonl")
    }
}
