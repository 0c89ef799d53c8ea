//! Saves the whole, ordered lines of a segment that another process has changed.
//!
//! ```text
//! length as written    ──▶ every byte
//! any other length     ──▶ lines of the recorder; the first missing one begins the interval in doubt
//! ```
//!
//! A truncated file continues at its new end, possibly within a line; a lengthened one has bytes that were never
//! received. Neither gets into the archive.

use crate::clock::Stamp;
use crate::files::{AppendFile, CHUNK, append_all};
use crate::recording::segment::Seen;
use crate::tape::line;
use serde::de::IgnoredAny;
use std::io::{self, BufRead, BufReader, Read};

/// In a truncated or lengthened file, a longer line is damage: it is never held in memory as a whole.
const LONGEST: u64 = 16 * 1024 * 1024;

/// The written content, as the segment knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    /// Its length.
    pub(super) bytes: u64,
    /// The stamp of the first line.
    pub(super) began: Stamp,
    /// The stamp of the last line.
    pub(super) last: Stamp,
    /// The length that the last comparison found intact.
    pub(super) seen: Seen,
    /// Its length is the written one.
    pub(super) is_whole: bool,
}

/// The saved content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Salvage {
    /// Its length.
    pub(super) bytes: u64,
    /// Lines after this stamp are lost; `None`: none are.
    pub(super) lost_since: Option<Stamp>,
}

/// Copies the remaining lines of a segment.
pub(super) fn salvage(content: impl Read, copy: &dyn AppendFile, expected: &Expected) -> io::Result<Salvage> {
    let mut content = BufReader::with_capacity(CHUNK, content);
    let mut lines = Lines { expected, copy, offset: 0, copied: 0, previous: None, hole: None, has_passed_seen: false };
    if expected.is_whole {
        lines.take_all(&mut content)?
    } else {
        lines.take_whole_ones(&mut content)?
    }
    Ok(Salvage { bytes: lines.copied, lost_since: lines.lost_since() })
}

struct Lines<'a> {
    expected: &'a Expected,
    copy: &'a dyn AppendFile,
    offset: u64,
    copied: u64,
    previous: Option<Stamp>,
    /// The last line before a certain or possible loss.
    hole: Option<Stamp>,
    has_passed_seen: bool,
}

