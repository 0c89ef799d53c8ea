//! Bounded reads of lines: a compressed file of some kilobytes can expand to a line of gigabytes, and a crash or a
//! failing disk can leave a file without any line break.

use super::ReadFile;
use std::io::{self, BufRead, BufReader, Read, SeekFrom};
use std::path::Path;

/// The longest line of the recorder's own: events, manifests, checkpoints. The longest are `rotated` events that name a
/// segment of each of 100,000 streams, the configurable maximum, in 165 bytes each.
pub const LONGEST_OWN: usize = 32 << 20;

/// The bytes skipped of one line before the file is given up, so that a start terminates.
const PASSED_OVER: u64 = 1 << 30;

/// The lines of `source`, one in memory at a time. A line longer than `most` bytes is damage: skipped and counted.
#[derive(Debug)]
pub struct Lines<R> {
    source: BufReader<R>,
    most: usize,
    passed_over: u64,
    line: Vec<u8>,
    too_long: usize,
}

impl<R: Read> Lines<R> {
    /// Lines of up to `most` bytes each.
    pub fn new(source: R, most: usize) -> Self {
        Self { source: BufReader::new(source), most, passed_over: PASSED_OVER, line: Vec::new(), too_long: 0 }
    }

    /// The next line without its line break, or the unended rest at the end; `None` after the last.
    ///
    /// # Errors
    /// The source cannot be read, or a line of it does not end.
    pub fn next_line(&mut self) -> io::Result<Option<&[u8]>> {
        loop {
            self.line.clear();
            let most = self.most as u64 + 1;
            if (&mut self.source).take(most).read_until(b'\n', &mut self.line)? == 0 {
                return Ok(None);
            }
            if self.line.pop_if(|last| *last == b'\n').is_some() || self.line.len() <= self.most {
                return Ok(Some(&self.line));
            }
            self.too_long += 1;
            self.pass_over()?;
        }
    }

    /// The number of lines that were too long so far.
    pub fn too_long(&self) -> usize {
        self.too_long
    }

    /// Logs once, with the file's name, if any line was too long.
    pub fn tell(&self, file: &Path) {
        if self.too_long > 0 {
            let (file, lines, most) = (file.display(), self.too_long, self.most);
            tracing::warn!(%file, lines, most, "passed over lines that are longer than any that is written there");
        }
    }

    fn pass_over(&mut self) -> io::Result<()> {
        self.line = Vec::new();
        let mut rest = (&mut self.source).take(self.passed_over);
        rest.skip_until(b'\n')?;
        if rest.limit() == 0 {
            let message = format!("it has a line of more than {} bytes", self.passed_over);
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(())
    }
}

/// Whether a file is empty or its last line ended. Leaves the file at its beginning.
///
/// # Errors
/// The file cannot be read.
pub fn ends_with_break(file: &mut dyn ReadFile) -> io::Result<bool> {
    let mut last = Vec::new();
    let end = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(end.saturating_sub(1)))?;
    file.read_to_end(&mut last)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(last.is_empty() || last == b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(source: impl Read, most: usize) -> (Vec<String>, usize, io::Result<()>) {
        let (mut lines, mut found) = (Lines { passed_over: 1_000, ..Lines::new(source, most) }, Vec::new());
        let ended = loop {
            match lines.next_line() {
                Ok(Some(line)) => found.push(String::from_utf8(line.to_owned()).unwrap()),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        (found, lines.too_long(), ended)
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over_and_counted() {
        let (found, too_long, ended) = lines(&b"one\n\n12345\n123456\ntwo\n1234567"[..], 5);
        assert_eq!(found, ["one", "", "12345", "two"]);
        assert!(too_long == 2 && ended.is_ok());
    }

    #[test]
    fn a_line_without_end_ends_the_file() {
        let (found, too_long, ended) = lines((&b"one\n"[..]).chain(io::repeat(b'x').take(2_000)), 5);
        assert_eq!((found, too_long), (vec!["one".to_owned()], 1));
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
