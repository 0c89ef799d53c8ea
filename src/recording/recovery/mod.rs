//! The start: what earlier processes left is put in order, and nothing is lost by it.
//!
//! ```text
//! x.jsonl.zst.tmp      ──▶ removed: its source is still there
//! archive/…/x.jsonl    ──▶ backlog of the sealer
//! x.jsonl, in order    ──▶ continued after an orderly stop, while its period runs
//! x.jsonl, otherwise   ──▶ archived; a torn last line is ended, and kept once more in quarantine/
//! anything else        ──▶ never touched, mentioned once
//! ```

pub mod history;
pub mod inspect;

use super::files::{Files, Listed, StorageError, append_all};
use super::journal::segment::{Finished, Segment};
use super::naming::layout::{self, Archived, SegmentName, Tree};
use super::naming::manifest::Entry;
use super::naming::stream_key::StreamKey;
use super::rotation::Rotation;
use super::seal::tally::Checksum;
use crate::clock::Stamp;
use history::History;
use inspect::{Inspected, inspect};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// What the start found.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Segments to be continued.
    pub resumable: Vec<Segment>,
    /// Segments to be sealed.
    pub backlog: Vec<Finished>,
    /// The latest stamp of any line.
    pub last: Option<Stamp>,
    /// The latest stamp of a line from the exchange, per tree.
    pub last_data: [Option<Stamp>; 2],
    /// Lines that were being written when the process died.
    pub torn: Vec<Torn>,
    /// Files and directories that are not ours.
    pub foreign: Vec<PathBuf>,
    /// What the processes before this one had to say.
    pub history: History,
}

/// A line that was being written when the process died. What it holds is not told: it may be private.
#[derive(Debug)]
pub struct Torn {
    /// The segment it is in, under its new name.
    pub file: PathBuf,
    /// Where it begins.
    pub offset: u64,
    /// Its length in bytes, without the line break that now ends it.
    pub length: u64,
    /// Its SHA-256.
    pub sha256: String,
}

/// Puts a data directory in order. `now` decides whether a period still runs.
pub fn recover(files: &dyn Files, rotation: Rotation, now: Stamp) -> Result<Recovered, StorageError> {
    let mut recovery = Recovery { files, rotation, now, found: Recovered::default() };
    recovery.found.history = recovery.read_history()?;
    for tree in Tree::ALL {
        recovery.put_archive_in_order(tree)?;
        recovery.put_active_in_order(tree)?;
    }
    // Oldest first, so that the sealer works in the order of time.
    recovery.found.backlog.sort_by(|a, b| (a.name.first, &a.name.stream).cmp(&(b.name.first, &b.name.stream)));
    Ok(recovery.found)
}

struct Recovery<'a> {
    files: &'a dyn Files,
    rotation: Rotation,
    now: Stamp,
    found: Recovered,
}

