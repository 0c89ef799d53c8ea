//! `verify --remote`: manifests against what is in the store.

use super::super::output::write_line;
use super::super::process::{GRACE, Host};
use super::super::upload::exit_of;
use crate::exit::Exit;
use crate::files::IoError;
use crate::files::disk::Disk;
use crate::quantity::rounded_size;
use crate::upload::check::{Check, CheckError, Counted, Finding};
use crate::upload::claim::known_host;
use crate::upload::host::prefix;
use crate::upload::layout::Layout;
use crate::upload::local::{DirectoryError, Intent};
use crate::upload::open::{OpenError, open};
use crate::verify::fault::{Fault, Within};
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

/// How to look.
#[derive(Clone, Copy, Debug)]
pub(super) struct RemoteOptions {
    /// Reads each object.
    pub(super) content: bool,
    /// Prints an object a line.
    pub(super) json: bool,
}

/// Why it did not begin, or did not end.
#[derive(Debug, thiserror::Error)]
pub(super) enum RemoteError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("nothing was uploaded from {} to {to}", directory.display())]
    Nothing { directory: PathBuf, to: String },
    #[error(transparent)]
    Check(#[from] CheckError),
    #[error(transparent)]
    Disk(#[from] IoError),
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

impl RemoteError {
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Open(OpenError::Directory(DirectoryError::Store(error))) => exit_of(error),
            Self::Open(OpenError::Directory(DirectoryError::Disk(_))) | Self::Check(CheckError::Disk(_)) => Exit::Io,
            Self::Disk(_) | Self::Output(_) => Exit::Io,
            Self::Open(_) => Exit::Config,
            Self::Nothing { .. } => Exit::Wrong,
            Self::Check(CheckError::Store(error)) => exit_of(error),
        }
    }
}

/// The sum, in the shape of the JSON output.
#[derive(Debug, Default, Serialize)]
struct Sum {
    /// Files that the manifests there list, and their bytes.
    files: u64,
    bytes: u64,
    /// Files here that are to be uploaded still.
    waiting: u64,
    faults: u64,
    /// Objects with a fault.
    faulty: usize,
}

/// Looks, and prints what is wrong.
pub(super) async fn verify(host: &Host, options: RemoteOptions, out: &mut dyn Write) -> Result<Exit, RemoteError> {
    let check = check_of(host, options)?;
    let (mut counted, mut faults, mut faulty) = (Counted::default(), 0, BTreeSet::new());
    for place in check.places().await? {
        for Finding { object, reason } in check.check(&place, &mut counted).await? {
            faults += 1;
            if options.json {
                let file = PathBuf::from(&object);
                write_line(out, &Fault { file, offset: None, within: Within::File, reason })?;
            } else {
                writeln!(out, "{object}: {reason}")?;
            }
            faulty.insert(object);
        }
    }
    let Counted { files, bytes, waiting } = counted;
    let sum = Sum { files, bytes, waiting, faults, faulty: faulty.len() };
    if options.json {
        write_line(out, &sum)?;
    } else {
        let there = format!("{files} files there, {}; {waiting} wait here", rounded_size(bytes));
        match faults {
            0 => writeln!(out, "{there}: nothing is wrong.")?,
            1 => writeln!(out, "{there}: 1 fault.")?,
            _ => writeln!(out, "{there}: {faults} faults.")?,
        }
    }
    Ok(if faults == 0 { Exit::Success } else { Exit::Wrong })
}

fn check_of(host: &Host, options: RemoteOptions) -> Result<Check, RemoteError> {
    let Host { config, clock, waiting, signals, .. } = host;
    let directory = &config.data_dir;
    let to = config.upload.identity().ok_or(OpenError::None)?;
    let existing = || Disk::existing(directory).map_err(IoError::at("open the data directory", directory));
    let disk = waiting.during(format!("the data directory {}", directory.display()), GRACE, existing)?;
    let known = known_host(&disk, &to);
    let intent = Intent { is_known: known.is_some(), writes: false };
    let store = open(config, intent, *clock, signals.shutdown.orderly.clone())?;
    let host = known
        .or_else(|| config.upload.host.clone())
        .ok_or_else(|| RemoteError::Nothing { directory: directory.clone(), to: to.clone() })?;
    let layout = Layout { prefix: prefix(config), host };
    let (venue, private, reads_content) = (config.venue(), config.upload.private, options.content);
    Ok(Check { files: Arc::new(disk), store, layout, to, venue, private, reads_content })
}
