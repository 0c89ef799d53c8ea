//! Inspects a plain segment from both ends.
//!
//! ```text
//! {"ts_recv":1,…}\n … {"ts_recv":9,…}\n{"ts_re
//! └ first           └ last            └ torn
//! ```

use crate::clock::Stamp;
use crate::files::{CHUNK, Files, ReadFile};
use crate::tape::line;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// A prefix of a line that holds its stamp.
const LINE_HEAD: u64 = 40;

/// The outcome of an inspection.
#[derive(Debug, PartialEq, Eq)]
pub enum Inspected {
    /// The file is empty.
    Empty,
    /// The recorder cannot have written it.
    Foreign,
    /// It begins as a segment does, but its end is longer than any line, or its first stamp does not end.
    Damaged,
    /// Its first line was torn within its stamp: the recorder wrote it, and nothing in it is a line.
    Headless {
        /// All of it.
        torn: Vec<u8>,
    },
    /// A segment.
    Segment {
        /// The stamp of its first line.
        first: Stamp,
        /// The stamp of its last whole line that has one.
        last: Stamp,
        /// Its length in bytes.
        bytes: u64,
        /// Bytes after the last line break: a line that was being written when the process died.
        torn: Vec<u8>,
    },
}

/// Inspects a file of a stream with lines of up to `longest` bytes, which is also the bound of memory used.
pub fn inspect(files: &dyn Files, path: &Path, longest: usize) -> io::Result<Inspected> {
    let mut file = files.read(path)?;
    let bytes = file.seek(SeekFrom::End(0))?;
    if bytes == 0 {
        return Ok(Inspected::Empty);
    }
    let head = part(&mut *file, 0, LINE_HEAD)?;
    let is_cut_short = head.starts_with(line::PREFIX.as_bytes()) || line::PREFIX.as_bytes().starts_with(&head);
    let first = match line::stamp(&head) {
        Some(first) => first,
        None if is_cut_short && !head.contains(&b'\n') => {
            // Behind a stamp that a power cut took, the rest of a page may read as zeros.
            return Ok(if bytes < LINE_HEAD { Inspected::Headless { torn: head } } else { Inspected::Damaged });
        }
        None => return Ok(Inspected::Foreign),
    };
    let mut breaks = Breaks { file: &mut *file, chunk: Vec::new(), start: 0 };
    let end = match breaks.before(bytes, longest as u64)? {
        Break::At(at) => at + 1,
        Break::None => 0,
        Break::TooFar => return Ok(Inspected::Damaged),
    };
    let Some(last) = breaks.last_stamp(first, end, longest as u64)? else { return Ok(Inspected::Damaged) };
    let torn = part(breaks.file, end, bytes - end)?;
    Ok(Inspected::Segment { first, last, bytes, torn })
}

fn part(file: &mut dyn ReadFile, from: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut part = Vec::new();
    file.seek(SeekFrom::Start(from))?;
    file.take(length).read_to_end(&mut part)?;
    Ok(part)
}

/// The line breaks of a file, last first.
struct Breaks<'a> {
    file: &'a mut dyn ReadFile,
    chunk: Vec<u8>,
    /// The offset of the chunk in the file.
    start: u64,
}

/// The position of the previous line break.
enum Break {
    At(u64),
    /// There is none.
    None,
    /// There is none within the longest line.
    TooFar,
}

