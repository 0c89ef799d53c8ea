//! What a file says of itself, and how much was read for it.

use super::content::Content;
use super::fault::{Fault, Faults};
use super::story::{MissedLines, Note};
use crate::clock::{Position, Stamp};
use crate::files::ReadFile;
use crate::tape::stream_key::StreamKey;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What is read, for whoever waits; and whether nobody does any more.
#[derive(Debug, Default)]
pub struct Meter {
    /// Bytes of files so far.
    pub bytes: AtomicU64,
    /// Set: the rest of a file is not read.
    pub stop: AtomicBool,
}

impl Meter {
    pub(super) fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// A file that counts what is read of it.
pub(super) struct Metered<'a> {
    pub(super) file: Box<dyn ReadFile>,
    pub(super) meter: &'a Meter,
}

impl Read for Metered<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.meter.stop.load(Ordering::Relaxed) {
            return Ok(0);
        }
        let length = self.file.read(buffer)?;
        self.meter.add(length);
        Ok(length)
    }
}

/// What a file says of itself.
#[derive(Debug)]
pub struct Report {
    /// Its path in the data directory.
    pub file: PathBuf,
    /// What it is a segment of, and in which epoch, where it is to continue the one before.
    pub stream: Option<(StreamKey, u64)>,
    /// What is wrong with it.
    pub found: Vec<Fault>,
    /// A name that does not fit, unless an event explains it.
    pub misnamed: Option<Fault>,
    /// Whole lines.
    pub lines: u64,
    /// Bytes before compression.
    pub content_bytes: u64,
    /// The stamps of the first and the last line.
    pub ends: Option<(Stamp, Stamp)>,
    /// What its events tell.
    pub notes: Vec<Note>,
    /// The gaps that its lines were missed in.
    pub gaps: BTreeMap<Position, MissedLines>,
    /// Healed streams of which files were deleted on its date.
    pub pruned: BTreeSet<StreamKey>,
    pub(super) faults: Faults,
}

impl Report {
    pub(super) fn of(file: PathBuf) -> Self {
        Self {
            faults: Faults::of(file.clone()),
            file,
            stream: None,
            found: Vec::new(),
            misnamed: None,
            lines: 0,
            content_bytes: 0,
            ends: None,
            notes: Vec::new(),
            gaps: BTreeMap::new(),
            pruned: BTreeSet::new(),
        }
    }

    pub(super) fn take(&mut self, content: Content) {
        let Content { lines, first, last, notes, gaps, .. } = content;
        self.lines += lines;
        self.ends = first.zip(last);
        (self.notes, self.gaps) = (notes, gaps);
    }
}

/// An error of the system, as a fault of its file.
pub(super) fn failed(error: &io::Error) -> String {
    format!("it cannot be read: {error}")
}
