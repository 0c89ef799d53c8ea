//! What a plain segment holds, read from both its ends.
//!
//! ```text
//! {"ts_recv":1,…}\n … {"ts_recv":9,…}\n{"ts_re
//! └ first           └ last            └ torn
//! ```

use crate::clock::Stamp;
use crate::recording::files::Files;
use crate::recording::journal::line;
use std::io::{self, Read, SeekFrom};
use std::path::Path;

/// The first look at a file's end; doubled until it holds a whole line.
const WINDOW: u64 = 64 * 1024;

/// Enough of a line's beginning to hold its stamp.
const LINE_HEAD: u64 = 40;

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub enum Inspected {
    /// Nothing is in it.
    Empty,
    /// The recorder cannot have written it.
    Foreign,
    /// A segment.
    Segment {
        /// The stamp of its first line.
        first: Stamp,
        /// The stamp of its last whole line that has one.
        last: Stamp,
        /// Its length in bytes.
        bytes: u64,
        /// Bytes behind the last line break: a line that was being written when the process died.
        torn: Vec<u8>,
    },
}

/// Looks at a file.
pub fn inspect(files: &dyn Files, path: &Path) -> io::Result<Inspected> {
    let mut file = files.read(path)?;
    let bytes = file.seek(SeekFrom::End(0))?;
    if bytes == 0 {
        return Ok(Inspected::Empty);
    }
    file.seek(SeekFrom::Start(0))?;
    let mut head = Vec::new();
    (&mut *file).take(LINE_HEAD).read_to_end(&mut head)?;
    let is_cut_short = head.starts_with(line::PREFIX.as_bytes()) || line::PREFIX.as_bytes().starts_with(&head);
    let first = match line::stamp(&head) {
        Some(first) => first,
        // The very first line was torn off within its stamp: ours, but without a time to file it under.
        None if is_cut_short && !head.contains(&b'\n') => Stamp::default(),
        None => return Ok(Inspected::Foreign),
    };
    let mut window = WINDOW;
    loop {
        let start = bytes.saturating_sub(window);
        file.seek(SeekFrom::Start(start))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        if let Some((last, torn)) = last_line(&tail, start == 0) {
            let (last, torn) = (last.unwrap_or(first), torn.to_vec());
            return Ok(Inspected::Segment { first, last, bytes, torn });
        }
        window *= 2;
    }
}

/// The stamp of the last whole line with a stamp, and what is behind the last line break; `None`: look further back.
fn last_line(tail: &[u8], is_whole: bool) -> Option<(Option<Stamp>, &[u8])> {
    let Some(end) = tail.iter().rposition(|byte| *byte == b'\n') else {
        return is_whole.then_some((None, tail));
    };
    let (lines, torn) = (&tail[..end], &tail[end + 1..]);
    let starts = lines.split(|byte| *byte == b'\n').rev();
    let stamp = starts.into_iter().find_map(line::stamp);
    (stamp.is_some() || is_whole).then_some((stamp, torn))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::files::append_all;
    use crate::recording::files::disk::Disk;

    fn inspected(content: &[u8]) -> Inspected {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::open(directory.path()).unwrap();
        append_all(&*disk.create(Path::new("x")).unwrap(), content).unwrap();
        inspect(&disk, Path::new("x")).unwrap()
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
        assert_eq!(inspected(b"{\"ts_"), segment(0, 0, 5, b"{\"ts_"));
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
    fn what_the_recorder_cannot_have_written_is_foreign() {
        for content in [&b"my notes\n"[..], b"{\"a\":1}\n", b"\n", b"{\"ts_recv\":x}\n", b"{\"ts_recv\":1}\n"] {
            assert_eq!(inspected(content), Inspected::Foreign);
        }
    }
}
