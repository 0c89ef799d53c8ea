//! Holds a sealed file against the plain file of the same segment, reading both once.
//!
//! ```text
//! x.jsonl.zst ──decode──▶ ████████████████
//! x.jsonl     ──────────▶ ██████████        a power cut can take the end of a source that came back, not of its sealed file
//! ```

use super::error::SealError;
use super::tally::{Checksum, Measured, Tally};
use super::torn::{LessTorn, Source};
use crate::files::{CHUNK, Files, IoError};
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};

/// How a sealed file compares with its source.
#[derive(Debug)]
pub enum Comparison {
    /// There is no sealed file.
    Missing,
    /// It decodes, and its content begins with all of its source.
    Holds(Box<Figures>),
    /// It decodes to something else.
    Differs(Box<Figures>),
    /// It does not decode.
    Damaged,
}

/// The figures of a sealed file that decodes.
#[derive(Debug)]
pub struct Figures {
    /// Of its content.
    pub content: Tally,
    /// Of the file itself.
    pub file: Checksum,
}

/// Compares the two files of a segment, the plain one without its `torn` lines; a plain file that is gone counts as empty. An error means that one of them could
/// not be read, which proves nothing.
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
    let (mut content, mut holds) = (Tally::default(), true);
    let (mut decoded, mut expected) = (Vec::with_capacity(CHUNK), Vec::with_capacity(CHUNK));
    loop {
        if stop.load(Ordering::Relaxed) {
            return Err(SealError::Stopped);
        }
        match fill(&mut decoder, &mut decoded) {
            // The system's own answer is about this attempt; any other is about the file.
            Err(error) if error.raw_os_error().is_some() => {
                return Err(IoError::at("decode", &sealed)(error).into());
            }
            Err(_) => return Ok(Comparison::Damaged),
            Ok(()) => {}
        }
        fill(&mut source, &mut expected).map_err(IoError::at("read", &plain))?;
        holds &= decoded.starts_with(&expected);
        content.update(&decoded);
        if decoded.is_empty() {
            break;
        }
    }
    drop(decoder);
    let figures = Box::new(Figures { content, file: file.into_checksum() });
    Ok(if holds { Comparison::Holds(figures) } else { Comparison::Differs(figures) })
}

/// Reads the next [`CHUNK`] bytes, or all that are left.
fn fill(source: &mut dyn Read, chunk: &mut Vec<u8>) -> io::Result<()> {
    chunk.clear();
    source.take(CHUNK as u64).read_to_end(chunk).map(drop)
}
