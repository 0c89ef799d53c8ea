//! What an audit certifies of a day: `archive/date=2026-11-22/audit.json`. Pure.
//!
//! ```text
//! {Head,"streams":[StreamAudit,…],Tail}      one object, written a stream at a time
//! ```

use super::decimal;
use super::words::vocabulary;
use crate::clock::Stamp;
use bigdecimal::BigDecimal;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

vocabulary! {
    /// How the tape's minute stands to the exchange's.
    Finding {
        /// The same, or nothing on both sides.
        Exact = "exact",
        /// Not the same.
        Differs = "differs",
        /// The exchange has a candle, and the tape no trade of it.
        NoData = "no_data",
    }
}

vocabulary! {
    /// What comes of all minutes of all streams.
    Verdict {
        /// All are the same.
        Exact = "exact",
        /// All that were looked at are, and there are others.
        Unaudited = "unaudited",
        /// Some are not, or there are none.
        Differs = "differs",
    }
}

/// What comes before the streams.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The day, UTC.
    pub date: Date,
    /// Where the audited part of it begins.
    pub from: String,
    /// Where that ends.
    pub until: String,
    /// Whether that is all of it.
    pub whole: bool,
    /// The stamp of the audit.
    pub audited: Stamp,
    /// The version of the program that made it.
    pub version: Cow<'static, str>,
}

/// What comes after the streams.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tail {
    /// The largest of what any minute could hide, each in its own asset.
    #[serde(with = "decimal")]
    pub blind_below: BigDecimal,
    /// Minutes that are not the same.
    pub differs: usize,
    /// Minutes that are the same.
    pub exact: usize,
    /// Minutes of which the tape has nothing.
    pub no_data: usize,
    /// The largest of the residues.
    pub residue: Residue,
    /// Streams that could not be audited.
    pub unaudited: Vec<Unaudited>,
    /// In a word.
    pub verdict: Verdict,
}

/// A stream that could not be audited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unaudited {
    /// Its name.
    pub stream: String,
    /// Why.
    pub reason: String,
}

/// What was found of one stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamAudit {
    /// The stream: `KRW-BTC_trade`.
    pub stream: String,
    /// Trades of the day, each counted once.
    pub trades: u64,
    /// Of these, trades that were not recorded but fetched later to heal a gap.
    pub healed: u64,
    /// Minutes that are the same, those in which nothing happened among them.
    pub exact: usize,
    /// Minutes that are not.
    pub differs: usize,
    /// Minutes of which the exchange has a candle, and the tape nothing.
    pub no_data: usize,
    /// The largest of the residues of the minutes that are the same.
    pub residue: Residue,
    /// A trade of more than this would have been told in every minute, in the asset: the largest of `blind_minutes`.
    #[serde(with = "decimal")]
    pub blind_below: BigDecimal,
    /// The minutes that are the same and could hide a trade.
    pub blind_minutes: Vec<Blind>,
    /// Lines that are no trades, as a crash leaves them.
    pub unreadable: u64,
    /// What of the tape could not be read: the first of them.
    pub faults: Vec<String>,
    /// The minutes that are not exact.
    pub rows: Vec<Row>,
}

impl StreamAudit {
    /// Whether every minute is the same.
    pub fn is_exact(&self) -> bool {
        self.rows.is_empty()
    }
}

/// By how much sums are not what was printed, the sign left out. Within bounds, it is what the exchange rounded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Residue {
    /// In the asset.
    #[serde(with = "decimal")]
    pub volume: BigDecimal,
    /// In the money.
    #[serde(with = "decimal")]
    pub value: BigDecimal,
}

impl Residue {
    /// Grows to what is larger in another one.
    pub fn widen(&mut self, other: &Self) {
        for (largest, other) in [(&mut self.volume, &other.volume), (&mut self.value, &other.value)] {
            if *other > *largest {
                largest.clone_from(other);
            }
        }
    }
}

/// A minute that is exact and could hide a trade nevertheless.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blind {
    /// When it begins.
    pub minute: String,
    /// A trade of more than this, in the asset, would have been told.
    #[serde(with = "decimal")]
    pub blind_below: BigDecimal,
}

/// A minute that is not exact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// When it begins.
    pub minute: String,
    /// `differs` or `no_data`.
    pub finding: Finding,
    /// Trades on the tape.
    pub trades: u64,
    /// What is not the same: `volume` `value` `open` `high` `low` `close`.
    pub differences: BTreeMap<Cow<'static, str>, Difference>,
    /// The ids of the gaps that touch it.
    pub gaps: Vec<u64>,
}

/// One number that is not the same, as decimals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// What the tape says; `null` where it has no trade.
    pub tape: Option<String>,
    /// What the exchange says; `null` where it has no candle.
    pub exchange: Option<String>,
    /// The first minus the second, where both say something.
    pub difference: Option<String>,
}
