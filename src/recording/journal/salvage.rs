//! Saves the whole lines, in order, of a segment that another process has changed.
//!
//! ```text
//! as long as was written ──▶ every byte
//! otherwise              ──▶ lines that are ours; where the first of them is gone, the doubt begins
//! ```
//!
//! A file that was cut goes on at its new end, within a line perhaps; one that was lengthened has bytes that were never
//! received. Neither gets into the archive.

use crate::clock::Stamp;
use crate::files::{AppendFile, CHUNK, append_all};
use crate::recording::segment::Seen;
use crate::tape::line;
use serde::de::IgnoredAny;
use std::io::{self, BufRead, BufReader, Read};

/// A longer line of a file that was cut or lengthened counts as damage: it is never in memory as a whole.
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
    /// Up to here it was whole when it was last compared.
    pub(super) seen: Seen,
    /// Its length is the written one.
    pub(super) is_whole: bool,
}

/// The saved content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Salvage {
    /// How much.
    pub(super) bytes: u64,
    /// Behind this stamp, lines are gone; `None`: all are there.
    pub(super) lost_since: Option<Stamp>,
}

/// Copies the lines that are left of a segment.
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
    /// The last line before something was missing, or may have been.
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

    /// The stamp of a line that is ours, whole and in its place.
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
            // Something before it is missing, and no torn line shows where.
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
            // Cut between two lines, before the last comparison: any line but the first may be gone.
            (text(10..12) + &text(20..30), text(10..12) + &text(20..30), 10),
            // Behind it: all lines that were there then are there still.
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
        // In the midst, and not ended: the line behind it is glued to it.
        let content = text(10..20) + "my notes" + &text(20..30);
        assert_eq!(saved(content.as_bytes(), &expected()), (text(10..20) + &text(21..30), Some(19)));
        // More than is ever held in memory.
        let content = text(10..20).into_bytes().into_iter().chain(std::iter::repeat_n(0, 17 << 20)).chain(*b"\n");
        let content: Vec<u8> = content.chain(text(20..30).into_bytes()).collect();
        assert_eq!(saved(&content, &expected()), (text(10..30), None));
    }

    proptest! {
        /// Wherever it was cut, and however much was written since: no line before the doubt's beginning is missing.
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