impl Lines<'_> {
    fn take_all(&mut self, content: &mut impl BufRead) -> io::Result<()> {
        loop {
            let chunk = match content.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                chunk => chunk?,
            };
            if chunk.is_empty() {
                return Ok(());
            }
            append_all(self.copy, chunk)?;
            let length = chunk.len();
            self.copied += length as u64;
            content.consume(length);
        }
    }

    fn take_whole_ones(&mut self, content: &mut impl BufRead) -> io::Result<()> {
        let mut text = Vec::new();
        loop {
            text.clear();
            let mut length = (&mut *content).take(LONGEST).read_until(b'\n', &mut text)? as u64;
            if length == 0 {
                return Ok(());
            }
            if length == LONGEST && !text.ends_with(b"\n") {
                length += content.skip_until(b'\n')? as u64;
            }
            match self.stamp(&text) {
                Some(stamp) => {
                    self.note(stamp);
                    append_all(self.copy, &text)?;
                    self.copied += text.len() as u64;
                }
                None => self.find_hole(),
            }
            self.offset += length;
        }
    }

    /// The stamp of a line that the recorder wrote, whole and in its place.
    fn stamp(&self, text: &[u8]) -> Option<Stamp> {
        let stamp = line::stamp(text.strip_suffix(b"\n")?)?;
        let is_behind = self.previous.is_none_or(|previous| previous < stamp);
        let is_inside = self.expected.began <= stamp && stamp <= self.expected.last;
        (is_behind && is_inside && serde_json::from_slice::<IgnoredAny>(text).is_ok()).then_some(stamp)
    }

    /// A line of this stamp follows those taken so far.
    fn note(&mut self, stamp: Stamp) {
        if self.previous.is_none() && stamp != self.expected.began {
            self.find_hole();
        }
        let seen = self.expected.seen;
        if stamp > seen.last && !std::mem::replace(&mut self.has_passed_seen, true) && self.offset != seen.bytes {
            // A loss before it left no torn line to mark the place.
            self.hole.get_or_insert(self.expected.began);
        }
        self.previous = Some(stamp);
    }

    fn find_hole(&mut self) {
        self.hole.get_or_insert(self.previous.unwrap_or(self.expected.began.previous()));
    }

    fn lost_since(&self) -> Option<Stamp> {
        if self.copied == self.expected.bytes {
            return None;
        }
        let seen = self.expected.seen.last;
        let certain = if self.has_passed_seen { Some(seen) } else { self.previous };
        Some(self.hole.or(certain).unwrap_or(self.expected.began.previous()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Files;
    use crate::files::disk::Disk;
    use proptest::prelude::*;
    use std::path::Path;

    fn line(micros: u64) -> String {
        format!("{{\"ts_recv\":{micros},\"type\":\"trade\",\"n\":{}}}\n", "7".repeat(micros as usize % 5 + 1))
    }

    fn text(stamps: impl IntoIterator<Item = u64>) -> String {
        stamps.into_iter().map(line).collect()
    }

    fn stamp(micros: u64) -> Stamp {
        Stamp::from_micros(micros).unwrap()
    }

    /// Lines 10 to 29 were written, those up to 14 before the last comparison.
    fn expected() -> Expected {
        let seen = Seen { bytes: text(10..15).len() as u64, last: stamp(14) };
        let bytes = text(10..30).len() as u64;
        Expected { bytes, began: stamp(10), last: stamp(29), seen, is_whole: false }
    }

    fn saved(content: &[u8], expected: &Expected) -> (String, Option<u64>) {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::open(directory.path()).unwrap();
        let copy = disk.create(Path::new("x")).unwrap();
        let salvaged = salvage(content, &*copy, expected).unwrap();
        let text = std::fs::read_to_string(directory.path().join("x")).unwrap();
        assert_eq!(salvaged.bytes, text.len() as u64);
        (text, salvaged.lost_since.map(Stamp::as_micros))
    }

    #[test]
    fn what_is_whole_is_copied_as_it_is() {
        let whole = Expected { is_whole: true, ..expected() };
        assert_eq!(saved(text(10..30).as_bytes(), &whole), (text(10..30), None));
        assert_eq!(saved(text(10..30).as_bytes(), &expected()), (text(10..30), None));
    }

    #[test]
    fn the_doubt_begins_with_the_first_line_that_is_gone() {
        let torn = |cut: std::ops::Range<u64>, from| text(cut) + "{\"ts_recv\":1" + &text(from..30);
        for (content, kept, lost_since) in [
            (text(20..30), text(20..30), 9),
            (String::new(), String::new(), 9),
            (text(10..13), text(10..13), 12),
            (torn(10..12, 20), text(10..12) + &text(21..30), 11),
            (torn(10..17, 25), text(10..17) + &text(26..30), 16),
            // Cut between two lines, before the last comparison: any line but the first may be lost.
            (text(10..12) + &text(20..30), text(10..12) + &text(20..30), 10),
            // After it: all lines seen by that comparison are intact.
            (text(10..18) + &text(20..30), text(10..18) + &text(20..30), 14),
        ] {
            assert_eq!(saved(content.as_bytes(), &expected()), (kept, Some(lost_since)), "{content}");
        }
    }

    #[test]
    fn what_others_wrote_does_not_get_in() {
        for foreign in ["my notes\n", "{\"a\":1}\n", &line(9), &line(31), &line(12), &"\0".repeat(4096)] {
            let content = text(10..30) + foreign;
            assert_eq!(saved(content.as_bytes(), &expected()), (text(10..30), None), "{foreign}");
        }
        // In the middle of the file, without a line break: the next line is glued to it.
        let content = text(10..20) + "my notes" + &text(20..30);
        assert_eq!(saved(content.as_bytes(), &expected()), (text(10..20) + &text(21..30), Some(19)));
        // More than is ever held in memory.
        let content = text(10..20).into_bytes().into_iter().chain(std::iter::repeat_n(0, 17 << 20)).chain(*b"\n");
        let content: Vec<u8> = content.chain(text(20..30).into_bytes()).collect();
        assert_eq!(saved(&content, &expected()), (text(10..30), None));
    }

    proptest! {
        /// For any cut and any later writes: no line before the interval in doubt is missing.
        #[test]
        fn no_cut_loses_a_line_before_the_doubt(cut in 0usize..400, goes_on in 10u64..30) {
            let whole = text(10..goes_on);
            let content = whole[..cut.min(whole.len())].to_owned() + &text(goes_on..30);
            let (kept, lost_since) = saved(content.as_bytes(), &expected());
            let is_kept = |micros: &u64| kept.contains(&line(*micros));
            let missing: Vec<u64> = (10..30).filter(|micros| !is_kept(micros)).collect();
            prop_assert_eq!(lost_since.is_some(), !missing.is_empty());
            prop_assert!(missing.iter().all(|micros| lost_since.is_some_and(|since| since < *micros)));
            prop_assert!(kept.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
        }
    }
}
