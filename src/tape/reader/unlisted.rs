//! What a manifest would say of a sealed file that it does not list: a line of it is lost or damaged, or the recorder was
//! killed between the file and the line. The file is whole all the same, and its frames say so.

use super::frames::Frames;
use super::tree::Tree;
use super::{TapeError, lines};
use crate::clock::Stamp;
use crate::files::lines::Lines;
use crate::files::{CHUNK, ReadFile};
use crate::printable;
use crate::tape::line::{self, longest};
use crate::tape::segment_name::SegmentName;
use sha2::{Digest, Sha256};
use std::io::{self, Seek, SeekFrom};

/// What a line of a manifest says of a file, as far as readers have to know it.
pub(super) struct Measured {
    /// The stamp of its last line.
    pub(super) last: Stamp,
    /// Lines.
    pub(super) lines: u64,
    /// Bytes before compression.
    pub(super) bytes: u64,
    /// SHA-256 of the file, lower-case hex.
    pub(super) sha256: String,
}

/// Reads a sealed file to its end; `None`: it is gone.
pub(super) fn measure(tree: &Tree, name: &SegmentName) -> Result<Option<Measured>, TapeError> {
    let path = name.sealed();
    let Some(file) = tree.open(&path)? else { return Ok(None) };
    measured(file, name).map(Some).map_err(tree.failed("read", &path))
}

fn measured(mut file: Box<dyn ReadFile>, name: &SegmentName) -> io::Result<Measured> {
    let sha256 = hash(&mut *file)?;
    file.seek(SeekFrom::Start(0))?;
    let mut content = Lines::new(Frames::new(file, lines::ALONE), longest(&name.stream));
    let (mut last, mut count, mut bytes) = (name.first, 0, 0);
    while let Some(line) = content.next_line()? {
        last = line::stamp(line).unwrap_or(last);
        (count, bytes) = (count + 1, bytes + line.len() as u64 + 1);
    }
    if content.too_long() > 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it has a line that is too long"));
    }
    Ok(Measured { last, lines: count, bytes, sha256 })
}

fn hash(file: &mut dyn ReadFile) -> io::Result<String> {
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; CHUNK]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(printable::hex(&hash.finalize())),
            length => hash.update(&buffer[..length]),
        }
    }
}
