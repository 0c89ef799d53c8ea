//! The lines of `uploaded.jsonl`: sealed files that are in an object store, proved there, and in its manifest.
//!
//! ```text
//! {"name":"KRW-BTC_trade.20261122T051204.113204Z.jsonl.zst","uploaded":1795327200000000,"to":"s3://tape/upbit",…}
//! ```

use crate::clock::Stamp;
use serde::{Deserialize, Serialize};

/// A sealed file that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadedLine {
    /// The file's name, in this directory.
    pub name: String,
    /// When it was known to be there, µs.
    pub uploaded: Stamp,
    /// The store: its address, as `upload.url` has it, with the endpoint where that is another one than the provider's.
    pub to: String,
    /// Bytes of the file, as the store counts them, too.
    pub zst_bytes: u64,
    /// SHA-256 of the file, lower-case hex.
    pub sha256: String,
}

impl UploadedLine {
    /// The line, with its line break.
    pub fn to_line(&self) -> String {
        let mut line = serde_json::to_string(self).expect("strings and numbers always serialise");
        line.push('\n');
        line
    }
}
