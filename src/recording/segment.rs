//! The active file of one stream: lines go in, bytes go out, in order and whole.
//!
//! ```text
//! line ──▶ pending ──write_out──▶ file      a short write resumes where it stopped: a fresh line would glue
//!                                   └─check_name──▶ does the name still lead to it, with the written length?
//! ```

use super::archive::move_to_archive;
use crate::clock::Stamp;
use crate::files::{AppendFile, FileId, Files, IoError};
use crate::tape::manifest::{Origin, TornLine};
use crate::tape::paths;
use crate::tape::segment_name::SegmentName;
use crate::tape::words::Displacement;
use std::cmp::Ordering;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// A segment that is being written.
#[derive(Debug)]
pub struct Segment {
    about: Finished,
    /// `None` while it is closed to save a descriptor.
    file: Option<Arc<dyn AppendFile>>,
    /// The identity of the file; `None` until a continued one is compared.
    id: Option<FileId>,
    /// The stamp of its first line, which may not be the one in its name.
    began: Stamp,
    /// Bytes of lines taken in, written or not, and the stamp of the last line.
    bytes: u64,
    last: Stamp,
    pending: Vec<u8>,
    written: usize,
    unsynced: bool,
    seen: Seen,
}

/// The longest prefix of a segment that a check of its name found intact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its length.
    pub bytes: u64,
    /// The stamp of its last line.
    pub last: Stamp,
}

/// A segment whose last line is written, under its final name.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Which it is.
    pub name: SegmentName,
    /// The request of its lines; `None`: not known.
    pub origin: Option<Origin>,
    /// The stamp of its last line.
    pub last: Stamp,
    /// Its length; `None`: it is not known, as that of one that an earlier process left.
    pub bytes: Option<u64>,
    /// Lines that a crash tore, in order.
    pub torn: Vec<TornLine>,
}

impl Segment {
    /// Begins a segment whose file does not exist yet.
    pub fn create(files: &dyn Files, about: Finished) -> Result<Self, IoError> {
        let path = paths::active(about.name.feed, &about.name.stream);
        let file = files.create(&path).map_err(IoError::at("create", &path))?;
        let id = Some(file.identify().map_err(IoError::at("look at", &path))?.file);
        Ok(Self { file: Some(file), id, ..Self::resume(about, 0) })
    }

    /// Continues a segment of `bytes` that an earlier process left in order.
    pub fn resume(about: Finished, bytes: u64) -> Self {
        let (began, last) = (about.name.first, about.last);
        let seen = Seen { bytes, last };
        let (pending, written, unsynced) = (Vec::new(), 0, false);
        Self { about, file: None, id: None, began, bytes, last, pending, written, unsynced, seen }
    }

    /// Opens the file of a continued segment before its next line, so that a displaced one can be saved. Where that fails, as
    /// without descriptors, it is opened on use.
    pub fn hold(mut self, files: &dyn Files) -> Self {
        let _ = self.open(files);
        self
    }

    /// The request that its lines answer to.
    pub fn origin(&self) -> Option<&Origin> {
        self.about.origin.as_ref()
    }

    /// Its name.
    pub fn name(&self) -> &SegmentName {
        &self.about.name
    }

    /// Its size in bytes, lines not yet written included.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The stamp of its first line.
    pub fn began(&self) -> Stamp {
        self.began
    }

    /// The stamp of its last line.
    pub fn last(&self) -> Stamp {
        self.last
    }

    /// A line of this stamp follows.
    pub fn reach(&mut self, stamp: Stamp) {
        self.last = stamp;
    }

    /// The prefix that the last check of its name found intact.
    pub fn seen(&self) -> Seen {
        self.seen
    }

    /// The file that was written to, even if renamed or unlinked; `None`: it was closed, and no longer has its name.
    pub fn source(&self, files: &dyn Files) -> Option<Arc<dyn AppendFile>> {
        let is_own = |file: &Arc<dyn AppendFile>| file.identify().is_ok_and(|own| Some(own.file) == self.id);
        let reopened = || {
            let named = files.identify(&self.path()).ok().flatten().is_some_and(|named| Some(named.file) == self.id);
            named.then(|| files.append(&self.path()).ok().filter(is_own)).flatten()
        };
        self.file.clone().or_else(reopened)
    }

