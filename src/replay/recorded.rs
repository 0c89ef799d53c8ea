//! Frames from a file, sent as they are.
//!
//! ```text
//! {"frame":"{\"ty\":\"trade\", …}", …}      a line each; other keys do not matter
//! ```

use bytes::Bytes;
use serde::Deserialize;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a file of frames cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum RecordedError {
    /// The file cannot be read.
    #[error("cannot read the frames in {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A line is not what it should be.
    #[error("{path}, line {line}: expected an object with the text `frame`")]
    Line {
        /// The file.
        path: PathBuf,
        /// The number of the line, from 1.
        line: usize,
        /// What the parser says.
        #[source]
        source: serde_json::Error,
    },
}

/// All frames of one or more files, in order.
#[derive(Clone, Debug)]
pub struct Recorded(Arc<[Bytes]>);

#[derive(Deserialize)]
struct Line {
    frame: String,
}

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
    for (line, number) in std::io::BufReader::new(file).lines().zip(1..) {
        let line = line.map_err(failed)?;
        if line.trim().is_empty() {
            continue;
        }
        let parsed: Line = serde_json::from_str(&line).map_err(|source| RecordedError::Line {
            path: path.to_owned(),
            line: number,
            source,
        })?;
        frames.push(parsed.frame.into());
    }
    Ok(())
}
