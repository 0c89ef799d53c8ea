//! What the archive has, both trees together.

use super::plan::{Day, Held};
use crate::files::open::Obstacle;
use crate::files::{EntryKind, Files, IoError, Listed};
use crate::tape::paths;
use crate::tape::reader::manifest::{Manifest, Standing};
use crate::tape::reader::uploaded::Uploaded;
use crate::tape::segment_name::{Archived, SegmentName, parse_archived};
use crate::tape::stream_key::StreamKey;
use crate::upbit::feed::Feed;
use jiff::civil::Date;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The dates that have a directory, in order.
///
/// # Errors
/// An archive cannot be listed.
pub fn dates(files: &dyn Files) -> Result<BTreeSet<Date>, IoError> {
    let mut dates = BTreeSet::new();
    for feed in Feed::ALL {
        let entries = list(files, &paths::archive(feed))?.into_iter();
        let directories = entries.filter(|entry| entry.kind == EntryKind::Directory);
        dates.extend(directories.filter_map(|entry| paths::date_of_directory(entry.name.to_str()?)));
    }
    Ok(dates)
}

/// The bytes of the sealed files of a date.
///
/// # Errors
/// A directory cannot be listed.
pub fn bytes(files: &dyn Files, date: Date) -> Result<u64, IoError> {
    let mut bytes = 0;
    for feed in Feed::ALL {
        let directory = paths::date_directory(feed, date);
        let entries = list(files, &directory)?;
        let is_sealed = |entry: &&Listed| matches!(segment(feed, &directory, entry), Some(Archived::Sealed(_)));
        bytes += entries.iter().filter(is_sealed).map(|entry| entry.bytes).sum::<u64>();
    }
    Ok(bytes)
}

/// What there is of a date. A directory that cannot be read keeps its files, and the events that tell of them. Where files
/// have to be in the store `uploaded_to` first, those that are not are awaited.
///
/// # Errors
/// A file operation failed for another reason than the directory itself.
pub fn day(files: &dyn Files, date: Date, uploaded_to: Option<&str>) -> Result<Day, IoError> {
    let mut day = Day { date, held: Vec::new(), has_other_data: false };
    for feed in Feed::ALL {
        match add(files, feed, &mut day, uploaded_to) {
            Err(error) if error.is_about_the_file() => {
                tracing::warn!(%error, "its files are kept");
                day.has_other_data = true;
            }
            added => added?,
        }
    }
    Ok(day)
}

/// Adds the files of one tree.
fn add(files: &dyn Files, feed: Feed, day: &mut Day, uploaded_to: Option<&str>) -> Result<(), IoError> {
    let directory = paths::date_directory(feed, day.date);
    let entries = list(files, &directory)?;
    let mut waiting = BTreeSet::new();
    let mut sealed: Vec<(SegmentName, u64)> = Vec::new();
    for entry in &entries {
        match segment(feed, &directory, entry) {
            Some(Archived::Plain(name) | Archived::Unfinished(name)) => drop(waiting.insert(name)),
            Some(Archived::Sealed(name)) => sealed.push((name, entry.bytes)),
            None => {}
        }
    }
    // What is pruned whole costs no look at its manifest.
    let standings = if sealed.is_empty() { BTreeMap::new() } else { standings(files, &directory)? };
    let there = match uploaded_to {
        Some(to) if !sealed.is_empty() => Some(there(files, &directory, to)?),
        Some(_) => Some(BTreeSet::new()),
        None => None,
    };
    for (name, bytes) in sealed {
        let file = name.sealed();
        let is_there = |names: &BTreeSet<String>| {
            file.file_name().is_some_and(|file| file.to_str().is_some_and(|file| names.contains(file)))
        };
        let is_missing = there.as_ref().is_some_and(|names| !is_there(names));
        let standing = file.file_name().and_then(|file| standings.get(file.to_str()?));
        let standing = match standing {
            Some(standing @ Standing::Sealed { zst_bytes, .. }) if *zst_bytes == bytes => standing.clone(),
            Some(standing @ Standing::Pruned { .. }) => standing.clone(),
            // It is not the file that was verified, or its line is lost, which the next start mends.
            _ => {
                day.has_other_data |= is_data(&name);
                continue;
            }
        };
        if waiting.contains(&name) {
            // It is being sealed.
            day.has_other_data |= is_data(&name);
        } else {
            // What is announced was there before it was: the manifest lists it no more.
            let is_awaited = is_missing && matches!(standing, Standing::Sealed { .. });
            day.held.push(Held { name, standing, bytes, is_awaited });
        }
    }
    day.has_other_data |= waiting.iter().any(is_data);
    Ok(())
}

fn standings(files: &dyn Files, directory: &Path) -> Result<BTreeMap<String, Standing>, IoError> {
    Manifest::open(files, &paths::manifest(directory))?.map_or_else(|| Ok(BTreeMap::new()), Manifest::standings)
}

/// The files of a directory that are in a store with the content that the manifest says.
fn there(files: &dyn Files, directory: &Path, to: &str) -> Result<BTreeSet<String>, IoError> {
    let uploaded = Uploaded::read(files, directory, to)?;
    let entries =
        Manifest::open(files, &paths::manifest(directory))?.map_or_else(|| Ok(Vec::new()), Manifest::entries)?;
    let proved = entries.into_iter().filter(|entry| uploaded.has(&entry.name, &entry.sha256));
    Ok(proved.map(|entry| entry.name).collect())
}

fn is_data(name: &SegmentName) -> bool {
    name.stream != StreamKey::recorder()
}

fn segment(feed: Feed, directory: &Path, entry: &Listed) -> Option<Archived> {
    let date = directory.file_name()?.to_str()?;
    parse_archived(feed, date, entry.name.to_str().filter(|_| entry.is_file())?)
}

/// The entries of a directory; none where something else has its name.
fn list(files: &dyn Files, directory: &Path) -> Result<Vec<Listed>, IoError> {
    match files.list(directory) {
        Err(error) if Obstacle::of(&error).is_some() => Ok(Vec::new()),
        listed => listed.map_err(IoError::at("list", directory)),
    }
}
