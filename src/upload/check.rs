//! Manifests held against what is in the store: each file that a manifest there lists is there, nothing else is, and what is
//! known here to be there is listed there.

use super::layout::{Layout, Place, part_number};
use super::plan::{Committed, RemoteDay};
use super::store::Store;
use super::trouble::StoreError;
use crate::files::{EntryKind, Files, IoError};
use crate::tape::manifest::ManifestEntry;
use crate::tape::paths;
use crate::tape::reader::manifest::{Listing, Manifest};
use crate::tape::reader::uploaded::Uploaded;
use crate::upbit::feed::Feed;
use crate::upbit::venue::Venue;
use jiff::civil::Date;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// See the module.
#[derive(Debug)]
pub struct Check {
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
    /// Whether what the account received is uploaded, too.
    pub private: bool,
    /// Whether each object is read, and its content compared.
    pub reads_content: bool,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The object, below the prefix of the store.
    pub object: String,
    /// What is wrong, for people.
    pub reason: String,
}

/// What there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Files that the manifests there list.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files here that wait to be uploaded.
    pub waiting: u64,
}

/// Why the check did not end.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The disk here.
    #[error(transparent)]
    Disk(#[from] IoError),
}

/// What is here of a directory.
#[derive(Debug, Default)]
struct Here {
    sealed: BTreeMap<String, ManifestEntry>,
    /// The checksums of what was uploaded from here, also of what is only there any more.
    uploaded: BTreeMap<String, String>,
}

impl Here {
    fn has_uploaded(&self, name: &str, sha256: &str) -> bool {
        self.uploaded.get(name).is_some_and(|known| known == sha256)
    }
}

impl Check {
    /// The directories of all dates, here and there, in order.
    ///
    /// # Errors
    /// They cannot be listed.
    pub async fn places(&self) -> Result<BTreeSet<Place>, CheckError> {
        let mut places = BTreeSet::new();
        for feed in self.feeds() {
            let archive = paths::archive(feed);
            for entry in self.files.list(&archive).map_err(IoError::at("list", &archive))? {
                let date = entry.name.to_str().and_then(paths::date_of_directory);
                let Some(date) = date.filter(|_| entry.kind == EntryKind::Directory) else { continue };
                let listing = self.listing(feed, date)?;
                places.extend(listing.sealed.iter().map(|entry| self.place(feed, date, entry)));
                let uploaded = Uploaded::read(&*self.files, &paths::date_directory(feed, date), &self.to)?;
                let venues = venues(&listing);
                places
                    .extend(uploaded.each().map(|name| self.place_of(feed, date, venues.get(name).copied().flatten())));
            }
        }
        let mut roots: BTreeSet<(Feed, String)> =
            places.iter().map(|place| (place.feed, place.venue.clone())).collect();
        roots.extend(self.feeds().map(|feed| (feed, self.venue.to_string())));
        for (feed, venue) in roots {
            let names = self.store.directories(&self.layout.root(feed, &venue)).await?;
            let dates = names.iter().filter_map(|name| paths::date_of_directory(name));
            places.extend(dates.map(|date| Place { feed, venue: venue.clone(), date }));
        }
        Ok(places)
    }

    /// What is wrong with a directory, and what there is.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn check(&self, place: &Place, counted: &mut Counted) -> Result<Vec<Finding>, CheckError> {
        let directory = self.layout.directory(place);
        let (here, there) = (self.here(place)?, self.store.day(&directory).await?);
        counted.files += there.committed.len() as u64;
        counted.bytes += there.committed.values().map(|committed| committed.zst_bytes).sum::<u64>();
        let is_waiting = |entry: &&ManifestEntry| !here.has_uploaded(&entry.name, &entry.sha256);
        counted.waiting += here.sealed.values().filter(is_waiting).count() as u64;
        let mut found = compare(&here, &there);
        if self.reads_content {
            for (name, Committed { sha256, .. }) in &there.committed {
                let path = directory.clone().join(name.as_str());
                let content = self.store.checksum(&path, false).await?;
                if content.is_some_and(|content| content != *sha256) {
                    found.push((name.clone(), "its content is not what the manifest there says".to_owned()));
                }
            }
        }
        let finding = |(name, reason): (String, String)| Finding { object: format!("{directory}/{name}"), reason };
        Ok(found.into_iter().map(finding).collect())
    }

    fn here(&self, place: &Place) -> Result<Here, CheckError> {
        let directory = paths::date_directory(place.feed, place.date);
        let listing = self.listing(place.feed, place.date)?;
        let known = Uploaded::read(&*self.files, &directory, &self.to)?;
        let venues = venues(&listing);
        let is_own = |name: &&str| self.place_of(place.feed, place.date, venues.get(name).copied().flatten()) == *place;
        let checksum = |name: &str| Some((name.to_owned(), known.checksum(name)?.to_owned()));
        let uploaded = known.each().filter(is_own).filter_map(checksum).collect();
        let own = listing.sealed.into_iter().filter(|entry| self.place(place.feed, place.date, entry) == *place);
        Ok(Here { sealed: own.map(|entry| (entry.name.clone(), entry)).collect(), uploaded })
    }

    /// The trees that are uploaded: keys for the others need not reach private/.
    fn feeds(&self) -> impl Iterator<Item = Feed> {
        let private = self.private;
        Feed::ALL.into_iter().filter(move |feed| private || *feed == Feed::Public)
    }

    /// That of a file that was uploaded; of one without a line in the manifest it is not known.
    fn place_of(&self, feed: Feed, date: Date, venue: Option<&Venue>) -> Place {
        Place::of(feed, date, venue, &self.venue)
    }

    fn listing(&self, feed: Feed, date: Date) -> Result<Listing, IoError> {
        let path = paths::manifest(&paths::date_directory(feed, date));
        Manifest::open(&*self.files, &path)?.map_or_else(|| Ok(Listing::default()), Manifest::read)
    }

    fn place(&self, feed: Feed, date: Date, entry: &ManifestEntry) -> Place {
        Place::of(feed, date, entry.venue.as_ref(), &self.venue)
    }
}

