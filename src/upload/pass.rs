//! A pass over what waits: date by date, file by file, and a line in the manifest there behind each.
//!
//! ```text
//! file ──step──▶ put, size by HEAD ──▶ Batch ──▶ manifest.000007.jsonl ──▶ uploaded.jsonl
//! ```
//!
//! A kill at any point leaves objects without a line, which the next pass compares and lists, or lines there that
//! `uploaded.jsonl` has not, which it reads there.

use super::backlog::{Day, UploadBacklog, Waiting};
use super::layout::{Layout, Place, part_name};
use super::local::DirectoryError;
use super::plan::{Committed, Refusal, RemoteDay, Step};
use super::store::{Put, Store};
use super::trouble::StoreError;
use crate::clock::{Clock, Instant};
use crate::counters::uploads::SharedUploads;
use crate::files::{EntryKind, Files, IoError};
use crate::printable::hex;
use crate::recording::seal::listing::append_lines;
use crate::tape::manifest::ManifestEntry;
use crate::tape::paths;
use crate::tape::quarantine::clear;
use crate::tape::reader::manifest::Manifest;
use crate::tape::uploaded::UploadedLine;
use crate::upbit::feed::Feed;
use crate::upbit::venue::Venue;
use object_store::path::Path;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Files that one part of a manifest lists: a day of the whole exchange has 2,600, and one part is read in one request.
const BATCH: usize = 1_000;

/// How long files may be there without a line: a slow line brings one in minutes, and readers wait for it.
const LONGEST_BATCH: Duration = Duration::from_secs(60);

/// When what was refused is tried again: a person may have taken away what is there.
const REFUSED_AGAIN: Duration = Duration::from_secs(3_600);

/// Refusals that are remembered as told; where there are more, they are told once more.
const MOST_TOLD: usize = 10_000;

/// Directories whose content is remembered: of today and of yesterday, in both trees.
const MOST_KNOWN: usize = 4;

/// Why a pass ended early. What is done is done.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The disk here.
    #[error(transparent)]
    Disk(#[from] IoError),
    /// The directory that the store is.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The next part of a manifest is there, and is not ours.
    #[error("another recorder uploads as {0}: give each an upload.host of its own")]
    TwoHosts(String),
}

/// See the module.
#[derive(Debug)]
pub struct Uploader {
    /// The data directory.
    pub files: Arc<dyn Files>,
    /// The store.
    pub store: Store,
    /// Where things are there.
    pub layout: Layout,
    /// The store's name in `uploaded.jsonl`.
    pub to: String,
    /// Whose lines those are that do not say so.
    pub venue: Venue,
    /// For stamps and pauses.
    pub clock: Clock,
    /// For whoever shows it.
    pub uploads: SharedUploads,
    /// What waits.
    pub backlog: UploadBacklog,
    /// What was told of which file.
    pub told: BTreeSet<(Feed, String, String)>,
    /// What the directories have that were worked on last: nobody else adds to them.
    pub known: BTreeMap<Place, RemoteDay>,
}

/// Files that are there, and not all listed there yet.
#[derive(Debug, Default)]
struct Batch {
    since: Option<Instant>,
    entries: Vec<ManifestEntry>,
    /// Of these the ones that the manifest there lists.
    listed: BTreeSet<String>,
}

/// What became of a file.
enum Outcome {
    There {
        is_listed: bool,
    },
    Refused(Refusal),
    /// It was deleted here meanwhile.
    Gone,
}

