//! The walk over a data directory at a start: what is there, and whether it can be read. It clears the recorder's names of
//! everything that cannot be its own, and changes no line.

use super::inspect::{Inspected, inspect};
use super::obstacles::{NO_DIRECTORY, NO_FILE, clear_the_way};
use super::tails::Tails;
use super::torn_copies::TornCopies;
use super::unlisted::unlisted;
use crate::clock::{Position, Stamp};
use crate::files::{EntryKind, Files, IoError, Listed};
use crate::tape::line;
use crate::tape::paths;
use crate::tape::quarantine::{self, Quarantined};
use crate::tape::segment_name::{self, Archived, SegmentName};
use crate::tape::stream_key::StreamKey;
use crate::upbit::feed::Feed;
use jiff::civil::Date;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The reason for moving away a foreign file at one of our names.
const NOT_OURS: &str = "its first line is none that the recorder writes";

/// The reason for moving away a file that is ours up to its damaged end.
const DAMAGED: &str = "it is damaged: what it begins or ends with is longer than any stamp or line of its stream";

/// The reason for moving away a file that a crash has left the beginning of a line of. It has no time to be named by.
const HEADLESS: &str = "its only line was torn within its stamp";

/// The newest dates, by name, that are always looked into.
const NEWEST: usize = 2;

/// The dates of the archive that are looked into: a year of archive must not cost a start anything.
#[derive(Clone, Debug)]
pub enum Scope {
    /// All: nothing is known about them.
    All,
    /// These, those from a date on, and the newest two.
    Some {
        /// With segments that wait, or could not be read.
        named: BTreeSet<Date>,
        /// The date up to which everything is known.
        since: Date,
    },
}

/// A directory as a start finds it.
#[derive(Default)]
pub struct Survey {
    /// The last stamps in its files.
    pub tails: Tails,
    /// Dates with segments that wait to be sealed, or could not be read.
    pub dates: BTreeSet<Date>,
    pub(super) quarantined: Vec<Quarantined>,
    pub(super) foreign: Vec<PathBuf>,
    pub(super) active: Vec<Plain>,
    pub(super) unreadable_active: Vec<(Feed, StreamKey)>,
    pub(super) waiting: Vec<Plain>,
    pub(super) unlisted: Vec<SegmentName>,
    pub(super) copies: TornCopies,
}

impl Survey {
    /// Looks at a directory.
    ///
    /// # Errors
    /// A file operation failed for another reason than the file itself.
    pub fn take(files: &dyn Files, scope: &Scope) -> Result<Self, IoError> {
        let survey = Self { quarantined: clear_the_way(files)?, copies: TornCopies::list(files)?, ..Self::default() };
        Walk { files, clears: true, survey }.visit(scope)
    }

    /// Looks without clearing anything.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub fn preview(files: &dyn Files, scope: &Scope) -> Result<Self, IoError> {
        Walk { files, clears: false, survey: Self::default() }.visit(scope)
    }
}

/// A plain segment and the result of its inspection; the epoch of an active one is not in its name yet.
pub(super) struct Plain {
    pub(super) name: SegmentName,
    pub(super) last: Stamp,
    pub(super) bytes: u64,
    pub(super) torn: Vec<u8>,
}

struct Walk<'a> {
    files: &'a dyn Files,
    /// Whether names are cleared of what cannot be the recorder's.
    clears: bool,
    survey: Survey,
}

