//! Hosts the uploader of a running recorder, on a thread of its own at the lowest priority: when a pass is due, and what is
//! told of one that fails. A store that is down costs nothing but backlog.

use super::backlog::{UploadBacklog, Waiting};
use super::claim::{Claim, ClaimError, known_host};
use super::layout::Layout;
use super::local::Intent;
use super::open::{OpenError, open};
use super::pass::{UploadError, Uploader};
use super::trouble::StoreError;
use crate::clock::{self, Clock, Instant};
use crate::config::{Config, Destination, Provider};
use crate::counters::uploads::SharedUploads;
use crate::files::IoError;
use crate::files::disk::Disk;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The interval of looks: a call for each date of the archive.
const LOOK: Duration = Duration::from_secs(60);

/// The pause after a failed pass doubles from the first to the second: what a person has to mend takes longer.
const RETRY: Duration = Duration::from_secs(10);
const RETRY_MOST: Duration = Duration::from_secs(300);

/// What goes on failing for the same reason is told this often.
const TOLD: Duration = Duration::from_secs(3_600);

/// The niceness of the uploader: it works when nothing else wants the processor.
const NICENESS: i32 = 19;

/// Why there is nothing to upload with, or nobody who may.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// The store.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The right to upload.
    #[error(transparent)]
    Claim(#[from] ClaimError),
}

/// An uploader, and the right to be it.
#[derive(Debug)]
pub struct Claimed {
    /// Uploads.
    pub uploader: Uploader,
    /// Held as long as it does.
    pub claim: Claim,
}

/// The uploader of a configuration.
///
/// # Errors
/// The store cannot be opened, or another process uploads from this directory.
pub fn set_up(
    config: &Config,
    disk: &Disk,
    clock: Clock,
    uploads: SharedUploads,
    cancel: CancellationToken,
) -> Result<Claimed, SetUpError> {
    let to = config.upload.identity().ok_or(OpenError::None)?;
    let intent = Intent { is_known: known_host(disk, &to).is_some(), writes: true };
    // Opened before the claim says that something was brought there.
    let store = open(config, intent, clock, cancel)?;
    let claim = Claim::take(disk, &config.upload, &to)?;
    let layout = Layout { prefix: prefix(config), host: claim.host.clone() };
    let uploader = Uploader {
        files: Arc::new(disk.clone()),
        store,
        layout,
        backlog: UploadBacklog::new(&to, config.upload.private),
        to,
        venue: config.venue(),
        clock,
        uploads,
        told: BTreeSet::new(),
        known: BTreeMap::new(),
    };
    Ok(Claimed { uploader, claim })
}

/// What all names in the store begin with; those of a directory are below it anyway.
pub fn prefix(config: &Config) -> String {
    match &config.upload.to {
        Some(Destination { provider: Provider::Directory, .. }) | None => String::new(),
        Some(Destination { prefix, .. }) => prefix.clone(),
    }
}

/// The uploader of a running recorder.
#[derive(Debug)]
pub struct Host {
    /// What to upload, and where to.
    pub config: Config,
    /// The data directory.
    pub disk: Disk,
    /// For waiting.
    pub clock: Clock,
    /// For whoever shows it.
    pub uploads: SharedUploads,
    /// Ends it.
    pub cancel: CancellationToken,
}

