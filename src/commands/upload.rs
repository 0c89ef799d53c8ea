//! `upload`: what `record` does with `upload.enabled`, by hand and once: sealed files to the store, beside a recorder, too.

use super::output::{Form, print, write_line};
use super::process::{GRACE, Host, serve};
use super::work::StopTerms;
use crate::config::Sources;
use crate::counters::uploads::SharedUploads;
use crate::exit::Exit;
use crate::files::IoError;
use crate::files::disk::Disk;
use crate::quantity::rounded_size;
use crate::upload::backlog::{UploadBacklog, Waiting};
use crate::upload::claim::ClaimError;
use crate::upload::host::{Claimed, SetUpError, set_up};
use crate::upload::local::DirectoryError;
use crate::upload::open::OpenError;
use crate::upload::pass::UploadError;
use crate::upload::trouble::StoreError;
use clap::Args;
use serde::Serialize;
use std::io::{self, Write};

/// How to upload.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example:\n  upbit-recorder upload --set upload.url=s3://tape/upbit")]
pub struct UploadOptions {
    /// Shows what waits, and asks nothing of the store.
    #[arg(long)]
    dry_run: bool,
    /// Prints an object.
    #[arg(long)]
    json: bool,
}

/// Why it did not begin, or did not end.
#[derive(Debug, thiserror::Error)]
enum VerbError {
    #[error(transparent)]
    SetUp(#[from] SetUpError),
    #[error(transparent)]
    Upload(#[from] UploadError),
    #[error(transparent)]
    Disk(#[from] IoError),
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

impl VerbError {
    fn exit(&self) -> Exit {
        match self {
            Self::SetUp(SetUpError::Claim(ClaimError::Held(_))) => Exit::Locked,
            Self::SetUp(SetUpError::Open(OpenError::Directory(DirectoryError::Store(error)))) => exit_of(error),
            Self::SetUp(SetUpError::Claim(ClaimError::Io(_)) | SetUpError::Open(OpenError::Directory(_))) => Exit::Io,
            Self::SetUp(_) | Self::Upload(UploadError::TwoHosts(_)) => Exit::Config,
            Self::Upload(UploadError::Store(error) | UploadError::Directory(DirectoryError::Store(error))) => {
                exit_of(error)
            }
            Self::Upload(UploadError::Disk(_) | UploadError::Directory(_)) | Self::Disk(_) | Self::Output(_) => {
                Exit::Io
            }
        }
    }
}

/// How a verb ends with an error of the store.
pub(super) fn exit_of(error: &StoreError) -> Exit {
    match error {
        StoreError::Down(_) | StoreError::Slow(_) | StoreError::Unending(_) => Exit::Unavailable,
        StoreError::Forbidden(_) => Exit::Refused,
        StoreError::Full(_) | StoreError::Nowhere(_) | StoreError::Other(_) => Exit::Io,
        StoreError::Stopped => Exit::Wrong,
    }
}

/// The sum, in the shape of the JSON output.
#[derive(Debug, Serialize)]
struct Sum {
    to: String,
    /// The recorder's name there; `None`: it has none yet.
    host: Option<String>,
    /// Files brought there.
    files: u64,
    bytes: u64,
    /// Files that are not there.
    waiting: u64,
    waiting_bytes: u64,
}

/// Uploads.
pub fn run(sources: Sources, options: UploadOptions) -> Exit {
    serve(sources, StopTerms::ORDERLY, async move |host| {
        let uploads = SharedUploads::default();
        let done = upload(&host, &options, &uploads).await;
        print(Form::of(options.json), |out| match done.and_then(|sum| conclude(out, &options, &sum)) {
            // A reader that has gone away is no failure, and `print` knows it.
            Err(VerbError::Output(error)) => Err(error),
            Err(error) => {
                if !matches!(error, VerbError::Upload(UploadError::Store(StoreError::Stopped))) {
                    tracing::error!("{error}");
                }
                Ok(error.exit())
            }
            Ok(exit) => Ok(exit),
        })
    })
}

async fn upload(host: &Host, options: &UploadOptions, uploads: &SharedUploads) -> Result<Option<Sum>, VerbError> {
    let Host { config, clock, waiting, signals, .. } = host;
    let directory = config.data_dir.display();
    let open = || match Disk::existing(&config.data_dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some).map_err(IoError::at("open the data directory", &config.data_dir)),
    };
    let Some(disk) = waiting.during(format!("the data directory {directory}"), GRACE, open)? else {
        tracing::info!(data_dir = %directory, "nothing is recorded there");
        return Ok(None);
    };
    let to = config.upload.identity().ok_or(SetUpError::Open(OpenError::None))?;
    if options.dry_run {
        let mut backlog = UploadBacklog::new(&to, config.upload.private);
        if let Some(error) = backlog.look(&disk)? {
            tracing::warn!(%error, "what waits of that day is not known");
        }
        let Waiting { files, bytes, .. } = backlog.total();
        return Ok(Some(Sum { to, host: None, files: 0, bytes: 0, waiting: files, waiting_bytes: bytes }));
    }
    let cancel = signals.shutdown.orderly.clone();
    let Claimed { mut uploader, claim } = set_up(config, &disk, *clock, uploads.clone(), cancel)?;
    uploader.pass().await?;
    let counted = uploads.read();
    Ok(Some(Sum {
        to,
        host: Some(claim.host.to_string()),
        files: counted.files,
        bytes: counted.bytes,
        waiting: counted.backlog_files.unwrap_or_default(),
        waiting_bytes: counted.backlog_bytes,
    }))
}

fn conclude(out: &mut dyn Write, options: &UploadOptions, sum: &Option<Sum>) -> Result<Exit, VerbError> {
    let Some(sum) = sum else { return Ok(Exit::Success) };
    if options.json {
        write_line(out, sum)?;
    } else {
        let Sum { to, files, bytes, waiting, waiting_bytes, .. } = sum;
        if !options.dry_run {
            writeln!(out, "{files} files, {}: uploaded to {to}.", rounded_size(*bytes))?;
        }
        if *waiting > 0 || options.dry_run {
            writeln!(out, "{waiting} files, {}: not there.", rounded_size(*waiting_bytes))?;
        }
    }
    Ok(if sum.waiting == 0 || options.dry_run { Exit::Success } else { Exit::Wrong })
}
