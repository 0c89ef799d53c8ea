//! What is found: a file, where in it, and why. Pure.

use serde::Serialize;
use std::path::PathBuf;

/// Faults told of one file: a damaged plain file can have one in each line.
const MOST: usize = 100;

/// A fault of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Its path in the data directory.
    pub file: PathBuf,
    /// Where, in bytes; `None`: it concerns the whole file.
    pub offset: Option<u64>,
    /// What the offset counts.
    #[serde(rename = "in")]
    pub within: Within,
    /// Why, for people.
    pub reason: String,
}

/// What an offset counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Within {
    /// The bytes of the file.
    File,
    /// The bytes that a sealed file decodes to.
    Content,
}

/// The faults of one file.
#[derive(Debug)]
pub(super) struct Faults {
    file: PathBuf,
    found: Vec<Fault>,
    more: usize,
}

impl Faults {
    pub(super) fn of(file: PathBuf) -> Self {
        Self { file, found: Vec::new(), more: 0 }
    }

    /// A fault of the file as a whole.
    pub(super) fn whole(&mut self, reason: impl Into<String>) {
        self.push(None, Within::File, reason.into());
    }

    /// A fault at a byte.
    pub(super) fn at(&mut self, offset: u64, within: Within, reason: impl Into<String>) {
        self.push(Some(offset), within, reason.into());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// All, and last how many more there are.
    pub(super) fn into_vec(mut self) -> Vec<Fault> {
        if self.more > 0 {
            let reason = format!("{} more", self.more);
            self.found.push(Fault { file: self.file, offset: None, within: Within::File, reason });
        }
        self.found
    }

    fn push(&mut self, offset: Option<u64>, within: Within, reason: String) {
        if self.found.len() < MOST {
            self.found.push(Fault { file: self.file.clone(), offset, within, reason });
        } else {
            self.more += 1;
        }
    }
}