impl Host {
    /// Uploads on a background thread, which ends when it is cancelled, or with the process.
    ///
    /// # Errors
    /// The thread cannot be spawned.
    pub fn spawn(self) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).enable_all().build()?;
        let work = move || {
            // Without the permission for it, uploading competes a little more.
            let _ = rustix::process::setpriority_process(None, NICENESS);
            runtime.block_on(self.run());
        };
        std::thread::Builder::new().name("uploader".to_owned()).spawn(work).map(drop)
    }

    async fn run(self) {
        let (mut claimed, mut outcome) = (None, Outcome::default());
        while !self.cancel.is_cancelled() {
            let pause = match self.upload(&mut claimed).await {
                Ok(()) => outcome.handle_success(&self.uploads),
                Err(Failure { is_stopped: true, .. }) => return,
                Err(Failure { cause, .. }) => outcome.handle_failure(cause, &self.uploads, self.clock.now()),
            };
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => return,
                () = clock::sleep_until(Some(self.clock.now() + pause)) => {}
            }
        }
    }

    /// One turn: a pass, by what was set up before.
    async fn upload(&self, claimed: &mut Option<Claimed>) -> Result<(), Failure> {
        let ready = match claimed.take() {
            Some(ready) => ready,
            None => {
                self.measure().map_err(UploadError::from)?;
                set_up(&self.config, &self.disk, self.clock, self.uploads.clone(), self.cancel.clone())?
            }
        };
        let Claimed { uploader, .. } = claimed.insert(ready);
        Ok(uploader.pass().await?)
    }

    /// Publishes what waits, which is told even where there is no way to upload it.
    fn measure(&self) -> Result<(), IoError> {
        let Some(to) = self.config.upload.identity() else { return Ok(()) };
        let mut backlog = UploadBacklog::new(&to, self.config.upload.private);
        backlog.look(&self.disk)?;
        let Waiting { files, bytes, oldest } = backlog.total();
        self.uploads.note(|uploads| {
            (uploads.backlog_files, uploads.backlog_bytes, uploads.oldest) = (Some(files), bytes, oldest);
        });
        Ok(())
    }
}

/// Why a turn came to nothing.
struct Failure {
    is_stopped: bool,
    cause: String,
}

impl From<SetUpError> for Failure {
    fn from(error: SetUpError) -> Self {
        Self { is_stopped: false, cause: error.to_string() }
    }
}

impl From<UploadError> for Failure {
    fn from(error: UploadError) -> Self {
        Self { is_stopped: matches!(error, UploadError::Store(StoreError::Stopped)), cause: error.to_string() }
    }
}

/// What was told, and how long to wait.
#[derive(Debug, Default)]
struct Outcome {
    failures: u32,
    told: Option<(String, Instant)>,
}

impl Outcome {
    fn handle_success(&mut self, uploads: &SharedUploads) -> Duration {
        if self.told.take().is_some() {
            tracing::info!("uploading goes on");
        }
        self.failures = 0;
        uploads.note(|uploads| uploads.cause = None);
        LOOK
    }

    fn handle_failure(&mut self, cause: String, uploads: &SharedUploads, now: Instant) -> Duration {
        let is_told = self.told.as_ref().is_some_and(|(told, at)| *told == cause && now < *at + TOLD);
        if !is_told {
            let backlog = uploads.read();
            let (files, bytes) = (backlog.backlog_files, backlog.backlog_bytes);
            tracing::warn!(files, bytes, "not uploaded, and tried again: {cause}");
            self.told = Some((cause.clone(), now));
        }
        uploads.note(|uploads| {
            uploads.failures += 1;
            uploads.cause = Some(cause);
        });
        let pause = RETRY.saturating_mul(1 << self.failures.min(5)).min(RETRY_MOST);
        self.failures = self.failures.saturating_add(1);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Stamp;

    #[test]
    fn failures_are_told_once_and_waited_out_longer_each_time() {
        let (mut outcome, uploads) = (Outcome::default(), SharedUploads::default());
        let now = Clock::anchored(Stamp::default()).now();
        let pauses: Vec<u64> =
            (0..7).map(|_| outcome.handle_failure("down".to_owned(), &uploads, now).as_secs()).collect();
        assert_eq!(pauses, [10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(outcome.told, Some(("down".to_owned(), now)));
        let later = now + TOLD;
        outcome.handle_failure("down".to_owned(), &uploads, later);
        assert_eq!(outcome.told, Some(("down".to_owned(), later)), "told again after an hour");
        assert_eq!((uploads.read().failures, uploads.read().cause.as_deref()), (8, Some("down")));
        assert_eq!((outcome.handle_success(&uploads), outcome.told.is_none()), (LOOK, true));
        assert_eq!((outcome.failures, uploads.read().cause), (0, None));
    }
}
