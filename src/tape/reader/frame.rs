//! One zstd frame after the other, each whole and its checksum compared before anything of it is used.

use std::io::{self, BufRead};
use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

/// The most of a frame's content: far more than a sealed file has, and little to hold.
const LARGEST: usize = 16 * 1024 * 1024;

/// Room for content is made in such steps: the length of a frame is known at its end.
const STEP: usize = 1024 * 1024;

/// The first byte of a frame with content; a skippable one, as the seek table is, begins with another.
const CONTENT: u8 = 0x28;

/// Decodes frames: one decoder for all of them, which costs an allocation each otherwise.
pub struct FrameDecoder {
    decoder: Decoder<'static>,
    content: Vec<u8>,
}

impl FrameDecoder {
    /// A decoder.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn new() -> io::Result<Self> {
        Ok(Self { decoder: Decoder::new()?, content: Vec::new() })
    }

    /// The content of the last frame, without a copy of it.
    pub fn into_content(self) -> Vec<u8> {
        self.content
    }

    /// The content of the frame that `file` goes on with, empty where it is skippable, and its length in the file. `file` is
    /// behind the frame then; after an error, somewhere in it.
    ///
    /// # Errors
    /// The file cannot be read, ends within the frame, or holds a damaged one.
    pub fn decode(&mut self, file: &mut impl BufRead) -> io::Result<Frame<'_>> {
        self.content.clear();
        self.decoder.reinit()?;
        let mut length = 0;
        loop {
            let input = file.fill_buf()?;
            if input.is_empty() {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file ends within a frame"));
            }
            let at = self.content.len();
            if at == self.content.capacity() {
                self.content.reserve(STEP);
            }
            let (mut from, mut into) = (InBuffer::around(input), OutBuffer::around_pos(&mut self.content, at));
            let left = self.decoder.run(&mut from, &mut into)?;
            let taken = from.pos();
            file.consume(taken);
            length += taken as u64;
            if self.content.len() > LARGEST {
                let message = format!("a frame has more than {LARGEST} bytes of content");
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
            if left == 0 {
                return Ok(Frame { content: &self.content, length });
            }
        }
    }
}

/// A frame that was decoded.
#[derive(Debug)]
pub struct Frame<'a> {
    /// What it decodes to.
    pub content: &'a [u8],
    /// Its own length, in bytes of the file.
    pub length: u64,
}

/// Whether `file` goes on with a frame that has content; `None`: it is over.
///
/// # Errors
/// It cannot be read.
pub fn has_content(file: &mut impl BufRead) -> io::Result<Option<bool>> {
    Ok(file.fill_buf()?.first().map(|first| *first == CONTENT))
}

impl std::fmt::Debug for FrameDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FrameDecoder").finish_non_exhaustive()
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
    fn frames_are_told_apart_and_damage_stays_in_its_frame() {
        let (first, second) = (frame(b"one\n"), frame("two\n".repeat(9).as_bytes()));
        let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
        let whole = [first.clone(), second.clone(), skippable.clone()].concat();
        let read = |file: &[u8]| -> (Vec<(String, u64)>, bool) {
            let (mut file, mut decoder, mut found) = (file, FrameDecoder::new().unwrap(), Vec::new());
            while has_content(&mut file).unwrap().is_some() {
                match decoder.decode(&mut file) {
                    Ok(Frame { content, length }) => {
                        found.push((String::from_utf8_lossy(content).into_owned(), length))
                    }
                    Err(_) => return (found, false),
                }
            }
            (found, true)
        };
        let lengths = [first.len(), second.len(), skippable.len()].map(|length| length as u64);
        let contents = ["one\n".to_owned(), "two\n".repeat(9), String::new()];
        let wanted: Vec<_> = contents.into_iter().zip(lengths).collect();
        assert_eq!(read(&whole), (wanted.clone(), true));
        for at in first.len()..first.len() + second.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            let (found, is_whole) = read(&damaged);
            assert!(found == wanted[..1] && !is_whole || (&found, is_whole) == (&wanted, true), "byte {at}");
            assert_eq!(read(&whole[..at]), (wanted[..1].to_vec(), at == first.len()));
        }
    }
}
