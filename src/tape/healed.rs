//! What healing leaves on record of a gap. Pure.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What became of a gap. Names are those of streams; types where they are impossible.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HealReport {
    /// Requests made for it.
    pub requests: u64,
    /// How many streams missed nothing.
    pub unaffected: u64,
    /// Streams of which everything that was missing is on disk, and how many objects that is.
    pub complete: BTreeMap<String, u64>,
    /// Streams of which some may still be missing, and how many objects are on disk.
    pub partial: BTreeMap<String, u64>,
    /// Types of which the exchange keeps nothing.
    pub impossible: BTreeSet<String>,
}
