//! The certificate of a day's audit: `archive/date=2026-11-22/audit.json`. Pure.
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
    /// The result over all minutes of all streams.
    Verdict {
        /// All are the same.
        Exact = "exact",
        /// All audited ones are the same, and some streams could not be audited.
        Unaudited = "unaudited",
        /// Some are not, or there are none.
        Differs = "differs",
    }
}

/// The fields before the streams.
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

/// The fields after the streams.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tail {
    /// The largest trade that any minute could hide, each in its own asset.
    #[serde(with = "decimal")]
    pub blind_below: BigDecimal,
    /// Minutes that are not the same.
    pub differs: usize,
    /// Minutes that are the same.
    pub exact: usize,
    /// Minutes without a trade on the tape although the exchange has a candle.
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

/// The audit of one stream.
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
    /// Minutes without a trade on the tape although the exchange has a candle.
    pub no_data: usize,
    /// The largest of the residues of the minutes that are the same.
    pub residue: Residue,
    /// A trade of more than this, in the asset, would show in every minute: the largest of `blind_minutes`.
    #[serde(with = "decimal")]
    pub blind_below: BigDecimal,
    /// The minutes that are the same and could hide a trade.
    pub blind_minutes: Vec<Blind>,
    /// Lines that are no trades, as a crash leaves them.
    pub unreadable: u64,
    /// The first faults of reading the tape.
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

/// The absolute difference between sums and the exchange's numbers. Within bounds, it is the exchange's rounding.
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
    /// Takes the maximum of both, field by field.
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
    /// A trade of more than this, in the asset, would show.
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
    /// The fields that differ: `volume` `value` `open` `high` `low` `close`.
    pub differences: BTreeMap<Cow<'static, str>, Difference>,
    /// The ids of the gaps that touch it.
    pub gaps: Vec<u64>,
}

/// One number that is not the same, as decimals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The tape's value; `null` where it has no trade.
    pub tape: Option<String>,
    /// The exchange's value; `null` where it has no candle.
    pub exchange: Option<String>,
    /// The first minus the second, where both have a value.
    pub difference: Option<String>,
}
