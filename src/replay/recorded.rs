//! Frames from a file, sent as they are.
//!
//! ```text
//! {"frame":"{\"ty\":\"trade\", …}", …}                     a line each; other keys do not matter
//! {"ts_recv":1795317064154123,"type":"trade", …}       a recorder's: the object, or the bytes that it kept as a text
//! ```

use base64::prelude::{BASE64_STANDARD, Engine};
use bytes::Bytes;
use serde::Deserialize;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The longest line: a message of 64 MiB, the most that a recorder can be configured for, with each byte escaped.
const LONGEST: usize = (6 * 64 + 1) << 20;

/// Why a file of frames cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum RecordedError {
    /// The file cannot be read.
    #[error("cannot read the frames in {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// A line is malformed.
    #[error("{path}, line {line}: expected an object with the text `frame`, or a line of a recorder")]
    Line {
        /// The file.
        path: PathBuf,
        /// The number of the line, from 1.
        line: usize,
        /// The parser's error.
        #[source]
        source: serde_json::Error,
    },
}

/// All frames of one or more files, in order.
#[derive(Clone, Debug)]
pub struct Recorded(Arc<[Bytes]>);

#[derive(Deserialize)]
struct RecordedLine {
    frame: String,
}

/// A message that a recorder kept as a string, since it is no object.
#[derive(Deserialize)]
struct RawLine {
    raw: Option<String>,
    raw_base64: Option<String>,
}

/// What stands in front of an object in a recorder's line.
const STAMPED: &[u8] = b"{\"ts_recv\":";

impl Recorded {
    /// Reads the files one after the other; empty lines do not count.
    pub fn read(paths: &[impl AsRef<Path>]) -> Result<Self, RecordedError> {
        let mut frames = Vec::new();
        for path in paths {
            read(path.as_ref(), &mut frames)?;
        }
        Ok(Self(frames.into()))
    }

    /// The frame at a place; `None` behind the last.
    pub(crate) fn get(&self, index: usize) -> Option<Bytes> {
        self.0.get(index).cloned()
    }
}

fn read(path: &Path, frames: &mut Vec<Bytes>) -> Result<(), RecordedError> {
    let failed = |source| RecordedError::Read { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    let file = BufReader::new(file);
    let is_packed = path.extension().is_some_and(|ending| ending == "zst");
    // Of all frames of the file, and the seek table behind them.
    let source: Box<dyn BufRead> = match is_packed {
        true => Box::new(BufReader::new(zstd::stream::read::Decoder::with_buffer(file).map_err(failed)?)),
        false => Box::new(file),
    };
    let mut lines = BoundedLines { source, most: LONGEST, number: 0 };
    while let Some(line) = lines.next_line().map_err(failed)? {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let number = lines.number;
        frames.push(frame(&line).map_err(|source| RecordedError::Line {
            path: path.to_owned(),
            line: number,
            source,
        })?);
    }
    Ok(())
}

/// The frame of a line.
fn frame(line: &[u8]) -> Result<Bytes, serde_json::Error> {
    let Some(rest) = line.strip_prefix(STAMPED) else {
        return Ok(serde_json::from_slice::<RecordedLine>(line)?.frame.into());
    };
    let RawLine { raw, raw_base64 } = serde_json::from_slice(line)?;
    let decoded = raw_base64.map(|text| BASE64_STANDARD.decode(text).map_err(serde::de::Error::custom)).transpose()?;
    let kept = raw.map(String::into_bytes).or(decoded);
    let object = || {
        let behind = rest.iter().position(|byte| *byte == b',').map_or(rest.len(), |comma| comma + 1);
        [b"{", rest[behind..].trim_ascii_end()].concat()
    };
    Ok(kept.unwrap_or_else(object).into())
}

/// Lines of up to `most` bytes each, so that a file without a line break is never in memory as a whole.
struct BoundedLines<R> {
    source: R,
    most: usize,
    /// Of the last line, from 1.
    number: usize,
}

impl<R: BufRead> BoundedLines<R> {
    /// The next line; `None` behind the last.
    fn next_line(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        (&mut self.source).take(self.most as u64 + 1).read_until(b'\n', &mut line)?;
        self.number += 1;
        if line.len() > self.most {
            let problem = format!("line {} is longer than {} bytes", self.number, self.most);
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, problem));
        }
        Ok((!line.is_empty()).then_some(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_recorder_are_what_it_received() {
        let read = |line: &str| frame(line.as_bytes()).ok().map(|frame| frame.to_vec());
        let object = |text: &str| Some(text.as_bytes().to_vec());
        assert_eq!(read("{\"frame\":\"[1]\",\"x\":1}\n"), object("[1]"));
        assert_eq!(read("{\"ts_recv\":5,\"ty\":\"trade\",\"tp\":6E-8}\n"), object("{\"ty\":\"trade\",\"tp\":6E-8}"));
        assert_eq!(read("{\"ts_recv\":5,\"raw\":\"[1,2\"}"), object("[1,2"));
        assert_eq!(read("{\"ts_recv\":5,\"raw_base64\":\"/w==\"}"), Some(vec![0xff]));
        for wrong in ["{\"ts_recv\":5,", "{\"x\":1}", "{\"ts_recv\":5,\"raw_base64\":\"?\"}"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_line_is_read_to_a_bound() {
        let mut lines = BoundedLines { source: &b"1234\n\n123456"[..], most: 5, number: 0 };
        assert_eq!(lines.next_line().unwrap().as_deref(), Some(&b"1234\n"[..]));
        assert_eq!(lines.next_line().unwrap().as_deref(), Some(&b"\n"[..]));
        assert_eq!(lines.next_line().unwrap_err().to_string(), "line 3 is longer than 5 bytes");
    }
}
