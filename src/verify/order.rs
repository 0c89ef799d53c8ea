//! Stamps over the files of a stream: within an epoch each is later than all before. Pure.

use super::fault::{Fault, Within};
use super::report::Report;
use crate::clock::Stamp;
use crate::tape::stream_key::StreamKey;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The last stamp of each stream in each epoch of a tree, in little more memory than there are streams.
#[derive(Debug, Default)]
pub struct Order(BTreeMap<(PathBuf, StreamKey, u64), Stamp>);

impl Order {
    /// The next file of a tree; files of a stream come in the order of their names.
    pub fn next(&mut self, root: &Path, report: &Report) -> Option<Fault> {
        let ((stream, epoch), (first, last)) = report.stream.clone().zip(report.ends)?;
        let before = self.0.insert((root.to_owned(), stream, epoch), last)?;
        let reason = format!("its first line is stamped {first}, and the file before it ends with {before}");
        (before >= first).then(|| Fault { file: report.file.clone(), offset: Some(0), within: Within::Content, reason })
    }
}
