//! One open segment, read line by line.
//!
//! It is read through its descriptor, so that it stays whole here when it is renamed, sealed or removed meanwhile.
//! Bytes after the last line break are a line that is still being written, and no line yet.

use super::error::TapeError;
use super::frames::Frames;
use super::seek;
use crate::clock::Stamp;
use crate::files::{CHUNK, IoError, ReadFile};
use crate::tape::line::Line;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;

/// See the module.
pub(super) struct Source {
    about: About,
    content: Content,
    /// Bytes of content so far, and how many the manifest lists, if it does.
    found: u64,
    listed: Option<u64>,
    /// The rest of a line that is passed over first: it is too long, or begins before what is read.
    is_within_line: bool,
    is_over: bool,
}

/// What is known of a segment before it is read.
#[derive(Debug)]
pub(super) struct About {
    /// Its path, as errors show it.
    pub(super) path: PathBuf,
    /// The longest that a line of it can be, in bytes.
    pub(super) longest: usize,
    /// The epoch of its lines.
    pub(super) epoch: u64,
}

/// Which part of a segment is read, and in how much memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Portion {
    /// Lines before it are passed over as far as that costs less than reading them.
    pub(super) begin: Stamp,
    /// Bytes of content that may be in memory beside a line.
    pub(super) keep: usize,
}

enum Content {
    Plain(BufReader<Box<dyn ReadFile>>),
    Sealed(Frames<Box<dyn ReadFile>>),
}

impl Content {
    fn reader(&mut self) -> &mut dyn BufRead {
        match self {
            Self::Plain(file) => file,
            Self::Sealed(frames) => frames,
        }
    }
}

impl Source {
    /// A plain file.
    pub(super) fn plain(about: About, mut file: Box<dyn ReadFile>, portion: Portion) -> Result<Self, TapeError> {
        seek::before(&mut file, portion.begin).map_err(IoError::at("read", &about.path))?;
        let file = BufReader::with_capacity(CHUNK.min(portion.keep), file);
        Ok(Self::new(about, Content::Plain(file), None))
    }

    /// A sealed file; `listed` is the length of its content by the manifest.
    pub(super) fn sealed(
        about: About,
        file: Box<dyn ReadFile>,
        portion: Portion,
        listed: Option<u64>,
    ) -> Result<Self, TapeError> {
        let mut frames = Frames::new(file, portion.keep);
        let skipped = match portion.begin > Stamp::default() {
            true => frames.skip_to(portion.begin, listed).map_err(IoError::at("read", &about.path))?,
            false => 0,
        };
        let source = Self::new(about, Content::Sealed(frames), listed);
        Ok(Self { found: skipped, is_within_line: skipped > 0, ..source })
    }

    /// Bytes of content that were decoded so far.
    pub(super) fn decoded(&self) -> u64 {
        match &self.content {
            Content::Plain(_) => 0,
            Content::Sealed(frames) => frames.decoded(),
        }
    }

    /// The next line that has a stamp; after an error perhaps another.
    pub(super) fn next(&mut self) -> Option<Result<Line, TapeError>> {
        while !self.is_over {
            match self.read_line() {
                Ok(Some(text)) => {
                    if let Some(line) = Line::parse(self.about.epoch, &text) {
                        return Some(Ok(line));
                    }
                }
                Ok(None) => self.is_over = true,
                Err(error) => return Some(Err(error)),
            }
        }
        None
    }

    fn new(about: About, content: Content, listed: Option<u64>) -> Self {
        Self { about, content, found: 0, listed, is_within_line: false, is_over: false }
    }

    /// The next line without its line break; `None` at the end.
    fn read_line(&mut self) -> Result<Option<Vec<u8>>, TapeError> {
        if self.is_within_line {
            self.skip_line()?;
        }
        let mut text = Vec::new();
        let most = self.about.longest as u64 + 1;
        let read = self.content.reader().take(most).read_until(b'\n', &mut text);
        self.found += text.len() as u64;
        if let Err(source) = read {
            return Err(self.failed(source));
        }
        if text.pop_if(|last| *last == b'\n').is_some() {
            return Ok(Some(text));
        }
        if text.len() > self.about.longest {
            self.is_within_line = true;
            return Err(TapeError::TooLong { path: self.about.path.clone(), most: self.about.longest });
        }
        self.end()
    }

    fn skip_line(&mut self) -> Result<(), TapeError> {
        let skipped = self.content.reader().skip_until(b'\n').map_err(|source| self.failed(source))?;
        self.found += skipped as u64;
        self.is_within_line = false;
        Ok(())
    }

    /// A decoder takes a file that was cut between two frames for a whole one, the manifest does not.
    fn end(&mut self) -> Result<Option<Vec<u8>>, TapeError> {
        self.is_over = true;
        match self.listed {
            Some(listed) if listed != self.found => {
                Err(TapeError::Short { path: self.about.path.clone(), found: self.found, listed })
            }
            _ => Ok(None),
        }
    }

    fn failed(&mut self, source: io::Error) -> TapeError {
        self.is_over = true;
        IoError::at("read", &self.about.path)(source).into()
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("about", &self.about).field("found", &self.found).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Position;

    #[test]
    fn a_line_that_is_too_long_is_an_error_before_the_next() {
        let text =
            [b"{\"ts_recv\":1,".to_vec(), vec![b'x'; 300], b"\n{\"ts_recv\":2,}\n{\"ts_recv\":3,".to_vec()].concat();
        let about = About { path: "x".into(), longest: 100, epoch: 3 };
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, &text).unwrap();
        let portion = Portion { begin: Stamp::default(), keep: 64 };
        let mut source = Source::plain(about, Box::new(file), portion).unwrap();
        assert!(matches!(source.next(), Some(Err(TapeError::TooLong { most: 100, .. }))));
        let second = Position { epoch: 3, stamp: Stamp::from_micros(2).unwrap() };
        assert_eq!(source.next().unwrap().unwrap().position(), second);
        assert!(source.next().is_none());
    }
}
