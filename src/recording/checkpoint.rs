//! The two files beside the data that the next start decides by: `.state` and `.durable`.
//!
//! ```text
//! data, directories synced ──▶ .state, where it changed, durably ──▶ .durable, in place      in this order, by the syncer
//! ```
//!
//! A crash does not cut all files at one stamp: a power cut takes unsynced content, which differs per file, and a kill
//! during a write leaves some streams written and others not. So the newest line does not bound the interval in doubt; the
//! durable mark does. It is not synced: a crash may leave an older one, which only widens the interval. It names the
//! generation of the state that was durable by then, so that a state that is older than the mark is noticed.

use super::sync::{SyncJob, SyncPoint};
use crate::clock::{Position, Stamp};
use crate::files::open::Obstacle;
use crate::files::{Files, IoError, append_all};
use crate::tape::durable::{self, DurableMark};
use crate::tape::paths::{MARK, STATE};
use crate::tape::quarantine;
use crate::tape::state::{Ended, SLOT, State, Unsure};
use crate::upbit::feed::{Feed, PerFeed};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

/// The durable mark of a directory; `None`: none is readable.
pub fn read_mark(files: &dyn Files) -> Option<DurableMark> {
    DurableMark::parse(&read(files, MARK, durable::LENGTH).ok()?)
}

/// Writes the durable mark.
///
/// # Errors
/// The file cannot be written.
pub fn write_mark(files: &dyn Files, mark: DurableMark) -> Result<(), IoError> {
    let path = Path::new(MARK);
    files.overwrite(path, mark.to_text().as_bytes()).map_err(IoError::at("write", path))
}

/// Syncs the durable mark, for an orderly stop.
///
/// # Errors
/// The file cannot be synced.
pub fn sync_mark(files: &dyn Files) -> Result<(), IoError> {
    let path = Path::new(MARK);
    let synced = files.append(path).and_then(|file| file.sync());
    synced.and_then(|()| files.sync_directory(Path::new(""))).map_err(IoError::at("sync", path))
}

/// The state as it is durably in its file, and the means to replace it.
#[derive(Debug)]
pub struct StateFile {
    files: Arc<dyn Files>,
    generation: u64,
    state: Option<State>,
    /// This process has made it durable, and its name.
    is_durable: bool,
}

impl StateFile {
    /// Reads the newest whole slot; none is whole in a new directory, and where the file is damaged.
    pub fn read(files: Arc<dyn Files>) -> Self {
        // A state that cannot be read is as good as none: everything is in doubt then.
        let content = read(&*files, STATE, 2 * SLOT).unwrap_or_default();
        let newest = content.chunks(SLOT).filter_map(State::of_slot).max_by_key(|(generation, _)| *generation);
        let (generation, state) = newest.map_or((0, None), |(generation, state)| (generation, Some(state)));
        Self { files, generation, state, is_durable: false }
    }

    /// The state; `None`: there is no whole one.
    pub fn state(&self) -> Option<&State> {
        self.state.as_ref()
    }

    /// The number of replacements so far.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The next state has a higher generation than this one.
    pub fn skip_to(&mut self, generation: u64) {
        self.generation = self.generation.max(generation);
    }

    /// Replaces the state durably, unless this process did so with the same: what was read may be in the kernel's cache
    /// alone.
    ///
    /// # Errors
    /// The file cannot be written or synced: the state before counts.
    pub fn replace(&mut self, state: &State) -> Result<(), IoError> {
        if self.is_durable && self.state.as_ref() == Some(state) {
            return Ok(());
        }
        let generation = self.generation + 1;
        let slot = state.to_slot(generation);
        self.write(generation % 2 * SLOT as u64, slot).map_err(IoError::at("write", Path::new(STATE)))?;
        if !self.is_durable {
            self.files.sync_directory(Path::new("")).map_err(IoError::at("sync", Path::new(STATE)))?;
        }
        (self.generation, self.state, self.is_durable) = (generation, Some(state.clone()), true);
        Ok(())
    }

    fn write(&self, offset: u64, slot: Vec<u8>) -> io::Result<()> {
        let path = Path::new(STATE);
        if self.files.identify(path)?.is_some() {
            match self.files.overwrite_durably(path, offset, &slot) {
                // Another entry has the name, or another name the file: it is kept, and the state goes into a new one.
                Err(error) if Obstacle::of(&error).is_some() => {
                    quarantine::keep(&*self.files, Feed::Public, path, "it is not the recorder's alone")
                        .map_err(|error| error.source)?;
                }
                written => return written,
            }
        }
        // Written through, so that a full disk takes every later state.
        let mut content = vec![0; 2 * SLOT];
        let begin = usize::try_from(offset).expect("an offset is below the length of two slots");
        content[begin..begin + slot.len()].copy_from_slice(&slot);
        let file = self.files.create(path)?;
        append_all(&*file, &content)?;
        file.sync()?;
        self.files.sync_directory(Path::new(""))
    }
}

/// Follows the syncer: what is durably known of the recording.
#[derive(Debug)]
pub struct Checkpoint {
    file: StateFile,
    /// The state that is to be durable; ahead of the file where the disk refused it.
    state: State,
    durable: Position,
    /// Syncs without room.
    full: u64,
    /// The newest interval in doubt goes on: lines may have been lost that were written while its sync was tried again.
    goes_on: bool,
}

impl Checkpoint {
    /// Continues from a state that is durable; everything up to `durable` is.
    pub fn new(file: StateFile, state: State, durable: Position) -> Self {
        Self { file, state, durable, full: 0, goes_on: false }
    }

