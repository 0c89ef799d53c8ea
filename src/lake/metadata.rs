//! What a file says of itself in its footer: where its rows are from, and what is missing. Pure.
//!
//! ```text
//! lake_version 1   venue upbit-kr   type trade   code KRW-BTC   date 2026-11-22
//! segments         [{"stream":"KRW-BTC_trade","name":"KRW-BTC_trade.….jsonl.zst","lines":48211,"sha256":"b5bb…"}, …]
//! gaps             [{"id":…,"epoch":0,"from":…,"to":…,"kind":"disconnected","cause":"connection reset by peer"}, …]
//! before           {"epoch":0,"ts_recv":1795305599113204}
//! left_out         {"repeats":3,"unreadable":0}
//! ```

use super::place::LakePlace;
use crate::clock::{Position, Stamp};
use crate::tape::gap::{GapKind, GapRecord};
use crate::tape::words::Word;
use parquet::file::metadata::{KeyValue, ParquetMetaData};
use serde::{Deserialize, Serialize};

/// The version of what files hold: another one makes them be written anew.
const VERSION: u32 = 1;

const SEGMENTS: &str = "segments";

/// A sealed file that rows are from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Source {
    pub(super) stream: String,
    pub(super) name: String,
    pub(super) lines: u64,
    pub(super) sha256: Box<str>,
}

/// A gap that touches the stream on this day.
#[derive(Clone, Debug, Serialize)]
pub(super) struct GapNote {
    id: u64,
    epoch: u64,
    from: Stamp,
    to: Stamp,
    kind: Word<GapKind>,
    cause: String,
}

impl GapNote {
    pub(super) fn of(epoch: u64, gap: &GapRecord) -> Self {
        let GapRecord { id, from, to, kind, cause, .. } = gap;
        Self { id: *id, epoch, from: *from, to: *to, kind: kind.clone(), cause: cause.clone() }
    }
}

/// Where the stream ended before the day.
#[derive(Serialize)]
struct End {
    epoch: u64,
    ts_recv: Stamp,
}

/// Lines that have no row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Trades that another row has.
    pub repeats: u64,
    /// Lines that are no JSON, as a crash leaves them.
    pub unreadable: u64,
}

/// What is known of a file before it is written.
pub(super) fn known(
    place: &LakePlace,
    sources: &[Source],
    gaps: &[GapNote],
    before: Option<Position>,
) -> Vec<KeyValue> {
    let before = before.map(|Position { epoch, stamp }| End { epoch, ts_recv: stamp });
    let LakePlace { venue, table, date, code } = place;
    let json = |value: serde_json::Result<String>| value.unwrap_or_default();
    vec![
        pair("lake_version", VERSION.to_string()),
        pair("venue", venue.clone()),
        pair("type", table.to_string()),
        pair("code", code.clone()),
        pair("date", date.to_string()),
        pair(SEGMENTS, json(serde_json::to_string(sources))),
        pair("gaps", json(serde_json::to_string(gaps))),
        pair("before", json(serde_json::to_string(&before))),
    ]
}

/// What is known once it is read.
pub(super) fn counted(left_out: LeftOut) -> KeyValue {
    pair("left_out", serde_json::to_string(&left_out).unwrap_or_default())
}

/// Whether a file is what would be written now.
pub(super) fn is_current(file: &ParquetMetaData, known: &[KeyValue]) -> bool {
    let found = file.file_metadata().key_value_metadata();
    found.is_some_and(|found| known.iter().all(|wanted| found.contains(wanted)))
}

/// Whether a file has the rows of all of these.
pub(super) fn covers(file: &ParquetMetaData, sources: &[Source]) -> bool {
    let found = file.file_metadata().key_value_metadata().into_iter().flatten().find(|pair| pair.key == SEGMENTS);
    let own: Option<Vec<Source>> = found.and_then(|pair| serde_json::from_str(pair.value.as_deref()?).ok());
    own.is_some_and(|own| sources.iter().all(|source| own.contains(source)))
}

fn pair(key: &str, value: String) -> KeyValue {
    KeyValue::new(key.to_owned(), value)
}
