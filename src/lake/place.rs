//! Where a file of the lake is: a directory per venue, type and date, as engines read partitions off paths. Pure.
//!
//! ```text
//! venue=upbit-kr/type=trade/date=2026-11-22/KRW-BTC.parquet
//! venue=upbit-kr/type=trade/date=2026-11-22/.KRW-BTC.parquet.tmp     in the making, and no file to who reads directories
//! ```

use super::table::Table;
use jiff::civil::Date;
use std::path::PathBuf;

/// The ending of a file in the making.
pub const UNFINISHED: &str = ".parquet.tmp";

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

    /// The same while it is being written.
    pub fn unfinished(&self) -> PathBuf {
        self.directory().join(format!(".{}{UNFINISHED}", self.code))
    }
}
