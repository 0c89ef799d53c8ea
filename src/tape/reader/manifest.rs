//! Reading a manifest: the sealed segments in the directory of a date.

use crate::files::lines::{LONGEST_OWN, Lines};
use crate::files::{Files, IoError, ReadFile};
use crate::tape::manifest::ManifestEntry;
use crate::tape::stream_key::StreamKey;
use std::io;
use std::path::{Path, PathBuf};

/// A manifest that is open.
#[derive(Debug)]
pub struct Manifest {
    path: PathBuf,
    lines: Lines<Box<dyn ReadFile>>,
}

impl Manifest {
    /// Opens a manifest; `None`: there is none.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(files: &dyn Files, path: &Path) -> Result<Option<Self>, IoError> {
        match files.read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            file => {
                let lines = Lines::new(file.map_err(IoError::at("read", path))?, LONGEST_OWN);
                Ok(Some(Self { path: path.to_owned(), lines }))
            }
        }
    }

    /// Its entries, in the order in which files were sealed; lines that are none are passed over.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn entries(self) -> Result<Vec<ManifestEntry>, IoError> {
        self.entries_that_begin("")
    }

    /// The entries of one stream. A day of the whole exchange has thousands: most need not be understood.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn entries_of(self, stream: &StreamKey) -> Result<Vec<ManifestEntry>, IoError> {
        self.entries_that_begin(&format!("{{\"name\":\"{stream}."))
    }

    fn entries_that_begin(mut self, begin: &str) -> Result<Vec<ManifestEntry>, IoError> {
        let mut entries = Vec::new();
        while let Some(line) = self.lines.next_line().map_err(IoError::at("read", &self.path))? {
            if line.starts_with(begin.as_bytes()) {
                entries.extend(serde_json::from_slice::<ManifestEntry>(line).ok());
            }
        }
        self.lines.tell(&self.path);
        Ok(entries)
    }
}
