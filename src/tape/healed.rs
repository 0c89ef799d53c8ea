//! The results of healing on disk: lines of `.healed` streams, and the report of a gap. Pure.
//!
//! ```text
//! {"ts_recv":1795324512113204,"gap":1795324503000002,"market":"KRW-BTC",…}
//!                              └ object: the gap in front of the REST interface's object
//! ```

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The outcome of a healed gap. Names are those of streams; types where they are impossible.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HealReport {
    /// Requests made for it.
    pub requests: u64,
    /// How many streams missed nothing.
    pub unaffected: u64,
    /// Streams with all missed objects on disk, and how many these are.
    pub complete: BTreeMap<String, u64>,
    /// Streams that may still miss objects, and how many are on disk.
    pub partial: BTreeMap<String, u64>,
    /// Types without history at the exchange.
    pub impossible: BTreeSet<String>,
}

/// The object of a line: `{"gap":G,` and the rest of an object with at least one key.
pub fn object(gap: u64, object: &str) -> String {
    format!("{{\"gap\":{gap},{}", &object[1..])
}

/// A trade, as it was fetched or as its line has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct HealedTrade {
    /// The gap that it was fetched for; 0 where it is not written yet.
    #[serde(default)]
    pub gap: u64,
    /// The epoch of that gap, where it is not the one of the file's name.
    #[serde(default)]
    pub gap_epoch: Option<u64>,
    /// When it happened, in milliseconds since the epoch.
    pub timestamp: i64,
    /// Its id, unique within its pair.
    pub sequential_id: u64,
}

/// A candle, as it was fetched or as its line has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct HealedCandle {
    /// The gap that it was fetched for; 0 where it is not written yet.
    #[serde(default)]
    pub gap: u64,
    /// The epoch of that gap, where it is not the one of the file's name.
    #[serde(default)]
    pub gap_epoch: Option<u64>,
    /// When its period begins, UTC.
    pub candle_date_time_utc: DateTime,
}
