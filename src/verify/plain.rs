//! A plain segment: active, or ended and waiting. What a crash tore is told by its copy in the quarantine.

use super::Root;
use super::content::Content;
use super::fault::Within;
use super::lines::{Piece, Splitter};
use super::report::{Meter, Report, failed};
use crate::files::{CHUNK, ReadFile};
use crate::recording::seal::tally::Checksum;
use crate::recording::seal::torn;
use crate::tape::line;
use crate::tape::segment_name::SegmentName;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

/// What is known of a plain file before it is read.
pub(super) struct Plain<'a> {
    pub(super) root: &'a Root,
    /// As it is, or will be, named in the archive; an active one by its first stamp, which is read first.
    pub(super) name: &'a SegmentName,
    /// Whether it is still written, or left as it was when the process died.
    pub(super) is_active: bool,
}

impl Plain<'_> {
    /// Reads all of it.
    pub(super) fn check(&self, mut file: Box<dyn ReadFile>, meter: &Meter, report: &mut Report) {
        let Self { root, name, is_active } = self;
        let mut copies = Copies { root, name, offsets: None };
        let mut content = Content::new(&name.stream, name.epoch);
        let mut splitter = Splitter::new(line::longest(&name.stream));
        let mut chunk = vec![0; CHUNK];
        let faults = &mut report.faults;
        let mut each = |offset, piece: Piece<'_>| match piece {
            Piece::Line(line) => {
                if let Err(reason) = content.line(offset, line)
                    && !copies.has(&content, offset, line)
                {
                    faults.at(offset, Within::File, reason);
                }
            }
            Piece::TooLong => faults.at(offset, Within::File, "a line is longer than any of its stream can be"),
            // It is being written, or ended by the next start.
            Piece::Unended(_) if *is_active && !root.is_quiet() => {}
            Piece::Unended(line) => {
                faults.at(
                    offset,
                    Within::File,
                    format!("it ends within a line, of which {} bytes are there", line.len()),
                );
            }
        };
        let read = loop {
            match file.read(&mut chunk) {
                Ok(0) => break Ok(()),
                Ok(length) => {
                    report.content_bytes += length as u64;
                    meter.add(length);
                    splitter.feed(&chunk[..length], &mut each);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        splitter.finish(&mut each);
        if let Err(error) = read {
            report.faults.whole(failed(&error));
        }
        report.take(content);
    }
}

/// The copies of torn lines of one segment, in the quarantine.
struct Copies<'a> {
    root: &'a Root,
    name: &'a SegmentName,
    /// What the quarantine has, read with the first line that may be torn: the checksum of each copy, by its offset.
    offsets: Option<BTreeMap<u64, (u64, String)>>,
}

impl Copies<'_> {
    /// Whether a line is kept there byte for byte; of an active file the name follows from its first line.
    fn has(&mut self, content: &Content, offset: u64, line: &[u8]) -> bool {
        let named = content.first.filter(|_| self.name.first == Default::default());
        let name = SegmentName { first: named.unwrap_or(self.name.first), ..self.name.clone() };
        let root = self.root;
        let copies = self.offsets.get_or_insert_with(|| copies(root, &name).unwrap_or_default());
        let mut checksum = Checksum::default();
        checksum.update(line);
        copies.get(&offset).is_some_and(|(bytes, sha256)| *bytes == checksum.bytes && *sha256 == checksum.sha256())
    }
}

fn copies(root: &Root, name: &SegmentName) -> io::Result<BTreeMap<u64, (u64, String)>> {
    let mut found = BTreeMap::new();
    let directory = torn::copy_path(name, 0).parent().unwrap_or(Path::new("")).to_owned();
    for entry in root.files.names(&directory)? {
        let Some((segment, offset)) = entry.to_str().and_then(torn::parse_copy) else { continue };
        if segment != name.plain_name() {
            continue;
        }
        let (mut checksum, mut chunk) = (Checksum::default(), vec![0; CHUNK]);
        let mut copy = root.files.read(&directory.join(&entry))?.take(line::longest(&name.stream) as u64);
        loop {
            match copy.read(&mut chunk)? {
                0 => break,
                length => checksum.update(&chunk[..length]),
            }
        }
        found.insert(offset, (checksum.bytes, checksum.sha256()));
    }
    Ok(found)
}
