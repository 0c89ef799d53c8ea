//! What waits to be uploaded, and what was. Where nothing is uploaded, these have no samples.

use super::sink::{Family, Sink, number};
use crate::counters::uploads::Uploads;
use crate::ops::status::Status;
use std::fmt;

const FILES: Family = Family::of("upload_backlog_files", "Sealed files that are not in the store");
const BYTES: Family = Family::bytes("upload_backlog", "Their bytes");
const OLDEST: Family =
    Family::seconds("upload_oldest", "How long ago the last line of the oldest of them came; 0 where there are none");
const REFUSED: Family = Family::of(
    "upload_refused_files",
    "Those of them that the store has with other content, or that are not what their manifest says",
);
const UPLOADED: Family = Family::of("uploaded_files", "Files brought to the store");
const UPLOADED_BYTES: Family = Family::bytes("uploaded", "Their bytes");
const FAILURES: Family = Family::of("upload_failures", "Attempts to upload that failed");

/// Writes them.
pub(super) fn encode(sink: &mut Sink<'_>, status: &Status) -> fmt::Result {
    let Uploads { backlog_files, backlog_bytes, oldest, refused_files, files, bytes, failures, .. } = &status.uploads;
    let age = oldest.map_or(0.0, |oldest| status.at.since(oldest).as_secs_f64());
    sink.gauge(&FILES, backlog_files.map(number))?;
    sink.gauge(&BYTES, backlog_files.map(|_| number(*backlog_bytes)))?;
    sink.gauge(&OLDEST, backlog_files.map(|_| age))?;
    sink.gauge(&REFUSED, backlog_files.map(|_| number(*refused_files)))?;
    sink.counter(&UPLOADED, *files)?;
    sink.counter(&UPLOADED_BYTES, *bytes)?;
    sink.counter(&FAILURES, *failures)
}
