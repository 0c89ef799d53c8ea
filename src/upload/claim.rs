//! One uploader per directory: an flock on `.upload`, which keeps the name that this recorder has in each of its stores.
//!
//! ```text
//! .upload    flock, {"to":"s3://tape/upbit","host":"tape1"}, a line per store, the present one's last
//! ```
//!
//! A container gets another host name with each start: without the name that is kept, each would upload all of it again, and
//! under another name nothing would be found that is there.

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

/// Two hundred stores, with names as long as they can be; what is behind that is ignored.
const MOST_BYTES: u64 = 256 << 10;

/// The right to upload from a directory, held until it is dropped.
#[derive(Debug)]
pub struct Claim {
    /// This recorder's name in the store.
    pub host: HostName,
    _locked: File,
}

/// What a line of the file keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// What is there would be found under the other name alone.
    #[error(
        "this directory is uploaded to {to} as {known}: set upload.host to that, or for {asked} another prefix in upload.url"
    )]
    Renamed {
        /// The store.
        to: String,
        /// The name that it has there.
        known: HostName,
        /// The one that is configured.
        asked: HostName,
    },
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
        let mut kept = parse(&text);
        let (known, asked) = (host_in(&kept, to), upload.host.clone());
        if let Some((known, asked)) = known.clone().zip(asked.clone()).filter(|(known, asked)| known != asked) {
            return Err(ClaimError::Renamed { to: to.to_owned(), known, asked });
        }
        let host = known.or(asked).or_else(machine).ok_or(ClaimError::NoName)?;
        let now = Kept { to: to.to_owned(), host: host.to_string() };
        if kept.last() != Some(&now) {
            kept.retain(|kept| kept.to != to);
            kept.push(now);
            let line = |kept| serde_json::to_string(kept).expect("strings always serialise") + "\n";
            let lines: String = kept.iter().map(line).collect();
            let written = file.rewind().and_then(|()| file.write_all(lines.as_bytes()));
            let cut = written.and_then(|()| file.set_len(lines.len() as u64));
            cut.and_then(|()| file.sync_all()).map_err(failed("write"))?;
        }
        Ok(Self { host, _locked: file })
    }
}

/// The name that a directory's recorder has in the store `to`, where nothing is claimed; `None`: nothing was uploaded there.
pub fn known_host(disk: &Disk, to: &str) -> Option<HostName> {
    host_in(&parse(&disk.read_all(Path::new(UPLOAD), MOST_BYTES).ok()?), to)
}

/// Lines that are none are passed over: a kill may have torn one.
fn parse(text: &[u8]) -> Vec<Kept> {
    text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

fn host_in(kept: &[Kept], to: &str) -> Option<HostName> {
    kept.iter().rfind(|kept| kept.to == to)?.host.parse().ok()
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
        assert_eq!(known_host(&disk, "s3://a"), None);
        let claim = Claim::take(&disk, &named, "s3://a").unwrap();
        assert!(matches!(Claim::take(&disk, &named, "s3://a"), Err(ClaimError::Held(_))));
        drop(claim);
        assert_eq!(Claim::take(&disk, &upload(&[]), "s3://a").unwrap().host.as_str(), "first");
        assert_eq!(known_host(&disk, "s3://a").unwrap().as_str(), "first");
        let other = Claim::take(&disk, &upload(&[]), "s3://b").unwrap();
        assert_eq!(Some(other.host.clone()), machine(), "another store has another name");
        drop(other);
        assert_eq!(Claim::take(&disk, &upload(&[]), "s3://a").unwrap().host.as_str(), "first", "each keeps its own");
        let renamed = Claim::take(&disk, &upload(&["upload.host=second"]), "s3://a").unwrap_err();
        assert!(matches!(renamed, ClaimError::Renamed { .. }), "{renamed}");
        assert_eq!(known_host(&disk, "s3://a").unwrap().as_str(), "first");
    }
}
