//! An active file that is read as it grows.

use super::error::TapeError;
use super::seek;
use super::source::About;
use crate::clock::Stamp;
use crate::files::{CHUNK, IoError, ReadFile};
use crate::tape::line::Line;
use std::io::Read;

/// See the module. It is held open, so that it is read to its end whatever becomes of its name.
pub(super) struct Growing {
    about: About,
    file: Box<dyn ReadFile>,
    /// The begin of a line that is still being written.
    begun: Vec<u8>,
    /// The rest of a line that is too long is passed over.
    is_within_line: bool,
    /// Nothing was there behind what was read.
    is_read: bool,
}

impl Growing {
    /// A file, from its first line on.
    pub(super) fn new(about: About, file: Box<dyn ReadFile>) -> Self {
        Self { about, file, begun: Vec::new(), is_within_line: false, is_read: false }
    }

    /// The file.
    pub(super) fn file(&self) -> &dyn ReadFile {
        &*self.file
    }

    /// Whether its end was reached when it was read last.
    pub(super) fn is_read(&self) -> bool {
        self.is_read
    }

    /// Passes over the lines that are there; returns the last of them.
    pub(super) fn skip_to_end(&mut self) -> Result<Option<Line>, TapeError> {
        seek::before(&mut self.file, Stamp::MAX).map_err(IoError::at("read", &self.about.path))?;
        let (mut last, mut faults) = (None, Vec::new());
        while !self.is_read {
            let lines = self.read(CHUNK, &mut faults);
            last = lines.into_iter().next_back().or(last);
        }
        Ok(last)
    }

    /// Passes over lines that are stamped before `begin`, as far as that costs less than reading them.
    pub(super) fn skip_to(&mut self, begin: Stamp) -> Result<(), TapeError> {
        seek::before(&mut self.file, begin).map_err(|error| IoError::at("read", &self.about.path)(error).into())
    }

    /// The lines that end in the next `most` bytes. After a fault it is read as far as it could be.
    pub(super) fn read(&mut self, most: usize, faults: &mut Vec<TapeError>) -> Vec<Line> {
        let mut bytes = Vec::new();
        if let Err(error) = (&mut self.file).take(most as u64).read_to_end(&mut bytes) {
            self.is_read = true;
            faults.push(IoError::at("read", &self.about.path)(error).into());
        } else {
            self.is_read = bytes.len() < most;
        }
        let mut lines = Vec::new();
        let mut rest = &bytes[..];
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let text = [&self.begun, &rest[..end]].concat();
            if !std::mem::take(&mut self.is_within_line) {
                lines.extend(Line::parse(self.about.epoch, &text));
            }
            self.begun.clear();
            rest = &rest[end + 1..];
        }
        self.begun.extend_from_slice(rest);
        if self.begun.len() > self.about.longest {
            if !self.is_within_line {
                faults.push(TapeError::TooLong { path: self.about.path.clone(), most: self.about.longest });
            }
            (self.begun, self.is_within_line) = (Vec::new(), true);
        }
        lines
    }
}
