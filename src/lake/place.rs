//! Where a file of the lake is: a directory per venue, type and date, as engines read partitions off paths. Pure.
//!
//! ```text
//! venue=upbit-kr/type=trade/date=2026-11-22/KRW-BTC.parquet
//! .unfinished/type=trade.date=2026-11-22.KRW-BTC.parquet.tmp          in the making: no file to who reads a directory of the lake
//! ```

use super::table::Table;
use jiff::civil::Date;
use std::path::{Path, PathBuf};

/// The directory of files in the making. A file beside the whole ones is one of them to Arrow, PySpark or Polars, which differ
/// in what of a name they pass over.
pub(super) const UNFINISHED: &str = ".unfinished";

/// A file of the lake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LakePlace {
    /// Whose records it has.
    pub venue: String,
    /// What its rows are.
    pub table: Table,
    /// The day of their receive times, UTC.
    pub date: Date,
    /// Whose rows they are.
    pub code: String,
}

impl LakePlace {
    /// The directory of the date.
    pub fn directory(&self) -> PathBuf {
        let Self { venue, table, date, .. } = self;
        // What would be another character in a path of partitions is spelt as in an address.
        let venue = venue.replace(':', "%3A");
        PathBuf::from(format!("venue={venue}/type={table}/date={date}"))
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.directory().join(format!("{}.parquet", self.code))
    }

    /// The same while it is being written: whoever exports is alone, and does one venue at a time.
    pub fn unfinished(&self) -> PathBuf {
        let Self { table, date, code, .. } = self;
        Path::new(UNFINISHED).join(format!("type={table}.date={date}.{code}.parquet.tmp"))
    }
}