    /// Takes what is certain after a sync. One that had found no room leaves an interval in doubt, which stays in the state
    /// until the supervisor has decided its gap.
    /// Returns the interval.
    pub fn take(&mut self, point: &mut SyncPoint, was_full: bool) -> Option<Unsure> {
        let Position { epoch, stamp: to } = point.up_to;
        let from = if self.durable.epoch == epoch { self.durable.stamp } else { self.state.began };
        let doubted = was_full.then_some(Unsure { epoch, from, to });
        let mut unsure = std::mem::take(&mut self.state.unsure);
        if let Some(state) = point.state.take() {
            self.state = *state;
        }
        if let Some(doubted) = doubted {
            self.full += 1;
            unsure.push(doubted);
        } else if let Some(last) = unsure.last_mut().filter(|last| self.goes_on && last.epoch == epoch) {
            last.to = to;
        }
        self.goes_on = was_full;
        if point.decided == self.full {
            unsure.clear();
        }
        self.state.unsure = unsure;
        doubted
    }

    /// Has the state durable, then the mark, which does not pass what a sync without room left in doubt before that is on
    /// record; `false`: there is no room for the state, and the mark stays where it is.
    ///
    /// # Errors
    /// The state could not be made durable.
    pub fn advance(&mut self, job: &SyncJob) -> Result<bool, IoError> {
        let SyncPoint { up_to, heard, .. } = job.point;
        let is_certain = self.is_certain();
        if job.is_last && is_certain {
            // That a process stopped in order is durable last of all.
            self.mark(up_to, heard, true);
        }
        match self.file.replace(&self.state) {
            Err(error) if error.is_passing() => {
                tracing::warn!(%error, "the gap after a crash would begin earlier than it has to");
                return Ok(false);
            }
            replaced => replaced?,
        }
        if !job.is_last && is_certain {
            self.mark(up_to, heard, false);
        }
        Ok(true)
    }

    /// Whether nothing is in doubt that is not on record.
    pub fn is_certain(&self) -> bool {
        self.state.unsure.is_empty()
    }

    /// A sync has failed: what was written since the last one may be lost although it can be read.
    pub fn fail(&mut self) {
        self.state.ended = Ended::SyncFailed;
        if let Err(error) = self.file.replace(&self.state) {
            tracing::warn!(%error, "the next start will take the recorder for killed");
        }
    }

    /// The error of a state that finds no room, where it cannot be waited for any longer.
    pub fn refused(&self) -> IoError {
        IoError::at("write", Path::new(STATE))(io::ErrorKind::StorageFull.into())
    }

    /// An older mark is valid as well, so a failed write of it is no error.
    fn mark(&mut self, up_to: Position, heard: PerFeed<Option<Stamp>>, is_last: bool) {
        let files = &*self.file.files;
        let Position { epoch, stamp: durable } = up_to;
        let mark = DurableMark { durable, epoch, heard, generation: self.file.generation };
        let written = write_mark(files, mark);
        match if is_last { written.and_then(|()| sync_mark(files)) } else { written } {
            Ok(()) => self.durable = up_to,
            Err(error) => tracing::warn!(%error, "the gap after a crash would begin earlier than it has to"),
        }
    }
}

fn read(files: &dyn Files, path: &str, most: usize) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    files.read(Path::new(path))?.take(most as u64).read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::disk::Disk;
    use crate::files::faulty::{Call, Faulty};

    #[test]
    fn where_the_state_finds_no_room_the_mark_stays() {
        let directory = tempfile::tempdir().unwrap();
        let full = |call, path: &Path| match call {
            Call::Create if path == Path::new(STATE) => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        };
        let files: Arc<dyn Files> = Arc::new(Faulty::new(Arc::new(Disk::open(directory.path()).unwrap()), full));
        let at = |micros| Position { epoch: 0, stamp: Stamp::from_micros(micros).unwrap() };
        let Position { epoch, stamp: durable } = at(100);
        let mark = DurableMark { durable, epoch, heard: PerFeed::default(), generation: 0 };
        write_mark(&*files, mark).unwrap();

        let state = State::new("exchange.test", durable);
        let mut checkpoint = Checkpoint::new(StateFile::read(files.clone()), state, at(100));
        let mut job = SyncJob::default();
        job.point.up_to = at(200);
        assert!(!checkpoint.advance(&job).unwrap());
        assert_eq!(read_mark(&*files), Some(mark));
    }

    #[test]
    fn the_mark_waits_for_the_gap_of_a_sync_without_room() {
        let directory = tempfile::tempdir().unwrap();
        let files: Arc<dyn Files> = Arc::new(Disk::open(directory.path()).unwrap());
        let at = |micros| Position { epoch: 0, stamp: Stamp::from_micros(micros).unwrap() };
        let state = State::new("exchange.test", at(100).stamp);
        let mut checkpoint = Checkpoint::new(StateFile::read(files.clone()), state, at(100));
        let mut sync = |micros, decided, was_full| {
            let mut job = SyncJob::default();
            (job.point.up_to, job.point.decided) = (at(micros), decided);
            checkpoint.take(&mut job.point, was_full);
            assert!(checkpoint.advance(&job).unwrap());
            read_mark(&*files).map(DurableMark::position)
        };
        assert_eq!(sync(200, 0, false), Some(at(200)));
        assert_eq!(sync(300, 0, true), Some(at(200)));
        assert_eq!(sync(400, 0, false), Some(at(200)));
        assert_eq!(sync(500, 1, false), Some(at(500)));
    }
}