/// Whose data the files are that a manifest lists, or did before they were deleted.
fn venues(listing: &Listing) -> BTreeMap<&str, Option<&Venue>> {
    let entries = listing.sealed.iter().chain(listing.pruned.values().flatten());
    entries.map(|entry| (&*entry.name, entry.venue.as_ref())).collect()
}

/// What is wrong, by names and lengths. Pure.
fn compare(here: &Here, there: &RemoteDay) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (name, Committed { zst_bytes, sha256 }) in &there.committed {
        match there.objects.get(name) {
            None => found.push((name.clone(), "the manifest there lists it, and it is not there".to_owned())),
            Some(bytes) if bytes != zst_bytes => {
                found
                    .push((name.clone(), format!("it has {bytes} bytes there, and {zst_bytes} by the manifest there")));
            }
            Some(_) => {}
        }
        if here.sealed.get(name).is_some_and(|entry| entry.sha256 != *sha256) {
            found.push((name.clone(), "the manifest there lists another content than the one here".to_owned()));
        } else if here.uploaded.get(name).is_some_and(|uploaded| uploaded != sha256) {
            found.push((name.clone(), "the manifest there lists another content than was uploaded".to_owned()));
        }
    }
    let unlisted = |name: &&String| part_number(name).is_none() && !there.committed.contains_key(*name);
    for name in there.objects.keys().filter(unlisted) {
        let is_waiting = here.sealed.get(name).is_some_and(|entry| !here.has_uploaded(name, &entry.sha256));
        if !is_waiting {
            found.push((name.clone(), "no manifest there lists it".to_owned()));
        }
    }
    for name in here.uploaded.keys().filter(|name| !there.committed.contains_key(*name)) {
        found.push((name.clone(), "it was uploaded from here, and no manifest there lists it".to_owned()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, sha256: &str) -> (String, ManifestEntry) {
        let text = format!(
            "{{\"name\":\"{name}\",\"stream\":\"x\",\"run\":1,\"version\":\"0\",\"format\":null,\"subscription\":null,\
             \"epoch\":0,\"first\":1,\"last\":9,\"lines\":1,\"bytes\":1,\"zst_bytes\":7,\"sha256\":\"{sha256}\"}}"
        );
        (name.to_owned(), serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn each_difference_is_found_once() {
        let sealed =
            ["good", "lost", "short", "other", "unlisted", "waits", "left"].map(|name| entry(name, "a")).into();
        let uploaded = ["good", "lost", "short", "other", "unlisted", "pruned", "gone", "changed"];
        let here = Here { sealed, uploaded: uploaded.map(|name| (name.to_owned(), "a".to_owned())).into() };
        let mut there = RemoteDay::default();
        for (name, sha256) in
            [("good", "a"), ("lost", "a"), ("short", "a"), ("other", "b"), ("pruned", "a"), ("changed", "b")]
        {
            there.committed.insert(name.to_owned(), Committed { zst_bytes: 7, sha256: sha256.to_owned() });
        }
        for (name, bytes) in [
            ("good", 7),
            ("short", 6),
            ("other", 7),
            ("pruned", 7),
            ("changed", 7),
            ("left", 7),
            ("alien", 1),
            ("manifest.000001.jsonl", 9),
        ] {
            there.objects.insert(name.to_owned(), bytes);
        }
        let found = compare(&here, &there);
        let told: Vec<String> = found.iter().map(|(name, reason)| format!("{name}: {reason}")).collect();
        assert_eq!(
            told,
            [
                "changed: the manifest there lists another content than was uploaded",
                "lost: the manifest there lists it, and it is not there",
                "other: the manifest there lists another content than the one here",
                "short: it has 6 bytes there, and 7 by the manifest there",
                "alien: no manifest there lists it",
                "gone: it was uploaded from here, and no manifest there lists it",
                "unlisted: it was uploaded from here, and no manifest there lists it",
            ]
        );
    }
}
