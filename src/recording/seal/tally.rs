//! Length and checksum of bytes, number and stamps of lines, in one pass. Pure.

use crate::clock::Stamp;
use crate::printable;
use crate::tape::line;
use sha2::{Digest, Sha256};
use std::io::{self, Read};

/// A prefix of a line that holds its stamp.
const LINE_HEAD: usize = 40;

/// Length and hash of some bytes.
#[derive(Clone, Debug, Default)]
pub struct Checksum {
    /// Their number.
    pub bytes: u64,
    hash: Sha256,
}

impl Checksum {
    /// Adds the next bytes.
    pub fn update(&mut self, chunk: &[u8]) {
        self.bytes += chunk.len() as u64;
        self.hash.update(chunk);
    }

    /// The SHA-256 in lower-case hex.
    pub fn sha256(&self) -> String {
        printable::hex(&self.hash.clone().finalize())
    }
}

/// The length, number and stamps of lines.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// All bytes.
    pub bytes: u64,
    /// Lines with a line break.
    pub lines: u64,
    /// The first stamp.
    pub first: Option<Stamp>,
    /// The last stamp.
    pub last: Option<Stamp>,
    head: Vec<u8>,
}

impl Tally {
    /// Adds the next bytes; chunks may end anywhere.
    pub fn update(&mut self, chunk: &[u8]) {
        self.bytes += chunk.len() as u64;
        let mut begin = 0;
        for end in memchr::memchr_iter(b'\n', chunk) {
            self.add_to_head(&chunk[begin..end]);
            begin = end + 1;
            self.lines += 1;
            self.last = line::stamp(&self.head).or(self.last);
            self.first = self.first.or(self.last);
            self.head.clear();
        }
        self.add_to_head(&chunk[begin..]);
    }

    fn add_to_head(&mut self, part: &[u8]) {
        let room = LINE_HEAD - self.head.len();
        self.head.extend_from_slice(&part[..part.len().min(room)]);
    }
}

/// Measures the bytes that are read through it.
#[derive(Debug)]
pub struct Measured<R> {
    source: R,
    checksum: Checksum,
}

impl<R: Read> Measured<R> {
    /// Measures from here on.
    pub fn new(source: R) -> Self {
        Self { source, checksum: Checksum::default() }
    }

    /// Of everything read so far.
    pub fn into_checksum(self) -> Checksum {
        self.checksum
    }
}

impl<R: Read> Read for Measured<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.source.read(buffer)?;
        self.checksum.update(&buffer[..length]);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_stamps_are_found_wherever_the_bytes_are_cut() {
        let text = b"{\"ts_recv\":5,\"a\":1}\ntorn\n{\"ts_recv\":9,\"a\":1}\n{\"ts_recv\":11,";
        for size in 1..text.len() {
            let mut tally = Tally::default();
            text.chunks(size).for_each(|chunk| tally.update(chunk));
            assert_eq!((tally.lines, tally.last), (3, Stamp::from_micros(9)), "{size}");
            assert_eq!(tally.first, Stamp::from_micros(5));
            assert_eq!(tally.bytes, text.len() as u64);
        }
    }

    #[test]
    fn the_hash_is_the_one_that_sha256sum_prints() {
        let mut checksum = Checksum::default();
        checksum.update(b"abc");
        assert_eq!(checksum.sha256(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
