//! One uploader per directory: an flock on `.upload`, which keeps the name that this recorder has in its store.
//!
//! ```text
//! .upload    flock, {"to":"s3://tape/upbit","host":"tape1"}
//! ```
//!
//! A container gets another host name with each start: without the name that is kept, each would upload all of it again.

use crate::config::{HostName, UploadConfig};
use crate::files::IoError;
use crate::files::disk::Disk;
use crate::files::open::Access;
use crate::tape::paths::UPLOAD;
use crate::tape::quarantine::clear;
use crate::upbit::feed::Feed;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

/// More than its content needs; a longer one is ignored.
const MOST_BYTES: u64 = 4096;

/// The right to upload from a directory, held until it is dropped.
#[derive(Debug)]
pub struct Claim {
    /// This recorder's name in the store.
    pub host: HostName,
    _locked: File,
}

/// What the file keeps.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    to: String,
    host: String,
}

/// Why there is no right to upload.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Another process has it.
    #[error("another program uploads from {}: with upload.enabled, the recorder does so by itself", .0.display())]
    Held(PathBuf),
    /// This host has a name that cannot be in a path.
    #[error("this host has no name that can stand in a path: set upload.host")]
    NoName,
    /// The file could not be used.
    #[error(transparent)]
    Io(#[from] IoError),
}

impl Claim {
    /// Takes it, for the store `to`.
    ///
    /// # Errors
    /// Another process has it, or the file cannot be used.
    pub fn take(disk: &Disk, upload: &UploadConfig, to: &str) -> Result<Self, ClaimError> {
        let path = Path::new(UPLOAD);
        let failed = |action| IoError::at(action, path);
        clear(disk, Feed::Public, path, crate::files::EntryKind::File)?;
        let mut file = disk.file(path, Access::Update).map_err(failed("open"))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => return Err(ClaimError::Held(disk.path().to_owned())),
            locked => locked.map_err(|errno| failed("lock")(errno.into()))?,
        }
        let mut text = Vec::new();
        (&mut file).take(MOST_BYTES).read_to_end(&mut text).map_err(failed("read"))?;
        let kept: Option<Kept> = serde_json::from_slice(&text).ok();
        let known = kept.as_ref().filter(|kept| kept.to == to).and_then(|kept| kept.host.parse().ok());
        let host = upload.host.clone().or(known).or_else(machine).ok_or(ClaimError::NoName)?;
        let now = Kept { to: to.to_owned(), host: host.to_string() };
        if kept.as_ref() != Some(&now) {
            let line = serde_json::to_string(&now).expect("strings always serialise");
            let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{line}"));
            written.and_then(|()| file.sync_all()).map_err(failed("write"))?;
        }
        Ok(Self { host, _locked: file })
    }
}

/// The name that a directory's recorder has in the store `to`, where nothing is claimed; `None`: none yet.
pub fn known_host(disk: &Disk, upload: &UploadConfig, to: &str) -> Option<HostName> {
    let kept = || {
        let kept: Kept = serde_json::from_slice(&disk.read_all(Path::new(UPLOAD), MOST_BYTES).ok()?).ok()?;
        (kept.to == to).then(|| kept.host.parse().ok())?
    };
    upload.host.clone().or_else(kept)
}

fn machine() -> Option<HostName> {
    rustix::system::uname().nodename().to_string_lossy().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload(assignments: &[&str]) -> UploadConfig {
        let assignments = assignments.iter().map(|&text| text.to_owned()).collect();
        crate::config::load(&crate::config::Sources { assignments, ..Default::default() }).unwrap().config.upload
    }

    #[test]
    fn one_process_uploads_and_the_first_name_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::open(directory.path()).unwrap();
        let named = upload(&["upload.host=first"]);
        assert_eq!(known_host(&disk, &upload(&[]), "s3://a"), None);
        let claim = Claim::take(&disk, &named, "s3://a").unwrap();
        assert!(matches!(Claim::take(&disk, &named, "s3://a"), Err(ClaimError::Held(_))));
        drop(claim);
        assert_eq!(Claim::take(&disk, &upload(&[]), "s3://a").unwrap().host.as_str(), "first");
        assert_eq!(known_host(&disk, &upload(&[]), "s3://a").unwrap().as_str(), "first");
        let other = Claim::take(&disk, &upload(&[]), "s3://b").unwrap();
        assert_eq!(Some(other.host), machine(), "another store has another name");
    }
}
