//! The content of a sealed file, each zstd frame only after its checksum matched, from the front or from a stamp on.
//!
//! ```text
//! ┌ frame ┬ frame ┬ frame ┬ … ┬ seek table ┐      a MiB of content each; the table says where each begins
//!     └ probe: its first block tells the first stamp behind a line break
//! ```
//!
//! A decoder hands out bytes before it compares the checksum at the end of a frame: a damaged one would yield lines
//! that were never received. So frames are held back until they are decoded, and what a probe found is confirmed by
//! the frame that reading begins with: stamps increase, so its first one tells what lies before it.

use super::frame::FrameDecoder;
use super::seek::first_stamp;
use crate::clock::Stamp;
use crate::files::CHUNK;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use zeekstd::SeekTable;

/// Content decoded by a probe: a zstd block, and less is not decoded at a time.
const PROBE: u64 = 128 * 1024;

/// See the module.
pub(super) struct Frames<R> {
    file: R,
    content: Vec<u8>,
    given: usize,
    /// The most of the content that is held.
    keep: usize,
    /// What is left of a frame that has more than `content`.
    rest: Option<Rest>,
    /// Where the next frame begins.
    next: u64,
    /// Bytes of content that were decoded.
    decoded: u64,
}

/// The part of a frame behind some of its content.
#[derive(Clone, Copy)]
struct Rest {
    /// Where the frame begins.
    frame: u64,
    /// How much of its content comes before.
    skip: usize,
}

impl<R: Read + Seek> Frames<R> {
    /// The content of `file`, of which `keep` bytes are held at a time: what is more of a frame is decoded again.
    pub(super) fn new(file: R, keep: usize) -> Self {
        Self { file, content: Vec::new(), given: 0, keep, rest: None, next: 0, decoded: 0 }
    }

    /// Passes over frames that have lines before `stamp` alone, if there are, and returns how much content they have;
    /// `listed` is the length of all content, if it is known. The first line behind them is the rest of one.
    pub(super) fn skip_to(&mut self, stamp: Stamp, listed: Option<u64>) -> io::Result<u64> {
        // Without a table that fits, as in a damaged file, everything is read.
        let Ok(table) = SeekTable::from_seekable(&mut self.file) else { return Ok(0) };
        if listed.is_some_and(|listed| listed != table.size_decomp()) {
            return Ok(0);
        }
        let (mut begin, mut end) = (0, table.num_frames());
        while end.saturating_sub(begin) > 1 {
            let middle = begin + (end - begin) / 2;
            match self.probe(&table, middle)? {
                Some(first) if first < stamp => begin = middle,
                _ => end = middle,
            }
        }
        let place = |index| Some((table.frame_start_comp(index).ok()?, table.frame_start_decomp(index).ok()?));
        let Some((next, skipped)) = place(begin).filter(|_| begin > 0) else { return Ok(0) };
        let begins_before = |content: &Vec<u8>| first_stamp(content).is_some_and(|first| first < stamp);
        match self.decode(next) {
            Ok(Some(content)) if begins_before(&content) => {
                self.hold(Rest { frame: next, skip: 0 }, content);
                Ok(skipped)
            }
            _ => {
                self.next = 0;
                Ok(0)
            }
        }
    }

    /// Bytes of content that were decoded.
    pub(super) fn decoded(&self) -> u64 {
        self.decoded
    }

    /// The first stamp behind a line break in a frame; `None` where it has none, or none soon.
    fn probe(&mut self, table: &SeekTable, frame: u32) -> io::Result<Option<Stamp>> {
        let Ok(begin) = table.frame_start_comp(frame) else { return Ok(None) };
        self.file.seek(SeekFrom::Start(begin))?;
        let mut content = Vec::new();
        let file = BufReader::with_capacity(CHUNK, &mut self.file);
        // What does not decode is found when it is read.
        let decoder = zstd::stream::read::Decoder::with_buffer(file).map(|decoder| decoder.single_frame());
        let read = decoder.and_then(|decoder| decoder.take(PROBE).read_to_end(&mut content));
        self.decoded += content.len() as u64;
        Ok(read.ok().and_then(|_| first_stamp(&content)))
    }

    /// Goes on with the next frame, or the rest of the one before; `false` at the end of the file.
    fn decode_next(&mut self) -> io::Result<bool> {
        let rest = self.rest.take().unwrap_or(Rest { frame: self.next, skip: 0 });
        (self.content, self.given) = (Vec::new(), 0);
        let content = self.decode(rest.frame)?;
        Ok(content.map(|content| self.hold(rest, content)).is_some())
    }

