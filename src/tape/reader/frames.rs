//! The content of a sealed file, each zstd frame only after its checksum matched.
//!
//! A decoder hands out bytes before it compares the checksum at the end of a frame: a damaged one would yield lines
//! that were never received. Frames of sealed files hold a MiB of content, so they can be held back.

use std::io::{self, BufRead, Read};

/// The most of a frame's content: far more than a sealed file has, and little to hold.
const LARGEST: u64 = 16 * 1024 * 1024;

/// See the module.
pub(super) struct Frames<R> {
    file: R,
    content: Vec<u8>,
    given: usize,
}

impl<R: BufRead> Frames<R> {
    /// The content of `file`.
    pub(super) fn new(file: R) -> Self {
        Self { file, content: Vec::new(), given: 0 }
    }

    fn decode_frame(&mut self) -> io::Result<()> {
        self.content.clear();
        self.given = 0;
        let decoder = zstd::stream::read::Decoder::with_buffer(&mut self.file)?.single_frame();
        decoder.take(LARGEST + 1).read_to_end(&mut self.content)?;
        if self.content.len() as u64 > LARGEST {
            let message = format!("a frame has more than {LARGEST} bytes of content");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // The seek table at the end is a frame without content.
        while self.given == self.content.len() {
            if self.file.fill_buf()?.is_empty() {
                return Ok(0);
            }
            if let Err(error) = self.decode_frame() {
                self.content.clear();
                return Err(error);
            }
        }
        let length = (&self.content[self.given..]).read(buffer)?;
        self.given += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let result = Frames::new(file).read_to_end(&mut content);
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
}