impl Breaks<'_> {
    /// The last line break before `end`, if it is among the `most` bytes there.
    fn before(&mut self, mut end: u64, most: u64) -> io::Result<Break> {
        let floor = end.saturating_sub(most.saturating_add(1));
        while end > floor {
            if end <= self.start || self.start + (self.chunk.len() as u64) < end {
                self.start = end.saturating_sub(CHUNK as u64);
                self.chunk = part(self.file, self.start, end - self.start)?;
            }
            let length = usize::try_from(end - self.start).unwrap_or(usize::MAX).min(self.chunk.len());
            match memchr::memrchr(b'\n', &self.chunk[..length]) {
                Some(at) if self.start + at as u64 >= floor => return Ok(Break::At(self.start + at as u64)),
                Some(_) => return Ok(Break::TooFar),
                None => end = self.start,
            }
        }
        Ok(if floor == 0 { Break::None } else { Break::TooFar })
    }

    /// The stamp of the last line before `end` that has one, or else `first`, that of the file; `None`: the content is
    /// not lines, or too much of it has no stamp.
    fn last_stamp(&mut self, first: Stamp, mut end: u64, longest: u64) -> io::Result<Option<Stamp>> {
        let floor = end.saturating_sub(longest.saturating_mul(2));
        while end > floor {
            let begin = match self.before(end - 1, longest)? {
                Break::At(at) => at + 1,
                Break::None => 0,
                Break::TooFar => return Ok(None),
            };
            let head = part(self.file, begin, LINE_HEAD.min(end - begin))?;
            if let Some(stamp) = line::stamp(&head) {
                return Ok(Some(stamp));
            }
            end = begin;
        }
        Ok((floor == 0).then_some(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::append_all;
    use crate::files::disk::Disk;

    /// Longer than the lines of these tests, but for those that are too long.
    const LONGEST: usize = 400_000;

    fn inspected(content: &[u8]) -> Inspected {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::open(directory.path()).unwrap();
        append_all(&*disk.create(Path::new("x")).unwrap(), content).unwrap();
        inspect(&disk, Path::new("x"), LONGEST).unwrap()
    }

    fn segment(first: u64, last: u64, bytes: usize, torn: &[u8]) -> Inspected {
        let stamp = |micros| Stamp::from_micros(micros).unwrap();
        Inspected::Segment { first: stamp(first), last: stamp(last), bytes: bytes as u64, torn: torn.to_vec() }
    }

    #[test]
    fn both_ends_are_found() {
        assert_eq!(inspected(b"{\"ts_recv\":1,\"a\":0}\n"), segment(1, 1, 20, b""));
        assert_eq!(
            inspected(b"{\"ts_recv\":1,\"a\":0}\n{\"ts_recv\":22,\"a\":0}\n{\"ts_"),
            segment(1, 22, 46, b"{\"ts_")
        );
        assert_eq!(inspected(b"{\"ts_recv\":1,\"a\":"), segment(1, 1, 17, b"{\"ts_recv\":1,\"a\":"));
        assert_eq!(inspected(b"{\"ts_recv\":1,\"a\":0}\ntorn\n"), segment(1, 1, 25, b""));
        assert_eq!(inspected(b"{\"ts_"), Inspected::Headless { torn: b"{\"ts_".to_vec() });
        assert_eq!(inspected(b""), Inspected::Empty);
    }

    #[test]
    fn a_long_last_line_is_found() {
        let long = "x".repeat(300_000);
        let content = format!("{{\"ts_recv\":1,\"a\":0}}\n{{\"ts_recv\":2,\"a\":\"{long}\"}}\n{{\"ts_recv\":3,{long}");
        let torn = format!("{{\"ts_recv\":3,{long}");
        assert_eq!(inspected(content.as_bytes()), segment(1, 2, content.len(), torn.as_bytes()));
    }

    #[test]
    fn what_is_longer_than_a_line_is_damage_wherever_it_is() {
        let (first, long) = ("{\"ts_recv\":1,\"a\":0}\n", "x".repeat(LONGEST + 1));
        for damaged in [format!("{first}{long}"), format!("{first}{long}\n"), format!("{first}{long}\n{{\"ts_")] {
            assert!(inspected(damaged.as_bytes()) == Inspected::Damaged, "{} bytes", damaged.len());
        }
        let zeros = format!("{{\"ts_recv\":17{}", "\0".repeat(4_000));
        assert!(inspected(zeros.as_bytes()) == Inspected::Damaged);
        let without_stamps = format!("{first}{}", "torn\n".repeat(LONGEST));
        assert!(inspected(without_stamps.as_bytes()) == Inspected::Damaged);
        let longest = format!("{{\"ts_recv\":2,{}", &long[..LONGEST - 13]);
        let content = format!("{first}{longest}\n");
        assert!(inspected(content.as_bytes()) == segment(1, 2, content.len(), b""));
    }

    #[test]
    fn what_the_recorder_cannot_have_written_is_foreign() {
        for content in [&b"my notes\n"[..], b"{\"a\":1}\n", b"\n", b"{\"ts_recv\":x}\n", b"{\"ts_recv\":1}\n"] {
            assert_eq!(inspected(content), Inspected::Foreign);
        }
    }
}