impl Recovery<'_> {
    fn read_history(&self) -> Result<History, StorageError> {
        let path = Tree::Public.active(&StreamKey::recorder());
        match self.files.read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(History::default()),
            file => file.and_then(History::read).map_err(StorageError::at("read", &path)),
        }
    }

    fn put_archive_in_order(&mut self, tree: Tree) -> Result<(), StorageError> {
        let archive = tree.archive();
        let dates = self.list(&archive)?;
        let newest = dates.iter().rev().find(|entry| is_date(entry)).map(|entry| entry.name.clone());
        for date in dates {
            let directory = archive.join(&date.name);
            if is_date(&date) {
                self.put_date_in_order(tree, &directory)?;
            } else {
                self.found.foreign.push(directory.clone());
            }
            if Some(&date.name) == newest.as_ref() {
                self.read_last_stamps(tree, &directory)?;
            }
        }
        Ok(())
    }

    fn put_date_in_order(&mut self, tree: Tree, directory: &Path) -> Result<(), StorageError> {
        let date = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for entry in self.list(directory)? {
            let path = directory.join(&entry.name);
            match entry.name.to_str().and_then(|name| layout::parse_archived(tree, &date, name)) {
                Some(Archived::Unfinished(_)) => {
                    self.files.remove(&path).map_err(StorageError::at("remove", &path))?;
                }
                Some(Archived::Plain(name)) => {
                    let inspected = inspect(self.files, &path).map_err(StorageError::at("read", &path))?;
                    if let Inspected::Segment { last, .. } = inspected {
                        self.note_stamp(tree, &name.stream, last);
                    }
                    self.push_to_backlog(name);
                }
                Some(Archived::Sealed(_)) => {}
                None if ["manifest.jsonl", "day.json"].iter().any(|own| entry.name == *own) => {}
                None => self.found.foreign.push(path),
            }
        }
        Ok(())
    }

    fn put_active_in_order(&mut self, tree: Tree) -> Result<(), StorageError> {
        for entry in self.list(tree.root())? {
            let path = tree.root().join(&entry.name);
            let stream = entry.name.to_str().filter(|_| entry.is_file).and_then(layout::parse_active);
            match stream {
                Some(stream) => self.put_segment_in_order(tree, stream, &path)?,
                None if is_own_directory(tree, &entry) || is_lock(tree, &entry) => {}
                None => self.found.foreign.push(path),
            }
        }
        Ok(())
    }

    fn put_segment_in_order(&mut self, tree: Tree, stream: StreamKey, path: &Path) -> Result<(), StorageError> {
        match inspect(self.files, path).map_err(StorageError::at("read", path))? {
            // Made for its first line, which never came.
            Inspected::Empty => self.files.remove(path).map_err(StorageError::at("remove", path))?,
            Inspected::Foreign => self.found.foreign.push(path.to_owned()),
            Inspected::Segment { first, last, bytes, torn } => {
                self.note_stamp(tree, &stream, last);
                // A first line torn within its stamp has no time of its own.
                let first = if first == Stamp::default() { self.now } else { first };
                let name = SegmentName { tree, stream, first };
                if torn.is_empty() && self.found.history.is_clean && !self.rotation.is_over(first, self.now) {
                    let origins = self.found.history.last_origins(tree);
                    let origin = origins.and_then(|origins| origins.get(&name.stream).cloned());
                    self.found.resumable.push(Segment::resume(name, origin, bytes));
                } else {
                    self.close(name, bytes, &torn)?;
                }
            }
        }
        Ok(())
    }

    /// Ends a torn line, so that a follower stays in step, and files the segment to be sealed.
    fn close(&mut self, name: SegmentName, bytes: u64, torn: &[u8]) -> Result<(), StorageError> {
        let active = name.tree.active(&name.stream);
        if !torn.is_empty() {
            self.keep_torn(&name, bytes, torn)?;
            self.append_durably(&active, b"\n")?;
        }
        let directory = name.directory();
        self.files.make_directory(&directory).map_err(StorageError::at("make the directory", &directory))?;
        let archived = name.plain();
        self.files.rename(&active, &archived).map_err(StorageError::at("move to the archive", &active))?;
        for changed in [directory, name.tree.root().to_owned()] {
            self.files.sync_directory(&changed).map_err(StorageError::at("sync the directory", &changed))?;
        }
        self.push_to_backlog(name);
        Ok(())
    }

    fn keep_torn(&mut self, name: &SegmentName, bytes: u64, torn: &[u8]) -> Result<(), StorageError> {
        let directory = name.tree.quarantine();
        self.files.make_directory(&directory).map_err(StorageError::at("make the directory", &directory))?;
        let file = name.plain();
        let segment = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let offset = bytes - torn.len() as u64;
        self.append_durably(&directory.join(format!("{segment}.torn-{offset}")), torn)?;
        let mut checksum = Checksum::default();
        checksum.update(torn);
        let (length, sha256) = (checksum.bytes, checksum.sha256());
        self.found.torn.push(Torn { file, offset, length, sha256 });
        Ok(())
    }

    fn append_durably(&self, path: &Path, bytes: &[u8]) -> Result<(), StorageError> {
        let file = self.files.append(path).map_err(StorageError::at("open", path))?;
        append_all(&*file, bytes).map_err(StorageError::at("write", path))?;
        file.sync().map_err(StorageError::at("sync", path))
    }

    fn push_to_backlog(&mut self, name: SegmentName) {
        let origins = self.found.history.origins_at(name.tree, name.first);
        let origin = origins.and_then(|origins| origins.get(&name.stream).cloned());
        self.found.backlog.push(Finished { name, origin });
    }

    /// The newest manifest knows the last stamps of what is sealed.
    fn read_last_stamps(&mut self, tree: Tree, directory: &Path) -> Result<(), StorageError> {
        let path = directory.join("manifest.jsonl");
        let file = match self.files.read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            file => file.map_err(StorageError::at("read", &path))?,
        };
        for line in BufReader::new(file).split(b'\n') {
            let line = line.map_err(StorageError::at("read", &path))?;
            let Ok(entry) = serde_json::from_slice::<Entry>(&line) else { continue };
            if let (Some(stream), Some(last)) = (StreamKey::from_stem(&entry.stream), Stamp::from_micros(entry.last)) {
                self.note_stamp(tree, &stream, last);
            }
        }
        Ok(())
    }

    fn note_stamp(&mut self, tree: Tree, stream: &StreamKey, last: Stamp) {
        self.found.last = self.found.last.max(Some(last));
        if *stream != StreamKey::recorder() {
            let data = &mut self.found.last_data[tree as usize];
            *data = (*data).max(Some(last));
        }
    }

    fn list(&self, path: &Path) -> Result<Vec<Listed>, StorageError> {
        self.files.list(path).map_err(StorageError::at("list", path))
    }
}

fn is_date(entry: &Listed) -> bool {
    !entry.is_file && entry.name.to_str().is_some_and(layout::is_date_directory)
}

fn is_own_directory(tree: Tree, entry: &Listed) -> bool {
    let own: &[&str] = match tree {
        Tree::Public => &["archive", "quarantine", "private", "rest"],
        Tree::Private => &["archive", "quarantine"],
    };
    !entry.is_file && own.iter().any(|name| entry.name == *name)
}

fn is_lock(tree: Tree, entry: &Listed) -> bool {
    tree == Tree::Public && entry.name == layout::LOCK
}
