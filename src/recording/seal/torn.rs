//! Lines torn by a crash: kept in the plain file, left out of the sealed one.
//!
//! ```text
//! x.jsonl                       … line\n {"ts_recv":17950000000\n line\n …        ended, so followers stay in step
//! quarantine/x.jsonl.torn-8192           {"ts_recv":17950000000                   the same bytes, durable before
//! x.jsonl.zst                   … line\n line\n …
//! ```
//!
//! A line is left out only if a copy in the quarantine equals it byte for byte; without such a copy it stays in.

use crate::files::{CHUNK, Files};
use crate::recording::seal::tally::Checksum;
use crate::tape::manifest::TornLine;
use crate::tape::paths;
use crate::tape::segment_name::SegmentName;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

/// A plain segment, and its lines to leave out.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The segment.
    pub name: &'a SegmentName,
    /// Its torn lines, ordered by offset.
    pub torn: &'a [TornLine],
}

/// The path of the copy of a torn line that begins at `offset` of a plain segment.
pub fn copy_path(name: &SegmentName, offset: u64) -> PathBuf {
    paths::quarantine(name.feed).join(format!("{}.torn-{offset}", name.plain_name()))
}

/// The segment, by its plain name, and the offset from the name of a copy; `None`: it is no such name.
pub fn parse_copy(name: &str) -> Option<(&str, u64)> {
    let (segment, offset) = name.rsplit_once(".torn-")?;
    Some((segment, offset.parse().ok()?))
}

/// The torn line at `offset`, from its copy; `None`: there is no copy, or the plain file differs there. A truncated
/// plain file is compared up to its end.
pub fn kept(files: &dyn Files, name: &SegmentName, offset: u64) -> io::Result<Option<TornLine>> {
    let (copy, plain) = (files.read(&copy_path(name, offset)), files.read(&name.plain()));
    let (mut copy, mut plain) = match (copy, plain) {
        (Err(error), _) | (_, Err(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        (copy, plain) => (copy?, plain?),
    };
    plain.seek(SeekFrom::Start(offset))?;
    let (mut checksum, mut expected, mut found) = (Checksum::default(), Vec::new(), Vec::new());
    loop {
        read_chunk(&mut *copy, &mut expected)?;
        checksum.update(&expected);
        let is_over = expected.len() < CHUNK;
        if is_over {
            expected.push(b'\n');
        }
        found.clear();
        (&mut *plain).take(expected.len() as u64).read_to_end(&mut found)?;
        if !expected.starts_with(&found) {
            return Ok(None);
        }
        if is_over {
            let length = checksum.bytes;
            return Ok((length > 0).then(|| TornLine { offset, length, sha256: checksum.sha256() }));
        }
    }
}

fn read_chunk(source: &mut dyn Read, chunk: &mut Vec<u8>) -> io::Result<()> {
    chunk.clear();
    source.take(CHUNK as u64).read_to_end(chunk).map(drop)
}

/// A plain segment without its torn lines.
#[derive(Debug)]
pub struct LessTorn<'a, R> {
    source: R,
    /// The remaining ones, in order.
    torn: &'a [TornLine],
    offset: u64,
}

impl<'a, R: Read> LessTorn<'a, R> {
    /// Leaves out `torn`, ordered by offset, each with its line break.
    pub fn new(source: R, torn: &'a [TornLine]) -> Self {
        Self { source, torn, offset: 0 }
    }

    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        self.offset += io::copy(&mut (&mut self.source).take(bytes), &mut io::sink())?;
        Ok(())
    }
}

impl<R: Read> Read for LessTorn<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some((next, rest)) = self.torn.split_first()
            && next.offset <= self.offset
        {
            self.torn = rest;
            self.skip((next.offset + next.length + 1).saturating_sub(self.offset))?;
        }
        let until = self.torn.first().map_or(u64::MAX, |next| next.offset - self.offset);
        let length = usize::try_from(until).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.source.read(&mut buffer[..length])?;
        self.offset += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn all_but_the_torn_lines_is_read(lines in prop::collection::vec((any::<bool>(), 0usize..20), 0..20), cut in 0usize..300, size in 1usize..50) {
            let (mut text, mut wanted, mut torn) = (Vec::<u8>::new(), Vec::<u8>::new(), Vec::<TornLine>::new());
            for (is_torn, length) in lines {
                let line = [vec![if is_torn { b't' } else { b'w' }; length + 1], b"\n".to_vec()].concat();
                if is_torn {
                    torn.push(TornLine { offset: text.len() as u64, length: length as u64 + 1, sha256: String::new() });
                }
                text.extend(&line);
                if !is_torn && text.len() <= cut {
                    wanted.extend(&line);
                }
            }
            text.truncate(cut);
            let rest = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            wanted.extend(text[rest..].iter().filter(|byte| **byte == b'w'));
            let mut source = LessTorn::new(&text[..], &torn);
            let mut read = Vec::<u8>::new();
            let mut buffer = vec![0; size];
            while let Ok(length @ 1..) = source.read(&mut buffer) {
                read.extend(&buffer[..length]);
            }
            prop_assert_eq!(read, wanted);
        }
    }

    #[test]
    fn the_name_of_a_copy_says_what_it_is_a_copy_of() {
        let segment = "KRW-BTC_trade.20261122T051204.113204Z.jsonl";
        assert_eq!(parse_copy(&format!("{segment}.torn-8192")), Some((segment, 8192)));
        for name in ["x.jsonl", "x.jsonl.torn-", "x.jsonl.torn-1.1", "misc.jsonl.1"] {
            assert_eq!(parse_copy(name), None, "{name}");
        }
    }
}