impl Walk<'_> {
    fn visit(mut self, scope: &Scope) -> Result<Survey, IoError> {
        for feed in Feed::ALL {
            self.visit_archive(feed, scope)?;
            self.visit_root(feed)?;
        }
        Ok(self.survey)
    }

    fn visit_archive(&mut self, feed: Feed, scope: &Scope) -> Result<(), IoError> {
        let archive = paths::archive(feed);
        // The newest first.
        let mut dates = 0;
        for entry in self.list(&archive)?.into_iter().rev() {
            let directory = archive.join(&entry.name);
            match entry.name.to_str().and_then(paths::date_of_directory) {
                Some(_) if entry.kind != EntryKind::Directory => self.move_away(feed, &directory, NO_DIRECTORY)?,
                Some(date) => {
                    dates += 1;
                    let is_meant = match scope {
                        Scope::All => true,
                        Scope::Some { named, since } => dates <= NEWEST || date >= *since || named.contains(&date),
                    };
                    if is_meant {
                        self.visit_date(feed, date)?;
                    }
                }
                None => self.survey.foreign.push(directory),
            }
        }
        Ok(())
    }

    fn visit_date(&mut self, feed: Feed, date: Date) -> Result<(), IoError> {
        let directory = paths::date_directory(feed, date);
        let name_of_date = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let listed = self.list(&directory);
        let listed = self.readable(Some(date), listed)?.unwrap_or_default();
        let names: BTreeSet<OsString> = listed.iter().map(|entry| entry.name.clone()).collect();
        let is_there = |path: &Path| path.file_name().is_some_and(|name| names.contains(name));
        for entry in &listed {
            let path = directory.join(&entry.name);
            let archived = entry.name.to_str().and_then(|name| segment_name::parse_archived(feed, &name_of_date, name));
            let is_beside = paths::BESIDE_SEGMENTS.iter().any(|own| entry.name == *own);
            match archived {
                Some(_) if !entry.is_file() => self.move_away(feed, &path, NO_FILE)?,
                None if is_beside && !entry.is_file() => self.move_away(feed, &path, NO_FILE)?,
                Some(Archived::Unfinished(name)) => {
                    let is_needed = !is_there(&name.plain()) && !is_there(&name.sealed());
                    self.put_unfinished_away(&name, is_needed)?;
                }
                Some(Archived::Plain(name)) => {
                    let is_sealed = is_there(&name.sealed());
                    self.look_at_archived(date, name, is_sealed)?;
                }
                Some(Archived::Sealed(name)) => {
                    let first = Position { epoch: name.epoch, stamp: name.first };
                    self.survey.tails.note(feed, &name.stream, first);
                }
                None if is_beside => {}
                None => self.survey.foreign.push(path),
            }
        }
        let unlisted = unlisted(self.files, &directory, &listed, feed, &mut self.survey.tails)?;
        if !unlisted.is_empty() {
            self.survey.dates.insert(date);
        }
        self.survey.unlisted.extend(unlisted);
        Ok(())
    }

    /// An unfinished sealed file has no value while its source exists.
    fn put_unfinished_away(&mut self, name: &SegmentName, is_needed: bool) -> Result<(), IoError> {
        let path = name.unfinished();
        if !is_needed {
            return self.remove(&path);
        }
        self.move_away(name.feed, &path, "unfinished, and without its source")
    }

    /// A segment to be sealed. Its name and its place are the recorder's, so any other content is damage.
    fn look_at_archived(&mut self, date: Date, name: SegmentName, is_sealed: bool) -> Result<(), IoError> {
        let path = name.plain();
        let inspected = inspect(self.files, &path, line::longest(&name.stream)).map_err(IoError::at("read", &path));
        let Some(inspected) = self.readable(Some(date), inspected)? else { return Ok(()) };
        let first = name.first;
        let plain = match inspected {
            // The sealer compares the two.
            Inspected::Empty if is_sealed => Plain { name, last: first, bytes: 0, torn: Vec::new() },
            Inspected::Empty => return self.remove(&path),
            Inspected::Foreign => return self.move_away(name.feed, &path, NOT_OURS),
            Inspected::Damaged => return self.move_away(name.feed, &path, DAMAGED),
            Inspected::Headless { torn } if is_sealed => Plain { name, last: first, bytes: torn.len() as u64, torn },
            Inspected::Headless { .. } => return self.move_away(name.feed, &path, HEADLESS),
            Inspected::Segment { last, bytes, torn, .. } => Plain { name, last, bytes, torn },
        };
        for stamp in [first, plain.last] {
            let position = Position { epoch: plain.name.epoch, stamp };
            self.survey.tails.note(plain.name.feed, &plain.name.stream, position);
        }
        self.survey.dates.insert(date);
        self.survey.waiting.push(plain);
        Ok(())
    }

    fn visit_root(&mut self, feed: Feed) -> Result<(), IoError> {
        for entry in self.list(paths::root(feed))? {
            let path = paths::root(feed).join(&entry.name);
            match entry.name.to_str().and_then(paths::parse_active).filter(|_| entry.is_file()) {
                Some(stream) => self.look_at_active(feed, stream, &path)?,
                None if is_own(feed, &entry) => {}
                None => self.survey.foreign.push(path),
            }
        }
        Ok(())
    }

    fn look_at_active(&mut self, feed: Feed, stream: StreamKey, path: &Path) -> Result<(), IoError> {
        let inspected = inspect(self.files, path, line::longest(&stream)).map_err(IoError::at("read", path));
        let Some(inspected) = self.readable(None, inspected)? else {
            self.survey.tails.has_unreadable = true;
            self.survey.unreadable_active.push((feed, stream));
            return Ok(());
        };
        match inspected {
            // Created for a first line that was never written.
            Inspected::Empty => self.remove(path)?,
            // Recording needs these two names.
            Inspected::Foreign if paths::is_needed(feed, &stream) => self.move_away(feed, path, NOT_OURS)?,
            Inspected::Foreign => self.survey.foreign.push(path.to_owned()),
            Inspected::Damaged => self.move_away(feed, path, DAMAGED)?,
            Inspected::Headless { .. } => {
                self.survey.tails.note_headless(feed, &stream);
                self.move_away(feed, path, HEADLESS)?;
            }
            Inspected::Segment { first, last, bytes, torn } => {
                self.survey.tails.note_active(self.files, feed, &stream, [first, last]);
                self.survey.active.push(Plain {
                    name: SegmentName { feed, stream, epoch: 0, first },
                    last,
                    bytes,
                    torn,
                });
            }
        }
        Ok(())
    }

    fn move_away(&mut self, feed: Feed, path: &Path, reason: &'static str) -> Result<(), IoError> {
        if self.clears {
            self.survey.quarantined.push(quarantine::quarantine(self.files, feed, path, reason)?);
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> Result<(), IoError> {
        if self.clears { self.files.remove(path).map_err(IoError::at("remove", path)) } else { Ok(()) }
    }

    /// An unreadable file must not prevent recording; `None`: it is unreadable.
    fn readable<T>(&mut self, date: Option<Date>, read: Result<T, IoError>) -> Result<Option<T>, IoError> {
        match read {
            Err(error) if error.is_about_the_file() && !error.path.as_os_str().is_empty() => {
                tracing::warn!(%error, "left for the next start, or for you");
                self.survey.dates.extend(date);
                Ok(None)
            }
            read => read.map(Some),
        }
    }

    fn list(&self, path: &Path) -> Result<Vec<Listed>, IoError> {
        self.files.list(path).map_err(IoError::at("list", path))
    }
}

/// Whether an entry of a tree's root, other than a stream, is the recorder's.
fn is_own(feed: Feed, entry: &Listed) -> bool {
    let own = if entry.is_file() { paths::own_files(feed) } else { paths::own_directories(feed) };
    own.iter().any(|name| entry.name == *name)
}