    /// Lines in memory that are not written yet.
    pub fn unwritten(&self) -> &[u8] {
        &self.pending[self.written..]
    }

    /// Whether its name still leads to the written file, at the written length; `None`: it does. An unknown answer
    /// counts as unchanged. One system call in the usual case.
    pub fn check_name(&mut self, files: &dyn Files) -> Option<Displacement> {
        let Ok(named) = files.identify(&self.path()) else { return None };
        let expected = self.on_disk();
        let Some(named) = named else {
            let links = self.file.as_ref().and_then(|file| file.identify().ok()).map_or(0, |own| own.links);
            return Some(if links == 0 { Displacement::Removed } else { Displacement::Renamed });
        };
        if *self.id.get_or_insert(named.file) != named.file {
            return Some(Displacement::Replaced);
        }
        match named.bytes.cmp(&expected) {
            Ordering::Less => Some(Displacement::Truncated),
            Ordering::Greater => Some(Displacement::Grown),
            Ordering::Equal => {
                if !self.has_pending() {
                    self.seen = Seen { bytes: expected, last: self.last };
                }
                None
            }
        }
    }

    /// Lets `write` append lines in memory; `buffer` is used if the segment has none.
    pub fn extend(&mut self, buffer: impl FnOnce() -> Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> usize {
        if self.pending.capacity() == 0 {
            self.pending = buffer();
        }
        let before = self.pending.len();
        write(&mut self.pending);
        let added = self.pending.len() - before;
        self.bytes += added as u64;
        added
    }

    /// Whether lines wait to be written.
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Writes the lines in memory, and returns the buffer. After an error the rest stays, and a later call resumes it.
    pub fn write_out(&mut self, files: &dyn Files) -> Result<Vec<u8>, IoError> {
        while self.written < self.pending.len() {
            let file = self.open(files)?;
            match file.append(&self.pending[self.written..]) {
                Ok(0) => return Err(self.error("write", io::ErrorKind::WriteZero.into())),
                Ok(written) => self.written += written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.error("write", error)),
            }
            self.unsynced = true;
        }
        self.written = 0;
        let mut buffer = std::mem::take(&mut self.pending);
        buffer.clear();
        Ok(buffer)
    }

    /// Renames the written file into the archive, where the sealer finds it.
    pub fn archive(&mut self, files: &dyn Files) -> Result<(), IoError> {
        self.about.name = move_to_archive(files, self.about.name.clone())?;
        Ok(())
    }

    /// The description that the sealer takes, once it is archived.
    pub fn finish(self) -> Finished {
        Finished { last: self.last, bytes: Some(self.bytes), ..self.about }
    }

    /// Bytes in the file, unless another process has changed it.
    pub fn on_disk(&self) -> u64 {
        self.bytes - (self.pending.len() - self.written) as u64
    }

    /// Closes a file without pending work, to save a descriptor.
    pub fn close(&mut self) {
        if !self.has_pending() {
            self.file = None;
        }
    }

    /// Whether written content is not yet part of a sync job.
    pub fn is_unsynced(&self) -> bool {
        self.unsynced
    }

    /// The file for the syncer, if it was written since the last call.
    pub fn take_unsynced(&mut self) -> Option<Unsynced> {
        std::mem::take(&mut self.unsynced).then(|| Unsynced { path: self.path(), file: self.file.clone() })
    }

    fn open(&mut self, files: &dyn Files) -> Result<Arc<dyn AppendFile>, IoError> {
        if let Some(file) = &self.file {
            return Ok(file.clone());
        }
        let path = self.path();
        // Opening by name would create a missing file, or take a replacement for this one.
        if self.check_name(files).is_some() {
            return Err(self.error("open", io::ErrorKind::NotFound.into()));
        }
        let file = files.append(&path).map_err(IoError::at("open", &path))?;
        Ok(self.file.insert(file).clone())
    }

    /// Its path while it is active.
    pub fn path(&self) -> PathBuf {
        paths::active(self.about.name.feed, &self.about.name.stream)
    }

    fn error(&self, action: &'static str, source: io::Error) -> IoError {
        IoError { action, path: self.path(), source }
    }
}

/// A file with unsynced content.
#[derive(Debug)]
pub struct Unsynced {
    /// Its name while it was active.
    pub path: PathBuf,
    /// The open file; `None` where it was closed to save a descriptor.
    pub file: Option<Arc<dyn AppendFile>>,
}
