//! The results of healing on disk: lines of `.healed` streams, and the report of a gap. Pure.
//!
//! ```text
//! {"ts_recv":1795324512113204,"gap":1795324503000002,"market":"KRW-BTC",…}
//!                              └ MissedObject: the gap in front of the REST interface's object
//! ```

use crate::clock::Position;
use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// An object that was missed in a gap and fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissedObject {
    /// The gap: its epoch and its id.
    pub gap: Position,
    /// The object as the REST interface gave it, with at least one key.
    pub object: String,
}

impl MissedObject {
    /// What stands behind the stamp in a file of `epoch`: `{"gap":G,` and the rest of the object.
    pub fn to_json(&self, epoch: u64) -> String {
        let (rest, (gap, gap_epoch)) = (&self.object[1..], name(self.gap, epoch));
        match gap_epoch {
            None => format!("{{\"gap\":{gap},{rest}"),
            Some(gap_epoch) => format!("{{\"gap\":{gap},\"gap_epoch\":{gap_epoch},{rest}"),
        }
    }
}

/// `gap` and `gap_epoch` of a line in a file of `epoch`.
pub fn name(gap: Position, epoch: u64) -> (u64, Option<u64>) {
    (gap.stamp.as_micros(), Some(gap.epoch).filter(|gap_epoch| *gap_epoch != epoch))
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Stamp;

    #[test]
    fn a_gap_of_another_epoch_is_named_with_it() {
        let gap = Position { epoch: 1, stamp: Stamp::from_micros(9).unwrap() };
        let missed = MissedObject { gap, object: r#"{"market":"KRW-BTC"}"#.into() };
        assert_eq!(missed.to_json(1), r#"{"gap":9,"market":"KRW-BTC"}"#);
        assert_eq!(missed.to_json(2), r#"{"gap":9,"gap_epoch":1,"market":"KRW-BTC"}"#);
    }
}