impl Uploader {
    /// Uploads all that waits. A date that cannot be read here holds up no other.
    ///
    /// # Errors
    /// Why it could not go on, or what of the directory cannot be read.
    pub async fn pass(&mut self) -> Result<(), UploadError> {
        let mut fault = self.backlog.look(&*self.files)?;
        self.show();
        for day in self.backlog.due(self.clock.now()) {
            match self.bring_day(day).await {
                Err(UploadError::Disk(error)) if error.is_about_the_file() => drop(fault.get_or_insert(error)),
                brought => brought?,
            }
            self.forget_oldest();
            self.show();
        }
        fault.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Brings the files of a date there that are due.
    async fn bring_day(&mut self, day: Day) -> Result<(), UploadError> {
        let ((date, feed), now) = (day, self.clock.now());
        let (mut by_place, mut left): (BTreeMap<Place, Vec<ManifestEntry>>, _) = (BTreeMap::new(), Vec::new());
        for entry in self.backlog.files_of(&*self.files, day)? {
            if self.backlog.is_refused(day, &entry.name, now) {
                left.push(entry);
                continue;
            }
            let place = Place::of(feed, date, entry.venue.as_ref(), &self.venue);
            by_place.entry(place).or_default().push(entry);
        }
        for (place, entries) in by_place {
            let (known, before) = (self.known.remove(&place), left.len());
            let there = self.bring(&place, known, entries, &mut left).await?;
            // Where it fails, or something was refused, the store is asked anew.
            if left.len() == before {
                self.known.insert(place, there);
            }
        }
        self.backlog.settle(day, &left);
        Ok(())
    }

    /// Dates are worked on in their order, and earlier ones not come back to.
    fn forget_oldest(&mut self) {
        while self.known.len() > MOST_KNOWN {
            let oldest = self.known.keys().min_by_key(|place| place.date).cloned();
            oldest.map(|place| self.known.remove(&place));
        }
    }

    /// Brings the files of one directory there. Returns what it has then.
    async fn bring(
        &mut self,
        place: &Place,
        known: Option<RemoteDay>,
        entries: Vec<ManifestEntry>,
        refused: &mut Vec<ManifestEntry>,
    ) -> Result<RemoteDay, UploadError> {
        let directory = self.layout.directory(place);
        self.store.sweep(&directory)?;
        let mut day = match known {
            Some(known) => known,
            None => self.store.day(&directory).await?,
        };
        let mut batch = Batch::default();
        for entry in entries {
            let outcome = match self.settle(place, &directory, &day, &entry).await {
                Ok(outcome) => outcome,
                Err(error) => {
                    // What is there gets its lines, or a file that fails each time would keep them back for ever. The first
                    // error is told.
                    let _ = self.commit(place, &directory, &mut day, batch).await;
                    return Err(error);
                }
            };
            match outcome {
                Outcome::There { is_listed } => batch.add(entry, is_listed, self.clock.now()),
                Outcome::Refused(why) => {
                    self.refuse(place, &entry, why);
                    refused.push(entry);
                }
                Outcome::Gone => self.backlog.handle_done((place.date, place.feed), entry.zst_bytes),
            }
            if batch.is_due(self.clock.now()) {
                self.commit(place, &directory, &mut day, std::mem::take(&mut batch)).await?;
            }
        }
        self.commit(place, &directory, &mut day, batch).await?;
        Ok(day)
    }

    /// Has a file be there.
    async fn settle(
        &mut self,
        place: &Place,
        directory: &Path,
        day: &RemoteDay,
        entry: &ManifestEntry,
    ) -> Result<Outcome, UploadError> {
        let path = directory.clone().join(entry.name.as_str());
        let is_listed = match day.step(entry) {
            Step::Known => return Ok(Outcome::There { is_listed: true }),
            Step::Refused(why) => return Ok(Outcome::Refused(why)),
            Step::Compare => return self.compare(&path, entry, false).await,
            Step::Put { is_listed } => is_listed,
        };
        let local = paths::date_directory(place.feed, place.date).join(&entry.name);
        if let Err(error) = self.files.read(&local) {
            return self.explain_missing(place, entry, IoError::at("read", &local)(error));
        }
        let bytes = self.files.look(&local).map_err(IoError::at("look at", &local))?.map(|listed| listed.bytes);
        if bytes.is_some_and(|bytes| bytes != entry.zst_bytes) {
            return Ok(Outcome::Refused(Refusal::Damaged));
        }
        match self.store.put_file(&path, entry, || self.files.read(&local)).await? {
            Put::Taken => self.compare(&path, entry, is_listed).await,
            Put::Damaged => match self.files.read(&local) {
                Err(error) => self.explain_missing(place, entry, IoError::at("read", &local)(error)),
                Ok(_) => Ok(Outcome::Refused(Refusal::Damaged)),
            },
            Put::New => {
                let there = self.store.describe(&path).await?;
                let is_whole = there.is_some_and(|there| there.bytes == entry.zst_bytes);
                self.uploads.note(|uploads| {
                    uploads.files += 1;
                    uploads.bytes += entry.zst_bytes;
                });
                Ok(if is_whole { Outcome::There { is_listed } } else { Outcome::Refused(Refusal::Lies) })
            }
        }
    }

    /// Whether what has the name there is the file.
    async fn compare(&self, path: &Path, entry: &ManifestEntry, is_listed: bool) -> Result<Outcome, UploadError> {
        let there = self.store.describe(path).await?;
        if there.as_ref().is_some_and(|there| there.bytes != entry.zst_bytes) {
            return Ok(Outcome::Refused(Refusal::Length));
        }
        let sha256 = self.store.checksum(path, true).await?;
        match sha256.ok_or_else(|| StoreError::Down(format!("{path} was there, and is not")))? {
            sha256 if sha256 == entry.sha256 => Ok(Outcome::There { is_listed }),
            _ => Ok(Outcome::Refused(Refusal::Content)),
        }
    }

    /// A file that cannot be opened: the retention may have deleted it a moment ago.
    fn explain_missing(&self, place: &Place, entry: &ManifestEntry, error: IoError) -> Result<Outcome, UploadError> {
        if error.is_out_of_descriptors() {
            return Err(error.into());
        }
        if error.source.kind() != io::ErrorKind::NotFound {
            tracing::debug!(%error, "not uploaded");
            return Ok(Outcome::Refused(Refusal::Damaged));
        }
        let manifest = paths::manifest(&paths::date_directory(place.feed, place.date));
        let names = BTreeSet::from([entry.name.clone()]);
        let listing = Manifest::open(&*self.files, &manifest)?.map(|manifest| manifest.listing_of_files(&names));
        let is_listed = listing.transpose()?.is_some_and(|listing| !listing.sealed.is_empty());
        Ok(if is_listed { Outcome::Refused(Refusal::Damaged) } else { Outcome::Gone })
    }

    /// Lists a batch there, then here. From then on nobody asks for it again.
    async fn commit(
        &mut self,
        place: &Place,
        directory: &Path,
        day: &mut RemoteDay,
        batch: Batch,
    ) -> Result<(), UploadError> {
        let Batch { entries, listed, .. } = batch;
        if entries.is_empty() {
            return Ok(());
        }
        let unlisted = || entries.iter().filter(|entry| !listed.contains(&entry.name));
        let lines: String = unlisted().map(ManifestEntry::to_line).collect();
        if !lines.is_empty() {
            let name = part_name(day.next_part());
            self.put_part(&directory.clone().join(name.as_str()), &lines).await?;
            day.objects.insert(name, lines.len() as u64);
            day.committed.extend(unlisted().map(|ManifestEntry { name, zst_bytes, sha256, .. }| {
                (name.clone(), Committed { zst_bytes: *zst_bytes, sha256: sha256.clone() })
            }));
        }
        day.objects.extend(entries.iter().map(|entry| (entry.name.clone(), entry.zst_bytes)));
        let uploaded = self.clock.stamp();
        let line = |entry: &ManifestEntry| {
            let ManifestEntry { name, zst_bytes, sha256, .. } = entry.clone();
            UploadedLine { name, uploaded, to: self.to.clone(), zst_bytes, sha256 }.to_line()
        };
        let path = paths::date_directory(place.feed, place.date).join(paths::UPLOADED);
        clear(&*self.files, place.feed, &path, EntryKind::File)?;
        append_lines(&*self.files, &path, &entries.iter().map(line).collect::<String>())?;
        for entry in &entries {
            self.backlog.handle_done((place.date, place.feed), entry.zst_bytes);
        }
        self.show();
        tracing::info!(directory = %directory, files = entries.len(), "uploaded and listed there");
        Ok(())
    }

    async fn put_part(&self, path: &Path, lines: &str) -> Result<(), UploadError> {
        if self.store.put_text(path, lines).await? == Put::Taken {
            // The answer to an attempt before may have been lost.
            let there = self.store.checksum(path, false).await?;
            if there.as_deref() != Some(&hex(&Sha256::digest(lines.as_bytes()))) {
                return Err(UploadError::TwoHosts(self.layout.host.to_string()));
            }
        }
        let there = self.store.describe(path).await?.map(|there| there.bytes);
        let length = lines.len() as u64;
        if there != Some(length) {
            let told = there.map_or_else(|| "nothing".to_owned(), |bytes| format!("{bytes} bytes"));
            return Err(StoreError::Other(format!("it has {told} of a manifest of {length} that was sent")).into());
        }
        Ok(())
    }

    fn refuse(&mut self, place: &Place, entry: &ManifestEntry, why: Refusal) {
        let again = self.clock.now() + REFUSED_AGAIN;
        self.backlog.handle_refused((place.date, place.feed), &entry.name, again);
        if self.told.len() >= MOST_TOLD {
            self.told.clear();
        }
        if self.told.insert((place.feed, entry.name.clone(), why.to_string())) {
            let file = paths::date_directory(place.feed, place.date).join(&entry.name);
            tracing::warn!(file = %file.display(), to = %self.layout.directory(place), "not uploaded: {why}");
        }
    }

    /// Publishes what waits.
    fn show(&self) {
        let Waiting { files, bytes, oldest } = self.backlog.total();
        self.uploads.note(|uploads| {
            (uploads.backlog_files, uploads.backlog_bytes, uploads.oldest) = (Some(files), bytes, oldest);
            uploads.refused_files = self.backlog.refused();
        });
    }
}

impl Batch {
    fn add(&mut self, entry: ManifestEntry, is_listed: bool, now: Instant) {
        self.since.get_or_insert(now);
        if is_listed {
            self.listed.insert(entry.name.clone());
        }
        self.entries.push(entry);
    }

    fn is_due(&self, now: Instant) -> bool {
        self.entries.len() >= BATCH || self.since.is_some_and(|since| now >= since + LONGEST_BATCH)
    }
}

#[cfg(test)]
mod tests;
