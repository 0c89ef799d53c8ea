//! The lines of `rest/<stream>.checkpoint`: which part of a stream's time was fetched. Pure.
//!
//! ```text
//! {"listed":"2017-09-01T00:00:00Z"}
//! {"from":"2026-03-01T00:00:00Z","to":"2026-03-01T03:20:00Z","objects":200,"last":1795324324113204}
//! {"doubted":"2026-02-01T00:00:00Z","objects":0,"answered":1795324330113204}
//! ```

use super::stream_key::StreamKey;
use crate::clock::Stamp;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// The file of a stream, in the directory of fetched data.
pub fn path(stream: &StreamKey) -> PathBuf {
    PathBuf::from(format!("{stream}.checkpoint"))
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CheckpointLine {
    /// Since when the exchange has something of the pair.
    Listed {
        /// The day.
        listed: Timestamp,
    },
    /// An answer that contradicts known data.
    Doubted(DoubtedAnswer),
    /// An interval that is complete on disk.
    Fetched(FetchedInterval),
}

/// Asked for objects before `doubted`, the exchange gave `objects` and no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoubtedAnswer {
    /// Before when.
    pub doubted: Timestamp,
    /// How many there were.
    pub objects: usize,
    /// When it answered, µs.
    pub answered: u64,
}

/// An interval that is complete on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchedInterval {
    /// Its begin, included.
    pub from: Timestamp,
    /// Its end, excluded.
    pub to: Timestamp,
    /// How many objects it has.
    pub objects: usize,
    /// The stamp of the last of them.
    pub last: Stamp,
    /// Objects of the moment `to` that are there already, where a run was killed.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub ids: BTreeSet<u64>,
}
