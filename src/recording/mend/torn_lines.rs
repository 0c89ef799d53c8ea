//! Ends torn lines, so that followers stay in step and no line is glued to them. Every step is idempotent: after a
//! crash in the middle, the next start repeats it.

use crate::files::{Files, IoError, append_all};
use crate::recording::archive::free_name;
use crate::recording::seal::tally::Checksum;
use crate::recording::seal::torn::copy_path;
use crate::tape::event::Event;
use crate::tape::line;
use crate::tape::manifest::TornLine;
use crate::tape::paths;
use crate::tape::segment_name::SegmentName;
use serde::de::IgnoredAny;
use std::io;
use std::path::{Path, PathBuf};

/// A line that was being written when the process died. Its content is not logged, since it may be private.
#[derive(Debug)]
pub struct Torn {
    /// The segment it is in, under its new name.
    pub file: PathBuf,
    /// Its offset and its bytes.
    pub line: TornLine,
}

impl From<Torn> for Event {
    fn from(torn: Torn) -> Self {
        let Torn { file, line: TornLine { offset, length, sha256 } } = torn;
        Self::Recovered { file: file.display().to_string(), offset, length, sha256 }
    }
}

/// The end of a file that may be torn.
#[derive(Clone, Copy)]
pub(super) struct Tail<'a> {
    /// The length of the file.
    pub(super) bytes: u64,
    /// Its last bytes behind the last line break.
    pub(super) torn: &'a [u8],
}

/// An active segment that was moved to the archive.
pub(super) struct Closed {
    pub(super) name: SegmentName,
    pub(super) torn: Option<Torn>,
}

pub(super) struct TornLines<'a> {
    pub(super) files: &'a dyn Files,
}

impl TornLines<'_> {
    /// Archives an active segment for sealing, its torn line ended.
    pub(super) fn close(&self, name: SegmentName, tail: Tail<'_>) -> Result<Closed, IoError> {
        let active = paths::active(name.feed, &name.stream);
        // The copy of a torn line bears the name that the segment will have.
        let name = free_name(self.files, name)?;
        let torn = if tail.torn.is_empty() { None } else { self.end(&active, &name, tail)? };
        let (directory, archived) = (name.directory(), name.plain());
        self.files.make_directory(&directory).map_err(IoError::at("make the directory", &directory))?;
        self.files.rename(&active, &archived).map_err(IoError::at("move to the archive", &active))?;
        for changed in [directory, paths::root(name.feed).to_owned()] {
            self.files.sync_directory(&changed).map_err(IoError::at("sync the directory", &changed))?;
        }
        Ok(Closed { name, torn })
    }

    /// Copies a torn line to the quarantine, and ends it. `None`: it lacks only its line
    /// break, so it is whole and stays in.
    pub(super) fn end(
        &self,
        path: &Path,
        name: &SegmentName,
        Tail { bytes, torn }: Tail<'_>,
    ) -> Result<Option<Torn>, IoError> {
        if line::stamp(torn).is_some() && serde_json::from_slice::<IgnoredAny>(torn).is_ok() {
            self.append_durably(path, b"\n")?;
            return Ok(None);
        }
        let directory = paths::quarantine(name.feed);
        self.files.make_directory(&directory).map_err(IoError::at("make the directory", &directory))?;
        let file = name.plain();
        let offset = bytes - torn.len() as u64;
        self.keep(&copy_path(name, offset), torn)?;
        self.append_durably(path, b"\n")?;
        let mut checksum = Checksum::default();
        checksum.update(torn);
        Ok(Some(Torn { file, line: TornLine { offset, length: checksum.bytes, sha256: checksum.sha256() } }))
    }

    /// A truncated copy is of an attempt that ended no line: it is made again.
    fn keep(&self, path: &Path, torn: &[u8]) -> Result<(), IoError> {
        match self.files.remove(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed.map_err(IoError::at("remove", path))?,
        }
        self.append_durably(path, torn)?;
        let directory = path.parent().unwrap_or(Path::new(""));
        self.files.sync_directory(directory).map_err(IoError::at("sync the directory", directory))
    }

    fn append_durably(&self, path: &Path, bytes: &[u8]) -> Result<(), IoError> {
        let file = self.files.append(path).map_err(IoError::at("open", path))?;
        append_all(&*file, bytes).map_err(IoError::at("write", path))?;
        file.sync().map_err(IoError::at("sync", path))
    }
}
