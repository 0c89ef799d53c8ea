//! What of the directory is not in the store yet: manifests less what `uploaded.jsonl` says.

use crate::clock::{Instant, Stamp};
use crate::files::{EntryKind, Files, IoError};
use crate::tape::manifest::ManifestEntry;
use crate::tape::paths;
use crate::tape::reader::manifest::Manifest;
use crate::tape::reader::uploaded::Uploaded;
use crate::upbit::feed::Feed;
use jiff::civil::Date;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The directory of a date, in the order in which they are uploaded: the oldest first.
pub type Day = (Date, Feed);

/// What waits of a date.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The least stamp of their last lines.
    pub oldest: Option<Stamp>,
}

/// What was found of a date when it was looked at.
#[derive(Clone, Debug)]
struct Looked {
    manifest_bytes: u64,
    waiting: Waiting,
    /// When each of the files that were refused is tried again.
    refused: BTreeMap<String, Instant>,
}

/// Refused files of a date that are remembered, four times what the whole exchange has; what is behind that is tried again
/// as often as the date grows.
const MOST_REFUSED: usize = 10_000;

/// See the module. A date is read again where its manifest has grown.
#[derive(Debug)]
pub struct UploadBacklog {
    to: String,
    feeds: Vec<Feed>,
    days: BTreeMap<Day, Looked>,
}

impl UploadBacklog {
    /// For the store `to`; without `private` that tree is none of its.
    pub fn new(to: &str, private: bool) -> Self {
        let feeds = Feed::ALL.into_iter().filter(|feed| private || *feed == Feed::Public).collect();
        Self { to: to.to_owned(), feeds, days: BTreeMap::new() }
    }

    /// Looks at all dates. Returns why one of them cannot be read: the others are known.
    ///
    /// # Errors
    /// The archive cannot be listed, or the disk fails.
    pub fn look(&mut self, files: &dyn Files) -> Result<Option<IoError>, IoError> {
        let mut there = BTreeSet::new();
        for feed in &self.feeds {
            let archive = paths::archive(*feed);
            for entry in files.list(&archive).map_err(IoError::at("list", &archive))? {
                let date = entry.name.to_str().and_then(paths::date_of_directory);
                there.extend(date.filter(|_| entry.kind == EntryKind::Directory).map(|date| (date, *feed)));
            }
        }
        self.days.retain(|day, _| there.contains(day));
        let mut fault = None;
        for day in there {
            match self.look_at(files, day) {
                Err(error) if error.is_about_the_file() => {
                    self.days.remove(&day);
                    fault.get_or_insert(error);
                }
                looked => looked?,
            }
        }
        Ok(fault)
    }

    fn look_at(&mut self, files: &dyn Files, day: Day) -> Result<(), IoError> {
        let manifest_bytes = manifest_bytes(files, day)?;
        let before = self.days.get(&day);
        if before.is_none_or(|looked| looked.manifest_bytes != manifest_bytes) {
            let entries = waiting(files, day, &self.to)?;
            let mut refused = before.map(|looked| looked.refused.clone()).unwrap_or_default();
            let names: BTreeSet<&str> = entries.iter().map(|entry| &*entry.name).collect();
            refused.retain(|name, _| names.contains(&**name));
            self.days.insert(day, Looked { manifest_bytes, waiting: Waiting::of(&entries), refused });
        }
        Ok(())
    }

    /// The dates of which something waits, and is due at `now`.
    pub fn due(&self, now: Instant) -> Vec<Day> {
        let is_due = |looked: &Looked| {
            let is_later = looked.refused.values().filter(|again| now < **again).count() as u64;
            looked.waiting.files > is_later
        };
        self.days.iter().filter(|(_, looked)| is_due(looked)).map(|(day, _)| *day).collect()
    }

    /// The files of a date that wait, in the order in which they were sealed.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn files_of(&self, files: &dyn Files, day: Day) -> Result<Vec<ManifestEntry>, IoError> {
        waiting(files, day, &self.to)
    }

    /// Whether a file was refused, and is not to be tried again yet.
    pub fn is_refused(&self, day: Day, name: &str, now: Instant) -> bool {
        let again = self.days.get(&day).and_then(|looked| looked.refused.get(name));
        again.is_some_and(|again| now < *again)
    }

    /// A file was refused, and is tried again at `again`.
    pub fn handle_refused(&mut self, day: Day, name: &str, again: Instant) {
        if let Some(Looked { refused, .. }) = self.days.get_mut(&day)
            && (refused.len() < MOST_REFUSED || refused.contains_key(name))
        {
            refused.insert(name.to_owned(), again);
        }
    }

    /// A date was gone through, and these files wait still.
    pub fn settle(&mut self, day: Day, left: &[ManifestEntry]) {
        if let Some(looked) = self.days.get_mut(&day) {
            let names: BTreeSet<&str> = left.iter().map(|entry| &*entry.name).collect();
            looked.refused.retain(|name, _| names.contains(&**name));
            looked.waiting = Waiting::of(left);
        }
    }

    /// A file waits no longer.
    pub fn handle_done(&mut self, day: Day, bytes: u64) {
        if let Some(Looked { waiting, .. }) = self.days.get_mut(&day) {
            waiting.files = waiting.files.saturating_sub(1);
            waiting.bytes = waiting.bytes.saturating_sub(bytes);
        }
    }

    /// All that waits.
    pub fn total(&self) -> Waiting {
        let mut total = Waiting::default();
        for Looked { waiting, .. } in self.days.values().filter(|looked| looked.waiting.files > 0) {
            total.files += waiting.files;
            total.bytes += waiting.bytes;
            total.oldest = total.oldest.into_iter().chain(waiting.oldest).min();
        }
        total
    }

    /// The files that were refused, and are tried again later.
    pub fn refused(&self) -> u64 {
        self.days.values().map(|looked| looked.refused.len() as u64).sum()
    }
}

impl Waiting {
    /// That of some files.
    pub fn of(entries: &[ManifestEntry]) -> Self {
        Self {
            files: entries.len() as u64,
            bytes: entries.iter().map(|entry| entry.zst_bytes).sum(),
            oldest: entries.iter().map(|entry| entry.last).min(),
        }
    }
}

fn directory((date, feed): Day) -> std::path::PathBuf {
    paths::date_directory(feed, date)
}

/// Of a missing one, as of one that something else has the name of, 0.
fn manifest_bytes(files: &dyn Files, day: Day) -> Result<u64, IoError> {
    let path: &Path = &paths::manifest(&directory(day));
    let listed = files.look(path).map_err(IoError::at("look at", path))?;
    Ok(listed.filter(|entry| entry.is_file()).map_or(0, |entry| entry.bytes))
}

fn waiting(files: &dyn Files, day: Day, to: &str) -> Result<Vec<ManifestEntry>, IoError> {
    let directory = directory(day);
    let Some(manifest) = Manifest::open(files, &paths::manifest(&directory))? else { return Ok(Vec::new()) };
    let mut entries = manifest.entries()?;
    if !entries.is_empty() {
        let uploaded = Uploaded::read(files, &directory, to)?;
        entries.retain(|entry| !uploaded.has(&entry.name, &entry.sha256));
    }
    Ok(entries)
}