    /// The content of the frame that begins at an offset, whole; `None` at the end of the file.
    fn decode(&mut self, begin: u64) -> io::Result<Option<Vec<u8>>> {
        self.file.seek(SeekFrom::Start(begin))?;
        let mut file = BufReader::with_capacity(CHUNK, &mut self.file);
        if file.fill_buf()?.is_empty() {
            return Ok(None);
        }
        // One for this frame: kept, it would take more memory than what may be held of a file.
        let mut decoder = FrameDecoder::new()?;
        let length = decoder.decode(&mut file)?.length;
        let content = decoder.into_content();
        self.decoded += content.len() as u64;
        self.next = begin + length;
        Ok(Some(content))
    }

    /// Holds of a frame's content what is to be read, as much as may be.
    fn hold(&mut self, Rest { frame, skip }: Rest, content: Vec<u8>) {
        let end = content.len().min(skip.saturating_add(self.keep));
        self.rest = (end < content.len()).then_some(Rest { frame, skip: end });
        // A copy, so that no more is held.
        self.content = if (skip, end) == (0, content.len()) { content } else { content[skip.min(end)..end].to_vec() };
        self.given = 0;
    }
}

impl<R: Read + Seek> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(buffer)?;
        self.consume(length);
        Ok(length)
    }
}

impl<R: Read + Seek> BufRead for Frames<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        // The seek table at the end is a frame without content.
        while self.given == self.content.len() && self.decode_next()? {}
        Ok(&self.content[self.given..])
    }

    fn consume(&mut self, amount: usize) {
        self.given += amount;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    fn frame(content: &[u8]) -> Vec<u8> {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
        encoder.include_checksum(true).unwrap();
        io::Write::write_all(&mut encoder, content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn nothing_is_given_of_a_frame_that_is_damaged_anywhere() {
        let (first, second) = (frame(b"one\n"), frame("two\n".repeat(9).as_bytes()));
        let whole = [first.clone(), second.clone()].concat();
        let read = |file: &[u8]| {
            let mut content = Vec::new();
            let result = Frames::new(Cursor::new(file), usize::MAX).read_to_end(&mut content);
            (String::from_utf8(content).unwrap(), result.is_ok())
        };
        assert_eq!(read(&whole), (format!("one\n{}", "two\n".repeat(9)), true));
        for at in first.len()..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            let (content, is_whole) = read(&damaged);
            assert!(content == "one\n" && !is_whole || read(&whole) == (content, is_whole), "byte {at}");
            assert_eq!(read(&whole[..at]), ("one\n".to_owned(), at == first.len()));
        }
    }

    /// Lines in a seekable file with frames of `frame` bytes.
    fn sealed(lines: &[String], frame: u32) -> Vec<u8> {
        let mut file = Vec::new();
        let options = zeekstd::EncodeOptions::new().checksum_flag(true);
        let policy = zeekstd::FrameSizePolicy::Uncompressed(frame);
        let mut encoder = options.frame_size_policy(policy).into_encoder(&mut file).unwrap();
        io::Write::write_all(&mut encoder, lines.concat().as_bytes()).unwrap();
        encoder.finish().unwrap();
        file
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn every_line_from_the_stamp_on_is_read(lengths in prop::collection::vec(0..3_000usize, 1..200), wanted in 0..220u64, frame in 200..9_000u32, keep in 1..4_000usize, damage in prop::option::of(any::<prop::sample::Index>())) {
            let line = |(stamp, length): (usize, &usize)| format!("{{\"ts_recv\":{},{}}}\n", stamp + 1, "x".repeat(*length));
            let lines: Vec<String> = lengths.iter().enumerate().map(line).collect();
            let mut file = sealed(&lines, frame);
            if let Some(at) = damage {
                let at = at.index(file.len());
                file[at] ^= 0x40;
            }
            let mut frames = Frames::new(Cursor::new(&file), keep);
            let total = lines.concat().len() as u64;
            let skipped = frames.skip_to(Stamp::from_micros(wanted).unwrap(), Some(total)).unwrap();
            let mut text = Vec::new();
            let result = frames.read_to_end(&mut text);
            let from = lines.concat().len() - if result.is_ok() { text.len() } else { lines.concat().len() - skipped as usize };
            // A damaged table may say that less or more was passed over; the end of the content tells that.
            prop_assert!(from as u64 == skipped || damage.is_some(), "{from} and {skipped}");
            prop_assert!(lines.concat().as_bytes()[from..].starts_with(&text));
            prop_assert!(result.is_ok() || damage.is_some());
            let first: usize = lines.iter().take((wanted as usize).saturating_sub(1)).map(String::len).sum();
            prop_assert!(from <= first, "{from} is behind {first}");
        }
    }
}
