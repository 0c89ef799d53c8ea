//! A sealed segment: its frames, its seek table, its lines, and what its manifest says of all of them.

use super::Root;
use super::content::Content;
use super::fault::{Faults, Within};
use super::lines::{Piece, Splitter};
use super::report::{Meter, Metered, Report, failed};
use crate::clock::Stamp;
use crate::files::{CHUNK, ReadFile};
use crate::recording::seal::tally::{Checksum, Measured};
use crate::tape::line;
use crate::tape::manifest::ManifestEntry;
use crate::tape::reader::frame::{Frame, FrameDecoder, has_content};
use crate::tape::segment_name::SegmentName;
use std::io::{self, BufRead, BufReader};
use zeekstd::SeekTable;

/// What is known of a sealed file before it is read.
pub(super) struct Sealed<'a> {
    pub(super) root: &'a Root,
    pub(super) name: &'a SegmentName,
    /// Its line of the manifest.
    pub(super) entry: Option<&'a ManifestEntry>,
}

/// What a file decodes to.
struct Decoded {
    content: Content,
    bytes: u64,
    /// Whether it decodes to its end.
    is_whole: bool,
    checksum: Checksum,
}

/// A file that is measured while it is decoded.
type File<'a> = BufReader<Measured<Metered<'a>>>;

impl Sealed<'_> {
    /// Reads all of it.
    pub(super) fn check(&self, file: Box<dyn ReadFile>, meter: &Meter, report: &mut Report) {
        let faults = &mut report.faults;
        match self.decode(Metered { file, meter }, faults) {
            Ok(decoded) => {
                // What does not decode is no longer what was listed: that is one fault.
                if decoded.is_whole {
                    self.compare(&decoded, faults);
                }
                report.content_bytes += decoded.bytes;
                report.take(decoded.content);
            }
            Err(error) => faults.whole(failed(&error)),
        }
    }

    /// An error is one of the system: what is damaged is a fault.
    fn decode(&self, file: Metered<'_>, faults: &mut Faults) -> io::Result<Decoded> {
        let epoch = self.entry.map_or(self.name.epoch, |entry| entry.epoch);
        let mut content = Content::new(&self.name.stream, epoch);
        let mut splitter = Splitter::new(line::longest(&self.name.stream));
        let mut each = |offset, piece: Piece<'_>| match piece {
            Piece::Line(line) => {
                if let Err(reason) = content.line(offset, line) {
                    faults.at(offset, Within::Content, reason);
                }
            }
            Piece::TooLong => faults.at(offset, Within::Content, "a line is longer than any of its stream can be"),
            Piece::Unended(_) => faults.at(offset, Within::Content, "it ends within a line"),
        };
        let mut file = BufReader::with_capacity(CHUNK, Measured::new(file));
        let mut decoder = FrameDecoder::new()?;
        let (mut table, mut bytes, mut end, mut damage) = (SeekTable::new(), 0, 0, None);
        // What has no content is the seek table.
        while has_content(&mut file)? == Some(true) {
            match decoder.decode(&mut file) {
                Ok(frame) => {
                    splitter.feed(frame.content, &mut each);
                    log_frame(&mut table, &frame);
                    bytes += frame.content.len() as u64;
                    end += frame.length;
                }
                Err(error) if error.raw_os_error().is_some() => return Err(error),
                Err(error) => {
                    damage = Some(format!("a frame does not decode: {error}"));
                    break;
                }
            }
        }
        if damage.is_none() {
            splitter.finish(&mut each);
        }
        let is_whole = damage.is_none();
        match damage {
            Some(reason) => faults.at(end, Within::File, reason),
            None => check_table(&mut file, end, table, faults)?,
        }
        io::copy(&mut file, &mut io::sink())?;
        let checksum = file.into_inner().into_checksum();
        Ok(Decoded { content, bytes, is_whole, checksum })
    }

    fn compare(&self, decoded: &Decoded, faults: &mut Faults) {
        let Some(entry) = self.entry else {
            if self.root.is_quiet() {
                faults.whole("no line of its manifest names it");
            }
            return;
        };
        let Decoded { content, bytes, checksum, .. } = decoded;
        let of_none = |stamp: Option<Stamp>| stamp.unwrap_or(self.name.first);
        let counts = [
            ("bytes of content", *bytes, entry.bytes),
            ("lines", content.lines, entry.lines),
            ("as the stamp of its first line", of_none(content.first).as_micros(), entry.first.as_micros()),
            ("as the stamp of its last line", of_none(content.last).as_micros(), entry.last.as_micros()),
            ("bytes", checksum.bytes, entry.zst_bytes),
        ];
        // Each line that is no JSON is a fault already, and counts as none.
        let had_none = faults.is_empty();
        for (what, found, listed) in counts {
            if found != listed && had_none {
                faults.whole(format!("it has {found} {what}, and its manifest says {listed}"));
            }
        }
        let found = checksum.sha256();
        if found != entry.sha256 && had_none {
            faults.whole(format!("its SHA-256 is {found}, and its manifest says {}", entry.sha256));
        }
    }
}

/// The lengths of a frame; one that is longer than the format knows is no frame of ours, and no table has it.
fn log_frame(table: &mut SeekTable, frame: &Frame<'_>) {
    if let (Ok(length), Ok(content)) = (u32::try_from(frame.length), u32::try_from(frame.content.len())) {
        // A file with more frames than a table can have differs from its table.
        let _ = table.log_frame(length, content);
    }
}

/// Compares what follows the frames with the table of these frames.
fn check_table(file: &mut File<'_>, begin: u64, table: SeekTable, faults: &mut Faults) -> io::Result<()> {
    let mut wanted = table.into_serializer();
    let (mut offset, mut chunk) = (begin, vec![0; CHUNK]);
    loop {
        let length = wanted.write_into(&mut chunk);
        if length == 0 {
            break;
        }
        let mut expected = &chunk[..length];
        while !expected.is_empty() {
            let found = file.fill_buf()?;
            if found.is_empty() {
                faults.at(offset, Within::File, "its seek table ends early");
                return Ok(());
            }
            let same = found.iter().zip(expected).take_while(|(found, expected)| found == expected).count();
            let compared = found.len().min(expected.len());
            if same < compared {
                faults.at(offset + same as u64, Within::File, "its seek table does not say where its frames are");
                return Ok(());
            }
            file.consume(compared);
            offset += compared as u64;
            expected = &expected[compared..];
        }
    }
    if !file.fill_buf()?.is_empty() {
        faults.at(offset, Within::File, "something follows its seek table");
    }
    Ok(())
}
