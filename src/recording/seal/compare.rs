//! Compares a sealed file with the plain file of the same segment, reading both once.
//!
//! ```text
//! x.jsonl.zst ──decode──▶ ████████████████
//! x.jsonl     ──────────▶ ██████████        a power cut can bring a source back truncated, but not its sealed file
//! x.jsonl     ──────────▶ ███   ██████████  and without lines for which an earlier sync had no room
//! ```

use super::error::SealError;
use super::tally::{Checksum, Measured, Tally};
use super::torn::{LessTorn, Source};
use crate::files::{CHUNK, Files, IoError};
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};

/// The outcome of comparing a sealed file with its source.
#[derive(Debug)]
pub enum Comparison {
    /// There is no sealed file.
    Missing,
    /// It decodes, and its content begins with the whole source.
    Holds(Box<Figures>),
    /// It decodes to different content, which has all the lines of the source for all that is known, and more of them.
    Fuller(Box<Figures>),
    /// It decodes to different content.
    Differs(Box<Figures>),
    /// It does not decode.
    Damaged,
}

/// The figures of a decodable sealed file.
#[derive(Debug)]
pub struct Figures {
    /// Of its content.
    pub content: Tally,
    /// Of the file itself.
    pub file: Checksum,
}

/// Compares the two files of a segment, the plain one without its `torn` lines; a missing plain file counts as empty.
/// An error means that one of them could not be read, which proves nothing.
pub fn compare(
    files: &dyn Files,
    Source { name, torn }: Source<'_>,
    stop: &AtomicBool,
) -> Result<Comparison, SealError> {
    let (plain, sealed) = (name.plain(), name.sealed());
    let file = match files.read(&sealed) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Comparison::Missing),
        opened => opened.map_err(IoError::at("read", &sealed))?,
    };
    let source: Box<dyn Read> = match files.read(&plain) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Box::new(io::empty()),
        opened => Box::new(opened.map_err(IoError::at("read", &plain))?),
    };
    let mut source = LessTorn::new(source, torn);
    let mut file = Measured::new(file);
    let mut decoder = zstd::stream::read::Decoder::new(&mut file).map_err(IoError::at("decode", &sealed))?;
    let (mut content, mut plain_content, mut holds) = (Tally::default(), Tally::default(), true);
    let (mut decoded, mut expected) = (Vec::with_capacity(CHUNK), Vec::with_capacity(CHUNK));
    loop {
        if stop.load(Ordering::Relaxed) {
            return Err(SealError::Stopped);
        }
        match fill(&mut decoder, &mut decoded) {
            // An error of the system concerns this attempt; any other concerns the file.
            Err(error) if error.raw_os_error().is_some() => {
                return Err(IoError::at("decode", &sealed)(error).into());
            }
            Err(_) => return Ok(Comparison::Damaged),
            Ok(()) => {}
        }
        fill(&mut source, &mut expected).map_err(IoError::at("read", &plain))?;
        holds &= decoded.starts_with(&expected);
        content.update(&decoded);
        plain_content.update(&expected);
        if decoded.is_empty() && expected.is_empty() {
            break;
        }
    }
    drop(decoder);
    // A source of zeros has no stamp at all.
    let is_within =
        plain_content.first.is_none_or(|first| content.first <= Some(first)) && plain_content.last <= content.last;
    let is_fuller = plain_content.lines < content.lines && is_within;
    let figures = Box::new(Figures { content, file: file.into_checksum() });
    Ok(match (holds, is_fuller) {
        (true, _) => Comparison::Holds(figures),
        (false, true) => Comparison::Fuller(figures),
        (false, false) => Comparison::Differs(figures),
    })
}

/// Reads the next [`CHUNK`] bytes, or all that remain.
pub(super) fn fill(source: &mut dyn Read, chunk: &mut Vec<u8>) -> io::Result<()> {
    chunk.clear();
    source.take(CHUNK as u64).read_to_end(chunk).map(drop)
}
